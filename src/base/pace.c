/* Arithmetic alone: what was taken is due before the next may be. */
#include "base/pace.h"

#include "base/util.h"

#define WAIT_MAX_MS 1000u /* then the rate may be another one */

void pace_set(struct pace *p, uint64_t rate, int64_t now_ms)
{
    p->rate = rate;
    p->due_us = now_ms * 1000;
}

uint32_t pace_wait_ms(const struct pace *p, int64_t now_ms)
{
    int64_t wait_us = p->due_us - now_ms * 1000;
    if (p->rate == 0 || wait_us <= 0)
        return 0;
    return (uint32_t)u64_min(((uint64_t)wait_us + 999) / 1000, WAIT_MAX_MS);
}

void pace_take(struct pace *p, uint64_t bytes, int64_t now_ms)
{
    if (p->rate == 0)
        return;
    int64_t from_us = p->due_us > now_ms * 1000 ? p->due_us : now_ms * 1000;
    uint64_t cost_us = bytes > UINT64_MAX / 1000000 ? INT64_MAX / 2 : bytes * 1000000 / p->rate;
    p->due_us = from_us > INT64_MAX / 2 - (int64_t)u64_min(cost_us, INT64_MAX / 4)
                    ? INT64_MAX / 2
                    : from_us + (int64_t)u64_min(cost_us, INT64_MAX / 4);
}
