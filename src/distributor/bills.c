/* BILLS_GET: the household's account, newest line first. On the connection's thread. Source: design section 6 (billing). */
#include <stdio.h>

#include "base/text.h"
#include "distributor/accounts.h"
#include "distributor/billing.h"
#include "distributor/devices.h"
#include "distributor/handlers.h"
#include "distributor/reply.h"

#define LINES_MAX 32

/* What there was in all, by kind; the first page carries it. */
static int put_totals(struct operations *o, const char *user, const char *account, msg_Bills *bills)
{
    int64_t sums[LEDGER_KINDS];
    struct account a;
    int r = ledger_sums(o, &(struct ledger_filter){ .account = account, .until_ms = INT64_MAX }, sums);
    if (r == 0)
        r = ledger_balance(o, account, &bills->balance);
    if (r == 0)
        r = accounts_find(o, user, &a);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? -EUCLEAN : r;
    bills->credit_limit = a.credit_limit;
    bills->charged = -(sums[POSTING_LICENSE] + sums[POSTING_COPY] + sums[POSTING_RENEWAL] + sums[POSTING_OWNERSHIP] +
                       sums[POSTING_SETTLEMENT]);
    bills->paid = sums[POSTING_PAYMENT];
    bills->refunded = sums[POSTING_REFUND];
    return 0;
}

static void put_line(msg_Bills *bills, const struct ledger_line *l)
{
    msg_BillLine *line = &bills->lines[bills->lines_count++];
    line->number = l->number;
    line->time_ms = (uint64_t)l->time_ms;
    bool is_sale = l->kind == POSTING_LICENSE || l->kind == POSTING_RENEWAL || l->kind == POSTING_OWNERSHIP;
    char text[LEDGER_TEXT_BYTES + OPERATIONS_NAME_BYTES + 8]; /* a copy's says itself from where to where */
    (void)snprintf(text, sizeof(text), "%s%s%s", l->text, is_sale && l->device[0] != '\0' ? ", on " : "",
                   is_sale ? l->device : "");
    text_safe(text, line->text, sizeof(line->text)); /* cut at a character */
    line->amount = l->amount;
    line->balance = l->balance;
    line->kind = l->kind;
    line->refunds = l->refunds;
    line->revoked = l->revoked;
}

int billing_bills_get(struct operations *o, const struct caller *who, struct slice message, struct slice tail,
                      struct reply *out)
{
    (void)tail;
    msg_BillsGet m;
    struct device d;
    struct ledger_line lines[LINES_MAX + 1];
    size_t count = LINES_MAX + 1;
    char account[LEDGER_ACCOUNT_BYTES];
    int r = REQUEST_DECODE(message, msg_BillsGet, &m);
    if (r == 0)
        r = devices_caller(o, who, &d);
    if (r != 0)
        return r;
    msg_Bills bills = msg_Bills_init_zero;
    CODEC_SET_TEXT(bills.currency, o->currency);
    ledger_account_user(d.user, account);
    r = ledger_before(o, account, m.before, lines, &count);
    if (r == 0 && m.before == 0)
        r = put_totals(o, d.user, account, &bills);
    if (r != 0)
        return r;
    bills.more = count > LINES_MAX;
    for (size_t i = 0; i < count && i < LINES_MAX; i++)
        put_line(&bills, &lines[i]);
    return REPLY(out, BILLS, msg_Bills, &bills);
}
