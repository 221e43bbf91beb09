/* The price before a purchase, renewal or ownership: asked for, verified, shown, and kept until it is taken or ends. Source: seed S61, S62; design section 6.3. */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/util.h"
#include "crypto/sha256.h"
#include "daemon/control.h"
#include "daemon/guests.h"
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
        if (k->envelope_len > 0 && id_equal(k->hash, hash) && k->ends_ms >= device_time_for(d, &k->distributor))
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
    msg_QuoteGet get;
    struct account *account; /* a reference */
    struct listing_entry entry;
};

#define KIND_ANEW 4 /* doc.Quote: in place of a license that is over */

static bool is_purchase(const struct quoting *q) { return !q->get.has_kind || q->get.kind == KIND_ANEW; }

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
    int r = quote_judge(envelope, q->account->keyset, &q->daemon->self, device_time_of(q->account), quote);
    if (r != 0)
        return r;
    if (!id_equal(quote->content, q->entry.content.bytes) ||
        (q->get.product != 0 && quote->product != q->get.product) || quote->kind != q->get.kind ||
        quote->options_count != q->get.options_count)
        return REASON_QUOTE_CHANGED;
    return 0;
}

/* What comes after the purchase; what it replaces. */
static void put_prices(const struct quoting *q, const msg_Quote *reply, ctl_QuoteRow *row)
{
    const struct track *t = library_find(q->daemon, q->entry.content.bytes);
    row->has_copy_price = reply->has_copy_price;
    row->copy_price = reply->copy_price;
    row->has_renew_price = reply->has_renew_price;
    row->renew_price = reply->renew_price;
    row->has_renewal = reply->has_renewal;
    row->renewal = reply->renewal;
    row->has_ended = t != NULL && q->get.kind == KIND_ANEW;
    row->ended = row->has_ended ? (uint32_t)track_license_state(q->daemon, t) : 0;
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
    row.options_count = reply.options_count;
    memcpy(row.options, reply.options, sizeof(row.options));
    put_prices(q, &reply, &row);
    row.has_lease_ms = quote.has_lease_ms;
    row.lease_ms = quote.lease_ms;
    CALL_ROW(q->call, QUOTE_ROW, QuoteRow, &row);
    end(q, REASON_NONE, NULL, NULL);
}

