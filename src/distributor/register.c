/* REGISTER: the preregistration of a device (seed S1-S4, S11-S14). The password was hashed on the pool before.
 * Registering again is harmless: the same leaf, bit and session come back. On the connection's thread. */
#define LOG_MODULE "register"
#include <stdio.h>
#include <time.h>

#include "base/log.h"
#include "base/text.h"
#include "crypto/keytree.h"
#include "crypto/seal.h"
#include "distributor/accounts.h"
#include "distributor/devices.h"
#include "distributor/handlers.h"
#include "distributor/keyblocks.h"
#include "distributor/reply.h"
#include "distributor/roster.h"
#include "distributor/rows.h"
#include "distributor/sessions.h"
#include "distributor/tokens.h"

/* What is known when the handler begins. */
struct registration {
    msg_Register m;
    struct device device; /* as it will be stored */
    bool known;           /* there is a row of this client already */
    bool was_revoked;
    uint32_t leaf;
    struct buf certificate;
};

static void wipe_registration(struct registration *g)
{
    secret_wipe(&g->m, sizeof(g->m)); /* the password */
    buf_free(&g->certificate);
}

/* --- Account (S11, S2, S3) --------------------------------------------------------------------------------------- */

static int use_policy(struct operations *o, const struct caller *who, const struct registration *g, struct reply *out)
{
    char policy[16];
    int r = operations_setting(o, "registration", policy, sizeof(policy));
    if (r != 0 || strcmp(policy, "open") == 0)
        return r;
    if (strcmp(policy, "invite") != 0)
        return reply_refuse(out, REASON_NOT_PERMITTED,
                            "This distributor opens no accounts this way; ask its operator.");
    if (!g->m.has_invite)
        return reply_refuse(out, REASON_NOT_PERMITTED, "A new account needs an invitation code.");
    r = accounts_invite_use(o, g->m.invite, g->m.user, who->now_ms);
    return r == REASON_BAD_CREDENTIALS ? reply_refuse(out, r, "The invitation code is wrong, used or over.") : r;
}

static int new_account(struct operations *o, const struct caller *who, const struct registration *g, struct reply *out)
{
    if (!accounts_name_is_valid(g->m.user))
        return reply_refuse(out, REASON_MALFORMED, "A user name has 1 to 63 letters, digits or one of . _ @ + -");
    if (strlen(g->m.password) < ACCOUNTS_PASSWORD_MIN)
        return reply_refuse(out, REASON_NOT_PERMITTED, "A password needs at least %d characters.",
                            ACCOUNTS_PASSWORD_MIN);
    if (!who->password_hash)
        return -EINVAL;
    int r = use_policy(o, who, g, out);
    if (r == 0)
        r = accounts_add(o, g->m.user, who->password_hash, g->m.has_full_name ? g->m.full_name : "",
                         g->m.has_email ? g->m.email : "", -1, who->now_ms);
    if (r == 0 && g->m.has_payment_reference)
        r = accounts_set_reference(o, g->m.user, g->m.payment_reference);
    return r;
}

/* Nothing of it is stored or logged. */
static bool names_a_card(const msg_Register *m)
{
    return (m->has_full_name && text_has_card_number(m->full_name)) ||
           (m->has_email && text_has_card_number(m->email)) ||
           (m->has_payment_reference && text_has_card_number(m->payment_reference));
}

/* Source: seed S73-S75 and S123-S125 ask the same check: user and password. */
static int judge_account(struct operations *o, const struct caller *who, const struct registration *g,
                         struct reply *out)
{
    struct account a;
    int r = accounts_find(o, g->m.user, &a);
    if (r < 0)
        return r;
    bool exists = r == 0;
    bool mine = g->known && !g->was_revoked && strcmp(g->device.user, g->m.user) == 0;
    if (exists && g->m.new_account && !(mine && who->password_ok)) /* else: its first answer was lost */
        return REASON_USER_EXISTS;
    if (exists)
        return who->password_ok ? 0 : REASON_BAD_CREDENTIALS;
    return g->m.new_account ? new_account(o, who, g, out) : REASON_BAD_CREDENTIALS;
}

/* --- Device (S12, S14) ------------------------------------------------------------------------------------------- */

#define NAMED_BYTES 150 /* what there is room for in a refusal, beside its words and one more name */

