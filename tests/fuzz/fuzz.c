/* What the harnesses share. */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/util.h"

void fuzz_broken(const char *promise, const char *file, int line)
{
    fprintf(stderr, "%s:%d: promise broken: %s\n", file, line, promise);
    abort();
}

void fuzz_touch(const void *data, size_t len)
{
    volatile uint8_t sum = 0;
    for (size_t i = 0; i < len; i++)
        sum = (uint8_t)(sum ^ ((const uint8_t *)data)[i]);
}

/* ---- choices ------------------------------------------------------------------------------------------------- */

struct slice input_bytes(struct input *in, size_t len)
{
    struct slice taken = slice_sub(in->rest, 0, size_min(len, in->rest.len));
    in->rest = slice_sub(in->rest, taken.len, in->rest.len - taken.len);
    return taken;
}

struct slice input_rest(struct input *in) { return input_bytes(in, in->rest.len); }

static uint64_t input_be(struct input *in, size_t width)
{
    struct slice bytes = input_bytes(in, width);
    uint64_t v = 0;
    for (size_t i = 0; i < width; i++)
        v = v << 8 | (i < bytes.len ? bytes.data[i] : 0);
    return v;
}

uint8_t input_u8(struct input *in) { return (uint8_t)input_be(in, 1); }

uint16_t input_u16(struct input *in) { return (uint16_t)input_be(in, 2); }

uint32_t input_u32(struct input *in) { return (uint32_t)input_be(in, 4); }

uint64_t input_u64(struct input *in) { return input_be(in, 8); }

uint8_t *input_copy(struct slice s)
{
    if (s.len == 0)
        return NULL;
    uint8_t *copy = malloc(s.len);
    CHECK(copy);
    memcpy(copy, s.data, s.len);
    return copy;
}

/* ---- edits --------------------------------------------------------------------------------------------------- */

/* Replaces [at, at+gone) by `come`; nothing when the result would not fit. */
static void splice(struct buf *target, size_t at, size_t gone, struct slice come)
{
    at = size_min(at, target->len);
    gone = size_min(gone, target->len - at);
    uint8_t *mine CLEANUP(freep) = input_copy(come); /* it may lie inside target */
    if (come.len > gone && buf_reserve(target, come.len - gone) != 0)
        return;
    if (target->len > at + gone)
        memmove(target->data + at + come.len, target->data + at + gone, target->len - at - gone);
    if (come.len > 0)
        memcpy(target->data + at, mine, come.len);
    target->len = target->len - gone + come.len;
}

void input_edit(struct input *in, struct buf *target)
{
    uint8_t op = input_u8(in);
    size_t at = target->len > 0 ? input_u16(in) % (target->len + 1) : 0;
    uint8_t count = input_u8(in);
    switch (op % 6) {
    case 0: /* change one byte */
        if (at < target->len)
            target->data[at] ^= count;
        break;
    case 1: /* overwrite */
        splice(target, at, count % 40, input_bytes(in, count % 40));
        break;
    case 2: /* insert */
        splice(target, at, 0, input_bytes(in, count % 40));
        break;
    case 3: /* delete */
        splice(target, at, count, slice(NULL, 0));
        break;
    case 4: /* cut */
        target->len = at;
        break;
    default: /* say a stretch twice */
        splice(target, at, 0, slice_sub(buf_slice(target), at, size_min(count, target->len - at)));
        break;
    }
}
