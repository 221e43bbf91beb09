/* Key tree: a device's set holds exactly the keys of its path, and the labels of the siblings of its path. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sodium.h>

#include "crypto/hkdf.h"
#include "crypto/keytree.h"

static const struct key32 secret = { { 0xaa, 1 } };
#define CATEGORY 7

static const uint32_t leaves[] = { 0, 1, 0x7fffffff, 0x80000000, 0xdeadbeef, 0xffffffff };

/* A node's key or label, from the definition in the header. */
static void defined_key(const char *what, struct keytree_node node, struct key32 *out)
{
    uint8_t context[4], input[16] = { node.depth };
    struct key32 from;
    put_be32(context, CATEGORY);
    put_be32(input + 1, node.index);
    hkdf_key(&secret, what, SLICE_ARRAY(context), &from);
    assert_int_equal(crypto_core_hchacha20(out->bytes, input, from.bytes, NULL), 0);
}

static void test_path_keys(void **state)
{
    (void)state;
    static uint8_t set[KEYTREE_SET_BYTES];
    struct keytree tree;
    keytree_init(&tree, &secret, CATEGORY);
    for (size_t n = 0; n < 6; n++) {
        uint32_t category, leaf;
        keytree_device_set(&secret, CATEGORY, leaves[n], set);
        assert_int_equal(keytree_set_leaf(SLICE_ARRAY(set), &category, &leaf), 0);
        assert_int_equal(category, CATEGORY);
        assert_int_equal(leaf, leaves[n]);
        for (unsigned depth = 0; depth <= KEYTREE_DEPTH; depth++) {
            struct keytree_node node = { (uint8_t)depth, (uint32_t)((uint64_t)leaves[n] >> (32 - depth)) };
            struct key32 want, made, got;
            assert_true(keytree_covers(node, leaves[n]));
            defined_key("hearth node keys", node, &want);
            keytree_key(&tree, node, &made);
            assert_int_equal(keytree_set_key(SLICE_ARRAY(set), (uint8_t)depth, &got), 0);
            assert_memory_equal(want.bytes, got.bytes, 32);
            assert_memory_equal(want.bytes, made.bytes, 32);
        }
    }
}

/* label (top) -> ... -> label of the node at `depth`, `path` bits below top, from the definition in the header. */
static void defined_label(unsigned top, uint32_t top_index, unsigned depth, uint32_t index, struct key32 *out)
{
    static const char *const texts[2] = { "hearth sd left", "hearth sd right" };
    struct key32 next;
    defined_key("hearth sd labels", (struct keytree_node){ (uint8_t)top, top_index }, out);
    for (unsigned d = top + 1; d <= depth; d++) {
        bool right = index >> (depth - d) & 1;
        uint8_t text[16] = { 0 };
        memcpy(text, texts[right], strlen(texts[right]));
        assert_int_equal(crypto_core_hchacha20(next.bytes, text, out->bytes, NULL), 0);
        *out = next;
    }
}

static void test_labels(void **state)
{
    (void)state;
    static uint8_t set[KEYTREE_SET_BYTES];
    for (size_t n = 0; n < 6; n++) {
        keytree_device_set(&secret, CATEGORY, leaves[n], set);
        const uint8_t *label = set + 9 + 32 * KEYTREE_PATH_COUNT;
        for (unsigned top = 0; top < KEYTREE_DEPTH; top++) {
            uint32_t top_index = (uint32_t)((uint64_t)leaves[n] >> (32 - top));
            for (unsigned depth = top + 1; depth <= KEYTREE_DEPTH; depth++, label += 32) {
                struct key32 want;
                uint32_t sibling = (uint32_t)((uint64_t)leaves[n] >> (32 - depth)) ^ 1;
                defined_label(top, top_index, depth, sibling, &want);
                assert_memory_equal(label, want.bytes, 32);
            }
        }
        assert_ptr_equal(label, set + KEYTREE_SET_BYTES);
    }
}

static void test_keys_differ(void **state)
{
    (void)state;
    static const struct {
        uint32_t category;
        struct keytree_node node;
    } at[] = { { 0, { 0, 0 } }, { 1, { 0, 0 } }, { 0, { 1, 0 } }, { 0, { 1, 1 } }, { 0, { 2, 1 } }, { 0, { 32, 1 } } };
    struct key32 keys[6];
    for (size_t i = 0; i < 6; i++) {
        struct keytree tree;
        keytree_init(&tree, &secret, at[i].category);
        keytree_key(&tree, at[i].node, &keys[i]);
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(keys[i].bytes, keys[j].bytes, 32);
    }
}

static void test_ranges(void **state)
{
    (void)state;
    static const struct {
        struct keytree_node node;
        uint32_t first, last;
    } cases[] = {
        { { 0, 0 }, 0, 0xffffffff },
        { { 1, 0 }, 0, 0x7fffffff },
        { { 1, 1 }, 0x80000000, 0xffffffff },
        { { 31, 0x7fffffff }, 0xfffffffe, 0xffffffff },
        { { 32, 5 }, 5, 5 },
        { { 16, 0x1234 }, 0x12340000, 0x1234ffff },
    };
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(keytree_first_leaf(cases[i].node), cases[i].first);
        assert_true(keytree_covers(cases[i].node, cases[i].first));
        assert_true(keytree_covers(cases[i].node, cases[i].last));
        if (cases[i].first > 0)
            assert_false(keytree_covers(cases[i].node, cases[i].first - 1));
        if (cases[i].last < 0xffffffff)
            assert_false(keytree_covers(cases[i].node, cases[i].last + 1));
    }
    assert_false(keytree_covers((struct keytree_node){ 33, 0 }, 0));
}

static void check_set_is(struct slice set, bool good)
{
    struct key32 key;
    uint32_t category, leaf;
    assert_int_equal(keytree_set_key(set, 0, &key), good ? 0 : KEYTREE_MALFORMED);
    assert_int_equal(keytree_set_leaf(set, &category, &leaf), good ? 0 : KEYTREE_MALFORMED);
}

static void test_malformed_set(void **state)
{
    (void)state;
    static uint8_t set[KEYTREE_SET_BYTES + 1];
    struct key32 key;
    uint32_t category, leaf;
    keytree_device_set(&secret, CATEGORY, 5, set);
    for (size_t len = 0; len <= sizeof set; len++) {
        if (len == KEYTREE_SET_BYTES)
            continue;
        assert_int_equal(keytree_set_key(slice(set, len), 0, &key), KEYTREE_MALFORMED);
        assert_int_equal(keytree_set_leaf(slice(set, len), &category, &leaf), KEYTREE_MALFORMED);
    }
    assert_int_equal(keytree_set_key(slice(set, KEYTREE_SET_BYTES), 33, &key), KEYTREE_MALFORMED);
    for (unsigned type = 0; type < 6; type++) {
        bool good = type == KEYTREE_SET_TYPE;
        set[0] = (uint8_t)type;
        check_set_is(slice(set, KEYTREE_SET_BYTES), good);
        assert_int_equal(keytree_set_label(slice(set, KEYTREE_SET_BYTES), 0, 1, &key), good ? 0 : KEYTREE_MALFORMED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_path_keys), cmocka_unit_test(test_labels),        cmocka_unit_test(test_keys_differ),
        cmocka_unit_test(test_ranges),    cmocka_unit_test(test_malformed_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
