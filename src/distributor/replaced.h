/* The database that a restore takes the place of. What it knows better than the copy is not lost with it: that somebody else serves over it, and which keys
 * were withdrawn, so that a stolen one does not come back with the copy. Blocking; one thread. */
#ifndef DISTRIBUTOR_REPLACED_H
#define DISTRIBUTOR_REPLACED_H

#include "distributor/operations.h"
#include "distributor/serving.h"

/* Before it is moved aside: does a server elsewhere serve over state_dir's database? 0 with its place and when it was heard; OPERATIONS_ABSENT: none, or the
 * database cannot be read, which is why one restores. -errno. */
int replaced_serving(const char *state_dir, const struct rng *rng, int64_t now_ms, char place[SERVING_PLACE_BYTES],
                     int64_t *seen_ms) MUST_USE;
/* What is withdrawn in the databases that were moved aside in state_dir (`replaced-TIME`) is withdrawn in o as well; one that cannot be read is named in the log.
 * 0 or -errno. Within a transaction. */
int replaced_withdrawn(struct operations *o, const char *state_dir) MUST_USE;
/* Makes the next key for each that is in use and withdrawn: the files in dir/keys, which are to be loaded again when *any. 0 or -errno. */
int replaced_prepare(struct operations *o, const char *dir, bool *any) MUST_USE;

#endif
