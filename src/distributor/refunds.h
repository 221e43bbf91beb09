/* Refunds: a sale is given back, in whole or in part, once; everyone who got a share of it returns the same part. */
#ifndef DISTRIBUTOR_REFUNDS_H
#define DISTRIBUTOR_REFUNDS_H

#include "distributor/ledger.h"

struct refund {
    uint64_t entry;   /* the number on the bill */
    int64_t amount;   /* 0: all of it */
    const char *text; /* the reason, for the bill */
    int64_t now_ms;
    bool
        revoke; /* the license may be copied and renewed no more. What a device has keeps working: nothing takes that back */
};
/* *given (may be NULL): what was given back, and the number of that entry. 0; REASON_NOT_FOUND; REASON_ALREADY: refunded before;
 * REASON_NOT_PERMITTED: no sale to a user, or to a partner's; REASON_TOO_LARGE: more than was charged; REASON_NO_LICENSE: to revoke, and it is not
 * with the one who bought it any more. Writes. */
struct refunded {
    int64_t amount;
    uint64_t entry;
    bool revoked;
};
int refunds_give(struct operations *o, const struct refund *f, struct refunded *given) MUST_USE;
/* All of it, when what was sold was never delivered (copy_settle.c). 0 also when it was given back before. Writes. */
int refunds_undelivered(struct operations *o, uint64_t entry, int64_t now_ms, const char *text) MUST_USE;

#endif
