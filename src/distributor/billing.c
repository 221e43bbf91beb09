/* Credit, sales, payments received. On the connection's thread. Source: seed S76-S78, S85; design section 6 (billing). */
#define LOG_MODULE "billing"
#include "distributor/billing.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/text.h"
#include "base/util.h"
#include "distributor/accounts.h"
#include "distributor/holders.h"
#include "distributor/payments.h"
#include "distributor/reply.h"
#include "distributor/rows.h"
#include "distributor/spending.h"

#define DAY_MS INT64_C(86400000)

int billing_balance(struct operations *o, const char *user, int64_t *balance)
{
    char account[LEDGER_ACCOUNT_BYTES];
    ledger_account_user(user, account);
    return ledger_balance(o, account, balance);
}

/* --- Credit: S76-S78 ------------------------------------------------------------------------------------------------ */

/* Since when has the account been below zero without a break? 0 or -errno. */
static int owing_since(struct operations *o, const char *user, int64_t *since_ms)
{
    char account[LEDGER_ACCOUNT_BYTES];
    ledger_account_user(user, account);
    struct query q CLEANUP(query_end) = query(o->store, LEDGER_OWING_SINCE);
    query_bind_text(&q, 1, account);
    int r = rows_one(&q);
    if (r == 0)
        *since_ms = query_i64(&q, 0);
    return r == OPERATIONS_ABSENT ? -EUCLEAN : r != 0 ? r : query_check(&q);
}

/* Was the last payment that was asked of the user declined, and when? */
static int last_declined(struct operations *o, const char *user, bool *declined, int64_t *declined_ms)
{
    struct query q CLEANUP(query_end) = query(o->store, PAYMENT_LAST);
    query_bind_text(&q, 1, user);
    int r = rows_one(&q);
    *declined = r == 0 && query_u32(&q, 0) == PAYMENT_DECLINED;
    if (*declined)
        *declined_ms = query_i64(&q, 1);
    return r == OPERATIONS_ABSENT ? 0 : r != 0 ? r : query_check(&q);
}

/* S77: what the account's past says, while it owes something. Since when is asked last: it takes a walk through the ledger. */
static int judge_past(struct operations *o, const char *user, int64_t now_ms, struct reply *out)
{
    bool declined = false;
    int64_t days, since_ms, declined_ms = 0;
    int r = last_declined(o, user, &declined, &declined_ms);
    if (r == 0)
        r = operations_setting_i64(o, "pay-within-days", &days);
    if (r != 0 || (!declined && days <= 0))
        return r;
    r = owing_since(o, user, &since_ms);
    if (r != 0)
        return r;
    declined = declined && declined_ms >= since_ms;
    if (declined)
        return out ? reply_refuse(out, REASON_CREDIT_REFUSED, "The last payment was declined, and is still owed.")
                   : REASON_CREDIT_REFUSED;
    if (days > 0 && now_ms - since_ms > days * DAY_MS)
        return out ? reply_refuse(out, REASON_CREDIT_REFUSED, "What is owed was not paid within %" PRId64 " days.",
                                  days)
                   : REASON_CREDIT_REFUSED;
    return 0;
}

int billing_judge_credit(struct operations *o, const char *user, int64_t price, int64_t now_ms, struct reply *out)
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
    if (balance < 0)
        r = judge_past(o, user, now_ms, out);
    return r == 0 ? spending_judge(o, user, price, now_ms, out) : r;
}

/* --- Who pays for a copy ---------------------------------------------------------------------------------------------- */

int billing_copy_payer(struct operations *o, uint32_t product, bool *destination)
{
    char word[16] = "";
    {
        struct query q CLEANUP(query_end) = query(o->store, PAYER_OF_PRODUCT);
        query_bind_i64(&q, 1, product);
        int r = rows_one(&q);
        if (r == 0) {
            query_text(&q, 0, word, sizeof(word));
            r = query_check(&q);
        }
        if (r < 0)
            return r;
    }
    int r = word[0] == '\0' ? operations_setting(o, "copy-charged", word, sizeof(word)) : 0;
    if (r == 0)
        *destination = strcmp(word, "destination") == 0;
    return r;
}

