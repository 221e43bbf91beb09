/* Rosters: the devices of a household, as its distributor knows them through links and shared tables. */
#ifndef DISTRIBUTOR_ROSTER_H
#define DISTRIBUTOR_ROSTER_H

#include "distributor/operations.h"
#include "protocol/documents.h"

/* Brings the account's roster up to date (a new sequence when something changed, a new issue when half its life is over).
 * *sequence: of the current one. envelope (may be NULL): appended. Writes. */
int roster_current(struct operations *o, const char *user, int64_t now_ms, uint64_t *sequence, struct buf *envelope)
    MUST_USE;

/* Users of ours whose roster may have changed since the last call; the server sends ROSTER_CHANGED to their devices'
 * connections after the commit. Takes one out: true and the name, false when none is left. */
bool roster_take_touched(struct operations *o, char user[OPERATIONS_NAME_BYTES]);
/* For the modules that change something: this account, and every account of ours in its household. */
int roster_touch(struct operations *o, int64_t distributor, const char *user) MUST_USE;

#endif
