/* The price before the purchase: asked for, verified, shown, and kept until it is taken or ends. Source: seed S61, S62; design section 6.3. */
#include <stdio.h>
#include <stdlib.h>

#include "base/util.h"
#include "crypto/sha256.h"
#include "daemon/control.h"
#include "daemon/library.h"
#include "daemon/session.h"
#include "daemon/shop.h"
#include "daemon/transact.h"

#define QUOTES_KEPT 32

struct quotes {
    struct quote_kept kept[QUOTES_KEPT];
    unsigned next;
};

/* --- Kept quotes --- */

const struct quote_kept *quote_find(struct daemon *d, const uint8_t hash[32])
{
    for (unsigned i = 0; d->quotes != NULL && i < QUOTES_KEPT; i++) {
        const struct quote_kept *k = &d->quotes->kept[i];
        if (k->envelope_len > 0 && id_equal(k->hash, hash) && k->ends_ms > clock_wall_ms(d->clock))
            return k;
    }
    return NULL;
}

static const struct quote_kept *keep(struct daemon *d, const doc_Quote *quote, struct slice envelope)
{
    if (d->quotes == NULL)
        d->quotes = calloc(1, sizeof(*d->quotes));
    if (d->quotes == NULL)
        return NULL;
    struct quote_kept *k = &d->quotes->kept[d->quotes->next++ % QUOTES_KEPT];
    *k = (struct quote_kept){ .distributor = id_from(quote->distributor),
                              .content = id_from(quote->content),
                              .ends_ms = (int64_t)quote->ends_ms };
    sha256(envelope, k->hash);
    return codec_set_bytes(k->envelope, sizeof(k->envelope), &k->envelope_len, envelope) == 0 ? k : NULL;
}

void quotes_free(struct daemon *d) { free(steal(&d->quotes)); }

/* --- Asking --- */

struct quoting {
    struct daemon *daemon;
    struct call *call;
    uint32_t product;
    struct account *account; /* a reference */
    struct listing_entry entry;
};

static void end(struct quoting *q, enum reason why, const char *detail, const msg_Refusal *refusal)
{
    if (refusal != NULL)
        call_refuse_as(q->call, refusal);
    else if (why != REASON_NONE)
        call_refuse(q->call, why, detail);
    else
        call_finish(q->call);
    account_unref(q->account);
    listing_entry_deinit(&q->entry);
    free(q);
}

static int judge(struct quoting *q, struct slice envelope, doc_Quote *quote)
{
    if (q->account->keyset == NULL)
        return REASON_KEYSET_INVALID;
    int r = quote_judge(envelope, q->account->keyset, &q->daemon->self, clock_wall_ms(q->daemon->clock), quote);
    if (r != 0)
        return r;
    if (!id_equal(quote->content, q->entry.content.bytes) || (q->product != 0 && quote->product != q->product))
        return REASON_QUOTE_CHANGED;
    return 0;
}

static void on_quote(const struct answer *answer, void *ctx)
{
    struct quoting *q = ctx;
    msg_Quote reply;
    doc_Quote quote;
    if (answer->why != REASON_NONE) {
        end(q, answer->why, NULL, answer->refusal);
        return;
    }
    int r = CODEC_DECODE(msg_Quote, answer->frame->message, &reply) == 0 ? judge(q, CODEC_BYTES(reply.quote), &quote)
                                                                         : REASON_MALFORMED;
    const struct quote_kept *kept = r == 0 ? keep(q->daemon, &quote, CODEC_BYTES(reply.quote)) : NULL;
    if (kept == NULL) {
        end(q, r == 0 ? REASON_INTERNAL : reason_of_error(r), NULL, NULL);
        return;
    }
    ctl_QuoteRow row = { .price = quote.price, .conditions = quote.conditions };
    memcpy(row.hash, kept->hash, sizeof(row.hash));
    memcpy(row.content, quote.content, ID_BYTES);
    CODEC_SET_TEXT(row.title, q->entry.title);
    CODEC_SET_TEXT(row.product_name, quote.product_name);
    CODEC_SET_TEXT(row.currency, quote.currency);
    CODEC_SET_TEXT(row.distributor_name, q->account->name);
    row.has_owned_on = reply.has_owned_on;
    CODEC_SET_TEXT(row.owned_on, reply.owned_on);
    row.has_restorable = reply.has_restorable;
    row.restorable = reply.restorable;
    CALL_ROW(q->call, QUOTE_ROW, QuoteRow, &row);
    end(q, REASON_NONE, NULL, NULL);
}

