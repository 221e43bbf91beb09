/* Injectable randomness. The system source is getrandom(2) and does not fail after boot. */
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

struct rng {
    void (*fill)(void *ctx, void *out, size_t len);
    void *ctx;
};
const struct rng *rng_system(void);
static inline void rng_fill(const struct rng *r, void *out, size_t len) { r->fill(r->ctx, out, len); }

/* Deterministic, for tests and vectors: the same seed gives the same bytes (xoshiro256**; never for product keys). */
struct rng_fake {
    struct rng rng;
    uint64_t state[4];
};
void rng_fake_init(struct rng_fake *f, uint64_t seed);

#endif
