/* Merkle trees: against the RFC's recursive definition for every size up to 130, every proof, every alteration. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "crypto/merkle.h"
#include "crypto/sha256.h"

#define LEAVES 130
static uint8_t hashes[LEAVES][MERKLE_HASH_BYTES];

static int make_leaves(void **state)
{
    (void)state;
    for (size_t i = 0; i < LEAVES; i++) {
        uint8_t data[2] = { (uint8_t)i, 0x5a };
        struct slice part = SLICE_ARRAY(data);
        merkle_leaf(&part, 1, hashes[i]);
    }
    return 0;
}

/* RFC 9162 section 2.1.1, word for word. */
static void defined_root(size_t from, size_t n, uint8_t out[MERKLE_HASH_BYTES])
{
    uint8_t bytes[65] = { 1 };
    size_t k = 1;
    if (n == 1) {
        memcpy(out, hashes[from], MERKLE_HASH_BYTES);
        return;
    }
    while (k * 2 < n)
        k *= 2;
    defined_root(from, k, bytes + 1);
    defined_root(from + k, n - k, bytes + 33);
    sha256(SLICE_ARRAY(bytes), out);
}

static void test_roots(void **state)
{
    (void)state;
    uint8_t want[MERKLE_HASH_BYTES], got[MERKLE_HASH_BYTES];
    for (size_t n = 1; n <= LEAVES; n++) {
        uint8_t *levels = malloc(merkle_levels_bytes(n) + 1);
        assert_non_null(levels);
        defined_root(0, n, want);
        merkle_root(hashes[0], n, got);
        assert_memory_equal(got, want, MERKLE_HASH_BYTES);
        merkle_levels_fill(hashes[0], n, levels, got);
        assert_memory_equal(got, want, MERKLE_HASH_BYTES);
        free(levels);
    }
}

/* Several threads' runs, in any order, make the levels that one makes alone. */
static void test_levels_in_runs(void **state)
{
    (void)state;
    static const uint64_t counts[] = { 1, 2, 1023, 1024, 1025, 2047, 2048, 2049, 3073, 5000 };
    static uint8_t leaves[5000][MERKLE_HASH_BYTES];
    for (size_t i = 0; i < 5000; i++)
        memcpy(leaves[i], hashes[i % LEAVES], MERKLE_HASH_BYTES);
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
        uint64_t n = counts[c];
        uint8_t want[MERKLE_HASH_BYTES], got[MERKLE_HASH_BYTES];
        size_t len = merkle_levels_bytes(n);
        uint8_t *alone = calloc(1, len + 1), *together = calloc(1, len + 1);
        assert_true(alone && together);
        merkle_levels_fill(leaves[0], n, alone, got);
        merkle_root(leaves[0], n, want);
        assert_memory_equal(got, want, MERKLE_HASH_BYTES);
        for (uint64_t first = (n - 1) / MERKLE_RUN_LEAVES * MERKLE_RUN_LEAVES;; first -= MERKLE_RUN_LEAVES) {
            uint64_t end = first + MERKLE_RUN_LEAVES < n ? first + MERKLE_RUN_LEAVES : n;
            merkle_levels_fill_run(leaves[0], n, together, first, end);
            if (first == 0)
                break;
        }
        merkle_levels_fill_rest(leaves[0], n, together, got);
        assert_memory_equal(got, want, MERKLE_HASH_BYTES);
        assert_memory_equal(alone, together, len);
        free(alone);
        free(together);
    }
}

static void check_alterations(uint64_t count, uint64_t index, uint8_t (*proof)[MERKLE_HASH_BYTES], size_t n,
                              const uint8_t *root)
{
    struct slice whole = slice(proof, n * MERKLE_HASH_BYTES);
    for (uint64_t other = 0; other <= count; other++)
        if (other != index)
            assert_false(merkle_proves(hashes[index], other, count, whole, root));
    for (size_t shorter = 0; shorter < n; shorter++)
        assert_false(merkle_proves(hashes[index], index, count, slice(proof, shorter * MERKLE_HASH_BYTES), root));
    memset(proof[n], 0, MERKLE_HASH_BYTES);
    assert_false(merkle_proves(hashes[index], index, count, slice(proof, (n + 1) * MERKLE_HASH_BYTES), root));
    assert_false(merkle_proves(hashes[index], index, count, slice(proof, whole.len + 1), root));
    for (size_t i = 0; i < n; i++) {
        proof[i][31] ^= 0x80;
        assert_false(merkle_proves(hashes[index], index, count, whole, root));
        proof[i][31] ^= 0x80;
    }
    if (count > 1)
        assert_false(merkle_proves(hashes[index ? 0 : 1], index, count, whole, root));
}

static void test_proofs(void **state)
{
    (void)state;
    uint8_t root[MERKLE_HASH_BYTES], proof[MERKLE_PROOF_MAX][MERKLE_HASH_BYTES],
        again[MERKLE_PROOF_MAX][MERKLE_HASH_BYTES];
    for (uint64_t count = 1; count <= 70; count++) {
        uint8_t *levels = malloc(merkle_levels_bytes(count) + 1);
        assert_non_null(levels);
        merkle_levels_fill(hashes[0], count, levels, root);
        for (uint64_t index = 0; index < count; index++) {
            size_t n = merkle_prove(hashes[0], count, index, proof);
            assert_true(merkle_proves(hashes[index], index, count, slice(proof, n * MERKLE_HASH_BYTES), root));
            const uint8_t *sibling = (index ^ 1) < count ? hashes[index ^ 1] : NULL;
            assert_int_equal(merkle_levels_prove(levels, count, index, sibling, again), n);
            assert_memory_equal(proof, again, n * MERKLE_HASH_BYTES);
            check_alterations(count, index, proof, n, root);
        }
        free(levels);
    }
}

static void test_leaf_parts(void **state)
{
    (void)state;
    static uint8_t data[200];
    uint8_t whole[MERKLE_HASH_BYTES], parted[MERKLE_HASH_BYTES];
    for (size_t len = 0; len <= sizeof data; len++) { /* across the short path's border */
        struct slice one = slice(data, len);
        struct slice parts[] = { slice(data, len / 3), slice(NULL, 0), slice(data + len / 3, len - len / 3) };
        merkle_leaf(&one, 1, whole);
        merkle_leaf(parts, 3, parted);
        assert_memory_equal(whole, parted, MERKLE_HASH_BYTES);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_roots),
        cmocka_unit_test(test_levels_in_runs),
        cmocka_unit_test(test_proofs),
        cmocka_unit_test(test_leaf_parts),
    };
    return cmocka_run_group_tests(tests, make_leaves, NULL);
}
