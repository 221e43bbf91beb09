/* Small jobs together: in their order, none before it was asked for, all of them in the end. */
#include "net/bunch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"

#define JOBS 40

struct job {
    struct bunch_job job;
    int run, done;
};
static uv_loop_t loop;
static struct bunch *bunch;
static struct job jobs[JOBS];
static int order[JOBS], ran, more;
static uv_thread_t self;

/* Only on the pool, one after the other: so `ran` needs no lock. */
static void on_run(uv_work_t *work)
{
    struct job *j = work->data;
    uv_thread_t here = uv_thread_self();
    j->run += !uv_thread_equal(&here, &self);
    order[ran++] = (int)(j - jobs);
}

static void add(int first, int count);

static void on_done(uv_work_t *work, int status)
{
    struct job *j = work->data;
    assert_int_equal(status, 0);
    assert_int_equal(j->run, 1);
    j->done++;
    int n = more;
    more = 0;
    add(JOBS - n, n);
}

static void add(int first, int count)
{
    for (int i = first; i < first + count; i++) {
        jobs[i].job.work.data = &jobs[i];
        bunch_add(bunch, &jobs[i].job, on_run, on_done);
        assert_int_equal(jobs[i].done, 0); /* never from within */
    }
}

static int setup(void **state)
{
    (void)state;
    self = uv_thread_self();
    memset(jobs, 0, sizeof(jobs));
    ran = more = 0;
    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(bunch_new(&bunch, &loop), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    bunch_free(steal(&bunch));
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    return uv_loop_close(&loop);
}

static void expect_all(void)
{
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(ran, JOBS);
    for (int i = 0; i < JOBS; i++) {
        assert_int_equal(order[i], i);
        assert_int_equal(jobs[i].done, 1);
    }
}

static void all_in_their_order(void **state)
{
    (void)state;
    add(0, JOBS);
    expect_all();
}

static void more_from_within(void **state)
{
    (void)state;
    more = JOBS - 2;
    add(0, 2);
    expect_all();
}

static void freed_while_they_wait(void **state)
{
    (void)state;
    add(0, JOBS);
    bunch_free(steal(&bunch));
    expect_all();
}

static void by_itself(void **state)
{
    (void)state;
    add(0, JOBS - 1);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    jobs[JOBS - 1].job.work.data = &jobs[JOBS - 1];
    bunch_alone(&loop, &jobs[JOBS - 1].job, on_run, on_done);
    expect_all();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_in_their_order, setup, teardown),
        cmocka_unit_test_setup_teardown(more_from_within, setup, teardown),
        cmocka_unit_test_setup_teardown(freed_while_they_wait, setup, teardown),
        cmocka_unit_test_setup_teardown(by_itself, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
