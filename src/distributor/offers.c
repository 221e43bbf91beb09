/* Making offers. Read-only; on the connection's thread. */
#include "distributor/offers.h"

#include "base/util.h"
#include "distributor/reply.h"

/* For a license that is continued the account behind it, whosever customer the device is. */
const char *offer_account(const struct offer *offer)
{
    return offer_is_purchase(offer) ? offer->device.user : offer->before.account;
}

bool offer_is_purchase(const struct offer *offer) { return offer->kind == OFFER_PURCHASE || offer->kind == OFFER_ANEW; }

/* --- Which product ----------------------------------------------------------------------------------------------- */

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

static int add_options(struct operations *o, const struct offer_wish *wish, struct offer *f)
{
    uint32_t last = 0;
    for (size_t i = 0; i < wish->option_count; i++) {
        struct product_option option;
        if (wish->options[i] <= last) /* each once */
            return REASON_MALFORMED;
        last = wish->options[i];
        int r = products_option(o, f->product.number, last, &option);
        if (r != 0)
            return r == OPERATIONS_ABSENT ? REASON_QUOTE_CHANGED : r;
        conditions_add(&f->conditions, &option);
        if (__builtin_add_overflow(f->price, option.price, &f->price))
            return REASON_TOO_LARGE;
    }
    return 0;
}

/* --- A license: S61, S79-S81 ------------------------------------------------------------------------------------- */

static int judge_state(const struct license *l, struct reply *out)
{
    switch (l->state) {
    case LICENSE_LIVE:
        return l->has_lender ? reply_refuse(out, REASON_NOT_PERMITTED, "It is checked out: check it in first.") : 0;
    case LICENSE_MOVING:
        return REASON_LICENSE_SUSPENDED;
    case LICENSE_REVOKED:
        return REASON_DEVICE_REVOKED;
    case LICENSE_REFUNDED:
        return reply_refuse(out, REASON_NO_LICENSE, "Its price was given back: it may be copied and renewed no more.");
    case LICENSE_RETURNED:
        return reply_refuse(out, REASON_NO_LICENSE, "It was returned. Take it again first: hearth restore TRACK");
    default:
        return REASON_NO_LICENSE;
    }
}

/* How much was used only the device's vault knows. What it buys in place of a license is added to that one's limits, so that nothing is gained by
 * buying early; but one without an end needs no other. */
static int judge_anew(const struct license *l, int64_t now_ms, struct reply *out)
{
    if (!conditions_are_over(&l->conditions, now_ms) && !conditions_are_counted(&l->conditions))
        return reply_refuse(out, REASON_ALREADY, "This device has a license for it that has no end.");
    return judge_state(l, out);
}

/* Has this very device a license for it already? */
static int judge_new(struct operations *o, const struct caller *who, struct offer *f, struct reply *out)
{
    int r = licenses_find_content(o, &f->content.id, &who->client, &f->before);
    f->has_before = r == 0;
    if (r != 0)
        return r == OPERATIONS_ABSENT ? 0 : r;
    if (!licenses_is_held(&f->before, who->now_ms))
        return 0;
    return f->kind == OFFER_ANEW ? judge_anew(&f->before, who->now_ms, out)
                                 : reply_refuse(out, REASON_ALREADY, "This device has a license for it already.");
}

/* Limits are totals over all editions: what the device used under an earlier license is not taken from this one. Of one that is over it may have
 * used everything. One that went elsewhere or was given back took along what was left, so that only what was used here counts. */
static void count_on(struct offer *f)
{
    doc_Conditions *c = &f->conditions;
    const doc_Conditions *had = &f->before.conditions;
    bool stayed = f->before.state == LICENSE_LIVE;
    if (!f->has_before)
        return;
    if (c->has_max_plays)
        c->max_plays = u32_add(c->max_plays, stayed && had->has_max_plays ? had->max_plays : f->before.used.plays);
    if (c->has_max_play_ms)
        c->max_play_ms =
            u64_min(u64_add(c->max_play_ms, stayed && had->has_max_play_ms ? had->max_play_ms : f->before.used.play_ms),
                    INT64_MAX);
    if (c->has_max_recoveries)
        c->max_recoveries = u32_add(c->max_recoveries, stayed && had->has_max_recoveries ? had->max_recoveries
                                                                                         : f->before.used.recoveries);
}

static int offer_license(struct operations *o, const struct caller *who, const struct offer_wish *wish, struct offer *f,
                         struct reply *out)
{
    int r = devices_caller(o, who, &f->device);
    if (r == 0)
        r = contents_find(o, &wish->content, &f->content);
    if (r == OPERATIONS_ABSENT)
        return REASON_UNKNOWN_CONTENT;
    if (r == 0)
        r = judge_new(o, who, f, out);
    if (r == 0)
        r = f->content.withdrawn ? REASON_UNKNOWN_CONTENT
                                 : choose_product(o, &wish->content, wish->product, &f->product);
    if (r == REASON_UNKNOWN_CONTENT)
        return reply_refuse(out, REASON_UNKNOWN_CONTENT, "It is on sale there no more.");
    if (r != 0)
        return r;
    /* What is bought is downloaded with it: outside the period nothing is offered. */
    if (!products_download_open(&f->product.conditions, who->now_ms))
        return REASON_OUTSIDE_DOWNLOAD_PERIOD;
    f->conditions = conditions_of_product(&f->product, who->now_ms);
    f->price = f->product.price;
    if (conditions_are_over(&f->conditions, who->now_ms))
        return reply_refuse(out, REASON_LICENSE_EXPIRED,
                            "What is on sale for it has ended by now. What else there is: hearth browse");
    count_on(f);
    return 0;
}

