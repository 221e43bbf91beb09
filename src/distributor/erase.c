/* Erasing an account. On the connection's thread. */
#define LOG_MODULE "erase"
#include "distributor/erase_internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/text.h"
#include "base/util.h"
#include "crypto/sha256.h"
#include "distributor/accounts.h"
#include "distributor/billing.h"
#include "distributor/devices.h"
#include "distributor/handlers.h"
#include "distributor/payments.h"
#include "distributor/program_history.h"
#include "distributor/reply.h"
#include "distributor/roster.h"
#include "distributor/rows.h"
#include "distributor/share.h"
#include "distributor/share_forget.h"
#include "distributor/storage.h"
#include "distributor/tally.h"

#define SCRUB_DUE "scrub-due"   /* rises with everything that no free page may hold */
#define SCRUB_DONE "scrub-done" /* how far it had risen when the file was last written anew */
#define NAME_LABEL "hearth erased name"

/* --- Names ----------------------------------------------------------------------------------------------------------- */

/* Keyed, so that the database alone does not say who was here. */
static int hash_name(struct operations *o, const char *user, uint8_t hash[32])
{
    struct key32 secret CLEANUP(key32_wipe) = { { 0 } };
    int r = storage_names_secret(o, &secret);
    const struct slice parts[] = { SLICE_ARRAY(NAME_LABEL), SLICE_ARRAY(secret.bytes), slice_str(user) };
    if (r == 0)
        sha256_parts(parts, ARRAY_COUNT(parts), hash);
    return r;
}

int erase_was_used(struct operations *o, const char *user)
{
    uint8_t hash[32];
    int r = hash_name(o, user, hash);
    if (r != 0)
        return r;
    struct query q CLEANUP(query_end) = query(o->store, ERASED_NAME_HAS);
    query_bind_blob(&q, 1, SLICE_ARRAY(hash));
    return rows_one(&q);
}

static int keep_name(struct erasure *e)
{
    uint8_t hash[32];
    int r = hash_name(e->o, e->user, hash);
    if (r != 0)
        return r;
    struct query q CLEANUP(query_end) = query(e->o->store, ERASED_NAME_ADD);
    query_bind_blob(&q, 1, SLICE_ARRAY(hash));
    return rows_run(&q);
}

/* --- May it be? ------------------------------------------------------------------------------------------------------ */

static int refuse(struct reply *out, const char *text)
{
    return out != NULL ? reply_refuse(out, REASON_STILL_OWED, "%s", text) : REASON_STILL_OWED;
}

/* What is owed on either side is written off against the revenue, as a posting like any other. */
static int write_off(struct erasure *e, int64_t balance)
{
    struct posting p = { .kind = POSTING_PAYMENT, .time_ms = e->now_ms, .text = "Written off" };
    char account[LEDGER_ACCOUNT_BYTES];
    ledger_account_user(e->user, account);
    int r = ledger_refer(e->o, &p, "written-off", NULL);
    if (r == 0)
        r = posting_line(&p, account, -balance);
    if (r == 0)
        r = posting_line(&p, LEDGER_REVENUE, balance);
    return r == 0 ? ledger_post(e->o, &p) : r;
}

static int judge_money(struct erasure *e, bool forgive, struct reply *out)
{
    struct payment open;
    int64_t balance;
    for (uint32_t state = PAYMENT_PREPARED; state <= PAYMENT_HANDED; state++) {
        int r = payments_next(e->o, 0, e->user, state, &open);
        if (r != OPERATIONS_ABSENT)
            return r == 0 ? refuse(out, "A payment of this account is under way. Try again when it has ended.") : r;
    }
    int r = billing_balance(e->o, e->user, &balance);
    if (r != 0 || balance == 0)
        return r;
    if (forgive)
        return write_off(e, balance);
    return refuse(out, balance < 0 ? "The account owes something: it has to be paid first."
                                   : "The account has money left: its distributor pays it out first.");
}

/* --- Devices --------------------------------------------------------------------------------------------------------- */

static int find_clients(struct erasure *e)
{
    struct query q CLEANUP(query_end) = query(e->o->store, ERASE_CLIENTS);
    query_bind_text(&q, 1, e->user);
    int r;
    while (rows_next(&q, &r)) {
        struct id *grown = reallocarray(e->clients, e->client_count + 1, sizeof(*grown));
        if (grown == NULL)
            return -ENOMEM;
        e->clients = grown;
        query_fixed(&q, 0, e->clients[e->client_count++].bytes, ID_BYTES);
        r = query_check(&q);
        if (r != 0)
            return r;
    }
    return r;
}

static int revoke_devices(struct erasure *e)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < e->client_count; i++) {
        struct device d;
        r = devices_find_own(e->o, &e->clients[i], &d);
        if (r == 0 && !d.revoked)
            r = devices_revoke(e->o, &d, e->now_ms);
    }
    return r == OPERATIONS_ABSENT ? -EUCLEAN : r;
}

