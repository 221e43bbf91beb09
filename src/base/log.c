/* One line an event on standard error, written by one write(2) so that lines of several processes do not mix.
 * Not a place to decide what is worth logging. Any thread after log_init(), which is called once, first in main(). */
#include "base/log.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log_fields.h"
#include "base/util.h"

#define LINE_BYTES 1024
#define END_BYTES 32 /* kept free for what closes the line */

static const char *const level_names[] = { "error", "warn", "info", "debug" };
static const int syslog_priorities[] = { 3, 4, 6, 7 };

/* Passing a context to every failure path would cost more clarity than it gives. Program, journal and descriptor are set once by log_init()
 * before threads start; level and format may change, and are read one at a time. */
static struct {
    const char *program;
    int fd;
    bool for_journal;
    atomic_int threshold; /* enum log_level */
    atomic_bool json;
} settings = { "hearth", STDERR_FILENO, false, LOG_INFO, false };

/* A request is worked on by one thread at a time, deep below the code that knows its ID: so it lies beside the thread. */
static _Thread_local uint64_t current_request;

bool log_set_level(const char *name)
{
    for (size_t i = 0; i < ARRAY_COUNT(level_names); i++)
        if (strcmp(name, level_names[i]) == 0) {
            atomic_store(&settings.threshold, (int)i);
            return true;
        }
    return false;
}

bool log_set_format(const char *name)
{
    bool json = strcmp(name, "json") == 0;
    if (!json && strcmp(name, "text") != 0)
        return false;
    atomic_store(&settings.json, json);
    return true;
}

void log_init(const char *program)
{
    settings.program = program;
    settings.for_journal = getenv("JOURNAL_STREAM") != NULL;
    const char *level = getenv("HEARTH_LOG"), *format = getenv("HEARTH_LOG_FORMAT");
    bool taken = (level == NULL || log_set_level(level)) && (format == NULL || log_set_format(format));
    (void)taken; /* what is no level or format leaves the default: a program does not fail for its log */
}

extern void __sanitizer_set_report_fd(void *fd) __attribute__((weak));

int log_leave_stderr(void)
{
    int null CLEANUP(closep) = open("/dev/null", O_WRONLY | O_CLOEXEC);
    int copy CLEANUP(closep) = null < 0 ? -1 : fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (copy < 0 || dup2(null, STDERR_FILENO) < 0)
        return -errno;
    if (__sanitizer_set_report_fd)
        __sanitizer_set_report_fd((void *)(intptr_t)copy);
    settings.fd = copy;
    copy = -1;
    return 0;
}

struct log_request log_request(uint64_t id)
{
    struct log_request r = { current_request };
    current_request = id;
    return r;
}

void log_request_end(struct log_request *r) { current_request = r->before; }

const char *log_request_text(uint64_t id, char out[LOG_REQUEST_BYTES])
{
    snprintf(out, LOG_REQUEST_BYTES, "%016" PRIx64, id);
    return out;
}

/* Length that a *printf into `room` bytes left behind. */
static size_t printed(int result, size_t room)
{
    if (result < 0)
        return 0;
    return size_min((size_t)result, room - 1);
}

/* --- Lines ----------------------------------------------------------------------------------------------------------- */

struct line {
    char bytes[LINE_BYTES];
    size_t len, max; /* max: what may be used; the rest is for the end of the line */
};

static void put(struct line *l, const char *format, ...) PRINTF_LIKE(2, 3);
static void put(struct line *l, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    l->len += printed(vsnprintf(l->bytes + l->len, l->max - l->len, format, args), l->max - l->len);
    va_end(args);
}

/* A second fence after text_safe(): nothing ends the line early or drives a terminal. */
static void fence(char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            text[i] = '?';
}

/* Bytes of the UTF-8 character at c (RFC 3629), 0 when there is none. */
static size_t character(const unsigned char *c)
{
    if (*c < 0x80)
        return 1;
    if (*c < 0xc2 || *c > 0xf4)
        return 0;
    size_t n = *c >= 0xf0 ? 4 : *c >= 0xe0 ? 3 : 2;
    unsigned char least = *c == 0xe0   ? 0xa0
                          : *c == 0xf0 ? 0x90
                                       : 0x80,
                  most = *c == 0xed   ? 0x9f
                         : *c == 0xf4 ? 0x8f
                                      : 0xbf;
    if (c[1] < least || c[1] > most)
        return 0;
    for (size_t i = 2; i < n; i++)
        if ((c[i] & 0xc0) != 0x80)
            return 0;
    return n;
}

/* As the inside of a JSON string. What does not fit is left out, never half an escape or half a character; what is no
 * character is replaced. */
static void put_json(struct line *l, const char *text)
{
    for (const unsigned char *c = (const unsigned char *)text; *c != '\0';) {
        size_t n = character(c);
        if (l->max - l->len <= n + 1)
            return;
        if (n == 0) {
            l->bytes[l->len++] = '?';
            c++;
            continue;
        }
        if (*c == '"' || *c == '\\')
            l->bytes[l->len++] = '\\';
        memcpy(l->bytes + l->len, c, n);
        l->len += n;
        c += n;
    }
}

