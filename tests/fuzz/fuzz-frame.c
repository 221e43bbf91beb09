/* Frames off a stream, as a connection gets them: any bytes, arriving in any pieces.
 * Promises: splitting a part asks for no more than the whole needs, what is split heads and frames to the same bytes, and no
 * bound is passed. Input: tail bound, size of pieces, stream. */
#include <stdlib.h>

#include "base/util.h"
#include "fuzz.h"
#include "protocol/codec.h"
#include "protocol/frame.h"

static void check_frame(const struct frame *f, struct slice whole, size_t tail_max)
{
    uint8_t header[FRAME_HEADER_BYTES];
    CHECK(f->message.len <= FRAME_MESSAGE_MAX && f->tail.len <= tail_max);
    CHECK(whole.len == FRAME_HEADER_BYTES + f->message.len + f->tail.len);
    frame_header(header, f->type, f->request, f->message.len, f->tail.len);
    CHECK(memcmp(header, whole.data, sizeof(header)) == 0);
    CHECK(slice_equal(f->message, slice_sub(whole, FRAME_HEADER_BYTES, f->message.len)));
    CHECK(slice_equal(f->tail, slice_sub(whole, FRAME_HEADER_BYTES + f->message.len, f->tail.len)));
}

/* A tail read as a list; what was read is put again. */
static void check_list(struct slice tail, size_t item_max)
{
    struct reader r = reader(tail);
    struct buf again CLEANUP(buf_free) = buf(tail.len);
    for (;;) {
        struct slice item;
        int outcome = codec_list_next(&r, item_max, &item);
        if (outcome == CODEC_END) {
            CHECK(slice_equal(buf_slice(&again), tail));
            CHECK(codec_list_put(&again, slice("more", 4)) == BUF_FULL &&
                  again.len == tail.len); /* not even its length */
            CHECK(codec_list_put(&again, slice("", (size_t)UINT32_MAX + 1)) == -EINVAL && again.len == tail.len);
        }
        if (outcome)
            return;
        CHECK(item.len <= item_max);
        CHECK(codec_list_put(&again, item) == 0);
    }
}

/* Every shorter piece of a frame says "more", and never more than the frame has. */
static void check_prefixes(struct slice whole, size_t tail_max)
{
    size_t step = whole.len / 61 + 1;
    for (size_t len = 0; len < whole.len; len += step) {
        struct frame f;
        size_t used, need;
        uint8_t *part CLEANUP(freep) = input_copy(slice_sub(whole, 0, len));
        CHECK(frame_split(slice(part, len), tail_max, &f, &used, &need) == FRAME_INCOMPLETE);
        CHECK(need > len && need <= whole.len);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = input(data, size);
    size_t tail_max = input_u32(&in) & 0x1fffff, effective = size_min(tail_max, FRAME_TAIL_MAX);
    size_t piece = input_u8(&in) + 1u, item_max = input_u16(&in);
    struct buf pending CLEANUP(buf_free) = buf(FRAME_MAX + 256);
    while (in.rest.len > 0) {
        CHECK(buf_append(&pending, input_bytes(&in, piece)) == 0);
        for (;;) {
            struct frame f;
            size_t used = 0, need = 0;
            uint8_t *exact CLEANUP(freep) = input_copy(buf_slice(&pending));
            struct slice bytes = slice(exact, pending.len);
            int outcome = frame_split(bytes, tail_max, &f, &used, &need);
            if (outcome == FRAME_INCOMPLETE) {
                CHECK(need > bytes.len && need <= FRAME_HEADER_BYTES + FRAME_MESSAGE_MAX + effective);
                break;
            }
            if (outcome != 0) {
                CHECK(outcome == FRAME_MALFORMED || outcome == FRAME_TOO_LARGE);
                return 0;
            }
            CHECK(used >= FRAME_HEADER_BYTES && used <= bytes.len);
            check_frame(&f, slice_sub(bytes, 0, used), effective);
            check_prefixes(slice_sub(bytes, 0, used), tail_max);
            check_list(f.tail, item_max);
            buf_consume(&pending, used);
        }
    }
    return 0;
}
