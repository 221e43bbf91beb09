/* An Ed25519 key as a file: what is written is read again, and nothing else is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "crypto/pkcs8.h"

static const struct key32 seed = { { 7, 1, 2, 3, 250 } };

static void comes_back(void **state)
{
    (void)state;
    char pem[PKCS8_PEM_BYTES];
    struct key32 read = { { 0 } };
    size_t len = pkcs8_encode(&seed, pem);
    assert_true(pkcs8_decode(slice(pem, len), &read));
    assert_memory_equal(read.bytes, seed.bytes, sizeof(seed.bytes));
    assert_true(pkcs8_decode(slice(pem, len - 1), &read)); /* without the last line's end */
}

static void nothing_else(void **state)
{
    (void)state;
    char pem[PKCS8_PEM_BYTES];
    size_t len = pkcs8_encode(&seed, pem);
    struct key32 read = { { 0 } };
    for (size_t shorter = 0; shorter + 1 < len; shorter++)
        assert_false(pkcs8_decode(slice(pem, shorter), &read));
    for (size_t at = 0; at < len - 1; at++) {
        char kept = pem[at];
        pem[at] = '!';
        assert_false(pkcs8_decode(slice(pem, len), &read));
        pem[at] = kept;
    }
    assert_int_equal(read.bytes[0], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(comes_back), cmocka_unit_test(nothing_else) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
