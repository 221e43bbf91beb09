/* The license server towards a device of ours: quote, purchase, header. On the connection's thread.
 * Source: seed S31-S38 (header), S71-S85 (license). */
#define LOG_MODULE "license"
#include <stdio.h>
#include <stdlib.h>

#include "base/util.h"
#include "crypto/contentkey.h"
#include "distributor/billing.h"
#include "distributor/handlers.h"
#include "distributor/keyblocks.h"
#include "distributor/keyset.h"
#include "distributor/licenses.h"
#include "distributor/reply.h"
#include "distributor/rows.h"

#define QUOTE_LIFE_MS (60 * 60 * 1000)

/* --- Quote ------------------------------------------------------------------------------------------------------- */

/* A content on sale. */
static int find_content(struct operations *o, const uint8_t content[32], struct content *out)
{
    struct id id = id_from(content);
    int r = contents_find(o, &id, out);
    return r == OPERATIONS_ABSENT || (r == 0 && out->withdrawn) ? REASON_UNKNOWN_CONTENT : r;
}

/* Has this very device a license for it already? */
static int judge_new(struct operations *o, const struct id *content, const struct caller *who, struct reply *out)
{
    struct license l;
    int r = licenses_find_content(o, content, &who->client, &l);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? 0 : r;
    if (licenses_is_held(&l, who->now_ms))
        return reply_refuse(out, REASON_ALREADY, "This device has a license for it already.");
    return 0;
}

static int choose_product(struct operations *o, const struct id *content, uint32_t number, struct product *out)
{
    if (number != 0) {
        int r = products_offered(o, content, number, out);
        return r == OPERATIONS_ABSENT ? REASON_QUOTE_CHANGED : r;
    }
    struct product second;
    int r = products_of_content(o, content, 0, out);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? REASON_UNKNOWN_CONTENT : r;
    r = products_of_content(o, content, out->number, &second);
    return r == 0 ? REASON_CHOOSE_PRODUCT : r == OPERATIONS_ABSENT ? 0 : r;
}

/* What is bought is downloaded with it: outside the period nothing is offered. */
static int judge_period(const struct product *p, const struct caller *who)
{
    return products_download_open(&p->conditions, who->now_ms) ? 0 : REASON_OUTSIDE_DOWNLOAD_PERIOD;
}

static int sign_quote(struct operations *o, const struct caller *who, const struct id *content, const struct product *p,
                      struct buf *envelope)
{
    struct content_halves halves CLEANUP(content_halves_wipe);
    int r = contents_halves(o, content, &halves);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? -EUCLEAN : r;
    doc_Quote q = { .product = p->number,
                    .price = p->price,
                    .conditions = products_conditions(p, who->now_ms),
                    .issued_ms = (uint64_t)who->now_ms,
                    .ends_ms = (uint64_t)who->now_ms + QUOTE_LIFE_MS };
    memcpy(q.distributor, o->keys->self.bytes, ID_BYTES);
    memcpy(q.client, who->client.bytes, ID_BYTES);
    memcpy(q.content, content->bytes, ID_BYTES);
    memcpy(q.license_id, halves.license_id, sizeof(q.license_id));
    CODEC_SET_TEXT(q.product_name, p->name);
    CODEC_SET_TEXT(q.currency, o->currency);
    struct signer signer;
    signer_from_pair(&signer, &o->keys->license);
    r = document_sign(envelope, DOCUMENT_QUOTE, &q, &signer);
    return r > 0 ? -EMSGSIZE : r;
}

/* Who is about to pay is told what the account has already. */
static int tell_owned(struct operations *o, const struct device *d, const struct id *content, int64_t now_ms,
                      msg_Quote *answer)
{
    char name[OPERATIONS_NAME_BYTES] = "";
    struct license lost;
    int r = licenses_find_elsewhere(o, d, content, now_ms, name);
    answer->has_owned_on = r == 0;
    CODEC_SET_TEXT(answer->owned_on, name);
    if (r == 0 || r == OPERATIONS_ABSENT)
        r = restore_find(o, d, content, now_ms, &lost);
    bool over = r == 0 && lost.conditions.has_usage_until_ms && (uint64_t)now_ms > lost.conditions.usage_until_ms;
    answer->has_restorable = answer->restorable = r == 0 && !over;
    return r == OPERATIONS_ABSENT ? 0 : r;
}