static int find_neighbours(struct erasure *e)
{
    struct query q CLEANUP(query_end) = query(e->o->store, HOUSEHOLD_ACCOUNTS);
    query_bind_i64(&q, 1, OPERATIONS_SELF);
    query_bind_text(&q, 2, e->user);
    int r;
    while (e->neighbour_count < ERASE_NEIGHBOURS_MAX && rows_next(&q, &r)) {
        char *user = e->neighbours[e->neighbour_count];
        query_text(&q, 0, user, OPERATIONS_NAME_BYTES);
        r = query_check(&q);
        if (r != 0)
            return r;
        e->neighbour_count += strcmp(user, e->user) != 0;
    }
    return e->neighbour_count < ERASE_NEIGHBOURS_MAX ? r : 0;
}

static int renew_rosters(struct erasure *e)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < e->neighbour_count; i++) {
        uint64_t sequence;
        r = roster_current(e->o, e->neighbours[i], e->now_ms, &sequence, NULL);
    }
    return r;
}

/* --- Rows of our own ------------------------------------------------------------------------------------------------- */

struct step {
    enum statement statement; /* ?1: the user */
    bool renames;             /* ?2: the pseudonym */
};

static int run_each(struct erasure *e, const struct step *steps, size_t count)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < count; i++) {
        struct query q CLEANUP(query_end) = query(e->o->store, steps[i].statement);
        query_bind_text(&q, 1, e->user);
        if (steps[i].renames)
            query_bind_text(&q, 2, e->pseudonym);
        r = rows_run(&q);
    }
    return r;
}

/* The order is the foreign keys', and the ledger's: it takes a pseudonym only for a name that is nobody's any more. */
static int delete_rows(struct erasure *e)
{
    static const struct step all[] = {
        { ERASE_ANSWERS, false },
        { ERASE_SESSIONS, false },
        { ERASE_STANDINGS, false },
        { ERASE_RELAYED, false },
        { ERASE_REVOKED_LEAVES, false },
        { ERASE_TOKENS, false },
        { ERASE_UNLOCKS, false },
        { ERASE_QUEUE, false },
        { ERASE_AUTO_COPY, false },
        { ERASE_AUTO_COPY_TO, false },
        { ERASE_LIMIT, false },
        { ERASE_LINK_CODES, false },
        { ERASE_LINKS_OF_OTHERS, false },
        { ERASE_ROSTER, false },
        { ERASE_INVITES, false },
        { ERASE_PAYER, false },
        { ERASE_USES, false },
        { ERASE_LICENSES, false },
        { ERASE_CERTIFICATES, false },
        { ERASE_CERTIFICATES_KEPT, true },
        { ERASE_CERTIFICATES_TO, true },
        { ERASE_HISTORY_KEPT, true },
        { ERASE_HISTORY_TO, false },
        { ERASE_DEVICE_CERTIFICATES, false },
        { ERASE_LEAVES, false },
        { ERASE_DEVICES, false },
        { ERASE_ACCOUNT, false },
        { ERASE_PASSWORD, false },
        { ERASE_LEDGER, true },
        { ERASE_POSTINGS, true },
    };
    tally_forget_balances(e->o);
    return run_each(e, all, ARRAY_COUNT(all));
}

/* The provider's keys of payments are forgotten as well: each row gets one that means nothing. */
static int forget_payments(struct erasure *e)
{
    int r;
    do {
        uint8_t key[PAYMENTS_KEY_BYTES];
        rng_fill(e->o->rng, key, sizeof(key));
        struct query q CLEANUP(query_end) = query(e->o->store, ERASE_PAYMENT);
        query_bind_text(&q, 1, e->user);
        query_bind_text(&q, 2, e->pseudonym);
        query_bind_blob(&q, 3, SLICE_ARRAY(key));
        r = rows_run(&q);
    } while (r == 0 && store_changed_count(e->o->store) > 0);
    return r;
}

int erase_scrub_later(struct operations *o)
{
    uint64_t due;
    return operations_count(o, SCRUB_DUE, &due);
}

static int note(struct erasure *e, uint64_t first)
{
    uint64_t last;
    int r = share_outbox_last(e->o, &last);
    if (r == 0 && first <= last) {
        struct query q CLEANUP(query_end) = query(e->o->store, ERASURE_ADD);
        query_bind_u64(&q, 1, first);
        query_bind_u64(&q, 2, last);
        query_bind_i64(&q, 3, e->now_ms);
        r = rows_run(&q);
    }
    return r == 0 ? erase_scrub_later(e->o) : r;
}

