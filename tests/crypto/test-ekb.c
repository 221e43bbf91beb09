/* Enabling key block: brute force around the corners of the tree, the size bound, every alteration. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "crypto/ekb.h"

static const struct key32 secret = { { 0xaa, 2 } }, root_key = { { 0xbb, 3 } };
#define CATEGORY 1
#define VERSION 42

/* Neighbourhoods where a cover is cut differently: both ends, the middle, and somewhere inside. */
static const uint32_t corners[] = { 0, 0x7ffffffc, 0xfffffff8, 0x12345678 };
#define AROUND 8
static uint8_t sets[4][AROUND][KEYTREE_SET_BYTES];

static int make_sets(void **state)
{
    (void)state;
    for (uint32_t c = 0; c < 4; c++)
        for (uint32_t i = 0; i < AROUND; i++)
            keytree_device_set(&secret, CATEGORY, corners[c] + i, sets[c][i]);
    return 0;
}

static int open_found(const struct ekb *e, const uint8_t *set, uint32_t leaf, struct key32 *out)
{
    struct buf proof CLEANUP(buf_free) = buf(MERKLE_PROOF_MAX * MERKLE_HASH_BYTES);
    uint8_t entry[EKB_ENTRY_BYTES];
    uint32_t index;
    int r = ekb_find(e, leaf, &index, entry, &proof);
    if (r != 0)
        return r;
    return ekb_open(slice(set, KEYTREE_SET_BYTES), VERSION, e->count, e->root, e->key_check, index, SLICE_ARRAY(entry),
                    buf_slice(&proof), out);
}

/* A revoked device tries every entry, as itself and as if it were the leaf the entry is for. */
static void check_opens_nothing(const struct ekb *e, const uint8_t *set)
{
    uint8_t lying[KEYTREE_SET_BYTES];
    struct key32 out;
    for (uint32_t i = 0; i < e->count; i++) {
        struct buf proof CLEANUP(buf_free) = buf(MERKLE_PROOF_MAX * MERKLE_HASH_BYTES);
        uint8_t entry[EKB_ENTRY_BYTES];
        uint32_t index, category, leaf;
        struct keytree_node node = { e->entries[i * EKB_ENTRY_BYTES], get_be32(e->entries + i * EKB_ENTRY_BYTES + 1) };
        assert_int_equal(ekb_find(e, keytree_first_leaf(node), &index, entry, &proof), 0);
        assert_int_equal(index, i);
        assert_int_equal(ekb_open(slice(set, KEYTREE_SET_BYTES), VERSION, e->count, e->root, e->key_check, i,
                                  SLICE_ARRAY(entry), buf_slice(&proof), &out),
                         EKB_NOT_COVERED);
        assert_int_equal(keytree_set_leaf(slice(set, KEYTREE_SET_BYTES), &category, &leaf), 0);
        memcpy(lying, set, sizeof lying);
        put_be32(lying + 5, keytree_first_leaf(node));
        assert_int_equal(ekb_open(SLICE_ARRAY(lying), VERSION, e->count, e->root, e->key_check, i, SLICE_ARRAY(entry),
                                  buf_slice(&proof), &out),
                         EKB_FORGED);
    }
}

/* Every subset of 8 neighbouring leaves revoked: the rest opens, the revoked do not. */
static void test_brute_force(void **state)
{
    (void)state;
    for (uint32_t c = 0; c < 4; c++) {
        for (uint32_t subset = 0; subset < 1u << AROUND; subset++) {
            uint32_t revoked[AROUND], count = 0;
            struct ekb e;
            for (uint32_t i = 0; i < AROUND; i++)
                if (subset >> i & 1)
                    revoked[count++] = corners[c] + i;
            assert_int_equal(ekb_build(&e, &secret, CATEGORY, VERSION, revoked, count, &root_key), 0);
            for (uint32_t i = 0; i < AROUND; i++) {
                struct key32 out = { { 0 } };
                int r = open_found(&e, sets[c][i], corners[c] + i, &out);
                if (subset >> i & 1) {
                    assert_int_equal(r, EKB_NOT_COVERED);
                    if (subset % 17 == 1 || count == 1)
                        check_opens_nothing(&e, sets[c][i]);
                } else {
                    assert_int_equal(r, 0);
                    assert_memory_equal(out.bytes, root_key.bytes, 32);
                }
            }
            struct key32 out;
            assert_int_equal(open_found(&e, sets[(c + 1) % 4][3], corners[(c + 1) % 4] + 3, &out), 0);
            ekb_deinit(&e);
        }
    }
}

