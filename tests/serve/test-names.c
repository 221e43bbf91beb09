/* Names in use are found, counted, and forgotten with their last use. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "distributor/names.h"

#include <stdio.h>
#include <string.h>

#define MANY 5000

static void test_many(void **state)
{
    (void)state;
    struct names n;
    static struct name *all[MANY];
    assert_int_equal(names_init(&n, rng_system()), 0);
    for (unsigned round = 0; round < 2; round++)
        for (unsigned i = 0; i < MANY; i++) {
            char text[16];
            snprintf(text, sizeof(text), "user%u", i);
            struct name *name = names_take(&n, slice_str(text));
            assert_non_null(name);
            if (round == 0)
                all[i] = name;
            assert_ptr_equal(name, all[i]);
            assert_int_equal(name->uses, round + 1);
        }
    assert_int_equal(n.count, MANY);
    size_t seen = 0;
    for (struct name *name = names_next(&n, NULL); name != NULL; name = names_next(&n, name))
        seen++;
    assert_int_equal(seen, MANY);
    for (unsigned i = 0; i < MANY; i++) {
        names_drop(&n, all[i]);
        if (i % 2 == 0)
            names_drop(&n, all[i]);
    }
    assert_int_equal(n.count, MANY / 2);
    assert_null(names_find(&n, slice_str("user0")));
    assert_ptr_equal(names_find(&n, slice_str("user1")), all[1]);
    names_deinit(&n);
}

static void test_bounds(void **state)
{
    (void)state;
    struct names n;
    uint8_t bytes[NAMES_BYTES + 1] = { 0 };
    assert_int_equal(names_init(&n, rng_system()), 0);
    assert_non_null(names_take(&n, slice(bytes, NAMES_BYTES)));
    assert_null(names_take(&n, slice(bytes, NAMES_BYTES + 1)));
    assert_non_null(names_take(&n, slice(NULL, 0)));
    assert_non_null(names_find(&n, slice(NULL, 0)));
    assert_null(names_find(&n, slice(bytes, 1)));
    names_drop(&n, NULL);
    names_deinit(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_many), cmocka_unit_test(test_bounds) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