static int run(struct erasure *e, bool forgive, struct reply *out)
{
    uint64_t before = 0;
    int r = judge_money(e, forgive, out);
    if (r == 0)
        r = find_clients(e);
    if (r == 0)
        r = find_neighbours(e);
    if (r == 0)
        r = revoke_devices(e);
    if (r == 0)
        r = share_outbox_last(e->o, &before);
    if (r == 0)
        r = erase_withdraw(e, out);
    if (r == 0)
        r = delete_rows(e);
    if (r == 0)
        r = forget_payments(e);
    if (r == 0)
        r = note(e, before + 1);
    if (r == 0)
        r = erase_share_kept(e); /* names nobody, and stays */
    uint64_t kept = 0;
    if (r == 0)
        r = share_outbox_last(e->o, &kept);
    if (r == 0)
        r = share_forget_first(e->o, e->user, e->clients, e->client_count, before);
    if (r == 0)
        r = note(e, kept + 1);
    if (r == 0)
        r = keep_name(e);
    if (r == 0)
        r = renew_rosters(e);
    /* Last: which rows are empty is told in rows that stay. */
    return r == 0 ? share_forget(e->o, e->user, e->clients, e->client_count, before) : r;
}

int erase_account(struct operations *o, const char *user, bool forgive, int64_t now_ms, struct reply *out)
{
    struct account a;
    int r = accounts_find(o, user, &a);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? REASON_NOT_FOUND : r;
    struct erasure *e = calloc(1, sizeof(*e));
    if (e == NULL)
        return -ENOMEM;
    *e = (struct erasure){ .o = o, .user = user, .now_ms = now_ms };
    uint8_t random[8];
    char hex[HEX_TEXT_BYTES(sizeof(random))];
    rng_fill(o->rng, random, sizeof(random));
    hex_encode(SLICE_ARRAY(random), hex);
    snprintf(e->pseudonym, sizeof(e->pseudonym), ERASE_PSEUDONYM_PREFIX "%s", hex);
    r = run(e, forgive, out);
    free(e->clients);
    free(e);
    if (r == 0)
        log_info("an account was erased");
    return r;
}

/* --- Afterwards ------------------------------------------------------------------------------------------------------ */

static int next_due(struct operations *o, int64_t before_ms, int64_t *number, uint64_t *first, uint64_t *last)
{
    struct query q CLEANUP(query_end) = query(o->store, ERASURE_DUE);
    query_bind_i64(&q, 1, before_ms);
    int r = rows_one(&q);
    if (r != 0)
        return r;
    *number = query_i64(&q, 0);
    *first = query_u64(&q, 1);
    *last = query_u64(&q, 2);
    return query_check(&q);
}

int erase_tick(struct operations *o, int64_t now_ms)
{
    int64_t number;
    uint64_t first, last;
    int r;
    while ((r = next_due(o, now_ms - ERASE_REMOVALS_MS, &number, &first, &last)) == 0) {
        r = share_forget_range(o, first, last);
        if (r != 0)
            return r;
        struct query q CLEANUP(query_end) = query(o->store, ERASURE_DONE);
        query_bind_i64(&q, 1, number);
        r = rows_run(&q);
        if (r == 0)
            r = erase_scrub_later(o);
        if (r != 0)
            return r;
    }
    return r == OPERATIONS_ABSENT ? 0 : r;
}

/* Several may be at it at once, here and in other processes: what came later than one has seen stays due. */
static int note_scrubbed(struct operations *o, uint64_t due)
{
    struct transaction t CLEANUP(transaction_end) = { 0 };
    uint64_t done = 0;
    int r = transaction_begin(&t, o->store);
    if (r == 0)
        r = operations_counter(o, SCRUB_DONE, &done);
    if (r == 0 && due > done)
        r = operations_counter_set(o, SCRUB_DONE, due);
    return r == 0 ? transaction_commit(&t) : r;
}

int erase_scrub(struct operations *o)
{
    uint64_t due = 0, done = 0;
    int r = operations_counter(o, SCRUB_DUE, &due);
    if (r == 0)
        r = operations_counter(o, SCRUB_DONE, &done);
    if (r != 0 || due <= done)
        return r;
    r = program_history_forget(o);
    if (r == 0)
        r = store_scrub(o->store);
    return r == 0 ? note_scrubbed(o, due) : r;
}

/* --- ACCOUNT_ERASE: by its owner, with the password ------------------------------------------------------------------ */

int erase_request(struct operations *o, const struct caller *who, struct slice message, struct slice tail,
                  struct reply *out)
{
    (void)tail;
    msg_AccountErase m;
    struct device d;
    int r = REQUEST_DECODE(message, msg_AccountErase, &m);
    secret_wipe(&m, sizeof(m));
    if (r == 0)
        r = devices_caller(o, who, &d);
    if (r == 0 && !who->password_ok)
        r = REASON_BAD_CREDENTIALS;
    if (r == 0)
        r = erase_account(o, d.user, false, who->now_ms, out);
    out->login = REPLY_LOGGED_OUT;
    return r == 0 ? reply_ok(out) : r;
}