int license_issue_quote(struct operations *o, const struct caller *who, struct slice message, struct slice tail,
                        struct reply *out)
{
    (void)tail;
    msg_QuoteGet m;
    struct device d;
    struct content c;
    struct product p;
    int r = REQUEST_DECODE(message, msg_QuoteGet, &m);
    if (r == 0)
        r = devices_caller(o, who, &d);
    if (r == 0)
        r = find_content(o, m.content, &c);
    if (r == 0)
        r = judge_new(o, &c.id, who, out);
    if (r == 0)
        r = choose_product(o, &c.id, m.product, &p);
    if (r == 0)
        r = judge_period(&p, who);
    msg_Quote answer = msg_Quote_init_zero;
    struct buf envelope CLEANUP(buf_free) = buf(sizeof(answer.quote.bytes));
    if (r == 0)
        r = sign_quote(o, who, &c.id, &p, &envelope);
    if (r == 0)
        r = tell_owned(o, &d, &c.id, who->now_ms, &answer);
    if (r != 0)
        return r;
    if (CODEC_SET_BYTES(answer.quote, buf_slice(&envelope)) != 0)
        return -EMSGSIZE;
    return REPLY(out, QUOTE, msg_Quote, &answer);
}

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
    r = find_content(o, content->bytes, &c);
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
                       struct content *c, struct reply *out)
{
    doc_Keyset *own CLEANUP(freep) = calloc(1, sizeof(*own));
    if (!own)
        return -ENOMEM;
    int r = keyset_own(o, own);
    if (r == 0)
        r = quote_judge(envelope, own, &who->client, who->now_ms, quote);
    if (r == 0)
        r = find_content(o, quote->content, c);
    if (r == 0)
        r = judge_new(o, &c->id, who, out);
    struct product p;
    if (r == 0)
        r = products_offered(o, &c->id, quote->product, &p);
    if (r == OPERATIONS_ABSENT || (r == 0 && p.price != quote->price))
        return REASON_QUOTE_CHANGED;
    return r == 0 ? judge_period(&p, who) : r;
}

static int charge(struct operations *o, const struct license *l, const struct content *c, const doc_Quote *quote)
{
    char text[224];
    snprintf(text, sizeof(text), "License: %s (%s)", c->title, quote->product_name);
    return billing_sell(o,
                        &(struct sale){ .tariff = POSTING_LICENSE,
                                        .user = l->account,
                                        .product = l->product,
                                        .price = quote->price,
                                        .subject = billing_license_subject(l->license_id, &l->client, l->sequence),
                                        .text = text,
                                        .now_ms = l->issued_ms },
                        NULL);
}

static int issue(struct operations *o, const struct device *d, const struct content *c, const doc_Quote *quote,
                 int64_t now_ms, msg_Result *result)
{
    struct content_halves halves CLEANUP(content_halves_wipe) = { 0 };
    doc_DeviceCertificate certificate;
    int r = contents_halves(o, &c->id, &halves);
    if (r == 0)
        r = devices_certificate(o, d, now_ms, &certificate);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? -EUCLEAN : r;
    struct license l = { .client = d->client,
                         .content = c->id,
                         .distributor = OPERATIONS_SELF,
                         .product = quote->product,
                         .conditions = quote->conditions, /* S81 */
                         .state = LICENSE_LIVE };
    memcpy(l.license_id, halves.license_id, sizeof(l.license_id));
    snprintf(l.user, sizeof(l.user), "%s", d->user);
    snprintf(l.account, sizeof(l.account), "%s", d->user);
    struct signer signer;
    signer_from_pair(&signer, &o->keys->license);
    struct buf document CLEANUP(buf_free) = buf(sizeof(result->license.bytes));
    struct buf header CLEANUP(buf_free) = buf(sizeof(result->header.bytes));
    r = licenses_sign(o, &l, &certificate, &halves.license, now_ms, &signer, &document);
    if (r == 0)
        r = licenses_header(o, d, &c->id, &halves, &header);
    if (r == 0)
        r = licenses_set(o, &l, buf_slice(&document));
    if (r == 0)
        r = licenses_record(o, &l, now_ms); /* S84 */
    if (r == 0)
        r = licenses_record_content(o, d->user, &c->id, &d->client, l.license_id, now_ms);
    if (r == 0)
        r = charge(o, &l, c, quote); /* S85 */
    if (r != 0)
        return r;
    result->has_license = result->has_header = true;
    if (CODEC_SET_BYTES(result->license, buf_slice(&document)) != 0 ||
        CODEC_SET_BYTES(result->header, buf_slice(&header)) != 0)
        return -EMSGSIZE;
    return 0;
}

int license_issue_purchase(struct operations *o, const struct caller *who, const msg_Purchase *item, msg_Result *result,
                           struct reply *out)
{
    struct device d;
    doc_Quote quote;
    struct content c;
    int r = devices_caller(o, who, &d); /* S73-S75 */
    if (r == 0)
        r = judge_quote(o, who, CODEC_BYTES(item->quote), &quote, &c, out);
    if (r == 0)
        r = billing_judge_credit(o, d.user, quote.price, who->now_ms, out); /* S76-S78 */
    return r == 0 ? issue(o, &d, &c, &quote, who->now_ms, result) : r;      /* S79-S85 */
}
