/* Rows of rights holders. On the connection's thread. Source: design section 6 (billing). */
#include "distributor/holders.h"

#include <stdio.h>

#include "base/util.h"
#include "distributor/accounts.h"
#include "distributor/products.h"
#include "distributor/rows.h"

static int read_holder(struct operations *o, enum statement statement, const char *name, struct holder *out)
{
    struct query q CLEANUP(query_end) = query(o->store, statement);
    query_bind_text(&q, 1, name);
    int r = rows_one(&q);
    if (r != 0)
        return r;
    struct holder h = { .created_ms = query_i64(&q, 2) };
    query_text(&q, 0, h.name, sizeof(h.name));
    query_text(&q, 1, h.full_name, sizeof(h.full_name));
    *out = h;
    return query_check(&q);
}

int holders_find(struct operations *o, const char *name, struct holder *out)
{
    return read_holder(o, HOLDER_GET, name, out);
}

int holders_next(struct operations *o, const char *after, struct holder *out)
{
    return read_holder(o, HOLDER_NEXT, after, out);
}

int holders_add(struct operations *o, const struct holder *h)
{
    if (!accounts_name_is_valid(h->name))
        return REASON_MALFORMED;
    struct query q CLEANUP(query_end) = query(o->store, HOLDER_SET);
    query_bind_text(&q, 1, h->name);
    query_bind_text(&q, 2, h->full_name);
    query_bind_i64(&q, 3, h->created_ms);
    return rows_run(&q);
}

/* --- Shares -------------------------------------------------------------------------------------------------------- */

static int judge_share(struct operations *o, const char *name, const struct holder_share *s)
{
    struct holder h;
    struct product p;
    if ((s->basis_points == 0) == (s->fixed == 0) || s->fixed < 0 || (s->tariffs & HOLDERS_TARIFFS_ALL) != s->tariffs ||
        s->tariffs == 0)
        return REASON_MALFORMED;
    int r = holders_find(o, name, &h);
    if (r == 0)
        r = products_get(o, s->product, &p);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? REASON_NOT_FOUND : r;
    struct query q CLEANUP(query_end) = query(o->store, HOLDER_POINTS);
    query_bind_i64(&q, 1, s->product);
    query_bind_text(&q, 2, name);
    r = rows_one(&q);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? -EUCLEAN : r;
    bool fits = query_i64(&q, 0) + s->basis_points <= SHARES_WHOLE && query_i64(&q, 1) < HOLDERS_PER_PRODUCT;
    r = query_check(&q);
    return r == 0 && !fits ? REASON_NOT_PERMITTED : r;
}

int holders_set_share(struct operations *o, const char *name, const struct holder_share *s)
{
    int r = judge_share(o, name, s);
    if (r != 0)
        return r;
    struct query q CLEANUP(query_end) = query(o->store, HOLDER_SHARE_SET);
    query_bind_i64(&q, 1, s->product);
    query_bind_text(&q, 2, name);
    query_bind_i64(&q, 3, s->basis_points);
    query_bind_i64(&q, 4, s->fixed);
    query_bind_i64(&q, 5, s->tariffs);
    return rows_run(&q);
}

int holders_clear_share(struct operations *o, const char *name, uint32_t product)
{
    struct query q CLEANUP(query_end) = query(o->store, HOLDER_SHARE_CLEAR);
    query_bind_i64(&q, 1, product);
    query_bind_text(&q, 2, name);
    int r = rows_run(&q);
    return r == 0 && store_changed_count(o->store) == 0 ? OPERATIONS_ABSENT : r;
}

int holders_share_next(struct operations *o, const char *name, uint32_t after, struct holder_share *out)
{
    struct query q CLEANUP(query_end) = query(o->store, HOLDER_SHARE_NEXT);
    query_bind_text(&q, 1, name);
    query_bind_i64(&q, 2, after);
    int r = rows_one(&q);
    if (r != 0)
        return r;
    *out = (struct holder_share){ .product = query_u32(&q, 0),
                                  .basis_points = query_u32(&q, 1),
                                  .fixed = query_i64(&q, 2),
                                  .tariffs = query_u32(&q, 3) };
    return query_check(&q);
}

/* --- Sales and payouts ----------------------------------------------------------------------------------------------- */

int holders_share(struct operations *o, uint32_t product, enum posting_kind tariff, int64_t price, struct posting *p)
{
    struct share shares[HOLDERS_PER_PRODUCT];
    char accounts[HOLDERS_PER_PRODUCT][LEDGER_ACCOUNT_BYTES], name[OPERATIONS_NAME_BYTES];
    size_t count = 0;
    int64_t kept = price;
    struct query q CLEANUP(query_end) = query(o->store, HOLDER_SHARES);
    query_bind_i64(&q, 1, product);
    int r;
    while (rows_next(&q, &r)) {
        if ((query_u32(&q, 3) & (1u << tariff)) == 0)
            continue;
        if (count == HOLDERS_PER_PRODUCT)
            return -EUCLEAN;
        query_text(&q, 0, name, sizeof(name));
        ledger_account_holder(name, accounts[count]);
        shares[count++] = (struct share){ .basis_points = query_u32(&q, 1), .fixed = query_i64(&q, 2) };
    }
    if (r == 0)
        r = query_check(&q);
    if (r == 0)
        r = shares_of_price(price, shares, count, &kept);
    for (size_t i = 0; r == 0 && i < count; i++)
        r = posting_line(p, accounts[i], shares[i].amount);
    return r == 0 ? posting_line(p, LEDGER_REVENUE, kept) : r;
}

int holders_pay(struct operations *o, const char *name, int64_t amount, const char *reference, int64_t now_ms,
                const char *text)
{
    struct holder h;
    char account[LEDGER_ACCOUNT_BYTES];
    ledger_account_holder(name, account);
    int r = holders_find(o, name, &h);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? REASON_NOT_FOUND : r;
    struct posting p = { .kind = POSTING_PAYMENT, .time_ms = now_ms };
    snprintf(p.text, sizeof(p.text), "%s", text);
    r = ledger_refer(o, &p, "paid-out", reference);
    if (r == 0)
        r = ledger_pay_out(o, &p, account, &amount);
    return r == REASON_TOO_LARGE ? REASON_CREDIT_REFUSED : r;
}