/* --- More of a license that is there: S93, S101-S103 --------------------------------------------------------------- */

/* The holder may be another distributor's: the account behind the license has it in its household, and pays. */
static int find_held(struct operations *o, const struct caller *who, const struct offer_wish *wish, struct offer *f,
                     struct reply *out)
{
    int r = licenses_find_content(o, &wish->content, &who->client, &f->before);
    if (r == OPERATIONS_ABSENT)
        return REASON_NO_LICENSE;
    if (r == 0)
        r = judge_state(&f->before, out);
    if (r != 0)
        return r;
    f->has_before = true;
    r = devices_find_in_household(o, OPERATIONS_SELF, f->before.account, &who->client, &f->device);
    if (r == OPERATIONS_ABSENT)
        return who->directory_asked ? REASON_NOT_OWNED : REQUESTS_ASK_DIRECTORY;
    if (r == 0 && f->device.revoked)
        return REASON_DEVICE_REVOKED;
    if (r == 0)
        r = contents_find(o, &wish->content, &f->content);
    return r == OPERATIONS_ABSENT ? -EUCLEAN : r;
}

/* Its own product, also when that is off sale meanwhile: buyers are not harmed. Another one must be on sale. */
static int choose_continued(struct operations *o, const struct offer_wish *wish, struct offer *f)
{
    uint32_t own = f->before.product;
    int r = wish->product == 0 || wish->product == own ? products_get(o, own, &f->product)
                                                       : choose_product(o, &wish->content, wish->product, &f->product);
    return r == OPERATIONS_ABSENT ? -EUCLEAN : r;
}

static int judge_renewable(const struct offer *f, int64_t now_ms, struct reply *out)
{
    const doc_Conditions *c = &f->before.conditions;
    const struct product *p = &f->product;
    if (!c->has_usage_until_ms && !conditions_are_counted(c))
        return reply_refuse(out, REASON_ALREADY, "It has no end: there is nothing to renew.");
    if (!p->has_renew_price)
        return reply_refuse(out, REASON_NOT_PERMITTED,
                            "%s cannot be renewed. Once it is over, it is bought anew: hearth get TRACK", p->name);
    if (c->has_usage_until_ms && p->has_renew_late_ms &&
        (uint64_t)now_ms > u64_add(c->usage_until_ms, p->renew_late_ms))
        return reply_refuse(out, REASON_LICENSE_EXPIRED,
                            "It ended too long ago to be renewed; it is bought anew: hearth get TRACK");
    return 0;
}

/* A product that limits what the license does not cannot add to that limit: it would sell without its limit. And nobody pays for nothing. */
static int judge_worth(const struct offer *f, struct reply *out)
{
    const doc_Conditions *before = &f->before.conditions, *limits = &f->product.conditions;
    bool ends = limits->has_usage_until_ms || f->product.has_usage_for_ms;
    if ((ends && !before->has_usage_until_ms) || (limits->has_max_plays && !before->has_max_plays) ||
        (limits->has_max_play_ms && !before->has_max_play_ms))
        return reply_refuse(out, REASON_NOT_PERMITTED, "%s limits what this license does not: it cannot renew it.",
                            f->product.name);
    if (conditions_as_good(before, &f->conditions) || !conditions_as_good(&f->conditions, before))
        return reply_refuse(out, REASON_NOT_PERMITTED, "%s would add nothing to this license.", f->product.name);
    return 0;
}

static int offer_renewal(struct operations *o, const struct caller *who, const struct offer_wish *wish, struct offer *f,
                         struct reply *out)
{
    int r = find_held(o, who, wish, f, out);
    if (r == 0)
        r = choose_continued(o, wish, f);
    if (r == 0)
        r = judge_renewable(f, who->now_ms, out);
    if (r != 0)
        return r;
    f->conditions = conditions_renewed(&f->before.conditions, &f->product, who->now_ms);
    f->price = f->product.renew_price;
    return judge_worth(f, out);
}

static int offer_ownership(struct operations *o, const struct caller *who, const struct offer_wish *wish,
                           struct offer *f, struct reply *out)
{
    int r = wish->product != 0 || wish->option_count > 0 ? REASON_MALFORMED : find_held(o, who, wish, f, out);
    if (r == 0)
        r = choose_continued(o, wish, f);
    if (r != 0)
        return r;
    if (!f->before.conditions.has_own_price)
        return reply_refuse(out, REASON_NOT_PERMITTED, "This license cannot become ownership.");
    f->conditions = conditions_owned(&f->before.conditions);
    f->price = f->before.conditions.own_price;
    return 0;
}

int offers_make(struct operations *o, const struct caller *who, const struct offer_wish *wish, struct offer *offer,
                struct reply *out)
{
    *offer = (struct offer){ .kind = wish->kind };
    int r = offer_is_purchase(offer)        ? offer_license(o, who, wish, offer, out)
            : wish->kind == OFFER_RENEWAL   ? offer_renewal(o, who, wish, offer, out)
            : wish->kind == OFFER_OWNERSHIP ? offer_ownership(o, who, wish, offer, out)
                                            : REASON_MALFORMED;
    return r == 0 ? add_options(o, wish, offer) : r;
}
