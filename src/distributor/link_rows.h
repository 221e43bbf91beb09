/* Rows of our accounts' links, shared; used by requests and by what comes from others. */
#ifndef DISTRIBUTOR_LINK_ROWS_H
#define DISTRIBUTOR_LINK_ROWS_H

#include "distributor/operations.h"

/* user: ours; other, other_user: the account at another distributor. Idempotent. Rosters are touched. */
int link_rows_add(struct operations *o, const char *user, int64_t other, const char *other_user) MUST_USE;
int link_rows_remove(struct operations *o, const char *user, int64_t other, const char *other_user) MUST_USE;

#endif
