/* Accounts, invitations, and the requests HELLO, UNREGISTER, ACCOUNT_GET. REGISTER is in register.c.
 * On the connection's thread. Source: seed S1-S4, S14, S73-S75. */
#include "distributor/accounts.h"

#include <ctype.h>
#include <stdio.h>

#include "base/text.h"
#include "crypto/sha256.h"
#include "distributor/billing.h"
#include "distributor/copies.h"
#include "distributor/devices.h"
#include "distributor/erase.h"
#include "distributor/handlers.h"
#include "distributor/reply.h"
#include "distributor/roster.h"
#include "distributor/rows.h"
#include "distributor/sessions.h"
#include "distributor/share_rows.h"
#include "distributor/spending.h"
#include "distributor/standings.h"
#include "distributor/tokens.h"

#define INVITE_LABEL "hearth invite"

/* --- Accounts ---------------------------------------------------------------------------------------------------- */

int accounts_find(struct operations *o, const char *user, struct account *out)
{
    struct query q CLEANUP(query_end) = query(o->store, ACCOUNT_GET);
    query_bind_text(&q, 1, user);
    int r = rows_one(&q);
    if (r != 0)
        return r;
    snprintf(out->user, sizeof(out->user), "%s", user);
    query_text(&q, 0, out->full_name, sizeof(out->full_name));
    query_text(&q, 1, out->email, sizeof(out->email));
    out->credit_limit = query_i64(&q, 2);
    out->created_ms = query_i64(&q, 3);
    query_fixed(&q, 4, out->household, sizeof(out->household));
    query_text(&q, 5, out->payment_reference, sizeof(out->payment_reference));
    return query_check(&q);
}

int accounts_next(struct operations *o, const char *after, struct account *out)
{
    char user[OPERATIONS_NAME_BYTES];
    {
        struct query q CLEANUP(query_end) = query(o->store, ACCOUNT_NEXT);
        query_bind_text(&q, 1, after);
        int r = rows_one(&q);
        if (r != 0)
            return r;
        query_text(&q, 0, user, sizeof(user));
        r = query_check(&q);
        if (r != 0)
            return r;
    }
    return accounts_find(o, user, out);
}

bool accounts_name_is_valid(const char *user)
{
    size_t len = strlen(user);
    if (len == 0 || len >= OPERATIONS_NAME_BYTES)
        return false;
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)user[i]) && !strchr("._@+-", user[i]))
            return false;
    return user[0] != '-';
}

static int add_password(struct operations *o, const char *user, const char *hash)
{
    struct query q CLEANUP(query_end) = query(o->store, PASSWORD_ADD);
    query_bind_text(&q, 1, user);
    query_bind_text(&q, 2, hash);
    int r = query_run(&q);
    return r == STORE_CONFLICT ? REASON_USER_EXISTS : r;
}

int accounts_add(struct operations *o, const char *user, const char *hash, const char *full_name, const char *email,
                 int64_t credit_limit, int64_t now_ms)
{
    if (!accounts_name_is_valid(user))
        return REASON_MALFORMED;
    if (strncmp(user, ERASE_PSEUDONYM_PREFIX, strlen(ERASE_PSEUDONYM_PREFIX)) == 0)
        return REASON_USER_EXISTS;
    int used = erase_was_used(o, user); /* nobody inherits what others still say of a name */
    if (used != OPERATIONS_ABSENT)
        return used == 0 ? REASON_USER_EXISTS : used;
    int r = credit_limit < 0 ? operations_setting_i64(o, "credit-limit", &credit_limit) : 0;
    if (r == 0)
        r = add_password(o, user, hash);
    if (r != 0)
        return r;
    uint8_t household[16];
    rng_fill(o->rng, household, sizeof(household));
    struct query q CLEANUP(query_end) = query(o->store, ACCOUNT_ADD);
    query_bind_text(&q, 1, user);
    query_bind_text(&q, 2, full_name);
    query_bind_text(&q, 3, email);
    query_bind_i64(&q, 4, credit_limit);
    query_bind_i64(&q, 5, now_ms);
    query_bind_blob(&q, 6, SLICE_ARRAY(household));
    return rows_run(&q);
}

