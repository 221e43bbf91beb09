/* The directory's shared tables: every member's signed rows, each origin's in its own order without gaps, all in one
 * global order that members read (procedure P3; the seed's operations database C of Fig. 5).
 *
 * It keeps envelopes as they came and does not look into rows: verifying who signed is directory.c's, what a row means is
 * the members'. A store of its own beside the operations database. One thread at a time. Source: seed S105-S108, Fig. 8. */
#ifndef DISTRIBUTOR_DIRECTORY_DB_H
#define DISTRIBUTOR_DIRECTORY_DB_H

#include "crypto/id.h"
#include "store/store.h"

/* Opens or creates the database. STORE_NEWER, -errno as store_open. */
int directory_db_open(struct store **out, const char *path) MUST_USE;

/* Stores one row of an origin (added with its first row). 0: stored, or stored before (its sequence is not above the last one);
 * DIRECTORY_GAP: rows before it are missing; -errno. */
#define DIRECTORY_GAP 1
int directory_db_put(struct store *s, const struct id *origin, uint64_t sequence, struct slice envelope) MUST_USE;
/* An empty row: as directory_db_put, but takes the place of what its origin put there before. */
int directory_db_empty(struct store *s, const struct id *origin, uint64_t sequence, struct slice envelope) MUST_USE;
/* When rows were emptied since the last time: as store_scrub; else 0. On a connection of its own, not in a transaction. */
int directory_db_scrub(struct store *s) MUST_USE;
/* Highest stored sequence of an origin; 0 when there is none. */
int directory_db_last(struct store *s, const struct id *origin, uint64_t *sequence) MUST_USE;

/* Rows after a position, in global order: appends length:4 || envelope to out until it is full or count_max are there.
 * *next: the position of the last one appended (after, when there is none). */
int directory_db_read(struct store *s, uint64_t after, uint32_t count_max, struct buf *out, uint32_t *count,
                      uint64_t *next) MUST_USE;

#endif
