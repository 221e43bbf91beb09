/* Envelopes: valid, every truncation, every flipped bit, wrong type, over the limits (PAE vectors: test-vectors.c). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "crypto/dsse.h"

static const struct key32 seed = { { 1 } };
static struct signer signer;
#define TYPE "hearth/test/1"

static int make_signer(void **state)
{
    (void)state;
    signer_from_seed(&signer, &seed);
    return 0;
}

static void test_valid(void **state)
{
    (void)state;
    struct buf b CLEANUP(buf_free) = buf(4096);
    struct dsse_view view;
    assert_int_equal(buf_put_u8(&b, 0x77), 0); /* appended behind what is there */
    assert_int_equal(dsse_sign(&b, TYPE, slice_str("payload"), &signer), 0);
    assert_int_equal(b.len, 1 + DSSE_OVERHEAD_BYTES + strlen(TYPE) + 7);
    struct slice envelope = slice(b.data + 1, b.len - 1);
    assert_int_equal(dsse_verify(envelope, TYPE, &view), 0);
    assert_true(slice_equal(view.payload, slice_str("payload")));
    assert_true(view.payload.data > envelope.data && view.payload.data < envelope.data + envelope.len);
    assert_memory_equal(view.public_key, signer.public_key, SIGN_PUBLIC_BYTES);
}

static void test_wrong_type(void **state)
{
    (void)state;
    static const char *const types[] = { "hearth/test/2", "hearth/test", "hearth/test/11", "x" };
    struct buf b CLEANUP(buf_free) = buf(4096);
    struct dsse_view view;
    assert_int_equal(dsse_sign(&b, TYPE, slice_str("payload"), &signer), 0);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(dsse_verify(buf_slice(&b), types[i], &view), DSSE_WRONG_TYPE);
}

static void test_truncations_and_trailing(void **state)
{
    (void)state;
    struct buf b CLEANUP(buf_free) = buf(4096);
    struct dsse_view view;
    assert_int_equal(dsse_sign(&b, TYPE, slice_str("payload"), &signer), 0);
    for (size_t len = 0; len < b.len; len++)
        assert_int_equal(dsse_verify(slice(b.data, len), TYPE, &view), DSSE_MALFORMED);
    assert_int_equal(buf_put_u8(&b, 0), 0);
    assert_int_equal(dsse_verify(buf_slice(&b), TYPE, &view), DSSE_MALFORMED);
}

static void test_every_flipped_bit(void **state)
{
    (void)state;
    struct buf b CLEANUP(buf_free) = buf(4096);
    struct dsse_view view;
    size_t type_len = strlen(TYPE), payload_at = 7 + type_len;
    assert_int_equal(dsse_sign(&b, TYPE, slice_str("payload"), &signer), 0);
    for (size_t bit = 0; bit < 8 * b.len; bit++) {
        size_t at = bit / 8;
        b.data[at] ^= (uint8_t)(1 << bit % 8);
        int want = at >= payload_at ? DSSE_FORGED : at >= 3 && at < 3 + type_len ? DSSE_WRONG_TYPE : DSSE_MALFORMED;
        assert_int_equal(dsse_verify(buf_slice(&b), TYPE, &view), want);
        b.data[at] ^= (uint8_t)(1 << bit % 8);
    }
}

static void test_limits(void **state)
{
    (void)state;
    struct buf b CLEANUP(buf_free) = buf(DSSE_PAYLOAD_MAX + 4096);
    struct buf small CLEANUP(buf_free) = buf(DSSE_OVERHEAD_BYTES + sizeof TYPE - 1 + 6);
    struct dsse_view view;
    uint8_t *big = calloc(1, DSSE_PAYLOAD_MAX + 1);
    assert_non_null(big);
    assert_int_equal(dsse_sign(&b, TYPE, slice(big, DSSE_PAYLOAD_MAX + 1), &signer), BUF_FULL);
    assert_int_equal(dsse_sign(&b, TYPE, slice(NULL, 0), &signer), -EINVAL);
    assert_int_equal(b.len, 0);
    assert_int_equal(dsse_sign(&b, TYPE, slice(big, DSSE_PAYLOAD_MAX), &signer), 0);
    assert_int_equal(dsse_verify(buf_slice(&b), TYPE, &view), 0);
    assert_int_equal(view.payload.len, DSSE_PAYLOAD_MAX);
    free(big);
    assert_int_equal(dsse_sign(&small, TYPE, slice_str("payload"), &signer), BUF_FULL);
    assert_int_equal(small.len, 0); /* all or nothing */
    assert_int_equal(dsse_sign(&small, TYPE, slice_str("payloa"), &signer), 0);
}

