/* Emptying rows of our outbox, here and in the directory: same place in the order, no content (table NONE, which everybody passes over). */
#ifndef DISTRIBUTOR_SHARE_FORGET_H
#define DISTRIBUTOR_SHARE_FORGET_H

#include "distributor/operations.h"

/* Before it: removes what rows up to `last` say of them and no later row has removed or replaced, so that whoever reads from now on goes by the same as
 * who has read it (share_empty.h). Writes rows. */
int share_forget_first(struct operations *o, const char *user, const struct id *clients, size_t count, uint64_t last)
    MUST_USE;
/* Every row up to `last` that names this user of ours or one of these devices. What the outbox says of receipts that are not pushed yet stays. */
int share_forget(struct operations *o, const char *user, const struct id *clients, size_t count, uint64_t last)
    MUST_USE;
/* Of these rows, those that remove something. */
int share_forget_range(struct operations *o, uint64_t first, uint64_t last) MUST_USE;

#endif
