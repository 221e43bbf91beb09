/* Checks and safe renderings of text from outside; hex and base32. No locale, no normalisation. Any thread. */
#include "base/text.h"

#include <assert.h>
#include <ctype.h>

#include "base/util.h"

/* Length of the well-formed UTF-8 sequence at the front of s and its code point; 0 when there is none.
 * Source: RFC 3629 section 4. */
static size_t utf8_next(struct slice s, uint32_t *code)
{
    if (s.len == 0)
        return 0;
    uint8_t first = s.data[0];
    if (first < 0x80) {
        *code = first;
        return 1;
    }
    size_t len = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || s.len < len)
        return 0;
    uint32_t v = first & (0xffu >> (len + 1));
    for (size_t i = 1; i < len; i++) {
        if ((s.data[i] & 0xc0) != 0x80)
            return 0;
        v = v << 6 | (s.data[i] & 0x3f);
    }
    static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
    if (v < smallest[len] || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff))
        return 0;
    *code = v;
    return len;
}

bool text_is_utf8(struct slice s)
{
    while (s.len > 0) {
        uint32_t code;
        size_t n = utf8_next(s, &code);
        if (n == 0 || code == 0)
            return false;
        s = slice_sub(s, n, s.len - n);
    }
    return true;
}

/* What acts on a terminal or reorders a line instead of showing something, or shows nothing at all, and so hides in a name. The joiners U+200C and
 * U+200D are left, which scripts and pictures of several parts need. */
static bool is_unsafe(uint32_t code)
{
    return code < 0x20 || (code >= 0x7f && code <= 0x9f)         /* C0, DEL, C1 */
           || code == 0x00ad || code == 0x034f || code == 0x180e /* soft hyphen, joiners that show nothing */
           || code == 0x115f || code == 0x1160 || code == 0x3164 || code == 0xffa0 /* Hangul fillers */
           || code == 0x17b4 || code == 0x17b5 ||
           (code >= 0x1d173 && code <= 0x1d17a)                                    /* vowels, beams without a sign */
           || code == 0x061c || code == 0x200b || code == 0x200e || code == 0x200f /* bidi marks, zero width */
           || (code >= 0x2028 && code <= 0x202e)                                   /* separators, bidi embeddings */
           || (code >= 0x2060 && code <= 0x206f)   /* zero width, invisible signs, bidi isolates, old shaping */
           || (code >= 0xe0000 && code <= 0xe007f) /* tags */
           || code == 0xfeff || (code >= 0xfff9 && code <= 0xfffb); /* byte order, annotation */
}

bool text_is_plain(struct slice s)
{
    while (s.len > 0) {
        uint32_t code;
        size_t n = utf8_next(s, &code);
        if (n == 0 || code == 0 || is_unsafe(code))
            return false;
        s = slice_sub(s, n, s.len - n);
    }
    return true;
}

char *text_safe(const char *s, char *out, size_t cap)
{
    static const uint8_t replacement[] = { 0xef, 0xbf, 0xbd };
    assert(cap > 0);
    struct slice rest = slice_str(s);
    size_t used = 0;
    while (rest.len > 0) {
        uint32_t code;
        size_t n = utf8_next(rest, &code);
        struct slice shown = n > 0 && !is_unsafe(code) ? slice_sub(rest, 0, n) : SLICE_ARRAY(replacement);
        if (shown.len >= cap - used) /* cut at a character, never inside one */
            break;
        memcpy(out + used, shown.data, shown.len);
        used += shown.len;
        rest = slice_sub(rest, n > 0 ? n : 1, rest.len - (n > 0 ? n : 1));
    }
    out[used] = '\0';
    return out;
}

/* Separators of any system, and what a FAT medium or a shell would stumble over. */
static bool fits_file_name(uint32_t code)
{
    return !is_unsafe(code) && !(code < 0x80 && strchr("/\\:*?\"<>|", (int)code));
}

char *text_file_name(const char *title, char *out, size_t cap)
{
    assert(cap >= 2);
    struct slice rest = slice_str(title);
    size_t used = 0;
    while (rest.len > 0) {
        uint32_t code = 0;
        size_t n = utf8_next(rest, &code);
        bool fits = n > 0 && fits_file_name(code);
        if (used == 0 && (code == '.' || code == '-')) /* hidden; taken for an option */
            fits = false;
        struct slice kept = fits ? slice_sub(rest, 0, n) : slice("_", 1);
        if (used == 0 && n > 0 && code == ' ')
            kept = slice(NULL, 0);
        if (kept.len >= cap - used)
            break;
        if (kept.len > 0)
            memcpy(out + used, kept.data, kept.len);
        used += kept.len;
        rest = slice_sub(rest, n > 0 ? n : 1, rest.len - (n > 0 ? n : 1));
    }
    while (used > 0 && (out[used - 1] == ' ' || out[used - 1] == '.'))
        used--;
    if (used == 0)
        out[used++] = '_';
    out[used] = '\0';
    return out;
}

/* --- Card numbers --- */

