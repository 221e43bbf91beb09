/* The system's clocks are plausible; the fake one moves only by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <time.h>

#include "base/clock.h"

static void test_system(void **state)
{
    (void)state;
    const struct clock *c = clock_system();
    int64_t before = (int64_t)time(NULL) * 1000;
    int64_t wall = clock_wall_ms(c);
    assert_true(wall >= before && wall < before + 60000);
    int64_t mono = clock_mono_ms(c);
    assert_true(mono > 0 && clock_mono_ms(c) >= mono);
}

static void test_fake(void **state)
{
    (void)state;
    struct clock_fake f;
    clock_fake_init(&f, 1700000000000);
    assert_true(clock_wall_ms(&f.clock) == 1700000000000);
    assert_true(clock_mono_ms(&f.clock) == 0);
    f.wall -= 5;
    f.mono += 7;
    assert_true(clock_wall_ms(&f.clock) == 1699999999995);
    assert_true(clock_mono_ms(&f.clock) == 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_system), cmocka_unit_test(test_fake) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
