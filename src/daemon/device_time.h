/* The vault's time, as hearthd has it: for listings, and for what it begins and gives up by itself. What a license allows the vault judges alone.
 * The table of states is in docs/SECURITY.md, "Time". Loop thread. */
#ifndef DAEMON_DEVICE_TIME_H
#define DAEMON_DEVICE_TIME_H

#include "daemon/daemon.h"

struct account;
struct answer;

/* As vlt.Time.state; 0: not asked yet. */
enum device_time_state {
    DEVICE_TIME_HEARD = 1,
    DEVICE_TIME_BY_CLOCK = 2,
    DEVICE_TIME_BEHIND = 3,
    DEVICE_TIME_CONTRADICTED = 4,
};
struct device_time { /* a member of each account */
    uint32_t state;
    int64_t now_ms, mono_ms; /* what it was when the vault was asked */
};

int64_t device_time_of(const struct account *a); /* untrusted: what it is at least */
/* Of the issuer's account or, when this device has none there, of one that was heard, else of the first. */
int64_t device_time_for(struct daemon *d, const struct id *issuer);
/* For what cannot be undone: the same as long as a distributor's word is behind it; else 0, before everything. */
int64_t device_time_certain(struct daemon *d, const struct id *issuer);
bool device_time_is_untrusted(const struct account *a);
const struct account *device_time_untrusted(
    const struct daemon *d); /* the first account with an untrusted time; NULL */

/* Asks the vault for every account. on_told may be NULL; it fires once the last answer is here. 0, -ENOMEM: what was known is kept. */
int device_time_refresh(struct daemon *d, void (*on_told)(void *ctx), void *ctx) MUST_USE;
/* The vault's answer to TIME_GET for this account. */
void device_time_take(struct account *a, const struct answer *answer);

#endif
