/* HKDF: the project's own use of it (the RFC's vectors are in test-vectors.c). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "crypto/hkdf.h"

static const struct key32 from = { { 1, 2, 3 } };

static void test_key_is_label_00_context(void **state)
{
    (void)state;
    static const uint8_t info[] = "hearth test\0context"; /* without its own terminator below */
    uint8_t want[32];
    struct key32 got;
    hkdf_sha256(SLICE_ARRAY(from.bytes), slice(NULL, 0), slice(info, sizeof info - 1), want, sizeof want);
    hkdf_key(&from, "hearth test", slice_str("context"), &got);
    assert_memory_equal(got.bytes, want, 32);
}

static void test_labels_and_contexts_do_not_collide(void **state)
{
    (void)state;
    static const struct {
        const char *label, *context;
    } uses[] = { { "a", "" }, { "a", "b" }, { "ab", "" }, { "a", "c" }, { "b", "a" } };
    struct key32 keys[5];
    for (size_t i = 0; i < 5; i++) {
        hkdf_key(&from, uses[i].label, slice_str(uses[i].context), &keys[i]);
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(keys[i].bytes, keys[j].bytes, 32);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_key_is_label_00_context),
        cmocka_unit_test(test_labels_and_contexts_do_not_collide),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
