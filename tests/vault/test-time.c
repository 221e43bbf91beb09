/* A hundred ways for a clock to be wrong, and what comes of each: time_cases.c. One test for each case. Source: seed S44; design, high-water mark. */
#include "cm.h"

#include <signal.h>
#include <stdlib.h>

#include "time_run.h"

static void one_case(void **state) { assert_int_equal(time_run(*state), 0); }

int main(void)
{
    struct CMUnitTest *tests = calloc(time_case_count, sizeof(*tests));
    signal(SIGPIPE, SIG_IGN);
    time_run_init();
    for (size_t i = 0; tests && i < time_case_count; i++)
        tests[i] = (struct CMUnitTest){ time_cases[i].name, one_case, NULL, NULL, (void *)(uintptr_t)&time_cases[i] };
    int r = tests ? _cmocka_run_group_tests("time", tests, time_case_count, NULL, NULL) : 1;
    free(tests);
    time_run_deinit();
    return r;
}
