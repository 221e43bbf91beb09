/* Injectable time. Wall time is Unix milliseconds; monotonic time is milliseconds from an arbitrary start. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

struct clock {
    int64_t (*wall_ms)(void *ctx);
    int64_t (*mono_ms)(void *ctx);
    void *ctx;
};
const struct clock *clock_system(void);
static inline int64_t clock_wall_ms(const struct clock *c) { return c->wall_ms(c->ctx); }
static inline int64_t clock_mono_ms(const struct clock *c) { return c->mono_ms(c->ctx); }

/* A clock that tests move by hand: set .wall and .mono. */
struct clock_fake {
    struct clock clock;
    int64_t wall, mono;
};
void clock_fake_init(struct clock_fake *f, int64_t wall_ms);

#endif
