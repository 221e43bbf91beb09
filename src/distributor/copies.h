/* Copy certificates (Fig. 18): issued ones as rows, and how each is settled. Issuing: copy_issue.c; settling: copy_settle.c. */
#ifndef DISTRIBUTOR_COPIES_H
#define DISTRIBUTOR_COPIES_H

#include "distributor/licenses.h"

struct copy {
    uint8_t serial[16];
    uint8_t license_id[16];
    struct id source, destination, content;
    char account[OPERATIONS_NAME_BYTES]; /* ours: pays, and stands for the destination's license */
    int64_t destination_number;          /* the destination's distributor */
    char destination_user[OPERATIONS_NAME_BYTES];
    uint32_t product;
    bool move, removable;
    bool checkout;    /* a move that comes back */
    bool counted;     /* against the source license's copies */
    uint64_t edition; /* of the source's license: its sequence. A license bought anew later is another's business */
    int64_t price;    /* to charge; not kept, as the next one */
    char payer[OPERATIONS_NAME_BYTES]; /* the account that pays */
    bool relayed;                      /* or the partner's, for its customer */
    uint64_t charge;                   /* the number it has in the ledger; 0: free */
    uint64_t block_version;
    int64_t issued_ms, ends_ms;
    uint32_t state; /* enum certificate_state */
};
/* The row of our certificate with this serial; document and delegation (may be NULL) are appended. 0, OPERATIONS_ABSENT. */
int copies_find(struct operations *o, const uint8_t serial[16], struct copy *out, struct buf *document,
                struct buf *delegation) MUST_USE;
/* Under which a receipt that was brought here and passed on is in the table `relayed`. */
void copies_relayed_digest(const uint8_t issuer[32], const uint8_t serial[16], uint32_t outcome, bool surrender,
                           uint8_t digest[32]);
/* An issued and unsettled one for the same source, destination and kind. 0, OPERATIONS_ABSENT. */
int copies_find_open(struct operations *o, const struct copy *like, struct copy *out, struct buf *document,
                     struct buf *delegation) MUST_USE;
/* That is going to be asked (query_ahead). */
void copies_ask_open(struct operations *o, const struct copy *like);
/* The destination of the unsettled move of this edition of the license. 0, OPERATIONS_ABSENT. */
int copies_find_move(struct operations *o, const uint8_t license_id[16], const struct id *source, uint64_t edition,
                     struct id *destination) MUST_USE;
/* Stores certificate and history row (seed table (8), shared). leaf: the destination's. Source: seed S141. */
int copies_add(struct operations *o, const struct copy *c, const doc_Leaf *leaf, struct slice document,
               struct slice delegation) MUST_USE;
/* The two halves of that: what is known before it is signed, and the rest. */
int copies_add_history(struct operations *o, const struct copy *c, const doc_Leaf *leaf) MUST_USE;
int copies_add_certificate(struct operations *o, const struct copy *c, struct slice document, struct slice delegation)
    MUST_USE;
/* receipt, surrender: empty when there is none. */
int copies_set_state(struct operations *o, const struct copy *c, enum certificate_state state, struct slice receipt,
                     struct slice surrender) MUST_USE;

/* It was handed to its destination itself, in the transaction that issued it (copy_queue.h): redeemed without a receipt. Writes. */
int copies_enter(struct operations *o, const struct copy *c, struct slice document, int64_t now_ms) MUST_USE;
/* What issuing it has counted against the source's license: to count it, sign 1, or to take it back, -1. */
struct licenses_made copies_made(const struct copy *c, int sign);
/* A move's certificate that its source's vault can never release: it was used meanwhile (copy_judge.c). Count and price come back. */
int copies_void(struct operations *o, const struct copy *c, int64_t now_ms) MUST_USE;
/* Certificates of copies that nobody spoke of until their end, beyond the allowed skew, are over. Count and price stay: only the
 * destination's signed refusal gives them back, because silence proves nothing. */
int copies_end_overdue(struct operations *o, int64_t now_ms) MUST_USE;
/* A receipt that reached another distributor and came as a shared row; surrender may be empty. Refusals are not the sender's
 * business. 0, -errno. */
int copies_settle_relayed(struct operations *o, struct slice receipt, struct slice surrender, int64_t now_ms) MUST_USE;

/* Its destination was removed from its household: no copy for it is open any more. Count and price come back, once for each license; the rest
 * waits for the operator. gone: as it was, with its user. Writes. */
int copies_device_removed(struct operations *o, const struct device *gone, int64_t now_ms) MUST_USE;

/* What its certificate has cost, beside it: nothing is not said. */
void copies_tell_charged(int64_t price, const char *currency, msg_Result *result);
/* By hand, after its end or the removal of its destination: count and price of one that the operator believes was never used. Should a receipt come later all the same, it
 * counts again; the price stays given back. 0; REASON_NOT_FOUND; REASON_ALREADY; REASON_IN_USE: it may still be used; REASON_NOT_PERMITTED:
 * it was redeemed, or is a move (only its destination's refusal wakes the source). Writes. */
int copies_give_back(struct operations *o, const uint8_t serial[16], int64_t now_ms, const char *text) MUST_USE;
/* The next by serial, of an account (NULL: all) and state (0: all). 0, OPERATIONS_ABSENT. */
int copies_next(struct operations *o, const uint8_t after[16], const char *account, uint32_t state, struct copy *out)
    MUST_USE;

#endif
