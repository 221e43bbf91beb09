/* Digits between digits. */
#include "protocol/order.h"

#include "base/util.h"

#define STEP 65536u           /* left free between two that follow each other */
#define NO_BOUND 0x100000000u /* above every digit */

int order_compare(const struct order *a, const struct order *b)
{
    size_t count = size_min(a->count, b->count);
    for (size_t i = 0; i < count; i++)
        if (a->digits[i] != b->digits[i])
            return a->digits[i] < b->digits[i] ? -1 : 1;
    return (a->count > b->count) - (a->count < b->count);
}

/* The next place of the run that `after` is in. */
static bool go_on(const struct order *after, const struct order *before, uint32_t run, struct order *out)
{
    if (after == NULL || after->count < 2 || after->digits[after->count - 2] != run)
        return false;
    for (uint32_t step = STEP; step > 0; step /= 2) {
        *out = *after;
        uint32_t *last = &out->digits[out->count - 1];
        if (__builtin_add_overflow(*last, step, last))
            continue;
        if (before == NULL || order_compare(out, before) < 0)
            return true;
    }
    return false;
}

static uint32_t choose(uint64_t low, uint64_t high, bool from_above, bool in_the_middle)
{
    uint64_t half = (high - low) / 2, step = in_the_middle ? half : u64_min(half, STEP);
    return (uint32_t)(from_above ? high - step : low + step);
}

int order_between(const struct order *after, const struct order *before, uint32_t run, struct order *out)
{
    bool bounded = before != NULL;
    if (go_on(after, before, run, out))
        return 0;
    *out = (struct order){ 0 };
    while (out->count < ORDER_DIGITS_MAX - 2) {
        uint8_t i = out->count;
        bool above = after != NULL && i < after->count;
        uint64_t low = above ? after->digits[i] : 0, high = NO_BOUND;
        if (bounded && i >= before->count)
            break; /* the two are equal, or in the wrong order: nothing is between */
        if (bounded)
            high = before->digits[i];
        if (high < low)
            break;
        if (high - low >= 2) {
            out->digits[out->count++] =
                choose(low, high, after == NULL && before != NULL, after == NULL && before == NULL);
            out->digits[out->count++] = run;
            out->digits[out->count++] = STEP;
            return 0;
        }
        out->digits[out->count++] = (uint32_t)low;
        bounded = bounded && low == high;
    }
    return ORDER_FULL;
}

struct order order_at(uint32_t index) { return (struct order){ 1, { (index + 1) * STEP } }; }

int order_put(const struct order *o, struct buf *out)
{
    int e = buf_put_u8(out, o->count);
    for (size_t i = 0; e == 0 && i < o->count; i++)
        e = buf_put_u32(out, o->digits[i]);
    return e;
}

bool order_read(struct reader *in, struct order *out)
{
    *out = (struct order){ .count = reader_u8(in) };
    if (out->count == 0 || out->count > ORDER_DIGITS_MAX)
        return false;
    for (size_t i = 0; i < out->count; i++)
        out->digits[i] = reader_u32(in);
    return !in->bad && out->digits[out->count - 1] != 0;
}