/* Names the devices, the one unused longest first: who knows the password chooses the one to remove. */
static int refuse_full(struct operations *o, const char *user, int64_t count, struct reply *out)
{
    char names[NAMED_BYTES] = "", more[32] = "", day[16] = "?", name[OPERATIONS_NAME_BYTES];
    size_t len = 0;
    int64_t named = 0;
    struct query q CLEANUP(query_end) = query(o->store, DEVICES_BY_USE);
    query_bind_text(&q, 1, user);
    int r;
    while (rows_next(&q, &r)) {
        query_text(&q, 0, name, sizeof(name));
        if (named == 0) {
            time_t used = (time_t)(query_i64(&q, 1) / 1000);
            struct tm tm;
            if (gmtime_r(&used, &tm) != NULL)
                strftime(day, sizeof(day), "%Y-%m-%d", &tm);
        }
        if (query_check(&q) != 0)
            return -EUCLEAN;
        if (len + strlen(name) + 3 > sizeof(names))
            break;
        len += (size_t)snprintf(names + len, sizeof(names) - len, "%s%s", named > 0 ? ", " : "", name);
        named++;
    }
    if (r != 0)
        return r;
    if (named < count)
        snprintf(more, sizeof(more), " and %lld more", (long long)(count - named));
    return reply_refuse(
        out, REASON_DEVICE_LIMIT,
        "The account has %lld devices, as many as it may: %s%s. The first is unused longest (since %s).",
        (long long)count, names, more, day);
}

static int judge_device(struct operations *o, const struct registration *g, struct reply *out)
{
    if (g->m.device_name[0] == '\0')
        return reply_refuse(out, REASON_MALFORMED, "A device needs a name.");
    if (g->known && !g->was_revoked) {
        if (strcmp(g->device.user, g->m.user) == 0)
            return 0;
        return reply_refuse(out, REASON_ALREADY, "This device is registered for %s. Unregister it first.",
                            g->device.user);
    }
    int64_t count, most;
    int r = accounts_devices(o, g->m.user, &count, &most);
    if (r != 0)
        return r;
    if (count >= most)
        return refuse_full(o, g->m.user, count, out);
    struct query q CLEANUP(query_end) = query(o->store, HOUSEHOLD_COUNT);
    query_bind_i64(&q, 1, OPERATIONS_SELF);
    query_bind_text(&q, 2, g->m.user);
    r = rows_one(&q);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? -EUCLEAN : r;
    if (query_i64(&q, 0) >= DEVICES_PER_HOUSEHOLD)
        return reply_refuse(out, REASON_DEVICE_LIMIT, "A household has at most %d devices. Remove one first.",
                            DEVICES_PER_HOUSEHOLD);
    return query_check(&q);
}

/* An unassigned leaf for a new device, and for one that was removed: its old leaf stays revoked. Source: seed S12. */
static int assign_leaf(struct operations *o, const struct caller *who, struct registration *g)
{
    uint32_t category;
    int r = g->was_revoked ? OPERATIONS_ABSENT : devices_leaf(o, OPERATIONS_SELF, &who->client, &category, &g->leaf);
    if (r != OPERATIONS_ABSENT)
        return r;
    r = keyblocks_next_leaf(o, &g->leaf);
    return r == 0 ? devices_set_leaf(o, &who->client, g->leaf) : r;
}

/* The certificate it has, when that says what a new one would; else a new one. */
static int certify(struct operations *o, const struct caller *who, struct registration *g)
{
    doc_DeviceCertificate c;
    int r = devices_certificate(o, &g->device, who->now_ms, &c);
    if (r < 0)
        return r;
    bool good = r == 0 && memcmp(c.sealing_key, g->m.sealing_key, sizeof(c.sealing_key)) == 0 &&
                (uint64_t)who->now_ms < c.issued_ms + (c.ends_ms - c.issued_ms) / 2;
    if (good)
        return devices_certificate_bytes(o, OPERATIONS_SELF, &who->client, &g->certificate);
    return devices_certify(o, who->key, g->m.sealing_key, g->leaf, who->now_ms, &g->certificate);
}

static int store_device(struct operations *o, const struct caller *who, struct registration *g)
{
    bool fresh = !g->known || g->was_revoked;
    struct device d = { .client = who->client, .distributor = OPERATIONS_SELF };
    d.registered_ms = fresh ? who->now_ms : g->device.registered_ms;
    snprintf(d.user, sizeof(d.user), "%s", g->m.user);
    /* A name given later by `devices rename` is not undone by registering again. */
    snprintf(d.name, sizeof(d.name), "%s", fresh ? g->m.device_name : g->device.name);
    g->device = d;
    return fresh ? devices_set(o, &d) : 0;
}