/* The only product, or the person chooses: "1 Standard 9.90 EUR, 2 ...". */
static bool choose_product(struct quoting *q, char *detail, size_t cap)
{
    const struct listing_entry *e = &q->entry;
    if (q->get.product != 0 || e->product_count == 0)
        return true;
    if (e->product_count == 1) {
        q->get.product = e->products[0].product;
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
    memcpy(q->get.content, q->entry.content.bytes, ID_BYTES);
    int r = session_call(q->account, &ASK(msg_Type_QUOTE_GET, msg_Type_QUOTE, msg_QuoteGet, &q->get), on_quote, q);
    if (r != 0)
        end(q, reason_of_error(r), NULL, NULL);
}

/* A purchase or renewal of it that is under way is waited for: nothing is bought twice. */
static void join_or_ask(struct quoting *q)
{
    char products[256] = "";
    int r = transact_join(q->account, &q->entry.content, on_joined, q);
    if (r == TRANSACT_BUSY)
        end(q, REASON_IN_USE, "It is being bought at this moment.", NULL);
    else if (r < 0)
        end(q, reason_of_error(r), NULL, NULL);
    else if (r == TRANSACT_NONE && is_purchase(q) && !choose_product(q, products, sizeof(products)))
        end(q, REASON_CHOOSE_PRODUCT, products, NULL);
    else if (r == TRANSACT_NONE)
        ask_quote(q);
}

static void on_found(const struct found *found, enum reason why, const char *detail, const msg_Refusal *refusal,
                     void *ctx)
{
    struct quoting *q = ctx;
    if (found == NULL) {
        end(q, why, detail, refusal);
        return;
    }
    q->account = account_ref(found->account);
    if (listing_entry_copy(&q->entry, &found->entry) != 0) {
        end(q, REASON_INTERNAL, NULL, NULL);
        return;
    }
    const struct track *t = library_find(q->daemon, found->entry.content.bytes);
    enum license_state state = t != NULL ? track_license_state(q->daemon, t) : LICENSE_NONE;
    if (state == LICENSE_VALID) {
        end(q, REASON_ALREADY, "This device has a license for it.", NULL);
        return;
    }
    /* Its issuer cannot know that it is used up; another distributor knows nothing of it. */
    q->get.has_kind = (state == LICENSE_EXPIRED || state == LICENSE_USED_UP) &&
                      id_equal(track_license(t)->issuer.bytes, q->account->distributor.bytes);
    q->get.kind = q->get.has_kind ? KIND_ANEW : 0;
    join_or_ask(q);
}

/* --- Of a license that is here: at its issuer (S93, S101) --- */

static void on_issuer(struct account *a, enum reason why, const msg_Refusal *refusal, void *ctx)
{
    struct quoting *q = ctx;
    if (a == NULL) {
        end(q, why, NULL, refusal);
        return;
    }
    q->account = account_ref(a);
    join_or_ask(q);
}

/* 0, -errno, or a reason; then detail, or *away (its code is not "") says more. */
static int start_continued(struct quoting *q, const char *track, char *detail, size_t cap, msg_Refusal *away)
{
    struct track *t;
    int r = library_resolve(q->daemon, track, &t, detail, cap);
    const struct track_license *l = r == 0 ? track_license(t) : NULL;
    if (r == 0)
        r = l == NULL ? REASON_NO_LICENSE : (int)library_away(q->daemon, l, away);
    if (r != 0)
        return r;
    struct listing_entry e = { .content = t->content,
                               .distributor = l->issuer,
                               .title = t->has_info ? t->title : (char *)track };
    r = listing_entry_copy(&q->entry, &e);
    return r == 0 ? issuer_find(q->daemon, &l->issuer, on_issuer, q) : r;
}

static bool is_title(struct daemon *d, const char *text)
{
    for (uint32_t i = 1; i <= listing_count(d); i++)
        if (strcasecmp(listing_number(d, i)->title, text) == 0)
            return true;
    return library_has_title(d, text);
}

/* A number of the last listing that may as well be a title, where nobody sees which it was taken for. */
static int judge_number(struct daemon *d, const ctl_QuoteGet *m, char *detail, size_t cap)
{
    const struct listing_entry *e = m->has_unseen && m->unseen ? listing_number(d, listing_parse(m->track)) : NULL;
    char id[ID_SHORT_BYTES];
    if (e == NULL || strcasecmp(e->title, m->track) == 0 || !is_title(d, m->track))
        return 0;
    id_short(e->content.bytes, id);
    (void)snprintf(detail, cap, "%s is a title, and the number of %s (%s) in the last listing.", m->track, e->title,
                   id);
    return REASON_AMBIGUOUS;
}

void quote_handle(struct daemon *d, struct call *c, const void *message)
{
    const ctl_QuoteGet *m = message;
    struct quoting *q = calloc(1, sizeof(*q));
    if (q == NULL) {
        call_refuse(c, REASON_INTERNAL, NULL);
        return;
    }
    char detail[256] = "";
    msg_Refusal away = msg_Refusal_init_zero;
    *q = (struct quoting){ .daemon = d, .call = c };
    q->get.product = m->product;
    q->get.has_kind = m->has_kind && (m->kind == 2 || m->kind == 3);
    q->get.kind = q->get.has_kind ? m->kind : 0;
    q->get.options_count = m->options_count;
    memcpy(q->get.options, m->options, sizeof(q->get.options));
    int r = judge_number(d, m, detail, sizeof(detail));
    if (r == 0)
        r = is_purchase(q) ? lookup_start(d, m->track, on_found, q)
                           : start_continued(q, m->track, detail, sizeof(detail), &away);
    if (r != 0)
        end(q, reason_of_error(r), detail[0] != '\0' ? detail : NULL, away.code[0] != '\0' ? &away : NULL);
}