int accounts_set_password(struct operations *o, const char *user, const char *hash)
{
    struct query q CLEANUP(query_end) = query(o->store, PASSWORD_SET);
    query_bind_text(&q, 1, user);
    query_bind_text(&q, 2, hash);
    int r = rows_run(&q);
    if (r == 0 && store_changed_count(o->store) == 0)
        return OPERATIONS_ABSENT;
    return r == 0 ? tokens_revoke_user(o, user) : r;
}

int accounts_set_credit(struct operations *o, const char *user, int64_t credit_limit)
{
    struct query q CLEANUP(query_end) = query(o->store, ACCOUNT_SET_CREDIT);
    query_bind_text(&q, 1, user);
    query_bind_i64(&q, 2, credit_limit);
    int r = rows_run(&q);
    return r == 0 && store_changed_count(o->store) == 0 ? OPERATIONS_ABSENT : r;
}

int accounts_set_reference(struct operations *o, const char *user, const char *reference)
{
    struct query q CLEANUP(query_end) = query(o->store, ACCOUNT_SET_REFERENCE);
    query_bind_text(&q, 1, user);
    query_bind_text(&q, 2, reference);
    int r = rows_run(&q);
    return r == 0 && store_changed_count(o->store) == 0 ? OPERATIONS_ABSENT : r;
}

int accounts_of_guest(struct operations *o, const struct device *d, char user[OPERATIONS_NAME_BYTES])
{
    struct query q CLEANUP(query_end) = query(o->store, HOUSEHOLD_ACCOUNTS);
    query_bind_i64(&q, 1, d->distributor);
    query_bind_text(&q, 2, d->user);
    int r, count = 0;
    while (rows_next(&q, &r)) {
        query_text(&q, 0, user, OPERATIONS_NAME_BYTES);
        count++;
    }
    if (count != 1)
        user[0] = '\0';
    return r == 0 ? query_check(&q) : r;
}

int accounts_devices(struct operations *o, const char *user, int64_t *count, int64_t *most)
{
    int r = operations_setting_i64(o, "devices-per-account", most);
    if (r != 0)
        return r;
    struct query q CLEANUP(query_end) = query(o->store, DEVICE_COUNT);
    query_bind_i64(&q, 1, OPERATIONS_SELF);
    query_bind_text(&q, 2, user);
    r = rows_one(&q);
    *count = r == 0 ? query_i64(&q, 0) : 0;
    return r == OPERATIONS_ABSENT ? -EUCLEAN : r;
}

/* --- Codes ------------------------------------------------------------------------------------------------------- */

void accounts_code_hash(const char *label, const char *code, uint8_t hash[32])
{
    const struct slice parts[] = { slice(label, strlen(label) + 1), slice_str(code) };
    sha256_parts(parts, 2, hash);
}

void accounts_code_new(struct operations *o, const char *label, char code[ACCOUNTS_INVITE_BYTES], uint8_t hash[32])
{
    uint8_t random[10]; /* 80 bits: nothing to guess, whatever the rate */
    rng_fill(o->rng, random, sizeof(random));
    base32_encode(SLICE_ARRAY(random), code);
    accounts_code_hash(label, code, hash);
}

int accounts_invite(struct operations *o, int64_t now_ms, int64_t ends_ms, char code[ACCOUNTS_INVITE_BYTES])
{
    uint8_t hash[32];
    accounts_code_new(o, INVITE_LABEL, code, hash);
    struct query q CLEANUP(query_end) = query(o->store, INVITE_ADD);
    query_bind_blob(&q, 1, SLICE_ARRAY(hash));
    query_bind_i64(&q, 2, now_ms);
    query_bind_i64(&q, 3, ends_ms);
    return rows_run(&q);
}

int accounts_invite_use(struct operations *o, const char *code, const char *user, int64_t now_ms)
{
    uint8_t hash[32];
    accounts_code_hash(INVITE_LABEL, code, hash);
    struct query q CLEANUP(query_end) = query(o->store, INVITE_USE);
    query_bind_blob(&q, 1, SLICE_ARRAY(hash));
    query_bind_text(&q, 2, user);
    query_bind_i64(&q, 3, now_ms);
    int r = rows_run(&q);
    return r == 0 && store_changed_count(o->store) == 0 ? REASON_BAD_CREDENTIALS : r;
}