/* What a signer can make that an honest one never does. */
static void test_oversized_on_the_wire(void **state)
{
    (void)state;
    struct buf b CLEANUP(buf_free) = buf(DSSE_PAYLOAD_MAX + 4096), pae CLEANUP(buf_free) = buf(DSSE_PAYLOAD_MAX + 4096);
    struct dsse_view view;
    static uint8_t big[DSSE_PAYLOAD_MAX + 1];
    const struct {
        size_t type_len, payload_len;
    } cases[] = { { 65, 7 }, { 255, 7 }, { 0, 7 }, { 13, 0 }, { 13, sizeof big } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char type[256] = { 0 };
        uint8_t signature[SIGN_BYTES];
        memset(type, 'a', cases[i].type_len);
        struct slice payload = slice(big, cases[i].payload_len);
        uint8_t head[] = { 1, 1, (uint8_t)cases[i].type_len };
        buf_clear(&b);
        buf_clear(&pae);
        if (cases[i].type_len <= 64)
            assert_int_equal(dsse_pae(&pae, type, payload), 0);
        sign_bytes(&seed, buf_slice(&pae), signature);
        assert_int_equal(buf_append(&b, SLICE_ARRAY(head)), 0);
        assert_int_equal(buf_append(&b, slice_str(type)), 0);
        assert_int_equal(buf_put_u32(&b, (uint32_t)payload.len), 0);
        assert_int_equal(buf_append(&b, payload), 0);
        assert_int_equal(buf_append(&b, slice(signer.public_key, SIGN_PUBLIC_BYTES)), 0);
        assert_int_equal(buf_append(&b, SLICE_ARRAY(signature)), 0);
        assert_int_equal(dsse_verify(buf_slice(&b), type, &view), DSSE_MALFORMED);
    }
}

static int refuse(void *ctx, struct slice message, uint8_t signature[SIGN_BYTES])
{
    (void)ctx, (void)message, (void)signature;
    return -EACCES;
}

static void test_signer_refuses(void **state)
{
    (void)state;
    struct buf b CLEANUP(buf_free) = buf(4096);
    struct signer refusing = { .sign = refuse };
    assert_int_equal(dsse_sign(&b, TYPE, slice_str("payload"), &refusing), -EACCES);
    assert_int_equal(b.len, 0);
}

/* With a memory of one place, what was good is good again, and not a bit of it may change. */
static void test_known(void **state)
{
    (void)state;
    struct buf b CLEANUP(buf_free) = buf(4096), other CLEANUP(buf_free) = buf(4096);
    struct dsse_view view;
    struct known *known = known_new(1);
    assert_non_null(known);
    assert_int_equal(dsse_sign(&b, TYPE, slice_str("payload"), &signer), 0);
    assert_int_equal(dsse_sign(&other, TYPE, slice_str("another"), &signer), 0);
    for (size_t bit = 0; bit < b.len * 8;
         bit++) { /* before anything is remembered, and with the good one in the place */
        b.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_not_equal(dsse_verify_known(known, buf_slice(&b), TYPE, &view), 0);
        b.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(dsse_verify_known(known, buf_slice(&b), TYPE, &view), 0);
        assert_true(known_has(known, buf_slice(&b)));
        assert_int_equal(dsse_verify_known(known, buf_slice(&b), TYPE, &view), 0);
        assert_true(slice_equal(view.payload, slice_str("payload")));
        assert_memory_equal(view.public_key, signer.public_key, SIGN_PUBLIC_BYTES);
    }
    assert_int_equal(dsse_verify_known(known, buf_slice(&b), "hearth/test/2", &view), DSSE_WRONG_TYPE);
    assert_int_equal(dsse_verify_known(known, buf_slice(&other), TYPE, &view), 0);
    assert_false(known_has(known, buf_slice(&b)));
    known_free(known);
}

static void test_split(void **state)
{
    (void)state;
    struct buf b CLEANUP(buf_free) = buf(4096);
    struct dsse_view view, proved;
    assert_int_equal(dsse_sign(&b, TYPE, slice_str("payload"), &signer), 0);
    assert_int_equal(dsse_verify(buf_slice(&b), TYPE, &proved), 0);
    assert_int_equal(dsse_split(buf_slice(&b), TYPE, &view), 0);
    assert_true(slice_equal(view.payload, proved.payload));
    assert_memory_equal(view.public_key, proved.public_key, SIGN_PUBLIC_BYTES);
    assert_int_equal(dsse_split(buf_slice(&b), "x", &view), DSSE_WRONG_TYPE);
    for (size_t len = 0; len < b.len; len++)
        assert_int_equal(dsse_split(slice(b.data, len), TYPE, &view), DSSE_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_valid),
        cmocka_unit_test(test_wrong_type),
        cmocka_unit_test(test_truncations_and_trailing),
        cmocka_unit_test(test_every_flipped_bit),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_oversized_on_the_wire),
        cmocka_unit_test(test_signer_refuses),
        cmocka_unit_test(test_known),
        cmocka_unit_test(test_split),
    };
    return cmocka_run_group_tests(tests, make_signer, NULL);
}
