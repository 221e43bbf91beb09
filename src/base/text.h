/* Text from outside: UTF-8 checks, terminal-safe printing, card numbers; hex and base32. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/outcome.h"
#include "base/slice.h"

bool text_is_utf8(struct slice s);  /* well-formed (no surrogates, no overlong), no NUL */
bool text_is_plain(struct slice s); /* the same, and text_safe would leave it as it is */
/* Copies s to out (cap bytes, always terminated) with everything that could act on a terminal or reorder a line
 * (C0, C1, DEL, bidi controls, line separators, invalid UTF-8), or that shows nothing (zero width but for joiners, tags), replaced by U+FFFD. Returns out. */
char *text_safe(const char *s, char *out, size_t cap);
/* A portable file name from a title: no separators, no leading dot, no controls, at most cap-1 bytes; never empty. */
char *text_file_name(const char *title, char *out, size_t cap);

/* Does it hold what looks like a payment card's number: 13 to 19 digits with a right check digit, written together or in groups of digits with up to
 * three spaces, dashes, dots or other marks between? A longer run of digits without a mark does not look like one. Source: ISO/IEC 7812-1 annex B. */
bool text_has_card_number(const char *s);

/* An amount such as 4.99 or 5, in minor units: 499, 500. 0 or -EINVAL. */
int text_money(const char *text, int64_t *out) MUST_USE;

#define HEX_TEXT_BYTES(n) ((n)*2 + 1)
#define BASE32_TEXT_BYTES(n) (((n)*8 + 4) / 5 + 1)
void hex_encode(struct slice s, char *out /* HEX_TEXT_BYTES(s.len) */);
/* Lower case; either case is read. */
#define TEXT_MALFORMED 1
int hex_decode(const char *text, uint8_t *out, size_t out_len)
    MUST_USE; /* exactly out_len bytes, else TEXT_MALFORMED */
/* RFC 4648 base32, lower case, no padding, unused bits zero: exactly one text for a value. */
void base32_encode(struct slice s, char *out /* BASE32_TEXT_BYTES(s.len) */);
int base32_decode(const char *text, uint8_t *out, size_t out_len) MUST_USE;

#endif
