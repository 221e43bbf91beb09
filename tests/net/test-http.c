/* What is read of an HTTP answer, and gets that end before they begin. Against real and hostile servers: tests/household/test_contents.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/util.h"
#include "net/http.h"

static void test_range(void **state)
{
    (void)state;
    static const char *const bad[] = { "",
                                       "bytes",
                                       "bytes 0-0",
                                       "bytes 0-0/",
                                       "bytes 0-0/*",
                                       "bytes */100",
                                       "bytes -1-5/10",
                                       "bytes 5-4/10",
                                       "bytes 0-10/10",
                                       "bytes 0-1/99999999999999999999",
                                       "bytes 0-1/10 x",
                                       "bits 0-1/10",
                                       "bytes=0-1/10",
                                       "bytes 0--1/10" };
    uint64_t first = 7, last = 7, total = 7;
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        assert_false(http_range_parse(slice_str(bad[i]), &first, &last, &total));
    assert_true(first == 7 && last == 7 && total == 7);
    assert_true(http_range_parse(slice_str("bytes 3-9/1000000000000000\r\n"), &first, &last, &total));
    assert_true(first == 3 && last == 9 && total == 1000000000000000);
    assert_true(http_range_parse(slice_str("Bytes 0-0/1"), &first, &last, &total));
    assert_true(first == 0 && last == 0 && total == 1);
}

struct ending {
    unsigned count;
    enum reason why;
};

static int on_bytes(struct slice bytes, uint64_t total_bytes, void *ctx)
{
    (void)bytes, (void)total_bytes, (void)ctx;
    fail();
    return 0;
}

static void on_done(enum reason why, const char *detail, void *ctx)
{
    struct ending *e = ctx;
    (void)detail;
    e->count++;
    e->why = why;
}

static void test_ends(void **state)
{
    (void)state;
    static const struct http_callbacks callbacks = { on_bytes, on_done };
    struct ending refused = { 0 }, cancelled = { 0 };
    struct http *h;
    struct http_get *g;
    uv_loop_t loop;
    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(http_new(&h, &loop, NULL), 0);
    assert_int_equal(http_get_start(&g, h, "http://127.0.0.1:1/x", 0, 10, &callbacks, &cancelled), 0);
    assert_int_equal(http_get_start(&g, h, "http://127.0.0.1:1/x", 0, 10, &callbacks, &refused), 0);
    assert_int_equal(refused.count, 0); /* not before the call has returned */
    while (refused.count == 0)
        uv_run(&loop, UV_RUN_ONCE);
    assert_int_equal(refused.count, 1);
    assert_int_equal(refused.why, REASON_OFFLINE);
    unsigned before = cancelled.count;
    assert_int_equal(http_get_start(&g, h, "http://127.0.0.1:1/x", 0, 10, &callbacks, &cancelled), 0);
    http_get_cancel(g);
    while (cancelled.count < before + (before == 0))
        uv_run(&loop, UV_RUN_ONCE); /* the first one ends; the cancelled one says nothing */
    assert_int_equal(cancelled.count, 1);
    http_free(h);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_range), cmocka_unit_test(test_ends) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
