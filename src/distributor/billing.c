/* The ledger. On the connection's thread. Source: seed S76-S78, S85; design section 6 (billing). */
#define LOG_MODULE "billing"
#include "distributor/billing.h"

#include <inttypes.h>
#include <stdio.h>

#include "distributor/accounts.h"
#include "distributor/devices.h"
#include "distributor/handlers.h"
#include "distributor/reply.h"
#include "distributor/rows.h"

#define ACCOUNT_BYTES (OPERATIONS_NAME_BYTES + 8)
#define REVENUE "revenue"
#define PAYMENTS "payments"

static void account_of(const char *user, char out[ACCOUNT_BYTES]) { snprintf(out, ACCOUNT_BYTES, "user:%s", user); }

static int balance_of(struct operations *o, const char *account, int64_t *balance)
{
    struct query q CLEANUP(query_end) = query(o->store, LEDGER_BALANCE);
    query_bind_text(&q, 1, account);
    int r = rows_one(&q);
    if (r == OPERATIONS_ABSENT) {
        *balance = 0;
        return 0;
    }
    if (r == 0)
        *balance = query_i64(&q, 0);
    return r != 0 ? r : query_check(&q);
}

int billing_balance(struct operations *o, const char *user, int64_t *balance)
{
    char account[ACCOUNT_BYTES];
    account_of(user, account);
    return balance_of(o, account, balance);
}

int billing_judge_credit(struct operations *o, const char *user, int64_t price)
{
    if (price == 0)
        return 0;
    struct account a;
    int64_t balance, after;
    int r = accounts_find(o, user, &a);
    if (r == 0)
        r = billing_balance(o, user, &balance);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? -EUCLEAN : r;
    if (price < 0 || __builtin_sub_overflow(balance, price, &after) || after < -a.credit_limit)
        return REASON_CREDIT_REFUSED;
    return 0;
}

/* --- Movements --------------------------------------------------------------------------------------------------- */

struct movement {
    uint64_t number;
    int64_t time_ms;
    const char *text;
    uint64_t reverses; /* 0: nothing */
    uint64_t entry;    /* out: the number of the first row */
};

static int add_row(struct operations *o, const struct movement *m, const char *account, int64_t amount, bool reversing)
{
    int64_t balance;
    int r = balance_of(o, account, &balance);
    if (r != 0)
        return r;
    if (__builtin_add_overflow(balance, amount, &balance))
        return -EOVERFLOW;
    struct query q CLEANUP(query_end) = query(o->store, LEDGER_ADD);
    query_bind_u64(&q, 1, m->number);
    query_bind_text(&q, 2, account);
    query_bind_i64(&q, 3, amount);
    query_bind_i64(&q, 4, balance);
    query_bind_i64(&q, 5, m->time_ms);
    query_bind_text(&q, 6, m->text);
    if (reversing && m->reverses != 0)
        query_bind_u64(&q, 7, m->reverses);
    else
        query_bind_null(&q, 7);
    r = query_run(&q);
    return r == STORE_CONFLICT ? REASON_ALREADY : r;
}

/* From one account to the other: what one loses the other gains. */
static int move(struct operations *o, const char *from, const char *to, int64_t amount, struct movement *m)
{
    int r = operations_count(o, "movement", &m->number);
    if (r == 0)
        r = add_row(o, m, from, -amount, true);
    m->entry = r == 0 ? (uint64_t)store_last_id(o->store) : 0;
    return r == 0 ? add_row(o, m, to, amount, false) : r;
}

int billing_charge(struct operations *o, const char *user, int64_t price, int64_t now_ms, const char *text)
{
    if (price == 0)
        return 0;
    char account[ACCOUNT_BYTES];
    account_of(user, account);
    return move(o, account, REVENUE, price, &(struct movement){ .time_ms = now_ms, .text = text });
}

int billing_charge_entry(struct operations *o, const char *user, int64_t price, int64_t now_ms, const char *text,
                         uint64_t *entry)
{
    *entry = 0;
    if (price == 0)
        return 0;
    char account[ACCOUNT_BYTES];
    account_of(user, account);
    struct movement m = { .time_ms = now_ms, .text = text };
    int r = move(o, account, REVENUE, price, &m);
    *entry = m.entry;
    return r;
}

