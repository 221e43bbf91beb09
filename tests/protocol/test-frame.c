/* Frames: every split point, every bound. */
#include "protocol/frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/util.h"

static struct buf frame_of(size_t message_len, size_t tail_len)
{
    struct buf b = buf(FRAME_MAX + 16);
    uint8_t header[FRAME_HEADER_BYTES];
    frame_header(header, 0x1234, 0xdeadbeef, message_len, tail_len);
    assert_int_equal(buf_append(&b, SLICE_ARRAY(header)), 0);
    for (size_t i = 0; i < message_len + tail_len; i++)
        assert_int_equal(buf_put_u8(&b, (uint8_t)(i < message_len ? 'm' : 't')), 0);
    return b;
}

static void splits_at_every_cut(void **state)
{
    (void)state;
    struct buf b CLEANUP(buf_free) = frame_of(5, 7);
    assert_int_equal(buf_append(&b, slice_str("next")), 0);
    struct frame f;
    size_t used = 0, need = 0, whole = FRAME_HEADER_BYTES + 12;
    for (size_t cut = 0; cut < whole; cut++) {
        assert_int_equal(frame_split(slice(b.data, cut), 64, &f, &used, &need), FRAME_INCOMPLETE);
        assert_int_equal(need, cut < FRAME_HEADER_BYTES ? FRAME_HEADER_BYTES : whole);
        assert_int_equal(used, 0);
    }
    for (size_t cut = whole; cut <= b.len; cut++) {
        assert_int_equal(frame_split(slice(b.data, cut), 64, &f, &used, &need), 0);
        assert_int_equal(used, whole);
        assert_int_equal(f.type, 0x1234);
        assert_int_equal(f.request, 0xdeadbeef);
        assert_true(slice_equal(f.message, slice_str("mmmmm")));
        assert_true(slice_equal(f.tail, slice_str("ttttttt")));
    }
}

static void empty_frame(void **state)
{
    (void)state;
    struct buf b CLEANUP(buf_free) = frame_of(0, 0);
    struct frame f;
    size_t used, need;
    assert_int_equal(frame_split(buf_slice(&b), 0, &f, &used, &need), 0);
    assert_int_equal(used, FRAME_HEADER_BYTES);
    assert_int_equal(f.message.len, 0);
    assert_int_equal(f.tail.len, 0);
}

struct header_case {
    const char *name;
    uint32_t length, message_len;
    size_t tail_max;
    int outcome;         /* of the 14 header bytes alone */
    int outcome_of_four; /* of the length alone */
};
static const struct header_case header_cases[] = {
    { "length below the header", 9, 0, 100, FRAME_MALFORMED, FRAME_MALFORMED },
    { "length zero", 0, 0, 100, FRAME_MALFORMED, FRAME_MALFORMED },
    { "length negative as a signed number", 0xffffffff, 0, 100, FRAME_TOO_LARGE, FRAME_TOO_LARGE },
    { "length just over every bound", 10 + FRAME_MESSAGE_MAX + 100 + 1, 0, 100, FRAME_TOO_LARGE, FRAME_TOO_LARGE },
    { "message longer than the frame", 20, 11, 100, FRAME_MALFORMED, FRAME_INCOMPLETE },
    { "message length negative", 20, 0xffffffff, 100, FRAME_MALFORMED, FRAME_INCOMPLETE },
    { "message over its bound", 10 + FRAME_MESSAGE_MAX + 1, FRAME_MESSAGE_MAX + 1, 100, FRAME_TOO_LARGE,
      FRAME_INCOMPLETE },
    { "message at its bound", 10 + FRAME_MESSAGE_MAX, FRAME_MESSAGE_MAX, 0, FRAME_INCOMPLETE, FRAME_INCOMPLETE },
    { "tail over this peer's bound", 10 + 101, 0, 100, FRAME_TOO_LARGE, FRAME_INCOMPLETE },
    { "tail at this peer's bound", 10 + 100, 0, 100, FRAME_INCOMPLETE, FRAME_INCOMPLETE },
    { "tail over the project's bound", 10 + FRAME_TAIL_MAX + 1, 0, SIZE_MAX, FRAME_TOO_LARGE, FRAME_INCOMPLETE },
    { "tail at the project's bound", 10 + FRAME_TAIL_MAX, 0, SIZE_MAX, FRAME_INCOMPLETE, FRAME_INCOMPLETE },
};

static void bounds(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(header_cases); i++) {
        const struct header_case *c = &header_cases[i];
        uint8_t header[FRAME_HEADER_BYTES] = { 0 };
        put_be32(header, c->length);
        put_be16(header + 4, 1);
        put_be32(header + 10, c->message_len);
        struct frame f;
        size_t used, need;
        int r = frame_split(SLICE_ARRAY(header), c->tail_max, &f, &used, &need);
        int four = frame_split(slice(header, 4), c->tail_max, &f, &used, &need);
        if (r != c->outcome || four != c->outcome_of_four)
            fail_msg("%s: %d, %d", c->name, r, four);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(splits_at_every_cut),
        cmocka_unit_test(empty_frame),
        cmocka_unit_test(bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
