/* Which parts of a log line are fields: `KEY=` in its format, at the beginning or after a space, with what stands after it up to the next space.
 * Found in the format, which is ours, and never in what was filled in, which may come from outside. */
#ifndef BASE_LOG_FIELDS_H
#define BASE_LOG_FIELDS_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#define LOG_FIELDS_MAX 12
#define LOG_FORMAT_BYTES 512 /* of a longer format no fields are found */

struct log_field {
    const char *key; /* in the format; valid as long as that is */
    size_t key_len;
    size_t begin, end; /* of its value, in the line as it was printed; beyond the line's end when that was cut */
    bool is_number;    /* a whole number, by its format */
};
/* Writes at most LOG_FIELDS_MAX, in their order; the rest stays part of the text. How many there are. arguments: of this format; not consumed. */
size_t log_fields_find(const char *format, va_list arguments, struct log_field out[LOG_FIELDS_MAX]);

#endif
