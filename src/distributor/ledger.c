/* Rows of the ledger. On the connection's thread. Source: seed S77, S85; design section 6 (billing). */
#include "distributor/ledger.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/text.h"
#include "base/util.h"
#include "distributor/rows.h"
#include "distributor/tally.h"

#define LAST_LINE "last:ledger" /* in the tally alone */

#define PAGE_ROWS 200

static const char *const kind_names[LEDGER_KINDS] = {
    [POSTING_LICENSE] = "license",      [POSTING_COPY] = "copy",       [POSTING_RENEWAL] = "renewal",
    [POSTING_OWNERSHIP] = "ownership",  [POSTING_PAYMENT] = "payment", [POSTING_REFUND] = "refund",
    [POSTING_SETTLEMENT] = "settlement"
};

const char *posting_kind_name(uint32_t kind)
{
    return kind < LEDGER_KINDS && kind_names[kind] ? kind_names[kind] : "other";
}

int posting_kind_find(const char *name, uint32_t *kind)
{
    for (uint32_t i = 1; i < LEDGER_KINDS; i++) {
        if (strcmp(kind_names[i], name) == 0) {
            *kind = i;
            return 0;
        }
    }
    return -EINVAL;
}

void ledger_account_user(const char *user, char out[LEDGER_ACCOUNT_BYTES])
{
    snprintf(out, LEDGER_ACCOUNT_BYTES, "user:%s", user);
}

void ledger_account_holder(const char *holder, char out[LEDGER_ACCOUNT_BYTES])
{
    snprintf(out, LEDGER_ACCOUNT_BYTES, "holder:%s", holder);
}

void ledger_account_partner(const struct id *partner, char out[LEDGER_ACCOUNT_BYTES])
{
    char text[ID_TEXT_BYTES];
    id_text(partner->bytes, text);
    snprintf(out, LEDGER_ACCOUNT_BYTES, "partner:%s", text);
}

int ledger_balance(struct operations *o, const char *account, int64_t *balance)
{
    if (tally_balance(o, account, balance))
        return 0;
    struct query q CLEANUP(query_end) = query(o->store, LEDGER_BALANCE);
    query_bind_text(&q, 1, account);
    int r = rows_one(&q);
    if (r < 0)
        return r;
    *balance = r == 0 ? query_i64(&q, 0) : 0;
    r = query_check(&q);
    return r == 0 ? tally_set_balance(o, account, *balance) : r;
}

/* --- Posting ------------------------------------------------------------------------------------------------------- */

int posting_line(struct posting *p, const char *account, int64_t amount)
{
    if (amount == 0)
        return 0;
    size_t i = 0;
    while (i < p->line_count && strcmp(p->lines[i].account, account) != 0)
        i++;
    if (i == LEDGER_LINES_MAX)
        return -ENOSPC;
    if (i == p->line_count) {
        snprintf(p->lines[i].account, sizeof(p->lines[i].account), "%s", account);
        p->lines[i].amount = 0;
        p->line_count++;
    }
    return __builtin_add_overflow(p->lines[i].amount, amount, &p->lines[i].amount) ? -EOVERFLOW : 0;
}

int ledger_find(struct operations *o, struct posting *p)
{
    struct query q CLEANUP(query_end) = query(o->store, POSTING_FIND);
    query_bind_text(&q, 1, p->reference);
    int r = rows_one(&q);
    if (r != 0)
        return r;
    p->number = query_u64(&q, 0);
    p->entry = query_u64(&q, 1);
    return query_check(&q);
}

int ledger_refer(struct operations *o, struct posting *p, const char *what, const char *reference)
{
    uint64_t number = 0;
    int r = reference ? 0 : operations_count(o, what, &number);
    if (r != 0)
        return r;
    int len = reference ? snprintf(p->reference, sizeof(p->reference), "%s:%s", what, reference)
                        : snprintf(p->reference, sizeof(p->reference), "%s#%" PRIu64, what, number);
    bool fits = len > 0 && (size_t)len < sizeof(p->reference) - 1;
    return fits && !(reference && reference[0] == '\0') ? 0 : REASON_MALFORMED;
}

static int find_refund(struct operations *o, uint64_t refunds)
{
    if (refunds == 0)
        return OPERATIONS_ABSENT;
    struct query q CLEANUP(query_end) = query(o->store, POSTING_REFUND_OF);
    query_bind_u64(&q, 1, refunds);
    return rows_one(&q);
}

