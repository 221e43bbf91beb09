/* Time that cannot be turned back: the system clock, but never before the latest time a distributor of ours has signed. */
#ifndef VAULT_TRUSTED_TIME_H
#define VAULT_TRUSTED_TIME_H

#include "vault/requests.h"

int trusted_time_load(struct vault *v) MUST_USE; /* at start: 0 or -errno */
uint64_t trusted_time_now(const struct vault *v);
/* The system clock runs behind the high-water mark by more than clocks may differ: somebody turned it back, or its battery is empty. */
bool trusted_time_is_behind(const struct vault *v);
/* TIME_CHECK: signed by a registered distributor, for this device. Raises the mark, durably. REASON_NOT_REGISTERED and those of time_judge. */
request_fn trusted_time_check;

#endif