/* --- Answer (S13) ------------------------------------------------------------------------------------------------ */

static void free_secret(uint8_t **p) { secret_free(*p); }

/* The device node keys, sealed to the device: nobody in between can read them. Source: seed S12, S13. */
static int seal_key_set(struct operations *o, const struct registration *g, struct buf *tail)
{
    uint8_t *set CLEANUP(free_secret) = secret_alloc(KEYTREE_SET_BYTES);
    if (!set)
        return -ENOMEM;
    keytree_device_set(&o->keys->tree, OPERATIONS_CATEGORY, g->leaf, set);
    int r = buf_reserve(tail, KEYTREE_SET_BYTES + SEAL_OVERHEAD_BYTES);
    if (r != 0)
        return r < 0 ? r : -EMSGSIZE;
    r = seal_to(g->m.sealing_key, slice(set, KEYTREE_SET_BYTES), tail->data + tail->len);
    if (r != 0)
        return REASON_MALFORMED; /* a key of low order */
    tail->len += KEYTREE_SET_BYTES + SEAL_OVERHEAD_BYTES;
    return 0;
}

static int open_session(struct operations *o, const struct caller *who, struct txn_server *state)
{
    int r = who->session == 0 ? OPERATIONS_ABSENT : sessions_load(o, &who->client, state);
    if (r == OPERATIONS_ABSENT) /* none yet, or its account was erased while it was connected */
        return sessions_open(o, &who->client, who->now_ms, state);
    return r == 0 && state->session != who->session ? REASON_SESSION_REPLACED : r;
}

/* Whoever registers has just given the password. Source: seed S61. */
static int log_in(struct operations *o, const struct caller *who, const struct registration *g, msg_Registered *m,
                  struct reply *out)
{
    enum tokens_policy policy;
    int r = tokens_policy(o, &policy);
    if (r != 0 || policy == TOKENS_DEVICE_KEY)
        return r;
    m->has_login = true;
    return tokens_issue(o, who, g->device.user, g->m.sealing_key, m->login, NULL, out);
}

static int answer(struct operations *o, const struct caller *who, const struct registration *g, struct reply *out)
{
    msg_Registered m = msg_Registered_init_zero;
    CODEC_SET_TEXT(m.user, g->device.user);
    CODEC_SET_TEXT(m.distributor_name, o->name);
    if (CODEC_SET_BYTES(m.certificate, buf_slice(&g->certificate)) != 0)
        return -EMSGSIZE;
    struct txn_server state;
    int r = open_session(o, who, &state);
    if (r == 0)
        r = roster_current(o, g->device.user, who->now_ms, &m.roster_sequence, NULL);
    if (r == 0)
        r = seal_key_set(o, g, &out->tail);
    if (r == 0)
        r = log_in(o, who, g, &m, out);
    if (r != 0)
        return r;
    m.session = out->session = state.session;
    m.bit = state.bit;
    snprintf(out->user, sizeof(out->user), "%s", g->device.user);
    return REPLY(out, REGISTERED, msg_Registered, &m);
}

int accounts_register(struct operations *o, const struct caller *who, struct slice message, struct slice tail,
                      struct reply *out)
{
    (void)tail;
    struct registration g CLEANUP(wipe_registration) = { .certificate = buf(512) };
    int r = REQUEST_DECODE(message, msg_Register, &g.m);
    if (r != 0)
        return r;
    if (names_a_card(&g.m))
        return reply_refuse(
            out, REASON_NOT_PERMITTED,
            "This looks like a card number, which is not stored here. Give a reference of the payment provider.");
    r = devices_find_own(o, &who->client, &g.device);
    if (r < 0)
        return r;
    g.known = r == 0;
    g.was_revoked = g.known && g.device.revoked;
    r = judge_account(o, who, &g, out);
    if (r == 0)
        r = judge_device(o, &g, out);
    if (r == 0)
        r = assign_leaf(o, who, &g);
    if (r == 0)
        r = store_device(o, who, &g);
    if (r == 0)
        r = certify(o, who, &g);
    if (r == 0)
        r = roster_touch(o, OPERATIONS_SELF, g.device.user);
    return r == 0 ? answer(o, who, &g, out) : r;
}
