/* The price before the purchase: an offer, signed. On the connection's thread. Source: seed S61-S63, S93-S95, S102, S103. */
#define LOG_MODULE "license"
#include "base/util.h"
#include "distributor/handlers.h"
#include "distributor/offers.h"
#include "distributor/reply.h"

#define QUOTE_LIFE_MS (60 * 60 * 1000)

static int sign_quote(struct operations *o, const struct caller *who, const struct offer_wish *wish,
                      const struct offer *f, struct buf *envelope)
{
    struct content_halves halves CLEANUP(content_halves_wipe);
    int r = contents_halves(o, &f->content.id, &halves);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? -EUCLEAN : r;
    doc_Quote q = { .product = f->product.number,
                    .price = f->price,
                    .conditions = f->conditions,
                    .issued_ms = (uint64_t)who->now_ms,
                    .ends_ms = (uint64_t)who->now_ms + QUOTE_LIFE_MS,
                    .has_kind = f->kind != OFFER_PURCHASE,
                    .kind = f->kind,
                    .has_edition = f->kind != OFFER_PURCHASE,
                    .edition = f->before.sequence,
                    .has_lease_ms = f->product.has_lease_ms && f->kind != OFFER_OWNERSHIP,
                    .lease_ms = f->product.lease_ms,
                    .options_count = (pb_size_t)wish->option_count };
    memcpy(q.distributor, o->keys->self.bytes, ID_BYTES);
    memcpy(q.client, who->client.bytes, ID_BYTES);
    memcpy(q.content, f->content.id.bytes, ID_BYTES);
    memcpy(q.license_id, halves.license_id, sizeof(q.license_id));
    memcpy(q.options, wish->options, wish->option_count * sizeof(q.options[0]));
    CODEC_SET_TEXT(q.product_name, f->product.name);
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
    answer->has_restorable = answer->restorable = r == 0 && !conditions_are_over(&lost.conditions, now_ms);
    return r == OPERATIONS_ABSENT ? 0 : r;
}

/* What a license costs later on. */
static void tell_prices(const struct offer *f, msg_Quote *answer)
{
    const doc_Conditions *c = &f->conditions;
    answer->has_copy_price = c->copy_depth > 0 && c->max_copies > 0;
    answer->copy_price = f->product.copy_price;
    answer->has_renew_price = offer_is_purchase(f) && products_renews(&f->product, c);
    answer->renew_price = f->product.renew_price;
}

/* 0, OPERATIONS_ABSENT (it cannot be renewed), -errno. */
static int find_renewal(struct operations *o, const struct caller *who, const struct id *content, int64_t *price)
{
    struct offer f;
    struct reply unsaid CLEANUP(reply_free);
    const struct offer_wish wish = { .kind = OFFER_RENEWAL, .content = *content };
    reply_init(&unsaid);
    int r = offers_make(o, who, &wish, &f, &unsaid);
    if (r == 0)
        *price = f.price;
    return r > 0 ? OPERATIONS_ABSENT : r;
}

/* In place of what is bought anew, or cannot be bought any more. why: what became of that. */
static int tell_renewal(struct operations *o, const struct caller *who, const struct id *content, int why,
                        msg_Quote *answer, struct reply *out)
{
    int r = find_renewal(o, who, content, &answer->renewal);
    answer->has_renewal = r == 0;
    if (r == 0 && (why == REASON_UNKNOWN_CONTENT || why == REASON_LICENSE_EXPIRED))
        return reply_refuse(out, (enum reason)why, "It cannot be bought any more, but renewed: hearth renew TRACK");
    return r < 0 ? r : why;
}

static int tell_options(struct operations *o, uint32_t product, msg_Quote *answer)
{
    struct product_option option = { 0 };
    int r = 0;
    while (answer->options_count < ARRAY_COUNT(answer->options) &&
           (r = products_next_option(o, product, option.number, &option)) == 0) {
        if (option.withdrawn)
            continue;
        msg_ProductOption *told = &answer->options[answer->options_count++];
        told->number = option.number;
        told->price = option.price;
        CODEC_SET_TEXT(told->name, option.name);
    }
    return r == OPERATIONS_ABSENT ? 0 : r;
}

int quotes_get(struct operations *o, const struct caller *who, struct slice message, struct slice tail,
               struct reply *out)
{
    (void)tail;
    msg_QuoteGet m;
    struct offer f;
    int r = REQUEST_DECODE(message, msg_QuoteGet, &m);
    if (r != 0)
        return r;
    struct offer_wish wish = { .kind = m.has_kind ? (enum offer_kind)m.kind : OFFER_PURCHASE,
                               .content = id_from(m.content),
                               .product = m.product,
                               .option_count = m.options_count };
    memcpy(wish.options, m.options, m.options_count * sizeof(wish.options[0]));
    r = offers_make(o, who, &wish, &f, out);
    msg_Quote answer = msg_Quote_init_zero;
    if (r >= 0 && wish.kind == OFFER_ANEW)
        r = tell_renewal(o, who, &wish.content, r, &answer, out);
    struct buf envelope CLEANUP(buf_free) = buf(sizeof(answer.quote.bytes));
    if (r == 0)
        r = sign_quote(o, who, &wish, &f, &envelope);
    if (r == 0 && f.kind == OFFER_PURCHASE)
        r = tell_owned(o, &f.device, &f.content.id, who->now_ms, &answer);
    if (r == 0 && f.kind != OFFER_OWNERSHIP)
        r = tell_options(o, f.product.number, &answer);
    if (r != 0)
        return r;
    tell_prices(&f, &answer);
    if (CODEC_SET_BYTES(answer.quote, buf_slice(&envelope)) != 0)
        return -EMSGSIZE;
    return REPLY(out, QUOTE, msg_Quote, &answer);
}