static int last_line(struct operations *o, uint64_t *number)
{
    if (tally_number(o, LAST_LINE, number))
        return 0;
    struct query q CLEANUP(query_end) = query(o->store, LEDGER_LAST);
    int r = rows_one(&q);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? -EUCLEAN : r;
    *number = query_u64(&q, 0);
    return query_check(&q);
}

static int number_line(struct operations *o, uint64_t *number)
{
    int r = last_line(o, number);
    if (r == 0 && __builtin_add_overflow(*number, 1, number))
        r = -EOVERFLOW;
    if (r == 0)
        r = tally_set_number(o, LAST_LINE, *number, true);
    return r == OPERATIONS_ABSENT ? 0 : r;
}

/* *entry: its number. */
static int add_line(struct operations *o, uint64_t posting, const char *account, int64_t amount, uint64_t *entry)
{
    int64_t balance;
    int r = ledger_balance(o, account, &balance);
    if (r != 0)
        return r;
    if (__builtin_add_overflow(balance, amount, &balance))
        return -EOVERFLOW;
    r = number_line(o, entry);
    if (r != 0)
        return r;
    struct query q CLEANUP(query_end) = query(o->store, LEDGER_ADD);
    query_bind_u64(&q, 1, *entry);
    query_bind_u64(&q, 2, posting);
    query_bind_text(&q, 3, account);
    query_bind_i64(&q, 4, amount);
    query_bind_i64(&q, 5, balance);
    r = rows_later(&q);
    return r == 0 ? tally_set_balance(o, account, balance) : r;
}

static void bind_optional(struct query *q, int parameter, bool has, struct slice value)
{
    if (has)
        query_bind_blob(q, parameter, value);
    else
        query_bind_null(q, parameter);
}

static int add_posting(struct operations *o, const struct posting *p)
{
    const struct ledger_subject *s = &p->subject;
    char text[LEDGER_TEXT_BYTES]; /* it goes to devices, which refuse a bill that could act on a terminal */
    struct query q CLEANUP(query_end) = query(o->store, POSTING_ADD);
    query_bind_u64(&q, 1, p->number);
    query_bind_text(&q, 2, p->reference);
    query_bind_i64(&q, 3, p->kind);
    rows_bind_time(&q, 4, p->product != 0, p->product);
    query_bind_i64(&q, 5, p->time_ms);
    query_bind_text(&q, 6, text_safe(p->text, text, sizeof(text)));
    bind_optional(&q, 7, s->has_license, SLICE_ARRAY(s->license_id));
    bind_optional(&q, 8, s->has_license, SLICE_ARRAY(s->client.bytes));
    rows_bind_time(&q, 9, s->has_license, s->edition);
    bind_optional(&q, 10, s->has_serial, SLICE_ARRAY(s->serial));
    rows_bind_time(&q, 11, p->refunds != 0, p->refunds);
    query_bind_i64(&q, 12, p->revoked);
    return rows_later(&q);
}

/* What was written, as the database has it: not everyone's triggers keep the ledger even. */
static int judge_sum(struct operations *o, uint64_t posting)
{
    int later = tally_posted(o, posting);
    if (later != OPERATIONS_ABSENT)
        return later;
    struct query q CLEANUP(query_end) = query(o->store, POSTING_SUM);
    query_bind_u64(&q, 1, posting);
    int r = rows_one(&q);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? -EUCLEAN : r;
    bool even = query_i64(&q, 0) >= 2 && query_i64(&q, 1) == 0;
    r = query_check(&q);
    return r == 0 && !even ? -EUCLEAN : r;
}

int ledger_post(struct operations *o, struct posting *p)
{
    p->number = p->entry = 0;
    int r = p->drawn ? OPERATIONS_ABSENT : ledger_find(o, p);
    if (r == OPERATIONS_ABSENT)
        r = find_refund(o, p->refunds);
    if (r != OPERATIONS_ABSENT)
        return r == 0 ? REASON_ALREADY : r;
    if (p->line_count == 0)
        return 0;
    r = operations_count(o, "movement", &p->number);
    for (size_t i = 0; r == 0 && i < p->line_count; i++) {
        if (p->lines[i].amount == 0)
            continue;
        uint64_t entry;
        r = add_line(o, p->number, p->lines[i].account, p->lines[i].amount, &entry);
        if (r == 0 && p->entry == 0)
            p->entry = entry;
    }
    if (r == 0)
        r = judge_sum(o, p->number);
    return r == 0 ? add_posting(o, p) : r; /* closes it: SQLite's schema judges it once more */
}

