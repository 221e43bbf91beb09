/* Quotas: how much one peer may ask for, on all of its connections together and across reconnecting. A token bucket for each name, in a table
 * of fixed size: when it is full, a name that has not asked for longest is forgotten (it starts with a full bucket again). Loop thread.
 *
 * A name's kind says what it is: the address of a stranger, the account of a device (all devices of a household share it), a distributor. */
#ifndef DISTRIBUTOR_QUOTAS_H
#define DISTRIBUTOR_QUOTAS_H

#include <stdint.h>

#include "base/clock.h"
#include "base/outcome.h"
#include "base/rng.h"
#include "base/slice.h"

#define QUOTAS_NAMES 32768

enum quotas_kind {
    QUOTAS_ADDRESS,
    QUOTAS_ACCOUNT,
    QUOTAS_PARTNER,
    QUOTAS_ACCOUNT_ROWS, /* shared rows that an account's requests write */
    QUOTAS_ORIGIN_ROWS,  /* shared rows that a distributor gives (row_pace.h) */
    QUOTAS_KINDS
};

struct quotas;
int quotas_new(struct quotas **out, const struct clock *clock, const struct rng *rng) MUST_USE; /* clock borrowed */
void quotas_free(struct quotas *q);                                                             /* accepts NULL */
/* Takes one of per_minute (0: no limit; a whole minute's may be taken at once). 0, or how many ms until there will be one (nothing is taken). */
uint64_t quotas_take(struct quotas *q, enum quotas_kind kind, struct slice name, uint32_t per_minute) MUST_USE;
/* Takes `count` that are used already, even if there are not so many: what is missing is a debt. 0, or how many ms until it is paid. count 0: asks. */
uint64_t quotas_charge(struct quotas *q, enum quotas_kind kind, struct slice name, uint32_t count, uint32_t per_minute)
    MUST_USE;

#endif
