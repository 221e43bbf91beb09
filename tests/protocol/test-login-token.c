/* Login tokens: a proof is of one token, distributor, device and challenge. */
#include "protocol/login_token.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"

static struct key32 token = { .bytes = "a token of 32 bytes, for a test" };
static struct id aurora = { .bytes = "aurora" }, kitchen = { .bytes = "kitchen" };
static uint8_t challenge[LOGIN_CHALLENGE_BYTES] = "challenge";

static void test_a_proof_is_of_what_it_says(void **state)
{
    (void)state;
    uint8_t key[32], proof[64], again[64];
    login_token_prove(&token, &aurora, &kitchen, challenge, key, proof);
    login_token_prove(&token, &aurora, &kitchen, challenge, key, again);
    assert_memory_equal(proof, again, sizeof(proof));
    assert_true(login_token_is_proved(key, &aurora, &kitchen, challenge, proof));
    assert_false(login_token_is_proved(key, &kitchen, &aurora, challenge, proof));
}

/* Every bit of everything that goes in. */
static void test_every_flipped_bit(void **state)
{
    (void)state;
    uint8_t key[32], proof[64];
    login_token_prove(&token, &aurora, &kitchen, challenge, key, proof);
    const struct {
        uint8_t *bytes;
        size_t len;
    } parts[] = {
        { key, 32 }, { aurora.bytes, 32 }, { kitchen.bytes, 32 }, { challenge, 32 }, { proof, 64 },
    };
    for (size_t i = 0; i < ARRAY_COUNT(parts); i++)
        for (size_t bit = 0; bit < parts[i].len * 8; bit++) {
            parts[i].bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
            assert_false(login_token_is_proved(key, &aurora, &kitchen, challenge, proof));
            parts[i].bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    assert_true(login_token_is_proved(key, &aurora, &kitchen, challenge, proof));
}

static void test_the_hash_is_of_the_key(void **state)
{
    (void)state;
    uint8_t key[32], hash[32], other[32];
    sign_public_key(&token, key);
    login_token_hash(key, hash);
    assert_memory_not_equal(hash, key, 32);
    key[31] ^= 1;
    login_token_hash(key, other);
    assert_memory_not_equal(hash, other, 32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_proof_is_of_what_it_says),
        cmocka_unit_test(test_every_flipped_bit),
        cmocka_unit_test(test_the_hash_is_of_the_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
