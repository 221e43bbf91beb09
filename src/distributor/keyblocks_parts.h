/* Rows of key blocks in parts (crypto/ekb_parts.h): a part is written once and stays as long as a kept version has it. For keyblocks.c. */
#ifndef DISTRIBUTOR_KEYBLOCKS_PARTS_H
#define DISTRIBUTOR_KEYBLOCKS_PARTS_H

#include "crypto/ekb_parts.h"
#include "distributor/operations.h"

/* The block of that version, its parts without their entries. tops: of its row. 0, -EUCLEAN, -errno. */
int keyblocks_parts_load(struct operations *o, int64_t distributor, uint64_t version, uint32_t category,
                         struct slice tops, struct ekb_parts *out) MUST_USE;
/* The newest block, without entries. 0; OPERATIONS_ABSENT: it is not in parts, or there is none. */
int keyblocks_newest_parts(struct operations *o, int64_t distributor, struct ekb_parts *out) MUST_USE;
/* Reads a part's entries, unless they are there. 0, -errno. */
int keyblocks_parts_entries(struct operations *o, int64_t distributor, uint64_t version, struct ekb_part *part)
    MUST_USE;
/* Units first to first + most - 1 of the whole block (ekb_parts_encode), as many as there are. tops: as above. Appends. */
int keyblocks_parts_page(struct operations *o, int64_t distributor, uint64_t version, struct slice tops, uint64_t first,
                         uint64_t most, struct buf *out) MUST_USE;
/* From version `since` on, until further notice. Writes. */
int keyblocks_parts_add(struct operations *o, int64_t distributor, uint64_t since, const struct ekb_part *part)
    MUST_USE;
/* The parts below a node, of those in force, are in no version from `until` on. Writes. */
int keyblocks_parts_end(struct operations *o, int64_t distributor, uint64_t until, struct keytree_node below) MUST_USE;
/* Forgets parts that were in no version after `version`. Writes. */
int keyblocks_parts_purge(struct operations *o, int64_t distributor, uint64_t version) MUST_USE;

/* Leaves of ours below a node that are revoked, ascending. *out: owned. */
int keyblocks_revoked(struct operations *o, struct keytree_node below, uint32_t **out, size_t *count) MUST_USE;

#endif
