/* Giving back. On the connection's thread. Source: design section 6 (billing). */
#include "distributor/refunds.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/util.h"
#include "distributor/copies.h"
#include "distributor/shares.h"

/* The lines of one sign are divided among themselves, so that each side sums to the part exactly. */
static int reverse_side(const struct posting *sale, int sign, int64_t part, struct posting *p)
{
    int64_t weights[LEDGER_LINES_MAX] = { 0 }, parts[LEDGER_LINES_MAX];
    size_t which[LEDGER_LINES_MAX], count = 0;
    for (size_t i = 0; i < sale->line_count; i++) {
        int64_t weight = sign * sale->lines[i].amount;
        if (weight <= 0)
            continue;
        which[count] = i;
        weights[count++] = weight;
    }
    int r = shares_divide(part, weights, count, parts);
    for (size_t i = 0; r == 0 && i < count; i++)
        r = posting_line(p, sale->lines[which[i]].account, -sign * parts[i]);
    return r;
}

/* part: of what the sale moved. */
static int reverse(struct operations *o, const struct posting *sale, int64_t part, const struct refund *f,
                   struct posting *p)
{
    *p = (struct posting){ .kind = POSTING_REFUND,
                           .time_ms = f->now_ms,
                           .product = sale->product,
                           .subject = sale->subject,
                           .refunds = sale->number,
                           .revoked = f->revoke };
    snprintf(p->reference, sizeof(p->reference), "refund:%" PRIu64, sale->number);
    snprintf(p->text, sizeof(p->text), "%s", f->text);
    int r = reverse_side(sale, -1, part, p);
    if (r == 0)
        r = reverse_side(sale, 1, part, p);
    return r == 0 ? ledger_post(o, p) : r;
}

static int find_sale(struct operations *o, uint64_t entry, struct ledger_line *line, struct posting *sale)
{
    int r = ledger_line_get(o, entry, line);
    if (r == 0)
        r = ledger_get(o, line->posting, sale);
    return r == OPERATIONS_ABSENT ? REASON_NOT_FOUND : r;
}

static int64_t moved(const struct posting *sale)
{
    int64_t sum = 0;
    for (size_t i = 0; i < sale->line_count; i++)
        sum += sale->lines[i].amount > 0 ? sale->lines[i].amount : 0;
    return sum;
}

/* --- The license ----------------------------------------------------------------------------------------------------- */

/* A copy certificate's license is the destination's, once it was redeemed. */
static int find_copied(struct operations *o, const uint8_t serial[16], struct license *out)
{
    struct copy c;
    int r = copies_find(o, serial, &c, NULL, NULL);
    if (r == 0)
        r = licenses_find(o, c.license_id, &c.destination, out);
    if (r == 0 && (c.state != CERTIFICATE_REDEEMED || out->issued_ms != c.issued_ms))
        return OPERATIONS_ABSENT; /* it has another one by now, from elsewhere */
    return r;
}

static int revoke(struct operations *o, const struct ledger_subject *s)
{
    struct license l;
    int r = OPERATIONS_ABSENT;
    if (s->has_serial)
        r = find_copied(o, s->serial, &l);
    else if (s->has_license)
        r = licenses_find(o, s->license_id, &s->client, &l);
    if (r == 0 && ((s->has_license && l.sequence != s->edition) || l.state != LICENSE_LIVE))
        r = OPERATIONS_ABSENT;
    if (r != 0)
        return r == OPERATIONS_ABSENT ? REASON_NO_LICENSE : r;
    return licenses_set_state(o, l.license_id, &l.client, l.sequence, LICENSE_REFUNDED);
}

/* --- Entry points ---------------------------------------------------------------------------------------------------- */

int refunds_give(struct operations *o, const struct refund *f, struct refunded *given)
{
    struct ledger_line line;
    struct posting sale, p;
    int r = find_sale(o, f->entry, &line, &sale);
    if (r != 0)
        return r;
    bool paid = strncmp(line.account, "user:", 5) == 0 || strncmp(line.account, "partner:", 8) == 0;
    if (!paid || line.amount >= 0 || sale.kind > POSTING_OWNERSHIP)
        return REASON_NOT_PERMITTED;
    int64_t amount = f->amount == 0 ? -line.amount : f->amount;
    if (amount < 0 || amount > -line.amount)
        return REASON_TOO_LARGE;
    r = reverse(o, &sale, amount, f, &p);
    if (r == 0 && f->revoke)
        r = revoke(o, &sale.subject);
    if (r == 0 && given)
        *given = (struct refunded){ .amount = amount, .entry = p.entry, .revoked = f->revoke };
    return r;
}

int refunds_undelivered(struct operations *o, uint64_t entry, int64_t now_ms, const char *text)
{
    struct ledger_line line;
    struct posting sale, p;
    struct refund f = { .entry = entry, .text = text, .now_ms = now_ms };
    int r = find_sale(o, entry, &line, &sale);
    if (r == 0)
        r = reverse(o, &sale, moved(&sale), &f, &p);
    return r == REASON_ALREADY ? 0 : r > 0 ? -EUCLEAN : r;
}
