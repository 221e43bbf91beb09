/* Finding fields. Where one begins and ends in the printed line is told by printing what stands before it once more: whatever is filled in, however long or
 * forged, cannot move it. Any thread. */
#include "base/log_fields.h"

#include <stdio.h>
#include <string.h>

#define KEY_CHARACTERS "abcdefghijklmnopqrstuvwxyz0123456789_-"

/* How long the first so many bytes of the format become. */
static size_t printed_bytes(const char *format, size_t bytes, va_list arguments)
{
    char before[LOG_FORMAT_BYTES];
    va_list copy;
    memcpy(before, format, bytes);
    before[bytes] = '\0';
    va_copy(copy, arguments);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* the beginning of one that was a literal */
    int len = vsnprintf(NULL, 0, before, copy);      /* arguments that are left over are ignored (C11 7.21.6.1) */
#pragma GCC diagnostic pop
    va_end(copy);
    return len > 0 ? (size_t)len : 0;
}

/* "%d", "%" PRIu64 and the like, and nothing beside. */
static bool is_whole_number(const char *value, size_t len)
{
    size_t lengths = len > 2 ? strspn(value + 1, "hljzt") : 0;
    return len >= 2 && value[0] == '%' && lengths == len - 2 && strchr("diu", value[len - 1]) != NULL;
}

/* The next word that is KEY=... ; its end, without what closes a part of a sentence. NULL: there is none. */
static const char *next(const char *c, size_t *key_len, size_t *len)
{
    while (*(c += strspn(c, " ")) != '\0') {
        size_t word = strcspn(c, " ");
        *key_len = strspn(c, KEY_CHARACTERS);
        if (*key_len > 0 && *key_len < word && c[*key_len] == '=') {
            for (*len = word; *len > *key_len + 1 && strchr(",;:", c[*len - 1]) != NULL;)
                --*len;
            return c;
        }
        c += word;
    }
    return NULL;
}

size_t log_fields_find(const char *format, va_list arguments, struct log_field out[LOG_FIELDS_MAX])
{
    size_t count = 0, key_len, len;
    if (strlen(format) >= LOG_FORMAT_BYTES)
        return 0;
    for (const char *c = format; count < LOG_FIELDS_MAX && (c = next(c, &key_len, &len)) != NULL; c += len) {
        const size_t value = (size_t)(c - format) + key_len + 1, end = (size_t)(c - format) + len;
        out[count++] = (struct log_field){ .key = c,
                                           .key_len = key_len,
                                           .begin = printed_bytes(format, value, arguments),
                                           .end = printed_bytes(format, end, arguments),
                                           .is_number = is_whole_number(format + value, end - value) };
    }
    return count;
}