/* --- HELLO ------------------------------------------------------------------------------------------------------- */

static int sign_time(struct operations *o, const struct caller *who, msg_Welcome *welcome)
{
    doc_SignedTime t = { .time_ms = (uint64_t)who->now_ms };
    memcpy(t.distributor, o->keys->self.bytes, ID_BYTES);
    memcpy(t.client, who->client.bytes, ID_BYTES);
    struct signer signer;
    signer_from_pair(&signer, &o->keys->license);
    struct buf envelope CLEANUP(buf_free) = buf(sizeof(welcome->time.bytes));
    int r = document_sign(&envelope, DOCUMENT_TIME, &t, &signer);
    if (r != 0 || CODEC_SET_BYTES(welcome->time, buf_slice(&envelope)) != 0)
        return r < 0 ? r : -EMSGSIZE;
    welcome->has_time = true;
    return 0;
}

static int put_standing(struct operations *o, const struct caller *who, uint64_t session, msg_Welcome *welcome)
{
    struct standing known;
    struct buf envelope CLEANUP(buf_free) = buf(sizeof(welcome->standing.bytes));
    int r = standings_get(o, &who->client, &known);
    if (r == 0)
        r = standings_sign(o, &who->client, session, who->now_ms, &envelope);
    if (r != 0)
        return r;
    welcome->has_generation = welcome->has_standing = true;
    welcome->generation = known.generation;
    return CODEC_SET_BYTES(welcome->standing, buf_slice(&envelope)) != 0 ? -EMSGSIZE : 0;
}

/* A device certificate is renewed long before its end, whenever its device says hello. */
static int keep_certified(struct operations *o, const struct caller *who, const struct device *d)
{
    doc_DeviceCertificate c;
    int r = devices_certificate(o, d, who->now_ms, &c);
    if (r != 0)
        return r < 0 ? r : 0; /* registering again makes a new one */
    if ((uint64_t)who->now_ms < c.issued_ms + (c.ends_ms - c.issued_ms) / 2)
        return 0;
    struct buf envelope CLEANUP(buf_free) = buf(512);
    r = devices_certify(o, c.device_key, c.sealing_key, c.leaf.number, who->now_ms, &envelope);
    return r == 0 ? roster_touch(o, d->distributor, d->user) : r;
}

/* A registered device, or a guest: one we know from another distributor's shared rows, which may hold licenses of ours. */
int accounts_hello(struct operations *o, const struct caller *who, struct slice message, struct slice tail,
                   struct reply *out)
{
    (void)tail;
    msg_Hello m;
    int r = REQUEST_DECODE(message, msg_Hello, &m);
    if (r != 0 || m.role != REQUESTS_DEVICE)
        return r != 0 ? r : REASON_MALFORMED;
    struct device d = { 0 };
    r = devices_find(o, &who->client, &d);
    if (r < 0)
        return r;
    bool known = r == 0 && !d.revoked;
    msg_Welcome welcome = { .registered = known && d.distributor == OPERATIONS_SELF };
    if (known) {
        struct txn_server state;
        r = sessions_open(o, &who->client, who->now_ms, &state);
        if (r == 0)
            r = put_standing(o, who, state.session, &welcome);
        if (r != 0)
            return r < 0 ? r : -EUCLEAN;
        welcome.session = out->session = state.session;
        welcome.bit = state.bit;
    }
    r = sign_time(o, who, &welcome);
    if (known) {
        rng_fill(o->rng, out->challenge, sizeof(out->challenge));
        memcpy(welcome.login_challenge, out->challenge, sizeof(out->challenge));
        welcome.has_login_challenge = out->has_challenge = true;
    }
    if (r == 0 && welcome.registered) {
        r = keep_certified(o, who, &d);
        if (r == 0)
            r = roster_current(o, d.user, who->now_ms, &welcome.roster_sequence, NULL);
        CODEC_SET_TEXT(welcome.user, d.user);
        snprintf(out->user, sizeof(out->user), "%s", d.user);
    }
    return r == 0 ? REPLY(out, WELCOME, msg_Welcome, &welcome) : r;
}