/* The entries' ranges together are all leaves but the revoked, each once. */
static void check_is_complement(const struct ekb *e, const uint32_t *revoked, size_t count)
{
    uint64_t next = 0;
    size_t skipped = 0;
    for (uint32_t i = 0; i <= e->count; i++) {
        uint64_t first = (uint64_t)1 << 32, width = 0;
        if (i < e->count) {
            struct keytree_node node = { e->entries[i * EKB_ENTRY_BYTES],
                                         get_be32(e->entries + i * EKB_ENTRY_BYTES + 1) };
            first = keytree_first_leaf(node);
            width = (uint64_t)1 << (KEYTREE_DEPTH - node.depth);
        }
        for (; next < first; next++) {
            assert_true(skipped < count);
            assert_int_equal(revoked[skipped], next);
            skipped++;
        }
        assert_int_equal(next, first);
        next += width;
    }
    assert_int_equal(skipped, count);
}

static int by_value(const void *a, const void *b)
{
    uint32_t x, y;
    memcpy(&x, a, 4);
    memcpy(&y, b, 4);
    return x < y ? -1 : x > y;
}

static double bound(size_t revoked) { return (double)revoked * (32 - log2((double)revoked)); }

static void test_size_bound(void **state)
{
    (void)state;
    static const size_t counts[] = { 1, 2, 3, 16, 100, 1000, 10000 };
    struct rng_fake rng;
    rng_fake_init(&rng, 11);
    for (size_t n = 0; n < sizeof counts / sizeof counts[0]; n++) {
        uint32_t *revoked = calloc(counts[n], sizeof *revoked);
        struct ekb e, again;
        assert_non_null(revoked);
        rng_fill(&rng.rng, revoked, counts[n] * sizeof *revoked);
        qsort(revoked, counts[n], sizeof *revoked, by_value);
        assert_int_equal(ekb_build(&e, &secret, CATEGORY, VERSION, revoked, counts[n], &root_key), 0);
        assert_true(e.count <= bound(counts[n]));
        check_is_complement(&e, revoked, counts[n]);
        assert_int_equal(ekb_load(&again, CATEGORY, VERSION, slice(e.entries, (size_t)e.count * EKB_ENTRY_BYTES)), 0);
        assert_memory_equal(again.root, e.root, MERKLE_HASH_BYTES);
        assert_int_equal(again.count, e.count);
        ekb_deinit(&again);
        ekb_deinit(&e);
        free(revoked);
    }
}

/* Evenly spread is the worst case, and meets the bound exactly. */
static void test_worst_case_is_the_bound(void **state)
{
    (void)state;
    for (unsigned log = 0; log <= 10; log++) {
        uint32_t revoked[1024], count = 1u << log;
        struct ekb e;
        for (uint32_t i = 0; i < count; i++)
            revoked[i] = (uint32_t)((uint64_t)i << (32 - log)) + 3;
        assert_int_equal(ekb_build(&e, &secret, CATEGORY, VERSION, revoked, count, &root_key), 0);
        assert_int_equal(e.count, count * (32 - log));
        ekb_deinit(&e);
    }
}

static void test_none_revoked_is_one_node(void **state)
{
    (void)state;
    struct ekb e;
    struct key32 out;
    assert_int_equal(ekb_build(&e, &secret, CATEGORY, VERSION, NULL, 0, &root_key), 0);
    assert_int_equal(e.count, 1);
    assert_int_equal(e.entries[0], 0);
    assert_int_equal(get_be32(e.entries + 1), 0);
    assert_int_equal(open_found(&e, sets[3][0], corners[3], &out), 0);
    assert_memory_equal(out.bytes, root_key.bytes, 32);
    ekb_deinit(&e);
    ekb_deinit(&e);
}

static void test_refuses_unsorted(void **state)
{
    (void)state;
    struct ekb e;
    const uint32_t falling[] = { 2, 1 }, twice[] = { 1, 1 };
    assert_int_equal(ekb_build(&e, &secret, CATEGORY, VERSION, falling, 2, &root_key), -EINVAL);
    assert_int_equal(ekb_build(&e, &secret, CATEGORY, VERSION, twice, 2, &root_key), -EINVAL);
}

struct opening {
    struct ekb e;
    struct buf proof;
    uint8_t entry[EKB_ENTRY_BYTES];
    uint32_t index;
};

