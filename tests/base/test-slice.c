/* Slices, the reader and the bounded buffer: every length at and beyond the edge. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/slice.h"

#include "base/util.h"

static void test_has(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t from, len;
        bool inside;
    } cases[] = {
        { "whole", 0, 4, true },         { "empty at the end", 4, 0, true },         { "middle", 1, 2, true },
        { "one too long", 0, 5, false }, { "starts beyond", 5, 0, false },           { "ends beyond", 3, 2, false },
        { "wraps", 2, SIZE_MAX, false }, { "both huge", SIZE_MAX, SIZE_MAX, false },
    };
    struct slice s = slice("abcd", 4);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        if (slice_has(s, cases[i].from, cases[i].len) != cases[i].inside)
            fail_msg("%s", cases[i].name);
        struct slice sub = slice_sub(s, cases[i].from, cases[i].len);
        assert_int_equal(sub.len, cases[i].inside ? cases[i].len : 0);
    }
    assert_int_equal(slice_sub(slice(NULL, 0), 0, 0).len, 0);
}

static void test_equal(void **state)
{
    (void)state;
    assert_true(slice_equal(slice(NULL, 0), slice("", 0)));
    assert_true(slice_equal(slice_str("ab"), slice("abc", 2)));
    assert_false(slice_equal(slice_str("ab"), slice_str("abc")));
    assert_false(slice_equal(slice_str("ab"), slice_str("ac")));
}

static void test_reader(void **state)
{
    (void)state;
    static const uint8_t bytes[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 'x', 'y' };
    struct reader r = reader(SLICE_ARRAY(bytes));
    assert_int_equal(reader_u8(&r), 0x01);
    assert_int_equal(reader_u16(&r), 0x0203);
    assert_int_equal(reader_u32(&r), 0x04050607);
    assert_true(reader_u64(&r) == UINT64_C(0x08090a0b0c0d0e0f));
    assert_false(reader_done(&r));
    assert_true(slice_equal(reader_bytes(&r, 2), slice_str("xy")));
    assert_true(reader_done(&r));
    assert_int_equal(reader_bytes(&r, 0).len, 0);
    assert_true(reader_done(&r));
}

/* Every truncation of every width fails, and stays failed. */
static void test_reader_truncated(void **state)
{
    (void)state;
    static const uint8_t bytes[] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
    for (size_t len = 0; len < 8; len++) {
        struct reader r = reader(slice(bytes, len));
        assert_true(reader_u64(&r) == 0);
        assert_true(r.bad);
        assert_int_equal(reader_u8(&r), 0);
        assert_int_equal(reader_bytes(&r, 0).len, 0);
        assert_false(reader_done(&r));
    }
    struct reader r = reader(SLICE_ARRAY(bytes));
    assert_null(reader_bytes(&r, SIZE_MAX).data);
    assert_true(r.bad);
}

static void test_buf_order(void **state)
{
    (void)state;
    struct buf b CLEANUP(buf_free) = buf(1024);
    static const uint8_t expected[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 'z' };
    assert_int_equal(buf_put_u8(&b, 1), 0);
    assert_int_equal(buf_put_u16(&b, 0x0203), 0);
    assert_int_equal(buf_put_u32(&b, 0x04050607), 0);
    assert_int_equal(buf_put_u64(&b, UINT64_C(0x08090a0b0c0d0e0f)), 0);
    assert_int_equal(buf_append(&b, slice_str("z")), 0);
    assert_int_equal(buf_append(&b, slice(NULL, 0)), 0);
    assert_true(slice_equal(buf_slice(&b), SLICE_ARRAY(expected)));
    buf_consume(&b, 15);
    assert_true(slice_equal(buf_slice(&b), slice_str("z")));
    buf_consume(&b, 1);
    assert_int_equal(b.len, 0);
}

static void test_buf_bound(void **state)
{
    (void)state;
    struct buf b CLEANUP(buf_free) = buf(10);
    assert_int_equal(buf_append(&b, slice_str("0123456789")), 0);
    assert_int_equal(buf_put_u8(&b, 1), BUF_FULL);
    assert_int_equal(b.len, 10);
    assert_true(b.cap <= 10);
    assert_int_equal(buf_reserve(&b, SIZE_MAX), BUF_FULL);
    buf_consume(&b, 9);
    assert_int_equal(buf_put_u64(&b, 7), 0);
    assert_int_equal(buf_put_u16(&b, 7), BUF_FULL);
    assert_true(slice_equal(slice_sub(buf_slice(&b), 0, 1), slice_str("9")));
    buf_clear(&b);
    assert_int_equal(b.len, 0);

    struct buf none CLEANUP(buf_free) = buf(0);
    assert_int_equal(buf_append(&none, slice("", 0)), 0);
    assert_int_equal(buf_put_u8(&none, 1), BUF_FULL);
    assert_null(none.data);
}

static void test_buf_grows(void **state)
{
    (void)state;
    struct buf b CLEANUP(buf_free) = buf(100000);
    size_t appended = 0;
    while (buf_put_u32(&b, (uint32_t)appended) == 0)
        appended++;
    assert_int_equal(appended, 25000);
    struct reader r = reader(buf_slice(&b));
    for (size_t i = 0; i < appended; i++)
        assert_int_equal(reader_u32(&r), i);
    assert_true(reader_done(&r));
    buf_free(&b);
    buf_free(&b);
    assert_int_equal(b.max_bytes, 100000);
    assert_int_equal(buf_put_u8(&b, 1), 0);
}

static void test_stores(void **state)
{
    (void)state;
    uint8_t bytes[8];
    put_be64(bytes, UINT64_C(0xfedcba9876543210));
    assert_int_equal(bytes[0], 0xfe);
    assert_true(get_be64(bytes) == UINT64_C(0xfedcba9876543210));
    put_be32(bytes, 0xdeadbeef);
    assert_true(get_be32(bytes) == 0xdeadbeef);
    put_be16(bytes, 0xcafe);
    assert_int_equal(bytes[0], 0xca);
    assert_int_equal(bytes[1], 0xfe);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_has),       cmocka_unit_test(test_equal),
        cmocka_unit_test(test_reader),    cmocka_unit_test(test_reader_truncated),
        cmocka_unit_test(test_buf_order), cmocka_unit_test(test_buf_bound),
        cmocka_unit_test(test_buf_grows), cmocka_unit_test(test_stores),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