int billing_set_copy_payer(struct operations *o, uint32_t product, const char *word)
{
    struct query q CLEANUP(query_end) = query(o->store, word ? PAYER_OF_PRODUCT_SET : PAYER_OF_PRODUCT_CLEAR);
    query_bind_i64(&q, 1, product);
    if (word)
        query_bind_text(&q, 2, word);
    return rows_run(&q);
}

/* --- Sales: S85 ----------------------------------------------------------------------------------------------------- */

struct ledger_subject billing_license_subject(const uint8_t license_id[16], const struct id *client, uint64_t edition)
{
    struct ledger_subject s = { .has_license = true, .client = *client, .edition = edition };
    memcpy(s.license_id, license_id, sizeof(s.license_id));
    return s;
}

static void refer(const struct sale *s, char out[LEDGER_REFERENCE_BYTES])
{
    char serial[HEX_TEXT_BYTES(16)];
    hex_encode(SLICE_ARRAY(s->subject.serial), serial);
    if (s->subject.has_serial)
        snprintf(out, LEDGER_REFERENCE_BYTES, "%s:%s", posting_kind_name(s->tariff), serial);
    else
        snprintf(out, LEDGER_REFERENCE_BYTES, "%s:%" PRIu64, posting_kind_name(s->tariff), s->subject.edition);
}

int billing_sell(struct operations *o, const struct sale *s, uint64_t *entry)
{
    struct posting p = { .kind = s->tariff, .time_ms = s->now_ms, .product = s->product, .subject = s->subject };
    char account[LEDGER_ACCOUNT_BYTES];
    if (s->partner)
        ledger_account_partner(s->partner, account);
    else
        ledger_account_user(s->user, account);
    refer(s, p.reference);
    p.drawn = s->subject.has_serial;
    snprintf(p.text, sizeof(p.text), "%s", s->text);
    int r = posting_line(&p, account, -s->price);
    if (r == 0)
        r = holders_share(o, s->product, s->tariff, s->price, &p);
    if (r == 0)
        r = ledger_post(o, &p);
    if (r != 0 && r != REASON_ALREADY)
        return r;
    if (entry)
        *entry = p.entry;
    return r == 0 && p.number != 0 && !s->partner ? payments_collect(o, s->user, s->now_ms) : 0;
}

/* --- Payments received, and paid out ------------------------------------------------------------------------------------------------ */

/* What the operator enters, not yet posted; account: the user's. way: what its reference begins with. */
static int begin_payment(struct operations *o, const char *user, const char *way, const char *reference, int64_t now_ms,
                         const char *text, struct posting *p, char account[LEDGER_ACCOUNT_BYTES])
{
    struct account a;
    int r = accounts_find(o, user, &a);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? REASON_NOT_FOUND : r;
    *p = (struct posting){ .kind = POSTING_PAYMENT, .time_ms = now_ms };
    ledger_account_user(user, account);
    snprintf(p->text, sizeof(p->text), "%s", text);
    return ledger_refer(o, p, way, reference);
}

int billing_pay(struct operations *o, const char *user, int64_t amount, const char *reference, int64_t now_ms,
                const char *text)
{
    struct posting p;
    char account[LEDGER_ACCOUNT_BYTES];
    int r = begin_payment(o, user, "received", reference, now_ms, text, &p, account);
    if (r == 0)
        r = posting_line(&p, account, amount);
    if (r == 0)
        r = posting_line(&p, LEDGER_PAYMENTS, -amount);
    return r == 0 ? ledger_post(o, &p) : r;
}

int billing_pay_out(struct operations *o, const char *user, int64_t *amount, const char *reference, int64_t now_ms,
                    const char *text)
{
    struct posting p;
    char account[LEDGER_ACCOUNT_BYTES];
    /* erase.c takes what the operator wrote out of the reference */
    int r = begin_payment(o, user, "paid-back", reference, now_ms, text, &p, account);
    return r == 0 ? ledger_pay_out(o, &p, account, amount) : r;
}

char *billing_money(struct operations *o, int64_t amount, char out[BILLING_MONEY_BYTES])
{
    uint64_t positive = amount < 0 ? 0 - (uint64_t)amount : (uint64_t)amount;
    snprintf(out, BILLING_MONEY_BYTES, "%s%" PRIu64 ".%02u %s", amount < 0 ? "-" : "", positive / 100,
             (unsigned)(positive % 100), o->currency);
    return out;
}
