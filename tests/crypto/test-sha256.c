/* SHA-256: what the published vectors do not reach. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "crypto/sha256.h"

static void test_abort_releases(void **state)
{
    (void)state;
    struct sha256_state s;
    assert_int_equal(sha256_init(&s), 0);
    sha256_update(&s, slice_str("some"));
    sha256_abort(&s);
    sha256_abort(&s);
    assert_null(s.handle);
}

static void test_no_parts_is_the_empty_message(void **state)
{
    (void)state;
    uint8_t none[32], empty[32];
    struct slice part = slice(NULL, 0);
    sha256(slice(NULL, 0), empty);
    sha256_parts(NULL, 0, none);
    assert_memory_equal(none, empty, 32);
    sha256_parts(&part, 1, none);
    assert_memory_equal(none, empty, 32);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_abort_releases),
                                        cmocka_unit_test(test_no_parts_is_the_empty_message) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
