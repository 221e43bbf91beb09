/* Emptying rows of our outbox, here and in the directory: same place in the order, no content (table NONE, which everybody passes over). */
#ifndef DISTRIBUTOR_SHARE_FORGET_H
#define DISTRIBUTOR_SHARE_FORGET_H

#include "distributor/operations.h"

/* Every row up to `last` that names this user of ours or one of these devices. What the outbox says of receipts that are not pushed yet stays. */
int share_forget(struct operations *o, const char *user, const struct id *clients, size_t count, uint64_t last)
    MUST_USE;
int share_forget_range(struct operations *o, uint64_t first, uint64_t last) MUST_USE;

#endif
