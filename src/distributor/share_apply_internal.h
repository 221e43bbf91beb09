/* A row that is about to be applied, between share_apply.c (who signed it, and in what order) and share_apply_tables.c (what it changes). */
#ifndef DISTRIBUTOR_SHARE_APPLY_INTERNAL_H
#define DISTRIBUTOR_SHARE_APPLY_INTERNAL_H

#include "distributor/operations.h"

struct row {
    struct operations *o;
    int64_t origin;
    struct id origin_id;
    bool removed;
    struct slice bytes;
    int64_t now_ms;
};

/* Changes the table that it is about. One that means nothing here (a newer kind, a damaged one) is passed over: its origin's next rows still count.
 * 0, -errno. Writes. */
int share_apply_to(const struct row *row, uint32_t table) MUST_USE;

#endif
