/* Password hashes: right, wrong, unknown user, damaged hash. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "crypto/password.h"

static char hash[PASSWORD_HASH_BYTES];

static int hash_one(void **state)
{
    (void)state;
    return password_hash(slice_str("correct horse"), hash);
}

static void test_only_the_right_one(void **state)
{
    (void)state;
    static const char *const wrong[] = { "", "correct hors", "correct horse ", "Correct horse" };
    assert_true(password_matches(hash, slice_str("correct horse")));
    for (size_t i = 0; i < 4; i++)
        assert_false(password_matches(hash, slice_str(wrong[i])));
    assert_false(password_matches(NULL, slice_str("correct horse")));
}

static void test_is_argon2id_and_salted(void **state)
{
    (void)state;
    char again[PASSWORD_HASH_BYTES];
    assert_true(strncmp(hash, "$argon2id$v=19$", 15) == 0);
    assert_int_equal(password_hash(slice_str("correct horse"), again), 0);
    assert_string_not_equal(hash, again);
}

static void test_damaged_hash(void **state)
{
    (void)state;
    char damaged[PASSWORD_HASH_BYTES];
    assert_false(password_matches("", slice_str("correct horse")));
    assert_false(password_matches("plain", slice_str("plain")));
    memcpy(damaged, hash, sizeof damaged);
    damaged[strlen(damaged) - 3] ^= 1;
    assert_false(password_matches(damaged, slice_str("correct horse")));
    memcpy(damaged, hash, sizeof damaged);
    damaged[strlen(damaged) - 10] = '\0';
    assert_false(password_matches(damaged, slice_str("correct horse")));
}

static void test_empty_password(void **state)
{
    (void)state;
    char empty[PASSWORD_HASH_BYTES];
    assert_int_equal(password_hash(slice(NULL, 0), empty), 0);
    assert_true(password_matches(empty, slice(NULL, 0)));
    assert_false(password_matches(empty, slice_str("x")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_the_right_one),
        cmocka_unit_test(test_is_argon2id_and_salted),
        cmocka_unit_test(test_damaged_hash),
        cmocka_unit_test(test_empty_password),
    };
    return cmocka_run_group_tests(tests, hash_one, NULL);
}
