/* Tally: what a transaction of many requests remembers of the rows that nearly every one of them needs next: the numbers that rise, the balances, the
 * head of the outbox. Each is read once in a transaction. What it changes goes with the savepoint around it (store_keep), so that what a refused
 * request took is given to the next one, and rows stay numbered without gaps.
 *
 * Numbers are written when the transaction's work is finished (tally_write), balances and heads with their rows. Without o->tally, or outside
 * of such a transaction, nothing is remembered. On the connection's thread. */
#ifndef DISTRIBUTOR_TALLY_H
#define DISTRIBUTOR_TALLY_H

#include "distributor/operations.h"
#include "distributor/share_chain.h"

struct tally *tally_new(void);    /* NULL without memory */
void tally_free(struct tally *t); /* accepts NULL */

void tally_begin(struct operations *o); /* a transaction has begun at whose end tally_write is called */
/* Inside of it, outside of savepoints: writes what is not written, and proves that what was posted is even. 0; -EUCLEAN: it is not; -errno. */
int tally_write(struct operations *o) MUST_USE;
void tally_end(struct operations *o); /* it is over, either way */

/* The last number given of a name, if it is remembered. */
bool tally_number(const struct operations *o, const char *name, uint64_t *out);
/* It is this one now, and stands in the database when written. OPERATIONS_ABSENT: write it yourself. 0, -ENOMEM. */
int tally_set_number(struct operations *o, const char *name, uint64_t value, bool written) MUST_USE;

bool tally_balance(const struct operations *o, const char *account, int64_t *out);
int tally_set_balance(struct operations *o, const char *account, int64_t balance) MUST_USE; /* 0, -ENOMEM */
void tally_forget_balances(struct operations *o); /* accounts have other names now */

bool tally_head(const struct operations *o, uint64_t sequence, uint8_t out[SHARE_CHAIN_BYTES]);
int tally_set_head(struct operations *o, uint64_t sequence, const uint8_t head[SHARE_CHAIN_BYTES]) MUST_USE;

/* A posting was written: is it even? 0: tally_write will prove it; OPERATIONS_ABSENT: prove it yourself; -ENOMEM. */
int tally_posted(struct operations *o, uint64_t posting) MUST_USE;

#endif