int billing_pay(struct operations *o, const char *user, int64_t amount, int64_t now_ms, const char *text)
{
    struct account a;
    int r = accounts_find(o, user, &a);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? REASON_NOT_FOUND : r;
    char account[ACCOUNT_BYTES];
    account_of(user, account);
    return move(o, PAYMENTS, account, amount, &(struct movement){ .time_ms = now_ms, .text = text });
}

static int read_line(struct operations *o, uint64_t number, char account[ACCOUNT_BYTES], int64_t *amount)
{
    struct query q CLEANUP(query_end) = query(o->store, LEDGER_LINE);
    query_bind_u64(&q, 1, number);
    int r = rows_one(&q);
    if (r != 0)
        return r;
    query_text(&q, 2, account, ACCOUNT_BYTES);
    *amount = query_i64(&q, 3);
    return query_check(&q);
}

int billing_refund(struct operations *o, uint64_t number, int64_t now_ms, const char *text)
{
    char account[ACCOUNT_BYTES];
    int64_t amount;
    int r = read_line(o, number, account, &amount);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? REASON_NOT_FOUND : r;
    if (strncmp(account, "user:", 5) != 0 || amount >= 0)
        return REASON_NOT_PERMITTED;
    return move(o, account, REVENUE, amount, &(struct movement){ .time_ms = now_ms, .text = text, .reverses = number });
}

/* --- Checking ---------------------------------------------------------------------------------------------------- */

static int first_number(struct operations *o, enum statement statement, uint64_t *out)
{
    struct query q CLEANUP(query_end) = query(o->store, statement);
    int r = rows_one(&q);
    *out = r == 0 ? query_u64(&q, 0) : 0;
    return r == OPERATIONS_ABSENT ? 0 : r != 0 ? r : query_check(&q);
}

int billing_check(struct operations *o, struct billing_audit *out)
{
    *out = (struct billing_audit){ 0 };
    int r = first_number(o, LEDGER_UNEVEN, &out->uneven_movement);
    if (r == 0)
        r = first_number(o, LEDGER_DRIFT, &out->drifted_entry);
    if (r != 0)
        return r;
    struct query q CLEANUP(query_end) = query(o->store, LEDGER_TOTAL);
    r = rows_one(&q);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? -EUCLEAN : r;
    out->entries = query_u64(&q, 0);
    out->revenue = query_i64(&q, 2);
    return query_check(&q);
}

char *billing_money(struct operations *o, int64_t amount, char out[BILLING_MONEY_BYTES])
{
    uint64_t positive = amount < 0 ? 0 - (uint64_t)amount : (uint64_t)amount;
    snprintf(out, BILLING_MONEY_BYTES, "%s%" PRIu64 ".%02u %s", amount < 0 ? "-" : "", positive / 100,
             (unsigned)(positive % 100), o->currency);
    return out;
}

/* --- BILLS_GET --------------------------------------------------------------------------------------------------- */

int billing_bills_get(struct operations *o, const struct caller *who, struct slice message, struct slice tail,
                      struct reply *out)
{
    (void)tail;
    msg_BillsGet m;
    int r = REQUEST_DECODE(message, msg_BillsGet, &m);
    struct device d;
    if (r == 0)
        r = devices_caller(o, who, &d);
    if (r != 0)
        return r;
    msg_Bills bills = msg_Bills_init_zero;
    CODEC_SET_TEXT(bills.currency, o->currency);
    const size_t lines_max = sizeof(bills.lines) / sizeof(bills.lines[0]);
    char account[ACCOUNT_BYTES];
    account_of(d.user, account);
    struct query q CLEANUP(query_end) = query(o->store, LEDGER_BEFORE);
    query_bind_text(&q, 1, account);
    query_bind_i64(&q, 2, m.before == 0 || m.before > INT64_MAX ? INT64_MAX : (int64_t)m.before);
    query_bind_i64(&q, 3, (int64_t)lines_max + 1);
    while (rows_next(&q, &r)) {
        if (bills.lines_count == lines_max) {
            bills.more = true;
            break;
        }
        msg_BillLine *line = &bills.lines[bills.lines_count++];
        line->number = query_u64(&q, 0);
        line->time_ms = query_u64(&q, 1);
        query_text(&q, 2, line->text, sizeof(line->text));
        line->amount = query_i64(&q, 3);
        line->balance = query_i64(&q, 4);
    }
    if (r == 0)
        r = query_check(&q);
    return r == 0 ? REPLY(out, BILLS, msg_Bills, &bills) : r;
}
