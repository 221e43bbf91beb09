/* The meter: rates as a person reads them. */
#include "base/meter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void steady(void **state)
{
    struct meter m = { 0 };
    (void)state;
    assert_int_equal(meter_rate(&m, 5000), 0);
    for (int64_t ms = 1000; ms <= 11000; ms += 100)
        meter_note(&m, (uint64_t)(ms - 1000) * 50, ms);
    assert_int_equal(meter_rate(&m, 11000), 50000);
}

/* A jump counts a third, and not before half a second. */
static void changes(void **state)
{
    struct meter m = { 0 };
    (void)state;
    meter_note(&m, 0, 1000);
    meter_note(&m, 100, 1499);
    assert_int_equal(meter_rate(&m, 1499), 0);
    meter_note(&m, 600, 1600);
    assert_int_equal(meter_rate(&m, 1600), 1000);
    meter_note(&m, 4600, 2600);
    assert_int_equal(meter_rate(&m, 2600), 2000);
}

static void stands_still(void **state)
{
    struct meter m = { 0 };
    (void)state;
    meter_note(&m, 0, 1000);
    meter_note(&m, 1000, 2000);
    assert_int_equal(meter_rate(&m, 2000 + METER_STILL_MS - 1), 1000);
    assert_int_equal(meter_rate(&m, 2000 + METER_STILL_MS), 0);
    meter_note(&m, 10, 9000); /* the count began anew: nothing is measured by that */
    assert_int_equal(meter_rate(&m, 9000), 1000);
    meter_note(&m, 1010, 10000);
    assert_int_equal(meter_rate(&m, 10000), 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steady),
        cmocka_unit_test(changes),
        cmocka_unit_test(stands_still),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
