/* Login tokens: LOGIN_PROVE, LOGIN, LOGOUT, PASSWORD_SET, and the judgement of what needs one. Passwords were hashed on the pool before
 * (login.h). On the connection's thread. Source: seed S61, S73-S75, S113, S123. */
#define LOG_MODULE "tokens"
#include "distributor/tokens.h"

#include <stdio.h>

#include "base/util.h"
#include "crypto/seal.h"
#include "distributor/accounts.h"
#include "distributor/devices.h"
#include "distributor/handlers.h"
#include "distributor/reply.h"
#include "distributor/rows.h"

#define DAY_MS INT64_C(86400000)

/* --- Policy ------------------------------------------------------------------------------------------------------ */

bool tokens_policy_of(const char *word, enum tokens_policy *out)
{
    static const char *const words[] = { "device-key", "password", "both" };
    for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        if (strcmp(word, words[i]) != 0)
            continue;
        *out = (enum tokens_policy)i;
        return true;
    }
    return false;
}

int tokens_policy(struct operations *o, enum tokens_policy *out)
{
    char word[16];
    int r = operations_setting(o, "login-policy", word, sizeof(word));
    return r != 0 ? r : tokens_policy_of(word, out) ? 0 : -EUCLEAN;
}

/* --- Rows -------------------------------------------------------------------------------------------------------- */

static int read_token(struct query *q, struct token *out)
{
    query_fixed(q, 0, out->client.bytes, ID_BYTES);
    query_fixed(q, 1, out->hash, sizeof(out->hash));
    query_text(q, 2, out->user, sizeof(out->user));
    out->created_ms = query_i64(q, 3);
    out->ends_ms = query_i64(q, 4);
    out->used_ms = query_i64(q, 5);
    return query_check(q);
}

/* 0, OPERATIONS_ABSENT, -errno. */
static int find(struct operations *o, const struct id *client, const uint8_t hash[32], struct token *out)
{
    struct query q CLEANUP(query_end) = query(o->store, TOKEN_GET);
    rows_bind_id(&q, 1, client);
    query_bind_blob(&q, 2, slice(hash, 32));
    int r = rows_one(&q);
    return r == 0 ? read_token(&q, out) : r;
}

int tokens_next(struct operations *o, const char *user, const struct id *after, struct token *out)
{
    struct query q CLEANUP(query_end) = query(o->store, TOKEN_NEXT);
    query_bind_text(&q, 1, user);
    rows_bind_id(&q, 2, after);
    int r = rows_one(&q);
    return r == 0 ? read_token(&q, out) : r;
}

static int put(struct operations *o, const struct token *t)
{
    struct query q CLEANUP(query_end) = query(o->store, TOKEN_SET);
    rows_bind_id(&q, 1, &t->client);
    query_bind_blob(&q, 2, SLICE_ARRAY(t->hash));
    query_bind_text(&q, 3, t->user);
    query_bind_i64(&q, 4, t->created_ms);
    query_bind_i64(&q, 5, t->ends_ms);
    query_bind_i64(&q, 6, t->used_ms);
    return rows_run(&q);
}

int tokens_revoke_device(struct operations *o, const struct id *client)
{
    struct query q CLEANUP(query_end) = query(o->store, TOKEN_DELETE);
    rows_bind_id(&q, 1, client);
    return rows_run(&q);
}

int tokens_revoke_user(struct operations *o, const char *user)
{
    struct query q CLEANUP(query_end) = query(o->store, TOKENS_OF_USER_DELETE);
    query_bind_text(&q, 1, user);
    return rows_run(&q);
}

int tokens_issue(struct operations *o, const struct caller *who, const char *user, const uint8_t sealing_key[32],
                 uint8_t sealed[LOGIN_TOKEN_SEALED_BYTES], int64_t *ends_ms, struct reply *out)
{
    struct key32 token;
    struct token row = { .client = who->client, .created_ms = who->now_ms, .used_ms = who->now_ms };
    uint8_t key[SIGN_PUBLIC_BYTES];
    int64_t days;
    int r = operations_setting_i64(o, "login-days", &days);
    if (r != 0)
        return r;
    rng_fill(o->rng, token.bytes, sizeof(token.bytes));
    sign_public_key(&token, key);
    if (seal_to(sealing_key, SLICE_ARRAY(token.bytes), sealed) != 0)
        r = REASON_MALFORMED; /* a key of low order */
    secret_wipe(&token, sizeof(token));
    login_token_hash(key, row.hash);
    snprintf(row.user, sizeof(row.user), "%s", user);
    row.ends_ms = who->now_ms + days * DAY_MS;
    if (r == 0)
        r = put(o, &row);
    if (r != 0)
        return r;
    if (ends_ms != NULL)
        *ends_ms = row.ends_ms;
    out->login = REPLY_LOGGED_IN;
    memcpy(out->token, row.hash, sizeof(out->token));
    return 0;
}

/* --- Judgement --------------------------------------------------------------------------------------------------- */

/* May this device act for this account here, apart from any token? A guest may for the accounts of its household.
 * 0, REASON_LOGIN_NEEDED, REASON_NOT_REGISTERED, REASON_DEVICE_REVOKED, -errno. */
