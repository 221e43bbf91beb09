/* Structured log: one line an event on standard error, `level module: message key=value ...`, journald-friendly.
 * Values from outside must go through text_safe() (base/text.h). Never a secret. Any thread. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/outcome.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* program: shown in every line; borrowed for the life of the process. Level from HEARTH_LOG=error|warn|info|debug. */
void log_init(const char *program);
void log_write(enum log_level level, const char *module, const char *format, ...) PRINTF_LIKE(3, 4);
#define log_error(...) log_write(LOG_ERROR, LOG_MODULE, __VA_ARGS__)
#define log_warn(...) log_write(LOG_WARN, LOG_MODULE, __VA_ARGS__)
#define log_info(...) log_write(LOG_INFO, LOG_MODULE, __VA_ARGS__)
#define log_debug(...) log_write(LOG_DEBUG, LOG_MODULE, __VA_ARGS__)
/* Each .c that logs: #define LOG_MODULE "name" before including this header. */

#endif