/* The only product, or the person chooses: "1 Standard 9.90 EUR, 2 ...". */
static bool choose_product(struct quoting *q, char *detail, size_t cap)
{
    const struct listing_entry *e = &q->entry;
    if (q->product != 0 || e->product_count == 0)
        return true;
    if (e->product_count == 1) {
        q->product = e->products[0].product;
        return true;
    }
    size_t len = 0;
    for (pb_size_t i = 0; i < e->product_count && len < cap; i++) {
        int64_t price = e->products[i].price;
        int n =
            snprintf(detail + len, cap - len, "%s%u %s %lld.%02lld %s", i == 0 ? "There are several products: " : ", ",
                     (unsigned)e->products[i].product, e->products[i].name, (long long)(price / 100),
                     (long long)(price % 100), e->products[i].currency);
        len += n > 0 ? (size_t)n : 0;
    }
    return false;
}

/* A purchase that was under way: when it has ended well, there is nothing left to quote. */
static void on_joined(const struct transact_outcome *outcome, void *ctx)
{
    struct quoting *q = ctx;
    if (outcome->why == REASON_NONE)
        end(q, REASON_ALREADY, "The purchase that was under way is done.", NULL);
    else
        end(q, outcome->why, NULL, outcome->refusal);
}

static void ask_quote(struct quoting *q)
{
    msg_QuoteGet get = { .product = q->product };
    memcpy(get.content, q->entry.content.bytes, ID_BYTES);
    int r = session_call(q->account, &ASK(msg_Type_QUOTE_GET, msg_Type_QUOTE, msg_QuoteGet, &get), on_quote, q);
    if (r != 0)
        end(q, reason_of_error(r), NULL, NULL);
}

static void on_found(const struct found *found, enum reason why, const char *detail, const msg_Refusal *refusal,
                     void *ctx)
{
    struct quoting *q = ctx;
    char products[256] = "";
    if (found == NULL) {
        end(q, why, detail, refusal);
        return;
    }
    q->account = account_ref(found->account);
    if (listing_entry_copy(&q->entry, &found->entry) != 0) {
        end(q, REASON_INTERNAL, NULL, NULL);
        return;
    }
    struct track *t = library_find(q->daemon, found->entry.content.bytes);
    if (t != NULL && track_license_state(t, clock_wall_ms(q->daemon->clock)) == LICENSE_VALID) {
        end(q, REASON_ALREADY, "This device has a license for it.", NULL);
        return;
    }
    int r = transact_join(q->account, &q->entry.content, on_joined, q);
    if (r == TRANSACT_BUSY)
        end(q, REASON_IN_USE, "It is being bought at this moment.", NULL);
    else if (r < 0)
        end(q, reason_of_error(r), NULL, NULL);
    else if (r == TRANSACT_NONE && !choose_product(q, products, sizeof(products)))
        end(q, REASON_CHOOSE_PRODUCT, products, NULL);
    else if (r == TRANSACT_NONE)
        ask_quote(q);
}

void quote_handle(struct daemon *d, struct call *c, const void *message)
{
    const ctl_QuoteGet *m = message;
    struct quoting *q = calloc(1, sizeof(*q));
    if (q == NULL) {
        call_refuse(c, REASON_INTERNAL, NULL);
        return;
    }
    *q = (struct quoting){ .daemon = d, .call = c, .product = m->product };
    int r = lookup_start(d, m->track, on_found, q);
    if (r != 0)
        end(q, reason_of_error(r), NULL, NULL);
}
