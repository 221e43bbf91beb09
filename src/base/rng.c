/* Randomness of the system, and a repeatable one for tests. Any thread (a struct rng_fake: one at a time). */
#include "base/rng.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/util.h"

static void system_fill(void *ctx, void *out, size_t len)
{
    (void)ctx;
    uint8_t *at = out;
    while (len > 0) {
        ssize_t got = getrandom(at, size_min(len, 1 << 20), 0);
        if (got < 0) {
            if (errno == EINTR)
                continue;
            abort(); /* a kernel without getrandom(2): no key may be made here */
        }
        at += (size_t)got;
        len -= (size_t)got;
    }
}

const struct rng *rng_system(void)
{
    static const struct rng system_rng = { system_fill, NULL };
    return &system_rng;
}

static uint64_t rotl(uint64_t v, int by) { return (v << by) | (v >> (64 - by)); }

static uint64_t fake_next(struct rng_fake *f)
{
    uint64_t *s = f->state;
    uint64_t result = rotl(s[1] * 5, 7) * 9;
    uint64_t shifted = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotl(s[3], 45);
    return result;
}

static void fake_fill(void *ctx, void *out, size_t len)
{
    uint8_t *at = out;
    while (len > 0) {
        uint64_t word = fake_next(ctx);
        uint8_t bytes[8];
        for (int i = 0; i < 8; i++)
            bytes[i] = (uint8_t)(word >> (8 * i)); /* the same on every machine: vectors depend on it */
        size_t n = size_min(len, sizeof(bytes));
        memcpy(at, bytes, n);
        at += n;
        len -= n;
    }
}

void rng_fake_init(struct rng_fake *f, uint64_t seed)
{
    f->rng = (struct rng){ fake_fill, f };
    for (int i = 0; i < 4; i++) { /* splitmix64, as the generator's authors advise */
        seed += UINT64_C(0x9e3779b97f4a7c15);
        uint64_t z = seed;
        z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
        f->state[i] = z ^ (z >> 31);
    }
}
