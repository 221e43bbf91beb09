/* Avahi's main loop on libuv: never early, what happened, freed from within. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <avahi-common/timeval.h>
#include <stdbool.h>
#include <unistd.h>

#include "net/avahi_uv.h"

struct seen {
    const AvahiPoll *api;
    AvahiTimeout *timeout;
    AvahiWatch *watch;
    struct timeval due;
    unsigned fired, early;
    AvahiWatchEvent events, asked;
    bool freed;
};

static void on_due(AvahiTimeout *t, void *ctx)
{
    struct seen *s = ctx;
    s->fired++;
    if (avahi_age(&s->due) < 0)
        s->early++;
    if (s->fired < 20) {
        avahi_elapse_time(&s->due, 3, 0);
        s->api->timeout_update(t, &s->due);
    } else {
        s->api->timeout_free(t);
    }
}

static void on_event(AvahiWatch *w, int fd, AvahiWatchEvent event, void *ctx)
{
    struct seen *s = ctx;
    char c;
    s->fired++;
    s->events = event;
    s->asked = s->api->watch_get_events(w);
    assert_int_equal(read(fd, &c, 1), 1);
    s->api->watch_free(w);
}

static void on_freed(void *ctx) { ((struct seen *)ctx)->freed = true; }

static void end(struct avahi_uv *a, uv_loop_t *loop, struct seen *s)
{
    avahi_uv_free(a, on_freed, s);
    assert_false(s->freed);
    uv_run(loop, UV_RUN_DEFAULT);
    assert_true(s->freed);
    assert_int_equal(uv_loop_close(loop), 0);
}

static void test_timeouts(void **state)
{
    (void)state;
    uv_loop_t loop;
    struct avahi_uv *a;
    struct seen s = { 0 }, never = { 0 };
    uv_loop_init(&loop);
    assert_int_equal(avahi_uv_new(&a, &loop), 0);
    s.api = avahi_uv_poll(a);
    avahi_elapse_time(&s.due, 0, 0); /* due now: still not before the call returns */
    s.timeout = s.api->timeout_new(s.api, &s.due, on_due, &s);
    assert_int_equal(s.fired, 0);
    never.timeout = s.api->timeout_new(s.api, NULL, on_due, &never);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(s.fired, 20);
    assert_int_equal(s.early, 0);
    assert_int_equal(never.fired, 0);
    avahi_elapse_time(&never.due, 10, 0);
    s.api->timeout_update(never.timeout, &never.due);
    s.api->timeout_update(never.timeout, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(never.fired, 0);
    s.api->timeout_free(never.timeout);
    end(a, &loop, &s);
}

static void test_watches(void **state)
{
    (void)state;
    uv_loop_t loop;
    struct avahi_uv *a;
    struct seen s = { 0 };
    int fds[2];
    uv_loop_init(&loop);
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(avahi_uv_new(&a, &loop), 0);
    s.api = avahi_uv_poll(a);
    s.watch = s.api->watch_new(s.api, fds[0], AVAHI_WATCH_IN, on_event, &s);
    assert_non_null(s.watch);
    assert_int_equal(s.api->watch_get_events(s.watch), 0); /* those that happened, not those that are wanted */
    uv_run(&loop, UV_RUN_NOWAIT);
    assert_int_equal(s.fired, 0);
    s.api->watch_update(s.watch, 0);
    assert_int_equal(write(fds[1], "ab", 2), 2);
    uv_run(&loop, UV_RUN_NOWAIT);
    assert_int_equal(s.fired, 0);
    s.api->watch_update(s.watch, AVAHI_WATCH_IN);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(s.fired, 1); /* it was freed: the second byte is nobody's */
    assert_int_equal(s.events, AVAHI_WATCH_IN);
    assert_int_equal(s.asked, AVAHI_WATCH_IN);
    end(a, &loop, &s);
    close(fds[0]);
    close(fds[1]);
}

static void test_nothing(void **state)
{
    (void)state;
    uv_loop_t loop;
    struct avahi_uv *a;
    struct seen s = { 0 };
    uv_loop_init(&loop);
    assert_int_equal(avahi_uv_new(&a, &loop), 0);
    end(a, &loop, &s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_timeouts),
        cmocka_unit_test(test_watches),
        cmocka_unit_test(test_nothing),
    };
    return cmocka_run_group_tests_name("avahi-uv", tests, NULL, NULL);
}
