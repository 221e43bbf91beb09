/* What a log line looks like, and that nothing from outside can forge a second one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define LOG_MODULE "test"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/util.h"

static char captured[4096];

/* Standard error goes to a pipe while write_lines() runs. */
static void capture(void (*write_lines)(void))
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    int saved = dup(STDERR_FILENO);
    assert_true(saved >= 0 && dup2(ends[1], STDERR_FILENO) >= 0);
    close(ends[1]);
    write_lines();
    dup2(saved, STDERR_FILENO);
    close(saved);
    ssize_t len = read(ends[0], captured, sizeof(captured) - 1);
    captured[len > 0 ? len : 0] = '\0';
    close(ends[0]);
}

static void write_levels(void)
{
    errno = EXDEV;
    log_error("one: n=%d", 1);
    log_warn("two");
    log_info("three");
    log_debug("four");
}

static void test_levels(void **state)
{
    (void)state;
    unsetenv("JOURNAL_STREAM");
    setenv("HEARTH_LOG", "warn", 1);
    log_init("prog");
    capture(write_levels);
    assert_int_equal(errno, EXDEV);
    assert_string_equal(captured, "prog error test: one: n=1\nprog warn test: two\n");
    setenv("HEARTH_LOG", "debug", 1);
    setenv("JOURNAL_STREAM", "1:2", 1);
    log_init("prog");
    capture(write_levels);
    assert_non_null(strstr(captured, "<3>prog error test: one: n=1\n"));
    assert_non_null(strstr(captured, "<7>prog debug test: four\n"));
    unsetenv("JOURNAL_STREAM");
    log_init("prog");
}

static void write_forged(void) { log_error("title=%s", "a\nprog error test: forged\x1b[2J\r"); }

static void write_long(void)
{
    char text[3000];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    log_error("%s", text);
}

static void test_one_line(void **state)
{
    (void)state;
    capture(write_forged);
    assert_string_equal(captured, "prog error test: title=a?prog error test: forged?[2J?\n");
    capture(write_long);
    size_t len = strlen(captured);
    assert_true(len > 900 && len <= 1024);
    assert_ptr_equal(strchr(captured, '\n'), captured + len - 1);
}

static void write_requests(void)
{
    struct log_request outer CLEANUP(log_request_end) = log_request(0xabc);
    log_error("one");
    {
        struct log_request inner CLEANUP(log_request_end) = log_request(UINT64_MAX);
        log_error("two");
    }
    log_error("three");
}

static void write_after(void) { log_error("after"); }

static void test_request(void **state)
{
    (void)state;
    capture(write_requests);
    assert_string_equal(captured, "prog error test: one request=0000000000000abc\n"
                                  "prog error test: two request=ffffffffffffffff\n"
                                  "prog error test: three request=0000000000000abc\n");
    capture(write_after);
    assert_string_equal(captured, "prog error test: after\n");
}

static void write_json(void)
{
    struct log_request r CLEANUP(log_request_end) = log_request(7);
    log_error("title=%s", "a\"b\\c\nd \xc3\xa9 \xc3 \xed\xa0\x80 \xe0\x80\x80 \",\"level\":\"x");
}

static void test_json(void **state)
{
    (void)state;
    assert_false(log_set_format("xml"));
    assert_true(log_set_format("json"));
    capture(write_json);
    const char *rest = strstr(captured, "\",\"level\"");
    assert_non_null(rest);
    assert_memory_equal(captured, "{\"time\":\"2", 10);
    assert_int_equal(rest - captured, strlen("{\"time\":\"2026-05-01T12:00:00.123Z"));
    assert_string_equal(
        rest, "\",\"level\":\"error\",\"program\":\"prog\",\"module\":\"test\",\"request\":\"0000000000000007\","
              "\"message\":\"\",\"title\":\"a\\\"b\\\\c?d \xc3\xa9 ? ??? ??? \\\",\\\"level\\\":\\\"x\"}\n");
    capture(write_long);
    size_t len = strlen(captured);
    assert_true(len > 900 && len <= 1024);
    assert_string_equal(captured + len - 4, "x\"}\n");
    assert_true(log_set_format("text"));
}

static void write_fields(void)
{
    char text[3000];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    log_error("cannot do it: name=%s, errno=%d", "a b=1 errno=7", -5);
    log_error("payment=%llu paid in all: of=%zu%% level=%s is %s", 12ULL, (size_t)3, "high", "said name=x");
    log_error("(no=%d field)", 1);
    log_error("long: text=%s n=%d", text, 1);
    log_error("%s: n=%d", text, 1);
    log_error("so many a=%d b=%d c=%d d=%d e=%d f=%d g=%d h=%d i=%d j=%d k=%d l=%d m=%d", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10,
              11, 12, 13);
}

/* What is a field is told by the format alone, whatever is filled in. */
static void test_json_fields(void **state)
{
    (void)state;
    static const char *const ends[] = {
        "\"message\":\"cannot do it\",\"name\":\"a b=1 errno=7\",\"errno\":-5}",
        "\"message\":\"paid in all is said name=x\",\"payment\":12,\"of\":\"3%\",\"_level\":\"high\"}",
        "\"message\":\"(no=1 field)\"}",
        "xxx\"}", /* cut, and what follows it is not there */
        "xxx\"}",
        "\"message\":\"so many m=13\",\"a\":1,\"b\":2,\"c\":3,\"d\":4,\"e\":5,\"f\":6,\"g\":7,\"h\":8,\"i\":9,\"j\":10,\"k\":11,\"l\":12}",
    };
    assert_true(log_set_format("json"));
    capture(write_fields);
    assert_true(log_set_format("text"));
    char *line = captured;
    for (size_t i = 0; i < ARRAY_COUNT(ends); i++) {
        char *end = strchr(line, '\n');
        assert_non_null(end);
        *end = '\0';
        assert_true(end - line < 1024 && strlen(line) > strlen(ends[i]));
        assert_string_equal(end - strlen(ends[i]), ends[i]);
        line = end + 1;
    }
    assert_string_equal(line, "");
}

static void write_debug(void) { log_debug("now"); }

static void test_level_while_running(void **state)
{
    (void)state;
    assert_false(log_set_level("loud"));
    assert_true(log_set_level("debug"));
    capture(write_debug);
    assert_string_equal(captured, "prog debug test: now\n");
    assert_true(log_set_level("error"));
    capture(write_levels);
    assert_string_equal(captured, "prog error test: one: n=1\n");
}

/* In a child, as it cannot be taken back. */
static void write_after_leaving(void)
{
    pid_t child = fork();
    if (child == 0) {
        int r = log_leave_stderr();
        fprintf(stderr, "a library speaks\n");
        log_error("after: r=%d", r);
        _exit(0);
    }
    assert_int_equal(waitpid(child, NULL, 0), child);
}

static void test_leave_stderr(void **state)
{
    (void)state;
    capture(write_after_leaving);
    assert_string_equal(captured, "prog error test: after: r=0\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_levels),      cmocka_unit_test(test_one_line),
                                        cmocka_unit_test(test_request),     cmocka_unit_test(test_json),
                                        cmocka_unit_test(test_json_fields), cmocka_unit_test(test_level_while_running),
                                        cmocka_unit_test(test_leave_stderr) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
