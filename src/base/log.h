/* Structured log: one line an event on standard error, journald-friendly: `program level module: message key=value ...`, and
 * ` request=ID` at its end while a request is worked on (log_request); or, with HEARTH_LOG_FORMAT=json, one JSON object:
 * {"time":"2026-05-01T12:00:00.123Z","level":"info","program":"...","module":"...","request":"...","message":"...","key":"value",...}:
 * a pair of the format is a field of its own (log_fields.h), a whole number without quotes; what is called as one of the first six gets a _ before its name.
 * Values from outside must go through text_safe() (base/text.h). Never a secret. Any thread. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/outcome.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* program: shown in every line; borrowed for the life of the process. Level from HEARTH_LOG=error|warn|info|debug. */
void log_init(const char *program);
/* Before threads: lines go to a copy of standard error, which itself becomes /dev/null. Whatever libraries write there is not heard; of a sanitizer's
 * report it is. 0 or -errno. */
int log_leave_stderr(void) MUST_USE;
/* Another level or format while running ("text", "json"). False: there is no such one, nothing changes. Any thread. */
bool log_set_level(const char *name) MUST_USE;
bool log_set_format(const char *name) MUST_USE;

/* The request that this thread works on from now on: its ID stands in every line that the thread writes, whoever writes it. 0: none. */
struct log_request {
    uint64_t before;
} __attribute__((unused)); /* the variable's end is its use */
/* struct log_request r CLEANUP(log_request_end) = log_request(id); the one before comes back at the end of the scope. */
struct log_request log_request(uint64_t id);
void log_request_end(struct log_request *r);
#define LOG_REQUEST_BYTES 17 /* 16 hexadecimal digits */
/* As it stands in the lines. */
const char *log_request_text(uint64_t id, char out[LOG_REQUEST_BYTES]);

void log_write(enum log_level level, const char *module, const char *format, ...) PRINTF_LIKE(3, 4);
#define log_error(...) log_write(LOG_ERROR, LOG_MODULE, __VA_ARGS__)
#define log_warn(...) log_write(LOG_WARN, LOG_MODULE, __VA_ARGS__)
#define log_info(...) log_write(LOG_INFO, LOG_MODULE, __VA_ARGS__)
#define log_debug(...) log_write(LOG_DEBUG, LOG_MODULE, __VA_ARGS__)
/* Each .c that logs: #define LOG_MODULE "name" before including this header. */

#endif
