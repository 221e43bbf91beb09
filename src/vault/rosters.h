/* Rosters: the devices of the household, as each distributor of this device signs them. */
#ifndef VAULT_ROSTERS_H
#define VAULT_ROSTERS_H

#include "vault/requests.h"

/* ROSTER_CHECK: under the stored keyset of a registered distributor; kept unless an equal one is. A lower sequence than the kept one's is
 * REASON_ALREADY: authentic, but no longer true. Also REASON_NOT_REGISTERED and those of roster_judge. */
request_fn rosters_check;
request_fn rosters_get; /* ROSTER_GET: the kept envelope in the tail, or no tail */

#endif
