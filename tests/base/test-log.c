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

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_levels), cmocka_unit_test(test_one_line) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
