/* The license server towards a device: header, and the purchase of a license, of more of one, or of ownership. On the connection's thread.
 * Source: seed S31-S38 (header), S71-S85 (license), S104 (renewal). */
#define LOG_MODULE "license"
#include <stdio.h>
#include <stdlib.h>

#include "base/util.h"
#include "distributor/billing.h"
#include "distributor/copy_queue.h"
#include "distributor/give.h"
#include "distributor/handlers.h"
#include "distributor/keyset.h"
#include "distributor/offers.h"
#include "distributor/reply.h"

/* --- Header ------------------------------------------------------------------------------------------------------ */

/* By the license the device has; without one, by any product it could buy. */
static int judge_download(struct operations *o, const struct id *content, const struct caller *who)
{
    struct license l;
    int r = licenses_find_content(o, content, &who->client, &l);
    if (r < 0)
        return r;
    if (r == 0 && licenses_is_held(&l, who->now_ms))
        return products_download_open(&l.conditions, who->now_ms) ? 0 : REASON_OUTSIDE_DOWNLOAD_PERIOD;
    struct content c;
    r = contents_find(o, content, &c);
    if (r == OPERATIONS_ABSENT || (r == 0 && c.withdrawn))
        return REASON_UNKNOWN_CONTENT;
    struct product p = { 0 };
    while (r == 0) {
        r = products_of_content(o, content, p.number, &p);
        if (r == 0 && products_download_open(&p.conditions, who->now_ms))
            return 0;
    }
    return r == OPERATIONS_ABSENT ? REASON_OUTSIDE_DOWNLOAD_PERIOD : r;
}

int license_issue_header(struct operations *o, const struct caller *who, struct slice message, struct slice tail,
                         struct reply *out)
{
    (void)tail;
    msg_HeaderGet m;
    struct device d;
    struct content_halves halves CLEANUP(content_halves_wipe) = { 0 };
    int r = REQUEST_DECODE(message, msg_HeaderGet, &m);
    struct id content = id_from(m.content);
    if (r == 0)
        r = devices_caller(o, who, &d);
    if (r == 0)
        r = contents_halves(o, &content, &halves);
    if (r == OPERATIONS_ABSENT)
        return REASON_UNKNOWN_CONTENT;
    if (r == 0)
        r = judge_download(o, &content, who);
    msg_Header answer = msg_Header_init_zero;
    struct buf header CLEANUP(buf_free) = buf(sizeof(answer.header.bytes));
    if (r == 0)
        r = licenses_header(o, &d, &content, &halves, &header);
    if (r == 0)
        r = licenses_record_content(o, d.user, &content, &who->client, halves.license_id, who->now_ms); /* S38 */
    if (r != 0)
        return r;
    if (CODEC_SET_BYTES(answer.header, buf_slice(&header)) != 0)
        return -EMSGSIZE;
    return REPLY(out, HEADER, msg_Header, &answer);
}

/* --- Purchase ---------------------------------------------------------------------------------------------------- */

/* The quote is ours, for this device, not over, and still what is offered. */
static int judge_quote(struct operations *o, const struct caller *who, struct slice envelope, doc_Quote *quote,
                       struct offer *f, struct reply *out)
{
    doc_Keyset *own CLEANUP(freep) = calloc(1, sizeof(*own));
    if (!own)
        return -ENOMEM;
    int r = keyset_own(o, own);
    if (r == 0)
        r = quote_judge(envelope, own, &who->client, who->now_ms, quote);
    if (r != 0)
        return r;
    struct offer_wish wish = { .kind = quote->has_kind ? (enum offer_kind)quote->kind : OFFER_PURCHASE,
                               .content = id_from(quote->content),
                               .option_count = quote->options_count };
    if (wish.kind != OFFER_OWNERSHIP)
        wish.product = quote->product;
    memcpy(wish.options, quote->options, quote->options_count * sizeof(wish.options[0]));
    r = offers_make(o, who, &wish, f, out);
    if (r != 0)
        return r;
    bool same_edition = f->kind == OFFER_PURCHASE || f->before.sequence == quote->edition;
    return same_edition && f->price == quote->price ? 0 : REASON_QUOTE_CHANGED;
}

static int charge(struct operations *o, const struct license *l, const struct offer *f)
{
    static const struct {
        enum posting_kind tariff;
        const char *word;
    } sales[] = { [OFFER_PURCHASE] = { POSTING_LICENSE, "License" },
                  [OFFER_ANEW] = { POSTING_LICENSE, "License" },
                  [OFFER_RENEWAL] = { POSTING_RENEWAL, "Renewal" },
                  [OFFER_OWNERSHIP] = { POSTING_OWNERSHIP, "Ownership" } };
    char text[224];
    snprintf(text, sizeof(text), "%s: %s (%s)", sales[f->kind].word, f->content.title, f->product.name);
    return billing_sell(o,
                        &(struct sale){ .tariff = sales[f->kind].tariff,
                                        .user = l->account,
                                        .product = l->product,
                                        .price = f->price,
                                        .subject = billing_license_subject(l->license_id, &l->client, l->sequence),
                                        .text = text,
                                        .now_ms = l->issued_ms },
                        NULL);
}

/* What was counted of a license that is continued, or of one before, goes on. */
static struct license license_of(const struct offer *f, const doc_Quote *quote)
{
    struct license l = { 0 };
    if (f->has_before)
        l = f->before;
    if (offer_is_purchase(f)) {
        l.copies = l.removables = l.checkouts = 0;
        l.has_lender = false;
        l.content = f->content.id;
    }
    l.has_lease = f->kind != OFFER_OWNERSHIP && f->product.has_lease_ms;
    l.product = f->product.number;
    l.conditions = quote->conditions; /* S81, S96 */
    snprintf(l.account, sizeof(l.account), "%s", offer_account(f));
    return l;
}

int license_issue_purchase(struct operations *o, const struct caller *who, const msg_Purchase *item, msg_Result *result,
                           struct reply *out)
{
    struct offer f;
    doc_Quote quote;
    int r = judge_quote(o, who, CODEC_BYTES(item->quote), &quote, &f, out); /* S73-S75 */
    if (r == 0)
        r = billing_judge_credit(o, offer_account(&f), quote.price, who->now_ms, out); /* S76-S78 */
    if (r != 0)
        return r;
    struct license l = license_of(&f, &quote);
    r = license_give(o, who, &f.device, &l, result, out); /* S79-S84 */
    if (r == 0)
        r = charge(o, &l, &f); /* S85 */
    return r == 0 && offer_is_purchase(&f) ? copy_queue_add(o, &l, who->now_ms, out) : r;
}
