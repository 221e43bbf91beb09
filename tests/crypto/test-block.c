/* Encryption blocks: place, total and content are part of what is sealed; every alteration is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "crypto/block.h"
#include "crypto/merkle.h"

static const struct key32 key = { { 1 } }, other_key = { { 2 } };
static const uint8_t nonce[32] = { 3 }, other_nonce[32] = { 4 };
#define PLAIN_BYTES 60
static uint8_t plain[PLAIN_BYTES], block[PLAIN_BYTES + BLOCK_OVERHEAD_BYTES], out[PLAIN_BYTES];

static int seal_one(void **state)
{
    (void)state;
    memset(plain, 0x61, sizeof plain);
    return block_seal(rng_system(), &key, nonce, 5, 9, SLICE_ARRAY(plain), block);
}

static void test_place(void **state)
{
    (void)state;
    assert_int_equal(block_open(&key, nonce, 5, 9, SLICE_ARRAY(block), out), 0);
    assert_memory_equal(out, plain, sizeof plain);
    assert_int_equal(block_open(&key, nonce, 4, 9, SLICE_ARRAY(block), out), BLOCK_FORGED);
    assert_int_equal(block_open(&key, nonce, 5, 10, SLICE_ARRAY(block), out), BLOCK_FORGED);
    assert_int_equal(block_open(&key, nonce, 9, 5, SLICE_ARRAY(block), out), BLOCK_FORGED);
    assert_int_equal(block_open(&key, other_nonce, 5, 9, SLICE_ARRAY(block), out), BLOCK_FORGED);
    assert_int_equal(block_open(&other_key, nonce, 5, 9, SLICE_ARRAY(block), out), BLOCK_FORGED);
}

static void test_every_truncation_and_flip(void **state)
{
    (void)state;
    for (size_t len = 0; len < sizeof block; len++)
        assert_int_equal(block_open(&key, nonce, 5, 9, slice(block, len), out), BLOCK_FORGED);
    for (size_t bit = 0; bit < 8 * sizeof block; bit++) {
        block[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(block_open(&key, nonce, 5, 9, SLICE_ARRAY(block), out), BLOCK_FORGED);
        block[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

static void test_fresh_each_time(void **state)
{
    (void)state;
    uint8_t again[sizeof block];
    assert_int_equal(block_seal(rng_system(), &key, nonce, 5, 9, SLICE_ARRAY(plain), again), 0);
    assert_memory_not_equal(again, block, BLOCK_SEED_BYTES);
    assert_memory_not_equal(again + BLOCK_OVERHEAD_BYTES, block + BLOCK_OVERHEAD_BYTES, 16);
}

static void test_largest(void **state)
{
    (void)state;
    uint8_t *big = calloc(1, BLOCK_PLAIN_MAX), *back = calloc(1, BLOCK_PLAIN_MAX);
    uint8_t *sealed = malloc(BLOCK_PLAIN_MAX + BLOCK_OVERHEAD_BYTES);
    assert_true(big != NULL && back != NULL && sealed != NULL);
    big[BLOCK_PLAIN_MAX - 1] = 0x42;
    assert_int_equal(block_seal(rng_system(), &key, nonce, 0, 1, slice(big, BLOCK_PLAIN_MAX), sealed), 0);
    assert_int_equal(block_open(&key, nonce, 0, 1, slice(sealed, BLOCK_PLAIN_MAX + BLOCK_OVERHEAD_BYTES), back), 0);
    assert_memory_equal(big, back, BLOCK_PLAIN_MAX);
    free(big);
    free(back);
    free(sealed);
}

static void test_hash_is_the_leaf_hash(void **state)
{
    (void)state;
    uint8_t a[32], b[32];
    struct slice part = SLICE_ARRAY(block);
    block_hash(part, a);
    merkle_leaf(&part, 1, b);
    assert_memory_equal(a, b, 32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_place),
        cmocka_unit_test(test_every_truncation_and_flip),
        cmocka_unit_test(test_fresh_each_time),
        cmocka_unit_test(test_largest),
        cmocka_unit_test(test_hash_is_the_leaf_hash),
    };
    return cmocka_run_group_tests(tests, seal_one, NULL);
}