int ledger_pay_out(struct operations *o, struct posting *p, const char *account, int64_t *amount)
{
    const int64_t wanted = *amount;
    int64_t left;
    *amount = 0;
    int r = ledger_find(o, p); /* before the balance is looked at, which was another one then */
    if (r != OPERATIONS_ABSENT)
        return r == 0 ? REASON_ALREADY : r;
    r = ledger_balance(o, account, &left);
    if (r == 0 && (wanted < 0 || left <= 0 || wanted > left))
        r = REASON_TOO_LARGE;
    const int64_t paid = wanted != 0 ? wanted : left;
    if (r == 0)
        r = posting_line(p, account, -paid);
    if (r == 0)
        r = posting_line(p, LEDGER_PAYMENTS, paid);
    if (r == 0)
        r = ledger_post(o, p);
    if (r == 0)
        *amount = paid;
    return r;
}

/* --- Reading ------------------------------------------------------------------------------------------------------- */

static void read_optional(struct query *q, int column, bool *has, void *out, size_t len)
{
    *has = !query_is_null(q, column);
    if (*has)
        query_fixed(q, column, out, len);
}

static int read_posting(struct operations *o, uint64_t number, struct posting *p)
{
    struct query q CLEANUP(query_end) = query(o->store, POSTING_GET);
    query_bind_u64(&q, 1, number);
    int r = rows_one(&q);
    if (r != 0)
        return r;
    bool has_client;
    p->number = query_u64(&q, 0);
    query_text(&q, 1, p->reference, sizeof(p->reference));
    p->kind = query_u32(&q, 2);
    p->product = query_is_null(&q, 3) ? 0 : query_u32(&q, 3);
    p->time_ms = query_i64(&q, 4);
    query_text(&q, 5, p->text, sizeof(p->text));
    read_optional(&q, 6, &p->subject.has_license, p->subject.license_id, sizeof(p->subject.license_id));
    read_optional(&q, 7, &has_client, p->subject.client.bytes, ID_BYTES);
    p->subject.edition = query_is_null(&q, 8) ? 0 : query_u64(&q, 8);
    read_optional(&q, 9, &p->subject.has_serial, p->subject.serial, sizeof(p->subject.serial));
    p->refunds = query_is_null(&q, 10) ? 0 : query_u64(&q, 10);
    p->revoked = query_bool(&q, 11);
    return query_check(&q);
}

int ledger_get(struct operations *o, uint64_t number, struct posting *out)
{
    struct posting p = { 0 };
    int r = read_posting(o, number, &p);
    if (r != 0)
        return r;
    struct query q CLEANUP(query_end) = query(o->store, LEDGER_OF_POSTING);
    query_bind_u64(&q, 1, number);
    while (rows_next(&q, &r)) {
        if (p.line_count == LEDGER_LINES_MAX)
            return -EUCLEAN;
        query_text(&q, 0, p.lines[p.line_count].account, LEDGER_ACCOUNT_BYTES);
        p.lines[p.line_count++].amount = query_i64(&q, 1);
    }
    if (r == 0)
        r = query_check(&q);
    if (r == 0)
        *out = p;
    return r;
}

static void read_line(struct query *q, struct ledger_line *l)
{
    l->number = query_u64(q, 0);
    l->posting = query_u64(q, 1);
    query_text(q, 2, l->account, sizeof(l->account));
    l->amount = query_i64(q, 3);
    l->balance = query_i64(q, 4);
    l->time_ms = query_i64(q, 5);
    query_text(q, 6, l->text, sizeof(l->text));
    l->kind = query_u32(q, 7);
    l->product = query_is_null(q, 8) ? 0 : query_u32(q, 8);
    query_text(q, 9, l->reference, sizeof(l->reference));
    l->refunds = query_is_null(q, 10) ? 0 : query_u64(q, 10);
    l->revoked = query_bool(q, 11);
    l->device[0] = '\0';
    if (!query_is_null(q, 12))
        query_text(q, 12, l->device, sizeof(l->device));
}

int ledger_line_get(struct operations *o, uint64_t number, struct ledger_line *out)
{
    struct query q CLEANUP(query_end) = query(o->store, LEDGER_LINE);
    query_bind_u64(&q, 1, number);
    int r = rows_one(&q);
    if (r != 0)
        return r;
    read_line(&q, out);
    return query_check(&q);
}

