/* Sealed boxes: round trip, every truncation, every flipped byte, another recipient. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "crypto/seal.h"

static const struct key32 secret = { { 77, 1 } }, other = { { 80, 1 } };

static void test_round_trip_and_alterations(void **state)
{
    (void)state;
    uint8_t public_key[SEAL_PUBLIC_BYTES], sealed[20 + SEAL_OVERHEAD_BYTES], again[20 + SEAL_OVERHEAD_BYTES];
    uint8_t plain[20] = { 3, 1, 4 }, out[20];
    seal_public_key(&secret, public_key);
    assert_int_equal(seal_to(public_key, SLICE_ARRAY(plain), sealed), 0);
    assert_int_equal(seal_to(public_key, SLICE_ARRAY(plain), again), 0);
    assert_memory_not_equal(sealed, again, sizeof sealed);
    assert_int_equal(seal_open(&secret, SLICE_ARRAY(sealed), out), 0);
    assert_memory_equal(out, plain, sizeof plain);
    assert_int_equal(seal_open(&other, SLICE_ARRAY(sealed), out), SEAL_FORGED);
    memset(out, 0, sizeof out);
    assert_int_equal(seal_open_by(&secret, public_key, SLICE_ARRAY(sealed), out), 0);
    assert_memory_equal(out, plain, sizeof plain);
    uint8_t other_key[SEAL_PUBLIC_BYTES];
    seal_public_key(&other, other_key);
    assert_int_equal(seal_open_by(&secret, other_key, SLICE_ARRAY(sealed), out), SEAL_FORGED);
    assert_int_equal(seal_open_by(&other, public_key, SLICE_ARRAY(sealed), out), SEAL_FORGED);
    for (size_t len = 0; len < sizeof sealed; len++)
        assert_int_equal(seal_open(&secret, slice(sealed, len), out), SEAL_FORGED);
    for (size_t i = 0; i < sizeof sealed; i++) {
        sealed[i] ^= 1;
        assert_int_equal(seal_open(&secret, SLICE_ARRAY(sealed), out), SEAL_FORGED);
        sealed[i] ^= 1;
    }
}

static void test_empty(void **state)
{
    (void)state;
    uint8_t public_key[SEAL_PUBLIC_BYTES], sealed[SEAL_OVERHEAD_BYTES], out[1];
    seal_public_key(&secret, public_key);
    assert_int_equal(seal_to(public_key, slice(NULL, 0), sealed), 0);
    assert_int_equal(seal_open(&secret, SLICE_ARRAY(sealed), out), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_round_trip_and_alterations),
                                        cmocka_unit_test(test_empty) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
