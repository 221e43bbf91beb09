/* The real vault of one device, in this process: its database and its requests, without sandbox, TLS and player. A library of its own, since
 * vault and distributor have functions of the same names. */
#ifndef TESTS_SIMULATE_VAULT_SIDE_H
#define TESTS_SIMULATE_VAULT_SIDE_H

#include "base/clock.h"
#include "base/rng.h"
#include "base/slice.h"

#define VAULT_SIDE __attribute__((visibility("default")))

struct vault_side;
struct vault_identity {
    uint8_t client[32], device_key[32], sealing_key[32];
    uint64_t generation;
};
/* Starts on dir/vault.db. clock, rng: borrowed. boot: of this start of the machine. 0 or -errno. */
VAULT_SIDE int vault_side_open(struct vault_side **out, const char *dir, const struct clock *clock,
                               const struct rng *rng, const uint8_t boot[16], struct vault_identity *who);
VAULT_SIDE void vault_side_close(struct vault_side *s); /* accepts NULL */
/* One request: its frame in, the frame of its answer appended to answer. */
VAULT_SIDE void vault_side_ask(struct vault_side *s, struct slice frame, struct buf *answer);

#endif
