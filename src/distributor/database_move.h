/* The operations database moves from the embedded one (STATE/operations.db) to an empty PostgreSQL database. Each step is durable before the next,
 * and whatever interrupts them, the same call goes on:
 *
 *   1  every row is there, read back and compared, with the mark that it is not complete    one transaction there
 *   2  the embedded one has the mark that it has moved: it does not count any more           one transaction here
 *   3  the mark of 1 goes                                                                     one transaction there
 *   4  STATE/database names it
 *   5  the embedded one, folded into one file, lies in STATE/moved-TIME
 *
 * Before 2 the embedded one counts, from then on the other: never both, so that no number is given out twice. On the caller's thread. */
#ifndef DISTRIBUTOR_DATABASE_MOVE_H
#define DISTRIBUTOR_DATABASE_MOVE_H

#include "distributor/operations.h"
#include "store/copy.h"

#define DATABASE_MOVE_TAKEN 2206     /* what is there is another distributor's */
#define DATABASE_MOVE_THERE 2207     /* this distributor is there already, and not by a move that was interrupted */
#define DATABASE_MOVE_ELSEWHERE 2208 /* the move that was interrupted went somewhere else (in the log) */

/* Steps 1 to 3. o: the embedded one (OPERATIONS_ANY_PLACE), in a transaction that writes, with t of it: committed here. *out is all zero when the
 * rows were there. 0; the outcomes above; as store_pg_open and store_copy. */
int database_move(struct operations *o, struct transaction *t, const char *to, struct store_copied *out) MUST_USE;
/* Steps 4 and 5, when nobody has the embedded one open. aside: where it lies now, "" when there was none. 0, -errno. */
int database_move_end(const char *state_dir, const char *to, int64_t now_ms, char *aside, size_t cap) MUST_USE;

#endif
