/* A pace holds its rate whatever is asked for, and never longer than what was taken costs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/pace.h"
#include "base/util.h"

static void no_limit_never_waits(void **state)
{
    (void)state;
    struct pace p = { 0 };
    pace_take(&p, UINT64_MAX, 5);
    assert_int_equal(pace_wait_ms(&p, 5), 0);
}

static void what_was_taken_is_waited_for(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint64_t rate, bytes;
        int64_t after_ms;
        uint32_t wait_ms;
    } cases[] = {
        { "a second's worth", 1000, 1000, 0, 1000 },
        { "half of it has passed", 1000, 1000, 500, 500 },
        { "all of it", 1000, 1000, 1000, 0 },
        { "a part of a millisecond is one", 1000000, 1, 0, 1 },
        { "never longer than a second at once", 1024, 1u << 30, 0, 1000 },
        { "absurd", 1024, UINT64_MAX, 0, 1000 },
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct pace p = { 0 };
        pace_set(&p, cases[i].rate, 7);
        pace_take(&p, cases[i].bytes, 7);
        if (pace_wait_ms(&p, 7 + cases[i].after_ms) != cases[i].wait_ms)
            fail_msg("%s: %u", cases[i].name, pace_wait_ms(&p, 7 + cases[i].after_ms));
    }
}

static void the_average_holds(void **state)
{
    (void)state;
    struct pace p = { 0 };
    uint64_t taken = 0;
    pace_set(&p, 100000, 0);
    for (int64_t now = 0; now < 60000; now++)
        if (pace_wait_ms(&p, now) == 0) {
            pace_take(&p, 16384, now);
            taken += 16384;
        }
    assert_in_range(taken, 100000 * 59, 100000 * 60 + 16384);
}

static void an_idle_time_saves_nothing_up(void **state)
{
    (void)state;
    struct pace p = { 0 };
    pace_set(&p, 1000, 0);
    pace_take(&p, 1000, 100000);
    assert_int_equal(pace_wait_ms(&p, 100000), 1000);
}

static void another_rate_takes_effect_at_once(void **state)
{
    (void)state;
    struct pace p = { 0 };
    pace_set(&p, 1024, 0);
    pace_take(&p, 1u << 30, 0);
    pace_set(&p, 1u << 20, 10);
    assert_int_equal(pace_wait_ms(&p, 10), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_limit_never_waits),
        cmocka_unit_test(what_was_taken_is_waited_for),
        cmocka_unit_test(the_average_holds),
        cmocka_unit_test(an_idle_time_saves_nothing_up),
        cmocka_unit_test(another_rate_takes_effect_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
