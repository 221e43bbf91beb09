/* Content key: both halves are needed, and each opens only where it belongs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "crypto/contentkey.h"
#include "crypto/seal.h"

static const struct key32 root = { { 1 } }, header_half = { { 2 } }, license_half = { { 3 } }, device = { { 4, 4 } };
static const struct id content = { { 5 } }, other_content = { { 6 } };
static const uint8_t nonce[32] = { 9 }, other_nonce[32] = { 10 };
static const uint8_t license_id[16] = { 7 }, other_license_id[16] = { 8 };

static void test_both_halves_count(void **state)
{
    (void)state;
    struct key32 keys[5];
    contentkey_derive(&header_half, &license_half, nonce, &keys[0]);
    contentkey_derive(&root, &license_half, nonce, &keys[1]);
    contentkey_derive(&header_half, &root, nonce, &keys[2]);
    contentkey_derive(&license_half, &header_half, nonce, &keys[3]);
    contentkey_derive(&header_half, &license_half, other_nonce, &keys[4]);
    for (size_t i = 0; i < 5; i++)
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(keys[i].bytes, keys[j].bytes, 32);
}

static void test_partner_roots_differ(void **state)
{
    (void)state;
    struct key32 a, b;
    contentkey_partner_root(&root, &content, &a);
    contentkey_partner_root(&root, &other_content, &b);
    assert_memory_not_equal(a.bytes, b.bytes, 32);
    assert_memory_not_equal(a.bytes, root.bytes, 32);
}

static void test_wrapped_half(void **state)
{
    (void)state;
    uint8_t wrapped[CONTENTKEY_WRAPPED_BYTES + 1] = { 0 };
    struct slice whole = slice(wrapped, CONTENTKEY_WRAPPED_BYTES);
    struct key32 out = { { 0 } };
    assert_int_equal(contentkey_wrap(rng_system(), &root, &content, license_id, &header_half, wrapped), 0);
    assert_int_equal(contentkey_unwrap(&root, &other_content, license_id, whole, &out), CONTENTKEY_FORGED);
    assert_int_equal(contentkey_unwrap(&root, &content, other_license_id, whole, &out), CONTENTKEY_FORGED);
    assert_int_equal(contentkey_unwrap(&device, &content, license_id, whole, &out), CONTENTKEY_FORGED);
    for (size_t len = 0; len <= sizeof wrapped; len++)
        if (len != CONTENTKEY_WRAPPED_BYTES)
            assert_int_equal(contentkey_unwrap(&root, &content, license_id, slice(wrapped, len), &out),
                             CONTENTKEY_FORGED);
    for (size_t bit = 0; bit < 8 * CONTENTKEY_WRAPPED_BYTES; bit++) {
        wrapped[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(contentkey_unwrap(&root, &content, license_id, whole, &out), CONTENTKEY_FORGED);
        wrapped[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_int_equal(out.bytes[0], 0);
    assert_int_equal(contentkey_unwrap(&root, &content, license_id, whole, &out), 0);
    assert_memory_equal(out.bytes, header_half.bytes, 32);
}

static void test_sealed_half(void **state)
{
    (void)state;
    uint8_t public_key[32], sealed[CONTENTKEY_SEALED_BYTES + 1] = { 0 };
    struct slice whole = slice(sealed, CONTENTKEY_SEALED_BYTES);
    struct key32 out = { { 0 } };
    seal_public_key(&device, public_key);
    assert_int_equal(contentkey_seal_license_half(public_key, &license_half, &content, sealed), 0);
    assert_int_equal(contentkey_open_license_half(&root, &content, whole, &out), CONTENTKEY_FORGED);
    assert_int_equal(contentkey_open_license_half(&device, &other_content, whole, &out), CONTENTKEY_FORGED);
    for (size_t len = 0; len <= sizeof sealed; len++)
        if (len != CONTENTKEY_SEALED_BYTES)
            assert_int_equal(contentkey_open_license_half(&device, &content, slice(sealed, len), &out),
                             CONTENTKEY_FORGED);
    for (size_t at = 0; at < CONTENTKEY_SEALED_BYTES; at++) {
        sealed[at] ^= 1;
        assert_int_equal(contentkey_open_license_half(&device, &content, whole, &out), CONTENTKEY_FORGED);
        sealed[at] ^= 1;
    }
    assert_int_equal(out.bytes[0], 0);
    assert_int_equal(contentkey_open_license_half(&device, &content, whole, &out), 0);
    assert_memory_equal(out.bytes, license_half.bytes, 32);
    memset(public_key, 0, sizeof public_key);
    assert_int_equal(contentkey_seal_license_half(public_key, &license_half, &content, sealed), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_halves_count),
        cmocka_unit_test(test_partner_roots_differ),
        cmocka_unit_test(test_wrapped_half),
        cmocka_unit_test(test_sealed_half),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
