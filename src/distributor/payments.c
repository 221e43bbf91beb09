/* Rows of payments. On the connection's thread. Source: seed S77, S85; design section 6 (billing). */
#include "distributor/payments.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/file.h>

#include "base/file.h"
#include "base/text.h"
#include "base/util.h"
#include "distributor/accounts.h"
#include "distributor/billing.h"
#include "distributor/database.h"
#include "distributor/rows.h"

#define PAUSE_FIRST_MS INT64_C(2000)
#define PAUSE_LAST_MS INT64_C(3600000)

static int read_payment(struct query *q, struct payment *out)
{
    struct payment p = { .number = query_u64(q, 0) };
    query_fixed(q, 1, p.key, sizeof(p.key));
    query_text(q, 2, p.user, sizeof(p.user));
    p.amount = query_i64(q, 3);
    query_text(q, 4, p.payer, sizeof(p.payer));
    p.state = query_u32(q, 5);
    p.attempts = query_u32(q, 6);
    p.prepared_ms = query_i64(q, 7);
    p.next_ms = query_i64(q, 8);
    p.ended_ms = query_is_null(q, 9) ? 0 : query_i64(q, 9);
    query_text(q, 10, p.detail, sizeof(p.detail));
    p.busy_until_ms = query_i64(q, 11);
    *out = p;
    return query_check(q);
}

static int find_open(struct operations *o, const char *user, struct payment *out)
{
    struct query q CLEANUP(query_end) = query(o->store, PAYMENT_OPEN);
    query_bind_text(&q, 1, user);
    int r = rows_one(&q);
    return r == 0 ? read_payment(&q, out) : r;
}

static int find_key(struct operations *o, const uint8_t key[PAYMENTS_KEY_BYTES], struct payment *out)
{
    struct query q CLEANUP(query_end) = query(o->store, PAYMENT_BY_KEY);
    query_bind_blob(&q, 1, slice(key, PAYMENTS_KEY_BYTES));
    int r = rows_one(&q);
    return r == 0 ? read_payment(&q, out) : r;
}

int payments_get(struct operations *o, uint64_t number, struct payment *out)
{
    struct query q CLEANUP(query_end) = query(o->store, PAYMENT_GET);
    query_bind_u64(&q, 1, number);
    int r = rows_one(&q);
    return r == 0 ? read_payment(&q, out) : r;
}

int payments_next(struct operations *o, uint64_t after, const char *user, uint32_t state, struct payment *out)
{
    struct query q CLEANUP(query_end) = query(o->store, PAYMENT_NEXT);
    query_bind_u64(&q, 1, after);
    query_bind_text(&q, 2, user);
    query_bind_i64(&q, 3, state);
    int r = rows_one(&q);
    return r == 0 ? read_payment(&q, out) : r;
}

/* --- The payer ------------------------------------------------------------------------------------------------------- */

int payments_payer(struct operations *o, const char *user, char out[PAYMENTS_PAYER_BYTES])
{
    struct query q CLEANUP(query_end) = query(o->store, PAYER_GET);
    query_bind_text(&q, 1, user);
    int r = rows_one(&q);
    out[0] = '\0';
    if (r == 0)
        query_text(&q, 0, out, PAYMENTS_PAYER_BYTES);
    return r == OPERATIONS_ABSENT ? 0 : r != 0 ? r : query_check(&q);
}

int payments_set_payer(struct operations *o, const char *user, const char *payer)
{
    struct account a;
    char safe[PAYMENTS_PAYER_BYTES];
    if (strcmp(text_safe(payer, safe, sizeof(safe)), payer) != 0)
        return REASON_MALFORMED;
    if (text_has_card_number(payer))
        return REASON_NOT_PERMITTED;
    int r = accounts_find(o, user, &a);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? REASON_NOT_FOUND : r;
    struct query q CLEANUP(query_end) = query(o->store, PAYER_SET);
    query_bind_text(&q, 1, user);
    query_bind_text(&q, 2, payer);
    return rows_run(&q);
}

/* --- Preparing ------------------------------------------------------------------------------------------------------- */