#define CARD_DIGITS_MIN 13
#define CARD_DIGITS_MAX 19
#define CARD_MARKS_MAX 3 /* between two groups */

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool is_mark(char c)
{
    return (uint8_t)c >= 0x80 || c == ' ' || c == '\t' || c == '-' || c == '.' || c == '/' || c == '_' || c == ',';
}

static bool check_digit_fits(const char *digits, size_t count)
{
    unsigned sum = 0;
    for (size_t i = 0; i < count; i++) {
        unsigned d = (unsigned)(digits[count - 1 - i] - '0') << (i & 1);
        sum += d > 9 ? d - 9 : d;
    }
    return sum % 10 == 0;
}

/* From a group's first digit on, at the end of each group: what follows the number (an expiry date) hides nothing. */
static bool card_begins_at(const char *s)
{
    char digits[CARD_DIGITS_MAX];
    size_t count = 0, marks = 0;
    for (; *s != '\0' && marks <= CARD_MARKS_MAX; s++) {
        if (!is_digit(*s)) {
            if (!is_mark(*s))
                return false;
            marks++;
            continue;
        }
        if (count == CARD_DIGITS_MAX)
            return false;
        marks = 0;
        digits[count++] = *s;
        if (!is_digit(s[1]) && count >= CARD_DIGITS_MIN && check_digit_fits(digits, count))
            return true;
    }
    return false;
}

bool text_has_card_number(const char *s)
{
    for (const char *p = s; *p != '\0'; p++)
        if (is_digit(*p) && (p == s || !is_digit(p[-1])) && card_begins_at(p))
            return true;
    return false;
}

void hex_encode(struct slice s, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < s.len; i++) {
        *out++ = digits[s.data[i] >> 4];
        *out++ = digits[s.data[i] & 15];
    }
    *out = '\0';
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

int hex_decode(const char *text, uint8_t *out, size_t out_len)
{
    size_t len = strlen(text);
    if (len % 2 != 0 || len / 2 != out_len)
        return TEXT_MALFORMED;
    for (size_t i = 0; i < len; i++)
        if (hex_value(text[i]) < 0)
            return TEXT_MALFORMED;
    for (size_t i = 0; i < out_len; i++)
        out[i] = (uint8_t)(hex_value(text[2 * i]) << 4 | hex_value(text[2 * i + 1]));
    return 0;
}

void base32_encode(struct slice s, char *out)
{
    static const char digits[] = "abcdefghijklmnopqrstuvwxyz234567";
    uint32_t bits = 0;
    unsigned bit_count = 0;
    for (size_t i = 0; i < s.len; i++) {
        bits = (bits << 8 | s.data[i]) & 0xfff; /* at most 4 bits waited */
        bit_count += 8;
        while (bit_count >= 5) {
            bit_count -= 5;
            *out++ = digits[bits >> bit_count & 31];
        }
    }
    if (bit_count > 0)
        *out++ = digits[bits << (5 - bit_count) & 31];
    *out = '\0';
}

static int base32_value(char c)
{
    if (c >= 'a' && c <= 'z')
        return c - 'a';
    if (c >= '2' && c <= '7')
        return c - '2' + 26;
    return -1;
}

int base32_decode(const char *text, uint8_t *out, size_t out_len)
{
    size_t len = strlen(text);
    if (out_len > (SIZE_MAX - 4) / 8 || len != (out_len * 8 + 4) / 5)
        return TEXT_MALFORMED;
    for (size_t i = 0; i < len; i++)
        if (base32_value(text[i]) < 0)
            return TEXT_MALFORMED;
    /* The unused bits of the last digit are zero: one text for one value. */
    unsigned unused_bits = (unsigned)(len * 5 - out_len * 8);
    if (len > 0 && (base32_value(text[len - 1]) & ((1 << unused_bits) - 1)) != 0)
        return TEXT_MALFORMED;
    uint32_t bits = 0;
    unsigned bit_count = 0;
    for (size_t i = 0, done = 0; i < len; i++) {
        bits = (bits << 5 | (uint32_t)base32_value(text[i])) & 0xfff;
        bit_count += 5;
        if (bit_count >= 8 && done < out_len) {
            bit_count -= 8;
            out[done++] = (uint8_t)(bits >> bit_count);
        }
    }
    return 0;
}

/* --- Amounts --- */

int text_money(const char *text, int64_t *out)
{
    int64_t units = 0;
    const char *at = text;
    if (!isdigit((unsigned char)*at))
        return -EINVAL;
    for (; isdigit((unsigned char)*at); at++)
        if (__builtin_mul_overflow(units, 10, &units) || __builtin_add_overflow(units, *at - '0', &units))
            return -EINVAL;
    if (units > INT64_C(1000000000000))
        return -EINVAL;
    if (*at == '\0') {
        *out = units * 100;
        return 0;
    }
    if (*at != '.' || !isdigit((unsigned char)at[1]) || !isdigit((unsigned char)at[2]) || at[3] != '\0')
        return -EINVAL;
    *out = units * 100 + (at[1] - '0') * 10 + at[2] - '0';
    return 0;
}
