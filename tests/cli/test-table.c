/* Tables on a terminal and in a pipe: columns line up whatever is in a title, colours are for terminals alone. */
#include "ui-cli/output.h"

#include <fcntl.h>
#include <locale.h>
#include <poll.h>
#include <pty.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/util.h"
#include "base/width.h"

static const char *const titles[] = {
    "Evening Song",
    "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e\xe3\x81\xae\xe6\xad\x8c", /* wide */
    "\xd7\xa9\xd7\x99\xd7\xa8 \xd7\xa2\xd7\xa8\xd7\x91",            /* right to left */
    "\xd9\x81\xd9\x8a\xd8\xb1\xd9\x88\xd8\xb2",                     /* the same, letters that join */
    "e\xcc\x81t\xc3\xa9",                                           /* an accent of its own */
    "\x1b[31mred\x1b[2J\x07",                                       /* wants to drive the terminal */
    ("\xe2\x80\xae"
     "backwards"),      /* wants to turn the line */
    "one\nline, two\r", /* wants a line of its own */
};

static void print_all(void)
{
    static const char *const headings[] = { "N", "TITLE", "LENGTH" };
    struct table t;
    char number[8];
    table_init(&t, 3, headings);
    for (size_t i = 0; i < ARRAY_COUNT(titles); i++) {
        snprintf(number, sizeof(number), "%zu", i);
        table_row(&t, number, titles[i], "3:45");
    }
    table_print(&t);
    table_deinit(&t);
    struct output o;
    output_init(&o, false);
    output_error(&o, "no-license", "There is no license.", "buy it");
}

/* As `hearth transfers`, and behind it how many lines it says it took. */
static void print_amounts(void)
{
    static const char *const headings[] = { "#", "KIND", "TITLE", "STATE", "AMOUNT", "" };
    struct table t;
    table_init(&t, 6, headings);
    t.beneath = 4;
    table_row(&t, "1", "download", "A title of thirty columns, yes", "done", "4.2 MiB", "");
    table_row(&t, "2", "copy to", "Evening Song", "running", "33.6 MiB of 40.4 MiB", "2.0 MiB/s, 0:03 left");
    table_row(&t, "3", "copy to", "Morning Song", "waiting", "0 B of 40.4 MiB", "");
    table_note(&t, "bedroom cannot be reached now; goes on when it can");
    size_t lines = table_print(&t);
    table_deinit(&t);
    printf("%zu", lines);
}

/* What a child says on a pipe, or on a terminal of its own; 0-terminated. columns: of the terminal; 0: as it is made. */
static void said_by(void (*print)(void), bool terminal, unsigned short columns, char *out, size_t cap)
{
    struct winsize size = { .ws_row = 24, .ws_col = columns };
    int ends[2];
    pid_t child;
    fflush(NULL);
    if (terminal) {
        child = forkpty(&ends[0], NULL, NULL, &size);
    } else {
        assert_int_equal(pipe(ends), 0);
        child = fork();
    }
    assert_true(child >= 0);
    if (child == 0) {
        if (!terminal && (dup2(ends[1], STDOUT_FILENO) < 0 || dup2(ends[1], STDERR_FILENO) < 0))
            _exit(1);
        print();
        fflush(NULL);
        _exit(0);
    }
    if (!terminal)
        close(ends[1]);
    size_t len = 0;
    for (ssize_t n; len + 1 < cap && (n = read(ends[0], out + len, cap - 1 - len)) > 0;) /* a terminal ends with EIO */
        len += (size_t)n;
    out[len] = '\0';
    close(ends[0]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void said(bool terminal, char *out, size_t cap) { said_by(print_all, terminal, 0, out, cap); }

static unsigned count(const char *text, const char *what)
{
    unsigned n = 0;
    for (const char *at = text; (at = strstr(at, what)) != NULL; at += strlen(what))
        n++;
    return n;
}

/* Every row has its length at the same column. */
static void lines_up(const char *text)
{
    size_t column = 0, rows = 0;
    char *copy = strdup(text), *rest = copy;
    assert_non_null(copy);
    for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
        char *at = strstr(line, "3:45");
        if (at == NULL)
            continue;
        *at = '\0';
        if (rows++ == 0)
            column = width_of(line);
        assert_int_equal(width_of(line), column);
    }
    assert_int_equal(rows, ARRAY_COUNT(titles));
    free(copy);
}

static void a_pipe_gets_text_alone(void **state)
{
    char text[8192];
    (void)state;
    said(false, text, sizeof(text));
    lines_up(text);
    assert_int_equal(count(text, "\033"), 0);
    assert_int_equal(count(text, "\xe2\x81\xa8"), 0);
    assert_int_equal(count(text, "\xe2\x80\xae"), 0);
    assert_int_equal(count(text, "\a"), 0);
}

static void a_terminal_gets_colours_and_isolated_titles(void **state)
{
    char text[8192];
    (void)state;
    assert_int_equal(setenv("TERM", "xterm", 1), 0);
    assert_int_equal(unsetenv("NO_COLOR"), 0);
    said(true, text, sizeof(text));
    lines_up(text);
    assert_int_equal(count(text, "\033[1m"), 1);
    assert_int_equal(count(text, "\033[31m"), 1); /* ours, and not the title's */
    assert_int_equal(count(text, "\033"), 4);
    assert_int_equal(count(text, "\xe2\x81\xa8"), 2);
    assert_int_equal(count(text, "\xe2\x81\xa9"), 2);
    assert_int_equal(count(text, "\xe2\x80\xae"), 0);
}

static void no_colours_where_they_are_not_wanted(void **state)
{
    static const char *const wishes[][2] = { { "NO_COLOR", "1" }, { "TERM", "dumb" } };
    char text[8192];
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(wishes); i++) {
        assert_int_equal(setenv("TERM", "xterm", 1), 0);
        assert_int_equal(unsetenv("NO_COLOR"), 0);
        assert_int_equal(setenv(wishes[i][0], wishes[i][1], 1), 0);
        said(true, text, sizeof(text));
        assert_int_equal(count(text, "\033"), 0);
        assert_int_equal(count(text, "\xe2\x81\xa8"), 2); /* no colour: columns are still to line up */
    }
    assert_int_equal(setenv("TERM", "xterm", 1), 0);
    assert_int_equal(setenv("NO_COLOR", "", 1), 0); /* empty is as if it were not there */
    said(true, text, sizeof(text));
    assert_int_equal(count(text, "\033[1m"), 1);
}