int ledger_before(struct operations *o, const char *account, uint64_t before, struct ledger_line *lines, size_t *count)
{
    size_t cap = *count;
    struct query q CLEANUP(query_end) = query(o->store, LEDGER_BEFORE);
    query_bind_text(&q, 1, account);
    query_bind_i64(&q, 2, before == 0 || before > INT64_MAX ? INT64_MAX : (int64_t)before);
    query_bind_u64(&q, 3, cap);
    int r;
    *count = 0;
    while (rows_next(&q, &r) && *count < cap)
        read_line(&q, &lines[(*count)++]);
    return r == 0 ? query_check(&q) : r;
}

static void bind_filter(struct query *q, const struct ledger_filter *f)
{
    query_bind_text(q, 1, f->account);
    query_bind_i64(q, 2, f->from_ms);
    query_bind_i64(q, 3, f->until_ms);
    query_bind_i64(q, 4, f->kind);
}

int ledger_each(struct operations *o, const struct ledger_filter *f,
                void (*on_line)(void *ctx, const struct ledger_line *l), void *ctx)
{
    uint64_t last = 0;
    size_t got = PAGE_ROWS;
    int r = 0;
    while (r == 0 && got == PAGE_ROWS) { /* pages: a writer is never held up by a slow reader */
        struct query q CLEANUP(query_end) = query(o->store, f->account ? LEDGER_PAGE_OF : LEDGER_PAGE);
        bind_filter(&q, f);
        query_bind_u64(&q, 5, last);
        query_bind_i64(&q, 6, PAGE_ROWS);
        for (got = 0; rows_next(&q, &r); got++) {
            struct ledger_line l;
            read_line(&q, &l);
            last = l.number;
            r = query_check(&q);
            if (r != 0)
                return r;
            on_line(ctx, &l);
        }
    }
    return r;
}

int ledger_sums(struct operations *o, const struct ledger_filter *f, int64_t sums[LEDGER_KINDS])
{
    memset(sums, 0, LEDGER_KINDS * sizeof(sums[0]));
    struct query q CLEANUP(query_end) = query(o->store, LEDGER_SUMS);
    bind_filter(&q, f);
    int r;
    while (rows_next(&q, &r)) {
        uint32_t kind = query_u32(&q, 0);
        if (kind < LEDGER_KINDS)
            sums[kind] = query_i64(&q, 2);
    }
    return r == 0 ? query_check(&q) : r;
}

int ledger_opening(struct operations *o, const char *account, int64_t at_ms, int64_t *balance)
{
    struct query q CLEANUP(query_end) = query(o->store, LEDGER_OPENING);
    query_bind_text(&q, 1, account);
    query_bind_i64(&q, 2, at_ms);
    int r = rows_one(&q);
    if (r == 0)
        *balance = query_i64(&q, 0);
    return r != 0 ? r : query_check(&q);
}

/* --- Checking ---------------------------------------------------------------------------------------------------- */

static int first_number(struct operations *o, enum statement statement, uint64_t *out)
{
    struct query q CLEANUP(query_end) = query(o->store, statement);
    int r = rows_one(&q);
    *out = r == 0 ? query_u64(&q, 0) : 0;
    return r == OPERATIONS_ABSENT ? 0 : r != 0 ? r : query_check(&q);
}

int ledger_check(struct operations *o, struct ledger_audit *out)
{
    *out = (struct ledger_audit){ 0 };
    int r = first_number(o, LEDGER_UNEVEN, &out->uneven_posting);
    if (r == 0)
        r = first_number(o, LEDGER_DRIFT, &out->drifted_entry);
    if (r == 0)
        r = first_number(o, LEDGER_OPEN_POSTING, &out->open_entry);
    if (r != 0)
        return r;
    struct query q CLEANUP(query_end) = query(o->store, LEDGER_TOTAL);
    r = rows_one(&q);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? -EUCLEAN : r;
    int64_t *const totals[] = { &out->sum, &out->revenue, &out->payments, &out->users, &out->holders, &out->partners };
    out->entries = query_u64(&q, 0);
    for (size_t i = 0; i < ARRAY_COUNT(totals); i++)
        *totals[i] = query_i64(&q, (int)i + 1);
    return query_check(&q);
}
