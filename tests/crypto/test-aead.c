/* AES-256-GCM: every truncation and every flipped byte is refused (published vectors: test-vectors.c). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "crypto/aead.h"

#define PLAIN_BYTES 77
static const struct key32 key = { { 9, 8, 7 } };
static const uint8_t iv[AEAD_IV_BYTES] = { 1 };
static uint8_t plain[PLAIN_BYTES], sealed[PLAIN_BYTES + AEAD_TAG_BYTES], out[PLAIN_BYTES + 1];

static int seal_one(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof plain; i++)
        plain[i] = (uint8_t)(i * 7);
    return aead_seal(&key, iv, slice_str("place"), SLICE_ARRAY(plain), sealed);
}

static void test_round_trip(void **state)
{
    (void)state;
    assert_int_equal(aead_open(&key, iv, slice_str("place"), SLICE_ARRAY(sealed), out), 0);
    assert_memory_equal(out, plain, sizeof plain);
}

static void test_every_truncation(void **state)
{
    (void)state;
    for (size_t len = 0; len < sizeof sealed; len++)
        assert_int_equal(aead_open(&key, iv, slice_str("place"), slice(sealed, len), out), AEAD_FORGED);
}

static void test_every_flipped_bit(void **state)
{
    (void)state;
    for (size_t bit = 0; bit < 8 * sizeof sealed; bit++) {
        sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
        memset(out, 0xee, sizeof out);
        assert_int_equal(aead_open(&key, iv, slice_str("place"), SLICE_ARRAY(sealed), out), AEAD_FORGED);
        for (size_t i = 0; i < PLAIN_BYTES; i++)
            assert_int_equal(out[i], 0);
        assert_int_equal(out[PLAIN_BYTES], 0xee);
        sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

static void test_empty_plain(void **state)
{
    (void)state;
    uint8_t tag[AEAD_TAG_BYTES];
    assert_int_equal(aead_seal(&key, iv, slice_str("x"), slice(NULL, 0), tag), 0);
    assert_int_equal(aead_open(&key, iv, slice_str("x"), SLICE_ARRAY(tag), NULL), 0);
    assert_int_equal(aead_open(&key, iv, slice_str("y"), SLICE_ARRAY(tag), NULL), AEAD_FORGED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_every_truncation),
        cmocka_unit_test(test_every_flipped_bit),
        cmocka_unit_test(test_empty_plain),
    };
    return cmocka_run_group_tests(tests, seal_one, NULL);
}