/* Whatever the width: no amount is lost or cut, no line is wider than the terminal, and the count of lines is right. */
static void what_does_not_fit_goes_beneath(void **state)
{
    static const unsigned short widths[] = { 32, 40, 60, 80, 92, 93, 120 };
    char text[8192], piped[8192];
    (void)state;
    assert_int_equal(setenv("TERM", "dumb", 1), 0);
    for (size_t i = 0; i < ARRAY_COUNT(widths); i++) {
        unsigned lines = 0;
        said_by(print_amounts, true, widths[i], text, sizeof(text));
        assert_int_equal(count(text, "33.6 MiB of 40.4 MiB"), 1);
        assert_int_equal(count(text, "2.0 MiB/s, 0:03 left"), 1);
        assert_int_equal(count(text, "4.2 MiB"), 1);
        assert_int_equal(count(text, "AMOUNT"), widths[i] >= 60 ? 1 : 0);
        char *rest = text, *line = NULL;
        for (char *next; (next = strsep(&rest, "\n")) != NULL; line = next, lines += rest != NULL) {
            next[strcspn(next, "\r")] = '\0';
            assert_true(width_of(next) <= widths[i]);
            assert_true(next[0] == '\0' || next[strlen(next) - 1] != ' ');
        }
        assert_non_null(line);
        assert_int_equal(strtoul(line, NULL, 10), lines);
    }
    said_by(print_amounts, false, 0, piped, sizeof(piped));
    assert_int_equal(count(piped, "\n"), 5);
    assert_int_equal(count(piped, "33.6 MiB of 40.4 MiB  2.0 MiB/s, 0:03 left\n"), 1);
    said_by(print_amounts, true, 80, text, sizeof(text));
    assert_int_equal(count(text, "running\r\n    33.6 MiB of 40.4 MiB, 2.0 MiB/s, 0:03 left\r\n"), 1);
    assert_int_equal(count(text, "done     4.2 MiB\r\n"), 1); /* what fits stays in its line */
}

static void print_progress(void)
{
    static const ctl_Progress first = { .total = 4 << 20, .text = "Machine Wars" };
    ctl_Progress p = first;
    struct output o;
    output_init(&o, false);
    output_progress(&o, &p);
    o.progress_began_ms -= 2000;
    p.done = 2 << 20;
    output_progress(&o, &p);
    p.done = p.total;
    output_progress(&o, &p);
    p = first;
    (void)snprintf(p.text, sizeof(p.text), "waiting for tablet, which is offline; Ctrl-C leaves it queued");
    output_progress(&o, &p);
}

/* Less is said of how far it is where there is no room, before a word of what it is. */
static void progress_fits(void **state)
{
    static const struct {
        unsigned short columns;
        const char *half, *waiting;
    } cases[] = {
        { 100, "\033[KMachine Wars   50%  2.0 MiB of 4.0 MiB  1",
          "\033[Kwaiting for tablet, which is offline; Ctrl-C leaves it queued    0%  0 B of 4.0 MiB" },
        { 80, "\033[KMachine Wars   50%  2.0 MiB of 4.0 MiB  1",
          "\033[Kwaiting for tablet, which is offline; Ctrl-C leaves it queued    0%" },
        { 64, "\033[KMachine Wars   50%  2.0 MiB of 4.0 MiB  1",
          "\033[Kwaiting for tablet, which is offline; Ctrl-C leaves it queued" },
        { 48, "\033[KMachine Wars   50%  1", "\033[Kwaiting for tablet, which is offline; Ctrl-C..." },
        { 32, "\033[KMachine Wars   50%  0:02 left", "\033[Kwaiting for tablet, which is..." },
        { 20, "\033[KMachine Wars   50%\r", "\033[Kwaiting for tabl..." },
        { 14, "\033[KMach...   50%\r", "\033[Kwaiting fo..." },
    };
    char text[8192];
    (void)state;
    assert_int_equal(setenv("TERM", "xterm", 1), 0);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        said_by(print_progress, true, cases[i].columns, text, sizeof(text));
        assert_non_null(strstr(text, cases[i].half));
        const char *waiting = strstr(text, cases[i].waiting);
        assert_non_null(waiting);
        assert_string_equal(waiting + strlen(cases[i].waiting), "");
        assert_null(strstr(text, "- left"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pipe_gets_text_alone),
        cmocka_unit_test(a_terminal_gets_colours_and_isolated_titles),
        cmocka_unit_test(what_does_not_fit_goes_beneath),
        cmocka_unit_test(progress_fits),
        cmocka_unit_test(no_colours_where_they_are_not_wanted),
    };
    setlocale(LC_ALL, "");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