/* --- UNREGISTER, ACCOUNT_GET ------------------------------------------------------------------------------------- */

/* Leaving is being removed: what the device has cached must open nothing new, whoever made it leave. Registering again gives a new leaf, and
 * restore.c what was bought. */
int accounts_unregister(struct operations *o, const struct caller *who, struct slice message, struct slice tail,
                        struct reply *out)
{
    (void)tail;
    msg_Unregister m;
    int r = REQUEST_DECODE(message, msg_Unregister, &m);
    struct device d;
    if (r == 0)
        r = devices_caller(o, who, &d);
    if (r == 0)
        r = devices_revoke(o, &d, who->now_ms);
    if (r == 0)
        r = copies_device_removed(o, &d, who->now_ms);
    return r == 0 ? reply_ok(out) : r;
}

static int add_links(struct operations *o, const char *user, msg_Account *account)
{
    int64_t other = 0;
    char other_user[OPERATIONS_NAME_BYTES] = "";
    while (account->links_count < sizeof(account->links) / sizeof(account->links[0])) {
        struct query q CLEANUP(query_end) = query(o->store, LINK_NEXT);
        query_bind_text(&q, 1, user);
        query_bind_i64(&q, 2, other);
        query_bind_text(&q, 3, other_user);
        int r = rows_one(&q);
        if (r != 0)
            return r == OPERATIONS_ABSENT ? 0 : r;
        msg_AccountLink *link = &account->links[account->links_count++];
        other = query_i64(&q, 0);
        query_text(&q, 1, other_user, sizeof(other_user));
        query_fixed(&q, 2, link->distributor, sizeof(link->distributor));
        query_text(&q, 3, link->distributor_name, sizeof(link->distributor_name));
        r = query_check(&q);
        if (r != 0)
            return r;
        CODEC_SET_TEXT(link->user, other_user);
    }
    return 0;
}

static void put_person(msg_Account *account, const struct account *a)
{
    account->has_full_name = a->full_name[0] != '\0';
    account->has_email = a->email[0] != '\0';
    account->has_payment_reference = a->payment_reference[0] != '\0';
    CODEC_SET_TEXT(account->full_name, a->full_name);
    CODEC_SET_TEXT(account->email, a->email);
    CODEC_SET_TEXT(account->payment_reference, a->payment_reference);
}

static int put_devices(struct operations *o, const char *user, msg_Account *account)
{
    int64_t count, most;
    int r = accounts_devices(o, user, &count, &most);
    if (r != 0)
        return r;
    account->has_devices = account->has_devices_max = true;
    account->devices = (uint32_t)count;
    account->devices_max = (uint32_t)most;
    return 0;
}

static int put_spending(struct operations *o, const struct caller *who, const char *user, msg_Account *account)
{
    struct spending s;
    int r = spending_find(o, user, &who->client, who->now_ms, &s);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? 0 : r;
    account->has_spending_limit = account->has_limit_period = account->has_spent = true;
    account->spending_limit = s.amount;
    account->limit_period = s.period;
    account->spent = s.spent;
    account->has_unlocked_until_ms = s.unlocked_until_ms > 0;
    account->unlocked_until_ms = (uint64_t)s.unlocked_until_ms;
    return 0;
}

int accounts_get(struct operations *o, const struct caller *who, struct slice message, struct slice tail,
                 struct reply *out)
{
    (void)tail;
    msg_AccountGet m;
    int r = REQUEST_DECODE(message, msg_AccountGet, &m);
    struct device d;
    if (r == 0)
        r = devices_caller(o, who, &d);
    struct account a;
    if (r == 0)
        r = accounts_find(o, d.user, &a);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? -EUCLEAN : r;
    msg_Account account = { .credit_limit = a.credit_limit };
    CODEC_SET_TEXT(account.user, d.user);
    CODEC_SET_TEXT(account.currency, o->currency);
    put_person(&account, &a);
    r = put_devices(o, d.user, &account);
    if (r == 0)
        r = put_spending(o, who, d.user, &account);
    if (r == 0)
        r = billing_balance(o, d.user, &account.balance);
    if (r == 0)
        r = add_links(o, d.user, &account);
    return r == 0 ? REPLY(out, ACCOUNT, msg_Account, &account) : r;
}