static void opening_init(struct opening *o)
{
    static const uint32_t revoked[] = { 3, 0x12345679, 0x80000000 };
    assert_int_equal(ekb_build(&o->e, &secret, CATEGORY, VERSION, revoked, 3, &root_key), 0);
    o->proof = buf(MERKLE_PROOF_MAX * MERKLE_HASH_BYTES);
    assert_int_equal(ekb_find(&o->e, corners[3], &o->index, o->entry, &o->proof), 0);
}

static int try_open(const struct opening *o, uint64_t version, uint32_t count, uint32_t index, size_t entry_len,
                    size_t proof_len)
{
    struct key32 out = { { 0 } };
    int r = ekb_open(SLICE_ARRAY(sets[3][0]), version, count, o->e.root, o->e.key_check, index,
                     slice(o->entry, entry_len), slice(o->proof.data, proof_len), &out);
    assert_true(r == 0 ? memcmp(out.bytes, root_key.bytes, 32) == 0 : out.bytes[0] == 0);
    return r;
}

static void test_alterations(void **state)
{
    (void)state;
    struct opening o;
    opening_init(&o);
    uint32_t count = o.e.count;
    size_t proof_len = o.proof.len;
    assert_int_equal(try_open(&o, VERSION, count, o.index, EKB_ENTRY_BYTES, proof_len), 0);
    assert_int_equal(try_open(&o, VERSION + 1, count, o.index, EKB_ENTRY_BYTES, proof_len), EKB_FORGED);
    assert_int_equal(try_open(&o, VERSION, count, count, EKB_ENTRY_BYTES, proof_len), EKB_MALFORMED);
    assert_int_equal(try_open(&o, VERSION, EKB_ENTRIES_MAX + 1, o.index, EKB_ENTRY_BYTES, proof_len), EKB_MALFORMED);
    for (uint32_t i = 0; i < count; i++)
        if (i != o.index)
            assert_int_equal(try_open(&o, VERSION, count, i, EKB_ENTRY_BYTES, proof_len), EKB_FORGED);
    for (size_t len = 0; len < EKB_ENTRY_BYTES; len++)
        assert_int_equal(try_open(&o, VERSION, count, o.index, len, proof_len), EKB_MALFORMED);
    for (size_t len = 0; len < proof_len; len++)
        assert_int_equal(try_open(&o, VERSION, count, o.index, EKB_ENTRY_BYTES, len),
                         len % 32 ? EKB_MALFORMED : EKB_FORGED);
    const struct {
        uint8_t *data;
        size_t len;
    } parts[] = { { o.entry, EKB_ENTRY_BYTES },
                  { o.proof.data, proof_len },
                  { o.e.root, MERKLE_HASH_BYTES },
                  { o.e.key_check, 32 } };
    for (size_t p = 0; p < 4; p++) {
        for (size_t bit = 0; bit < 8 * parts[p].len; bit++) {
            parts[p].data[bit / 8] ^= (uint8_t)(1 << bit % 8);
            int r = try_open(&o, VERSION, count, o.index, EKB_ENTRY_BYTES, proof_len);
            assert_true(r == EKB_FORGED || (p == 0 && r == EKB_MALFORMED)); /* a node outside the tree */
            parts[p].data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
    }
    assert_int_equal(try_open(&o, VERSION, count, o.index, EKB_ENTRY_BYTES, proof_len), 0);
    buf_free(&o.proof);
    ekb_deinit(&o.e);
}

/* A signer who commits to entries that do not open, or to a root key that is not the promised one. */
static void test_dishonest_block(void **state)
{
    (void)state;
    struct ekb a, b;
    struct key32 other_root = { { 0xcc } }, out;
    uint8_t set[KEYTREE_SET_BYTES];
    assert_int_equal(ekb_build(&a, &secret, CATEGORY, VERSION, NULL, 0, &root_key), 0);
    assert_int_equal(ekb_build(&b, &secret, CATEGORY, VERSION, NULL, 0, &other_root), 0);
    memcpy(a.key_check, b.key_check, 32);
    assert_int_equal(open_found(&a, sets[0][0], 0, &out), EKB_FORGED);
    keytree_device_set(&secret, CATEGORY + 1, 0, set); /* a device of another category */
    assert_int_equal(open_found(&b, set, 0, &out), EKB_FORGED);
    set[0] = 9;
    assert_int_equal(open_found(&b, set, 0, &out), EKB_MALFORMED);
    ekb_deinit(&a);
    ekb_deinit(&b);
}

static void test_load(void **state)
{
    (void)state;
    struct ekb e, again;
    const uint32_t revoked[] = { 0, 9, 0xffffffff };
    assert_int_equal(ekb_build(&e, &secret, CATEGORY, VERSION, revoked, 3, &root_key), 0);
    size_t bytes = (size_t)e.count * EKB_ENTRY_BYTES;
    for (size_t len = 0; len < bytes; len++) {
        int r = ekb_load(&again, CATEGORY, VERSION, slice(e.entries, len));
        assert_int_equal(r, len > 0 && len % EKB_ENTRY_BYTES == 0 ? 0 : EKB_MALFORMED);
        if (r == 0) {
            assert_memory_not_equal(again.root, e.root, MERKLE_HASH_BYTES);
            ekb_deinit(&again);
        }
    }
    for (size_t at = 0; at < bytes; at++) {
        e.entries[at] ^= 0x40;
        int r = ekb_load(&again, CATEGORY, VERSION, slice(e.entries, bytes));
        assert_true(r == 0 || (r == EKB_MALFORMED && at % EKB_ENTRY_BYTES < 5));
        if (r == 0) {
            assert_memory_not_equal(again.root, e.root, MERKLE_HASH_BYTES);
            ekb_deinit(&again);
        }
        e.entries[at] ^= 0x40;
    }
    ekb_deinit(&e);
}

static void test_load_order_and_limit(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct keytree_node nodes[3];
        int want;
    } cases[] = {
        { "in order", { { 2, 0 }, { 2, 1 }, { 1, 1 } }, 0 },
        { "gap", { { 2, 0 }, { 32, 0x7fffffff }, { 1, 1 } }, 0 },
        { "wrong order", { { 2, 1 }, { 2, 0 }, { 1, 1 } }, EKB_MALFORMED },
        { "twice", { { 2, 0 }, { 2, 0 }, { 1, 1 } }, EKB_MALFORMED },
        { "inside the one before", { { 1, 0 }, { 2, 1 }, { 1, 1 } }, EKB_MALFORMED },
        { "whole tree first", { { 0, 0 }, { 2, 1 }, { 1, 1 } }, EKB_MALFORMED },
        { "index outside its depth", { { 2, 0 }, { 2, 1 }, { 1, 2 } }, EKB_MALFORMED },
        { "too deep", { { 2, 0 }, { 2, 1 }, { 33, 0xffffffff } }, EKB_MALFORMED },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t entries[3 * EKB_ENTRY_BYTES] = { 0 };
        struct ekb e;
        for (size_t n = 0; n < 3; n++) {
            entries[n * EKB_ENTRY_BYTES] = cases[i].nodes[n].depth;
            put_be32(entries + n * EKB_ENTRY_BYTES + 1, cases[i].nodes[n].index);
        }
        print_message("  %s\n", cases[i].name);
        int r = ekb_load(&e, CATEGORY, VERSION, SLICE_ARRAY(entries));
        assert_int_equal(r, cases[i].want);
        if (r == 0)
            ekb_deinit(&e);
    }
    size_t too_many = (size_t)(EKB_ENTRIES_MAX + 1) * EKB_ENTRY_BYTES;
    uint8_t *entries = calloc(1, too_many);
    struct ekb e;
    assert_non_null(entries);
    for (uint32_t n = 0; n <= EKB_ENTRIES_MAX; n++) {
        entries[n * EKB_ENTRY_BYTES] = 32;
        put_be32(entries + n * EKB_ENTRY_BYTES + 1, n);
    }
    assert_int_equal(ekb_load(&e, CATEGORY, VERSION, slice(entries, too_many)), EKB_MALFORMED);
    assert_int_equal(ekb_load(&e, CATEGORY, VERSION, slice(entries, too_many - EKB_ENTRY_BYTES)), 0);
    ekb_deinit(&e);
    free(entries);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_brute_force),
        cmocka_unit_test(test_size_bound),
        cmocka_unit_test(test_worst_case_is_the_bound),
        cmocka_unit_test(test_none_revoked_is_one_node),
        cmocka_unit_test(test_refuses_unsorted),
        cmocka_unit_test(test_alterations),
        cmocka_unit_test(test_dishonest_block),
        cmocka_unit_test(test_load),
        cmocka_unit_test(test_load_order_and_limit),
    };
    return cmocka_run_group_tests(tests, make_sets, NULL);
}
