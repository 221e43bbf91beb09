/* The system's clocks, and one that tests move by hand. Any thread. */
#include "base/clock.h"

#include <assert.h>
#include <stddef.h>
#include <time.h>

static int64_t read_clock(clockid_t id)
{
    struct timespec now;
    int failed = clock_gettime(id, &now);
    assert(failed == 0);
    (void)failed;
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t system_wall_ms(void *ctx)
{
    (void)ctx;
    return read_clock(CLOCK_REALTIME);
}

/* CLOCK_BOOTTIME goes on during suspend, as leases and deadlines of peers do. */
static int64_t system_mono_ms(void *ctx)
{
    (void)ctx;
    return read_clock(CLOCK_BOOTTIME);
}

const struct clock *clock_system(void)
{
    static const struct clock system_clock = { system_wall_ms, system_mono_ms, NULL };
    return &system_clock;
}

static int64_t fake_wall_ms(void *ctx) { return ((struct clock_fake *)ctx)->wall; }

static int64_t fake_mono_ms(void *ctx) { return ((struct clock_fake *)ctx)->mono; }

void clock_fake_init(struct clock_fake *f, int64_t wall_ms)
{
    *f = (struct clock_fake){ { fake_wall_ms, fake_mono_ms, f }, wall_ms, 0 };
}