static void put_time(struct line *l)
{
    struct timespec now;
    struct tm t;
    clock_gettime(CLOCK_REALTIME, &now);
    if (gmtime_r(&now.tv_sec, &t) == NULL)
        return;
    put(l, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", t.tm_year + 1900, t.tm_mon + 1, t.tm_mday, t.tm_hour, t.tm_min,
        t.tm_sec, (int)(now.tv_nsec / 1000000));
}

/* What is no field, without the spaces and the colon that led to one. */
static void message_of(const char *text, const struct log_field *fields, size_t count, char out[LINE_BYTES])
{
    size_t used = 0, at = 0, len = strlen(text);
    for (size_t i = 0; i <= count; i++) {
        size_t end = i < count ? size_min(fields[i].begin - fields[i].key_len - 1, len) : len;
        while (at < end && i > 0 && strchr(" ,;:", text[at]) != NULL)
            at++;
        if (at < end && used > 0)
            out[used++] = ' ';
        for (; at < end; at++)
            out[used++] = text[at];
        while (used > 0 && count > 0 && strchr(" ,;:", out[used - 1]) != NULL)
            used--;
        at = i < count ? size_min(fields[i].end, len) : len;
    }
    out[used] = '\0';
}

static bool is_reserved(const struct log_field *f)
{
    static const char *const names[] = { "time", "level", "program", "module", "request", "message" };
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        if (strlen(names[i]) == f->key_len && memcmp(names[i], f->key, f->key_len) == 0)
            return true;
    return false;
}

/* Whole, or not at all, but for a text whose end does not fit. */
static void put_field(struct line *l, const struct log_field *f, const char *text)
{
    char value[LINE_BYTES];
    size_t len = strlen(text), begin = size_min(f->begin, len), bytes = size_min(f->end, len) - begin;
    bool cut = f->end > len, number = f->is_number && !cut && bytes > 0;
    if (cut && bytes == 0)
        return;
    size_t around = f->key_len + strlen(",\"\":\"\"") + 1;
    if (l->max - l->len <= around + (number ? bytes : 0))
        return;
    memcpy(value, text + begin, bytes);
    value[bytes] = '\0';
    put(l, ",\"%s%.*s\":%s", is_reserved(f) ? "_" : "", (int)f->key_len, f->key, number ? value : "\"");
    if (number)
        return;
    l->max--;
    put_json(l, value);
    l->max++;
    put(l, "\"");
}

static void write_json(struct line *l, enum log_level level, const char *module, const char *text,
                       const struct log_field *fields, size_t count)
{
    char request[LOG_REQUEST_BYTES], message[LINE_BYTES];
    message_of(text, fields, count, message);
    put(l, "{\"time\":\"");
    put_time(l);
    put(l, "\",\"level\":\"%s\",\"program\":\"%s\",\"module\":\"%s\"", level_names[level], settings.program, module);
    if (current_request != 0)
        put(l, ",\"request\":\"%s\"", log_request_text(current_request, request));
    put(l, ",\"message\":\"");
    put_json(l, message);
    l->max += END_BYTES / 2;
    put(l, "\"");
    for (size_t i = 0; i < count; i++)
        put_field(l, &fields[i], text);
    l->max = sizeof(l->bytes) - 1;
    put(l, "}");
}

static void write_text(struct line *l, enum log_level level, const char *module, const char *text)
{
    char request[LOG_REQUEST_BYTES];
    put(l, "%s %s %s: %s", settings.program, level_names[level], module, text);
    l->max = sizeof(l->bytes) - 1;
    if (current_request != 0)
        put(l, " request=%s", log_request_text(current_request, request));
}

void log_write(enum log_level level, const char *module, const char *format, ...)
{
    if ((int)level > atomic_load_explicit(&settings.threshold, memory_order_relaxed))
        return;
    int saved_errno = errno;
    char text[LINE_BYTES];
    va_list args;
    va_start(args, format);
    size_t len = printed(vsnprintf(text, sizeof(text), format, args), sizeof(text));
    va_end(args);
    const bool json = atomic_load_explicit(&settings.json, memory_order_relaxed);
    struct log_field fields[LOG_FIELDS_MAX];
    va_start(args, format);
    size_t count = json ? log_fields_find(format, args, fields) : 0;
    va_end(args);
    text[len] = '\0';
    fence(text, len);
    struct line l = { .max = LINE_BYTES - END_BYTES };
    if (settings.for_journal)
        put(&l, "<%d>", syslog_priorities[level]);
    if (json)
        write_json(&l, level, module, text, fields, count);
    else
        write_text(&l, level, module, text);
    l.bytes[l.len++] = '\n';
    ssize_t ignored = write(settings.fd, l.bytes, l.len); /* nowhere to report a failed log line */
    (void)ignored;
    errno = saved_errno;
}
