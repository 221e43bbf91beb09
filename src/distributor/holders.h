/* Rights holders: who they are, what they get of each sale of a product (shares.h), what was paid out to them. */
#ifndef DISTRIBUTOR_HOLDERS_H
#define DISTRIBUTOR_HOLDERS_H

#include "distributor/ledger.h"
#include "distributor/shares.h"

#define HOLDERS_TARIFFS_ALL 0x1e /* 1 << kind, of the four tariffs */
#define HOLDERS_PER_PRODUCT 8

struct holder {
    char name[OPERATIONS_NAME_BYTES], full_name[128];
    int64_t created_ms;
};
int holders_find(struct operations *o, const char *name, struct holder *out) MUST_USE;  /* 0, OPERATIONS_ABSENT */
int holders_next(struct operations *o, const char *after, struct holder *out) MUST_USE; /* 0, OPERATIONS_ABSENT */
/* Adds, or changes the full name. 0, REASON_MALFORMED (no name), -errno. Writes. */
int holders_add(struct operations *o, const struct holder *h) MUST_USE;

struct holder_share {
    uint32_t product;
    uint32_t basis_points; /* or */
    int64_t fixed;
    uint32_t tariffs; /* 1 << kind */
};
/* Replaces what this holder gets of later sales. 0; REASON_NOT_FOUND: no such holder or product; REASON_NOT_PERMITTED: all shares would be
 * above the whole, or too many holders; REASON_MALFORMED. Writes. */
int holders_set_share(struct operations *o, const char *name, const struct holder_share *s) MUST_USE;
int holders_clear_share(struct operations *o, const char *name, uint32_t product) MUST_USE; /* 0, OPERATIONS_ABSENT */
int holders_share_next(struct operations *o, const char *name, uint32_t after, struct holder_share *out) MUST_USE;

/* Adds to p what is due of this price: a line for each holder, the rest for our revenue. 0 or -errno. */
int holders_share(struct operations *o, uint32_t product, enum posting_kind tariff, int64_t price, struct posting *p)
    MUST_USE;
/* Paid out. reference: as billing_pay. 0; REASON_NOT_FOUND; REASON_ALREADY; REASON_CREDIT_REFUSED: more than is due. Writes. */
int holders_pay(struct operations *o, const char *name, int64_t amount, const char *reference, int64_t now_ms,
                const char *text) MUST_USE;

#endif
