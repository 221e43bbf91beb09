/* What the directory's members push, upon its database: without connections and waiting, as requests_run. What they pull is directory_db_read.
 *
 * A row is judged by its signature and by whose it is. Whether that key was its origin's at that row members judge, who read all rows in their order
 * (share_keyset.h). Source: seed S105-S108, P3. */
#ifndef DISTRIBUTOR_DIRECTORY_ROWS_H
#define DISTRIBUTOR_DIRECTORY_ROWS_H

#include "distributor/requests.h"

#define DIRECTORY_PUSH_PAGE 256 /* rows that a member pushes at a time */
#define DIRECTORY_PULL_ROWS 64  /* that it is given at a time, and bytes */
#define DIRECTORY_PULL_BYTES (512u << 10)

/* SHARE_PUSH of a member. s: of directory_db_open, in a transaction. who: role and partner are read. 0 with SHARE_PUSHED: stored up to there, which
 * after a gap is before the rows that were pushed; REASON_NOT_PERMITTED: no distributor; REASON_SIGNATURE_INVALID (also: another's row);
 * REASON_MALFORMED; -errno. Writes. */
int directory_rows_push(struct store *s, const struct caller *who, struct slice message, struct slice tail,
                        struct reply *out) MUST_USE;

#endif