static int add_payment(struct operations *o, const char *user, int64_t amount, int64_t now_ms)
{
    uint8_t key[PAYMENTS_KEY_BYTES];
    char payer[PAYMENTS_PAYER_BYTES];
    int r = payments_payer(o, user, payer);
    if (r != 0)
        return r;
    rng_fill(o->rng, key, sizeof(key));
    struct query q CLEANUP(query_end) = query(o->store, PAYMENT_ADD);
    query_bind_blob(&q, 1, SLICE_ARRAY(key));
    query_bind_text(&q, 2, user);
    query_bind_i64(&q, 3, amount);
    query_bind_text(&q, 4, payer);
    query_bind_i64(&q, 5, now_ms);
    return rows_run(&q);
}

int payments_prepare(struct operations *o, const char *user, int64_t amount, int64_t now_ms, struct payment *out)
{
    struct account a;
    int64_t balance;
    int r = accounts_find(o, user, &a);
    if (r == 0)
        r = billing_balance(o, user, &balance);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? REASON_NOT_FOUND : r;
    r = find_open(o, user, out);
    if (r != OPERATIONS_ABSENT)
        return r == 0 ? REASON_ALREADY : r;
    if (balance >= 0)
        return REASON_NOT_FOUND;
    if (amount < 0 || amount > -balance)
        return REASON_TOO_LARGE;
    r = add_payment(o, user, amount == 0 ? -balance : amount, now_ms);
    return r == 0 ? find_open(o, user, out) : r;
}

int payments_collect(struct operations *o, const char *user, int64_t now_ms)
{
    int64_t at, balance;
    struct payment p;
    int r = operations_setting_i64(o, "collect-at", &at);
    if (r != 0 || at <= 0)
        return r;
    r = billing_balance(o, user, &balance);
    if (r != 0 || balance > -at)
        return r;
    r = payments_prepare(o, user, 0, now_ms, &p);
    return r > 0 ? 0 : r;
}

int payments_lock(const char *state_dir, int *lock)
{
    char path[1100];
    int r = file_join(path, sizeof(path), state_dir, "payment.lock");
    int fd CLEANUP(closep) = r == 0 ? open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600) : -1;
    if (r != 0)
        return r;
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) != 0)
        return -errno;
    *lock = fd;
    fd = -1;
    return 0;
}

/* --- Handing over ---------------------------------------------------------------------------------------------------- */

int payments_due(struct operations *o, int64_t now_ms, struct payments_command *command)
{
    int64_t seconds;
    {
        struct query q CLEANUP(query_end) = query(o->store, PAYMENT_DUE);
        query_bind_i64(&q, 1, now_ms);
        int r = rows_one(&q);
        if (r != 0)
            return r;
    }
    int r = operations_setting(o, "payment-command", command->path, sizeof(command->path));
    if (r == 0)
        r = operations_setting_i64(o, "payment-timeout", &seconds);
    if (r != 0)
        return r;
    command->timeout_ms = (seconds < 1 ? 1 : seconds > 3600 ? 3600 : seconds) * 1000;
    return command->path[0] == '\0' ? OPERATIONS_ABSENT : 0;
}

static int64_t pause_ms(uint32_t attempts)
{
    int64_t pause = PAUSE_FIRST_MS;
    for (uint32_t i = 0; i < attempts && pause < PAUSE_LAST_MS; i++)
        pause *= 2;
    return pause < PAUSE_LAST_MS ? pause : PAUSE_LAST_MS;
}

/* When it is handed the next time, unless it ends before. busy_until_ms: with a command until then; 0. */
static int set_handed(struct operations *o, const struct payment *p, int64_t next_ms, int64_t busy_until_ms,
                      const char *detail)
{
    struct query q CLEANUP(query_end) = query(o->store, PAYMENT_HAND);
    query_bind_u64(&q, 1, p->number);
    query_bind_i64(&q, 2, p->attempts);
    query_bind_i64(&q, 3, next_ms);
    query_bind_text(&q, 4, detail);
    query_bind_i64(&q, 5, busy_until_ms);
    return rows_run(&q);
}

