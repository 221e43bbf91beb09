/* What time it is, for each distributor on its own: by its signed word while this machine runs, else by the system clock as far as that can be
 * believed. The table of states is in docs/SECURITY.md, "Time".
 *
 * Terms
 *   mark    the latest time the distributor has signed for this device; durable, never falls
 *   floor   the time it is in any case: the mark, the issue of the distributor's keyset, the issue of the license that is asked about
 *   heard   its signed time was above its mark in this run of the vault: from then on the machine's boot time counts on, and the system
 *           clock does not matter */
#ifndef VAULT_TRUSTED_TIME_H
#define VAULT_TRUSTED_TIME_H

#include "vault/requests.h"

enum time_state {
    TIME_HEARD = 1,    /* by the distributor's word */
    TIME_BY_CLOCK = 2, /* nothing speaks against the system clock */
    /* Untrusted. Nothing has expired, nothing is extended: what needs the time waits. */
    TIME_BEHIND =
        3, /* the system clock is before the floor, or before the mark of a distributor this device is registered with */
    TIME_CONTRADICTED = 4, /* another distributor of this device was heard, and the system clock disagrees with it */
};
struct trusted_time {
    enum time_state state;
    uint64_t now_ms;   /* untrusted: the floor */
    uint64_t floor_ms; /* never after now_ms */
};

/* at_least_ms: a document of the distributor's says that it is at least that late; 0: none does. 0 or -errno. */
int trusted_time_get(const struct vault *v, const void *distributor, uint64_t at_least_ms, struct trusted_time *out)
    MUST_USE;
/* The same for what is only stamped with the time: the floor when it is untrusted. */
int trusted_time_stamp(const struct vault *v, const void *distributor, uint64_t *out) MUST_USE;
bool trusted_time_is_trusted(const struct trusted_time *t);
/* 0, REASON_CLOCK_UNTRUSTED, -errno: before something is taken from or given to another device, whose papers end. */
int trusted_time_judge(const struct vault *v, const void *distributor) MUST_USE;

/* TIME_CHECK: signed by a distributor whose keyset was checked, for this device, within that keyset's times. Above its mark it raises that,
 * durably, and the distributor is heard from then on; else (a replay, or a distributor's clock that was set back) nothing changes.
 * REASON_NOT_REGISTERED: no keyset was checked. REASON_KEYSET_INVALID: the keyset has ended, by the signed time or by what is known after it.
 * Those of time_judge. Source: seed S44; design, high-water mark. */
request_fn trusted_time_check;
request_fn trusted_time_tell; /* TIME_GET */

#endif
