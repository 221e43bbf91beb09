/* Ed25519: every flipped bit is refused; two ways to sign agree (published vectors: test-vectors.c). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "crypto/sign.h"

static const struct key32 seed = { { 5, 4, 3 } };

static void test_every_flipped_bit(void **state)
{
    (void)state;
    uint8_t public_key[SIGN_PUBLIC_BYTES], signature[SIGN_BYTES], message[] = "what is said";
    sign_public_key(&seed, public_key);
    sign_bytes(&seed, SLICE_ARRAY(message), signature);
    assert_true(sign_is_valid(public_key, SLICE_ARRAY(message), signature));
    const struct {
        uint8_t *data;
        size_t len;
    } parts[] = { { public_key, sizeof public_key }, { message, sizeof message }, { signature, sizeof signature } };
    for (size_t p = 0; p < 3; p++) {
        for (size_t bit = 0; bit < 8 * parts[p].len; bit++) {
            parts[p].data[bit / 8] ^= (uint8_t)(1 << bit % 8);
            assert_false(sign_is_valid(public_key, SLICE_ARRAY(message), signature));
            parts[p].data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
    }
    for (size_t len = 0; len < sizeof message; len++)
        assert_false(sign_is_valid(public_key, slice(message, len), signature));
}

static void test_pair_signs_like_seed(void **state)
{
    (void)state;
    struct sign_pair pair;
    struct signer a, b;
    uint8_t by_seed[SIGN_BYTES], by_pair[SIGN_BYTES];
    sign_pair_init(&pair, &seed);
    signer_from_seed(&a, &seed);
    signer_from_pair(&b, &pair);
    assert_memory_equal(a.public_key, b.public_key, SIGN_PUBLIC_BYTES);
    assert_int_equal(a.sign(a.ctx, slice_str("m"), by_seed), 0);
    assert_int_equal(b.sign(b.ctx, slice_str("m"), by_pair), 0);
    assert_memory_equal(by_seed, by_pair, SIGN_BYTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_every_flipped_bit),
                                        cmocka_unit_test(test_pair_signs_like_seed) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