int payments_take(struct operations *o, int64_t now_ms, int64_t timeout_ms, struct payment *out)
{
    struct payment p;
    {
        struct query q CLEANUP(query_end) = query(o->store, PAYMENT_DUE);
        query_bind_i64(&q, 1, now_ms);
        int r = rows_one(&q);
        if (r == 0)
            r = read_payment(&q, &p);
        if (r != 0)
            return r;
    }
    p.attempts++;
    p.busy_until_ms = now_ms + timeout_ms + PAYMENTS_END_MS;
    int r = set_handed(o, &p, p.busy_until_ms, p.busy_until_ms, p.detail);
    if (r == 0)
        *out = p;
    return r;
}

/* --- Ending ---------------------------------------------------------------------------------------------------------- */

static int post(struct operations *o, const struct payment *p, int64_t now_ms)
{
    char account[LEDGER_ACCOUNT_BYTES], key[HEX_TEXT_BYTES(PAYMENTS_KEY_BYTES)];
    struct posting posting = { .kind = POSTING_PAYMENT, .time_ms = now_ms };
    hex_encode(SLICE_ARRAY(p->key), key);
    ledger_account_user(p->user, account);
    snprintf(posting.reference, sizeof(posting.reference), "payment:%s", key);
    snprintf(posting.text, sizeof(posting.text), "Payment %" PRIu64, p->number);
    int r = posting_line(&posting, account, p->amount);
    if (r == 0)
        r = posting_line(&posting, LEDGER_PAYMENTS, -p->amount);
    if (r == 0)
        r = ledger_post(o, &posting);
    return r > 0 ? -EUCLEAN : r; /* posted before, and not ended in the same transaction */
}

static int set_ended(struct operations *o, const struct payment *p, enum payment_state state, const char *detail,
                     int64_t now_ms)
{
    struct query q CLEANUP(query_end) = query(o->store, PAYMENT_END);
    query_bind_u64(&q, 1, p->number);
    query_bind_i64(&q, 2, state);
    query_bind_i64(&q, 3, now_ms);
    query_bind_text(&q, 4, detail);
    return rows_run(&q);
}

/* What a command on another machine is about to say must not be contradicted: who is charged there would be asked again. Of one here its lock tells. */
static int judge_busy(const struct operations *o, const struct payment *p, int64_t now_ms)
{
    char database[STORE_PG_DATABASE_BYTES];
    if (p->busy_until_ms <= now_ms)
        return 0;
    int r = database_of(o->state_dir, database);
    return r != 0 ? r : database[0] != '\0' ? REASON_IN_USE : 0;
}

int payments_end(struct operations *o, const uint8_t key[PAYMENTS_KEY_BYTES], uint32_t attempt,
                 enum payment_outcome outcome, const char *detail, int64_t now_ms)
{
    struct payment p;
    char safe[PAYMENTS_DETAIL_BYTES];
    text_safe(detail, safe, sizeof(safe));
    int r = find_key(o, key, &p);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? REASON_NOT_FOUND : r;
    bool open = p.state == PAYMENT_PREPARED || p.state == PAYMENT_HANDED;
    r = open && attempt == PAYMENTS_ANY_ATTEMPT ? judge_busy(o, &p, now_ms) : 0;
    if (r != 0)
        return r;
    if (outcome == PAYMENT_SAYS_NOTHING)
        return open && p.attempts == attempt ? set_handed(o, &p, now_ms + pause_ms(p.attempts), 0, safe) : 0;
    enum payment_state wanted = outcome == PAYMENT_SAYS_PAID ? PAYMENT_PAID : PAYMENT_DECLINED;
    if (!open)
        return p.state == wanted ? 0 : REASON_NOT_PERMITTED;
    r = wanted == PAYMENT_PAID ? post(o, &p, now_ms) : 0;
    return r == 0 ? set_ended(o, &p, wanted, safe, now_ms) : r;
}

int payments_retry(struct operations *o, uint64_t number, int64_t now_ms)
{
    struct payment p;
    int r = payments_get(o, number, &p);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? REASON_NOT_FOUND : r;
    if (p.state != PAYMENT_PREPARED && p.state != PAYMENT_HANDED)
        return REASON_ALREADY;
    r = judge_busy(o, &p, now_ms);
    if (r != 0)
        return r;
    struct query q CLEANUP(query_end) = query(o->store, PAYMENT_AT);
    query_bind_u64(&q, 1, number);
    query_bind_i64(&q, 2, now_ms);
    return rows_run(&q);
}