static int judge_device(struct operations *o, const struct caller *who, enum tokens_policy policy, const char *user,
                        struct device *d)
{
    int r = devices_find_own(o, &who->client, d);
    if (r == 0)
        return d->revoked ? REASON_DEVICE_REVOKED : strcmp(d->user, user) == 0 ? 0 : REASON_LOGIN_NEEDED;
    if (r != OPERATIONS_ABSENT)
        return r;
    if (policy != TOKENS_PASSWORD)
        return REASON_NOT_REGISTERED;
    r = devices_find_in_household(o, OPERATIONS_SELF, user, &who->client, d);
    return r == OPERATIONS_ABSENT || (r == 0 && d->revoked) ? REASON_NOT_REGISTERED : r;
}

static int refuse(struct operations *o, struct reply *out)
{
    return reply_refuse(out, REASON_LOGIN_NEEDED, "%s asks for the account's password on this device first.", o->name);
}

int tokens_judge(struct operations *o, const struct caller *who, struct reply *out)
{
    enum tokens_policy policy;
    struct token t;
    struct device d;
    int r = tokens_policy(o, &policy);
    if (r != 0 || policy == TOKENS_DEVICE_KEY)
        return r;
    if (!who->has_token)
        return refuse(o, out);
    r = find(o, &who->client, who->token, &t);
    if (r == OPERATIONS_ABSENT || (r == 0 && t.ends_ms <= who->now_ms))
        return refuse(o, out);
    if (r == 0)
        r = judge_device(o, who, policy, t.user, &d);
    return r == REASON_LOGIN_NEEDED ? refuse(o, out) : r;
}

/* --- Requests ---------------------------------------------------------------------------------------------------- */

int tokens_prove(struct operations *o, const struct caller *who, struct slice message, struct slice tail,
                 struct reply *out)
{
    (void)tail;
    msg_LoginProve m;
    struct token t;
    uint8_t hash[32];
    int r = REQUEST_DECODE(message, msg_LoginProve, &m);
    if (r != 0)
        return r;
    login_token_hash(m.key, hash);
    r = find(o, &who->client, hash, &t);
    if (r == OPERATIONS_ABSENT || (r == 0 && t.ends_ms <= who->now_ms))
        return refuse(o, out);
    if (r != 0)
        return r;
    if (!who->has_challenge || !login_token_is_proved(m.key, &o->keys->self, &who->client, who->challenge, m.proof))
        return REASON_SIGNATURE_INVALID;
    t.used_ms = who->now_ms;
    r = put(o, &t);
    out->login = REPLY_LOGGED_IN;
    memcpy(out->token, hash, sizeof(out->token));
    return r == 0 ? reply_ok(out) : r;
}

static int answer(struct operations *o, const struct caller *who, const struct device *d, const char *user,
                  struct reply *out)
{
    doc_DeviceCertificate c;
    msg_LoggedIn m = msg_LoggedIn_init_zero;
    int64_t ends_ms = 0;
    int r = devices_certificate(o, d, who->now_ms, &c);
    if (r == 0)
        r = tokens_issue(o, who, user, c.sealing_key, m.token, &ends_ms, out);
    m.ends_ms = (uint64_t)ends_ms;
    return r == 0 ? REPLY(out, LOGGED_IN, msg_LoggedIn, &m) : r;
}

int tokens_login(struct operations *o, const struct caller *who, struct slice message, struct slice tail,
                 struct reply *out)
{
    (void)tail;
    msg_Login m;
    struct device d;
    enum tokens_policy policy;
    int r = REQUEST_DECODE(message, msg_Login, &m);
    if (r == 0)
        r = tokens_policy(o, &policy);
    secret_wipe(m.password, sizeof(m.password));
    if (r == 0 && !who->password_ok)
        r = REASON_BAD_CREDENTIALS;
    if (r != 0)
        return r;
    if (m.user[0] == '\0')
        r = requests_user_of(o, &who->client, m.user);
    if (r == 0)
        r = judge_device(o, who, policy, m.user, &d);
    if (r == REASON_LOGIN_NEEDED)
        return reply_refuse(out, REASON_NOT_PERMITTED, "This device is registered for another account.");
    return r == 0 ? answer(o, who, &d, m.user, out) : r;
}

int tokens_logout(struct operations *o, const struct caller *who, struct slice message, struct slice tail,
                  struct reply *out)
{
    (void)tail;
    msg_Logout m;
    int r = REQUEST_DECODE(message, msg_Logout, &m);
    if (r == 0)
        r = tokens_revoke_device(o, &who->client);
    out->login = REPLY_LOGGED_OUT;
    return r == 0 ? reply_ok(out) : r;
}

/* By the account's own password; every other device has to log in again. */
int tokens_password_set(struct operations *o, const struct caller *who, struct slice message, struct slice tail,
                        struct reply *out)
{
    (void)tail;
    msg_PasswordSet m;
    struct device d;
    int r = REQUEST_DECODE(message, msg_PasswordSet, &m);
    size_t len = r == 0 ? strlen(m.fresh) : 0;
    secret_wipe(&m, sizeof(m));
    if (r == 0)
        r = devices_caller(o, who, &d);
    if (r != 0)
        return r;
    if (!who->password_ok)
        return REASON_BAD_CREDENTIALS;
    if (len < ACCOUNTS_PASSWORD_MIN)
        return reply_refuse(out, REASON_NOT_PERMITTED, "A password needs at least %d characters.",
                            ACCOUNTS_PASSWORD_MIN);
    if (who->password_hash == NULL)
        return -EINVAL;
    r = accounts_set_password(o, d.user, who->password_hash);
    return r == 0 ? answer(o, who, &d, d.user, out) : r == OPERATIONS_ABSENT ? -EUCLEAN : r;
}
