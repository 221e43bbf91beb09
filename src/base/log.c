/* One line an event on standard error, written by one write(2) so that lines of several processes do not mix.
 * Not a place to decide what is worth logging. Any thread after log_init(), which is called once, first in main(). */
#include "base/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"

#define LINE_BYTES 1024

static const char *const level_names[] = { "error", "warn", "info", "debug" };
static const int syslog_priorities[] = { 3, 4, 6, 7 };

/* Set once by log_init() before threads start, constant afterwards: passing a context to every
 * failure path would cost more clarity than it gives. */
static struct {
    const char *program;
    enum log_level threshold;
    bool for_journal;
} settings = { "hearth", LOG_INFO, false };

void log_init(const char *program)
{
    settings.program = program;
    settings.for_journal = getenv("JOURNAL_STREAM") != NULL;
    const char *wanted = getenv("HEARTH_LOG");
    for (size_t i = 0; wanted && i < ARRAY_COUNT(level_names); i++)
        if (strcmp(wanted, level_names[i]) == 0)
            settings.threshold = (enum log_level)i;
}

/* Length that a *printf into `room` bytes left behind. */
static size_t printed(int result, size_t room)
{
    if (result < 0)
        return 0;
    return size_min((size_t)result, room - 1);
}

void log_write(enum log_level level, const char *module, const char *format, ...)
{
    if (level > settings.threshold)
        return;
    int saved_errno = errno;
    char line[LINE_BYTES];
    size_t room = sizeof(line) - 1; /* one byte stays for the newline */
    size_t len = 0;
    if (settings.for_journal)
        len = printed(snprintf(line, room, "<%d>", syslog_priorities[level]), room);
    len += printed(snprintf(line + len, room - len, "%s %s %s: ", settings.program, level_names[level], module),
                   room - len);
    size_t text = len;
    va_list args;
    va_start(args, format);
    len += printed(vsnprintf(line + len, room - len, format, args), room - len);
    va_end(args);
    /* A second fence after text_safe(): nothing ends the line early or drives a terminal. */
    for (size_t i = text; i < len; i++)
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = '?';
    line[len++] = '\n';
    ssize_t ignored = write(STDERR_FILENO, line, len); /* nowhere to report a failed log line */
    (void)ignored;
    errno = saved_errno;
}
