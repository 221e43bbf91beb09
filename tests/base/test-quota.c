/* A quota never goes above its limit and never wraps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/quota.h"

#include "base/util.h"

static void test_charge(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t used, limit, bytes;
        int outcome;
    } cases[] = {
        { "fits", 0, 10, 9, 0 },
        { "fills", 4, 10, 6, 0 },
        { "nothing", 10, 10, 0, 0 },
        { "one too many", 4, 10, 7, QUOTA_EXCEEDED },
        { "full", 10, 10, 1, QUOTA_EXCEEDED },
        { "wraps", 4, 10, SIZE_MAX, QUOTA_EXCEEDED },
        { "limit was lowered", 11, 10, 0, QUOTA_EXCEEDED },
        { "closed", 0, 0, 1, QUOTA_EXCEEDED },
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct quota q = { cases[i].used, cases[i].limit };
        if (quota_charge(&q, cases[i].bytes) != cases[i].outcome)
            fail_msg("%s", cases[i].name);
        assert_int_equal(q.used_bytes, cases[i].used + (cases[i].outcome ? 0 : cases[i].bytes));
    }
}

static void test_release(void **state)
{
    (void)state;
    struct quota q = { 0, 10 };
    assert_int_equal(quota_charge(&q, 10), 0);
    quota_release(&q, 4);
    assert_int_equal(quota_charge(&q, 5), QUOTA_EXCEEDED);
    assert_int_equal(quota_charge(&q, 4), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_charge), cmocka_unit_test(test_release) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
