/* Offers: what a device could buy of a content, and for how much: a license, more of one it has (renewal), or ownership.
 * A quote is an offer, signed; a purchase is judged by making the offer again.
 * Source: seed S61-S63, S79-S81 (license), S91-S96, S101-S104 (renewal). */
#ifndef DISTRIBUTOR_OFFERS_H
#define DISTRIBUTOR_OFFERS_H

#include "distributor/licenses.h"

enum offer_kind {
    OFFER_PURCHASE = 1,
    OFFER_RENEWAL = 2,
    OFFER_OWNERSHIP = 3,
    OFFER_ANEW = 4 /* a purchase in place of a license that has ended, or is used up, as its device says */
};

/* What is wished. */
struct offer_wish {
    enum offer_kind kind;
    struct id content;
    uint32_t product;                       /* 0: the only one; for a license that is there: its own */
    uint32_t options[PRODUCTS_OPTIONS_MAX]; /* rising */
    size_t option_count;
};
struct offer {
    enum offer_kind kind;
    struct device device; /* whose it will be; for renewal and ownership also another distributor's */
    struct content content;
    struct product product;
    struct license before; /* renewal and ownership: continued; otherwise what the device has or had, when has_before */
    bool has_before;
    doc_Conditions conditions; /* what the license will say */
    int64_t price;
};
/* 0; REASON_UNKNOWN_CONTENT, REASON_CHOOSE_PRODUCT, REASON_QUOTE_CHANGED (no such product or option on sale for it),
 * REASON_OUTSIDE_DOWNLOAD_PERIOD, REASON_ALREADY, REASON_NOT_REGISTERED, REASON_DEVICE_REVOKED; of a license that is there also REASON_NO_LICENSE,
 * REASON_LICENSE_SUSPENDED, REASON_LICENSE_EXPIRED (renewed too late), REASON_NOT_PERMITTED (cannot be renewed, or owned); REQUESTS_ASK_DIRECTORY;
 * -errno. A refusal may be worded in out. */
int offers_make(struct operations *o, const struct caller *who, const struct offer_wish *wish, struct offer *offer,
                struct reply *out) MUST_USE;
/* A license that the device did not have: also one in place of another. */
bool offer_is_purchase(const struct offer *offer);
/* The account that pays for it. */
const char *offer_account(const struct offer *offer);

#endif
