/* Body files: sizes at and beyond every limit, offsets that meet without gaps, the content ID. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "crypto/body.h"
#include "crypto/sha256.h"

static void test_shapes(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint64_t plain_bytes;
        uint32_t block_bytes;
        size_t info_bytes;
        int want;
        uint32_t blocks, last_len;
    } cases[] = {
        { "one byte", 1, 4096, 1, 0, 1, 1 + 44 },
        { "one full block", 4096, 4096, 100, 0, 1, 4096 + 44 },
        { "one byte more", 4097, 4096, 100, 0, 2, 1 + 44 },
        { "largest blocks", 3 << 20, 1 << 20, 100, 0, 3, (1 << 20) + 44 },
        { "most blocks", (uint64_t)4096 << 20, 4096, 100, 0, 1 << 20, 4096 + 44 },
        { "one TiB", (uint64_t)1 << 40, 1 << 20, BODY_INFO_MAX, 0, 1 << 20, (1 << 20) + 44 },
        { "a byte too many for its blocks", ((uint64_t)4096 << 20) + 1, 4096, 100, BODY_MALFORMED, 0, 0 },
        { "a byte over one TiB", ((uint64_t)1 << 40) + 1, 1 << 20, 100, BODY_MALFORMED, 0, 0 },
        { "everything", UINT64_MAX, 1 << 20, 100, BODY_MALFORMED, 0, 0 },
        { "nothing", 0, 4096, 100, BODY_MALFORMED, 0, 0 },
        { "blocks not a power of two", 4096, 5000, 100, BODY_MALFORMED, 0, 0 },
        { "blocks too small", 4096, 2048, 100, BODY_MALFORMED, 0, 0 },
        { "blocks too large", 4096, 1 << 21, 100, BODY_MALFORMED, 0, 0 },
        { "no blocks", 4096, 0, 100, BODY_MALFORMED, 0, 0 },
        { "no content information", 4096, 4096, 0, BODY_MALFORMED, 0, 0 },
        { "too much of it", 4096, 4096, BODY_INFO_MAX + 1, BODY_MALFORMED, 0, 0 },
        { "length that wraps 32 bits", 4096, 4096, ((size_t)1 << 32) + 1, BODY_MALFORMED, 0, 0 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct body_shape s = { 0 };
        print_message("  %s\n", cases[i].name);
        assert_int_equal(body_shape_init(&s, cases[i].plain_bytes, cases[i].block_bytes, cases[i].info_bytes),
                         cases[i].want);
        assert_int_equal(s.block_count, cases[i].blocks);
        if (cases[i].want != 0)
            continue;
        uint32_t last = s.block_count - 1;
        assert_int_equal(body_list_offset(&s), 12 + cases[i].info_bytes);
        assert_int_equal(body_block_offset(&s, 0), 12 + cases[i].info_bytes + 32 * (uint64_t)s.block_count);
        assert_int_equal(body_block_len(&s, last), cases[i].last_len);
        assert_int_equal(body_block_len(&s, s.block_count), 0);
        assert_int_equal(body_file_bytes(&s), body_block_offset(&s, last) + cases[i].last_len);
        assert_int_equal(body_file_bytes(&s),
                         12 + cases[i].info_bytes + cases[i].plain_bytes + (uint64_t)s.block_count * (32 + 44));
        for (uint32_t n = 0; n < last && n < 5; n++)
            assert_int_equal(body_block_offset(&s, n + 1), body_block_offset(&s, n) + body_block_len(&s, n));
    }
}

static void test_content_id(void **state)
{
    (void)state;
    static const uint8_t root[32] = { 9 };
    uint8_t other_root[32] = { 8 };
    struct id got, want, other;
    body_content_id(slice_str("info"), root, &got);
    uint8_t all[18 + 4 + 4 + 32];
    memcpy(all, "hearth content id", 18);
    put_be32(all + 18, 4);
    memcpy(all + 22, "info", 4);
    memcpy(all + 26, root, 32);
    sha256(SLICE_ARRAY(all), want.bytes);
    assert_true(id_equal(&got, &want));
    body_content_id(slice_str("inf"), root, &other);
    assert_false(id_equal(&got, &other));
    body_content_id(slice_str("info"), other_root, &other);
    assert_false(id_equal(&got, &other));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_shapes), cmocka_unit_test(test_content_id) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
