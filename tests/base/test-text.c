/* Text from outside: what is well-formed, what may reach a terminal, what may be a file name; hex and base32. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/suggest.h"
#include "base/text.h"
#include "base/util.h"

static void test_utf8(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *bytes;
        size_t len;
        bool good;
    } cases[] = {
        { "empty", "", 0, true },
        { "ascii", "abc", 3, true },
        { "two bytes, smallest", "\xc2\x80", 2, true },
        { "three bytes, smallest", "\xe0\xa0\x80", 3, true },
        { "four bytes, smallest", "\xf0\x90\x80\x80", 4, true },
        { "largest", "\xf4\x8f\xbf\xbf", 4, true },
        { "before the surrogates", "\xed\x9f\xbf", 3, true },
        { "after the surrogates", "\xee\x80\x80", 3, true },
        { "NUL", "a\0b", 3, false },
        { "lone continuation", "\x80", 1, false },
        { "overlong slash, two", "\xc0\xaf", 2, false },
        { "overlong, two, last", "\xc1\xbf", 2, false },
        { "overlong slash, three", "\xe0\x80\xaf", 3, false },
        { "overlong, four", "\xf0\x80\x80\xaf", 4, false },
        { "high surrogate", "\xed\xa0\x80", 3, false },
        { "low surrogate", "\xed\xbf\xbf", 3, false },
        { "above the last", "\xf4\x90\x80\x80", 4, false },
        { "f5", "\xf5\x80\x80\x80", 4, false },
        { "ff", "\xff", 1, false },
        { "cut after one of two", "\xc3", 1, false },
        { "cut after two of three", "\xe2\x82", 2, false },
        { "cut after three of four", "\xf0\x9f\x8e", 3, false },
        { "second is not a continuation",
          "\xc3"
          "a",
          2, false },
        { "third is not a continuation",
          "\xe2\x82"
          "a",
          3, false },
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        if (text_is_utf8(slice(cases[i].bytes, cases[i].len)) != cases[i].good)
            fail_msg("%s", cases[i].name);
}

#define R "\xef\xbf\xbd"

static void test_safe(void **state)
{
    (void)state;
    static const struct {
        const char *name, *in;
        size_t cap;
        const char *out;
    } cases[] = {
        { "plain", "Song f\xc3\xbcr Elise", 64, "Song f\xc3\xbcr Elise" },
        { "escape sequence", "a\x1b[31mb", 64, "a" R "[31mb" },
        { "C1 control sequence introducer",
          "a\xc2\x9b"
          "31m",
          64, "a" R "31m" },
        { "newline and tab", "a\nb\tc", 64, "a" R "b" R "c" },
        { "delete", "\x7f", 64, R },
        { "right-to-left override",
          "a\xe2\x80\xae"
          "b",
          64, "a" R "b" },
        { "first bidi isolate", "\xe2\x81\xa6", 64, R },
        { "line separator", "\xe2\x80\xa8", 64, R },
        { "arabic letter mark", "\xd8\x9c", 64, R },
        { "zero width space", "a\xe2\x80\x8b", 64, "a" R },
        { "joiners stay", "a\xe2\x80\x8c\xe2\x80\x8d", 64, "a\xe2\x80\x8c\xe2\x80\x8d" },
        { "word joiner", "\xe2\x81\xa0", 64, R },
        { "invisible plus", "\xe2\x81\xa4", 64, R },
        { "symmetric swapping", "\xe2\x81\xaf", 64, R },
        { "after that", "\xe2\x81\xb0", 64, "\xe2\x81\xb0" },
        { "byte order mark", "\xef\xbb\xbf", 64, R },
        { "first tag", "\xf3\xa0\x80\x80", 64, R },
        { "tag letter", "a\xf3\xa0\x81\xa1", 64, "a" R },
        { "last tag", "\xf3\xa0\x81\xbf", 64, R },
        { "after that", "\xf3\xa0\x82\x80", 64, "\xf3\xa0\x82\x80" },
        { "soft hyphen", "a\xc2\xad", 64, "a" R },
        { "combining grapheme joiner", "a\xcd\x8f", 64, "a" R },
        { "Hangul choseong filler", "\xe1\x85\x9f", 64, R },
        { "Hangul jungseong filler", "\xe1\x85\xa0", 64, R },
        { "after that, a vowel", "\xe1\x85\xa1", 64, "\xe1\x85\xa1" },
        { "Hangul filler", "\xe3\x85\xa4", 64, R },
        { "half-width Hangul filler", "\xef\xbe\xa0", 64, R },
        { "Mongolian vowel separator", "\xe1\xa0\x8e", 64, R },
        { "inherent vowel", "\xe1\x9e\xb4", 64, R },
        { "musical begin beam", "\xf0\x9d\x85\xb3", 64, R },
        { "variation selectors stay", "a\xef\xb8\x8f", 64, "a\xef\xb8\x8f" },
        { "invalid byte",
          "a\xff"
          "b",
          64, "a" R "b" },
        { "cut sequence", "a\xe2\x82", 64, "a" R R },
        { "cut to the buffer", "abcdef", 4, "abc" },
        { "never inside a character", "ab\xe2\x82\xac", 5, "ab" },
        { "replacement does not fit", "ab\n", 5, "ab" },
        { "one byte", "abc", 1, "" },
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        char out[64];
        if (strcmp(text_safe(cases[i].in, out, cases[i].cap), cases[i].out) != 0)
            fail_msg("%s: got %s", cases[i].name, out);
        bool cut = strlen(cases[i].in) >= cases[i].cap;
        if (!cut && text_is_plain(slice_str(cases[i].in)) != (strcmp(cases[i].in, out) == 0))
            fail_msg("%s: plain or not", cases[i].name);
    }
}

static void test_file_name(void **state)
{
    (void)state;
    static const struct {
        const char *name, *title;
        size_t cap;
        const char *out;
    } cases[] = {
        { "plain", "Air on the G String", 64, "Air on the G String" },
        { "path", "../../etc/passwd", 64, "_._.._etc_passwd" },
        { "hidden", ".bashrc", 64, "_bashrc" },
        { "dots only", "..", 64, "_" },
        { "option", "-rf", 64, "_rf" },
        { "empty", "", 64, "_" },
        { "spaces only", "   ", 64, "_" },
        { "leading and trailing space", "  a  ", 64, "a" },
        { "back slash and colon", "C:\\x", 64, "C__x" },
        { "control", "a\nb", 64, "a_b" },
        { "bidi",
          "a\xe2\x80\xae"
          "b",
          64, "a_b" },
        { "invalid", "a\xff", 64, "a_" },
        { "cut at a character", "a\xc3\xbc", 3, "a" },
        { "smallest buffer", "abc", 2, "a" },
        { "smallest buffer, wide character", "\xc3\xbc", 2, "_" },
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        char out[64];
        if (strcmp(text_file_name(cases[i].title, out, cases[i].cap), cases[i].out) != 0)
            fail_msg("%s: got %s", cases[i].name, out);
    }
}

static void test_hex(void **state)
{
    (void)state;
    static const uint8_t bytes[] = { 0x00, 0x7f, 0x80, 0xff };
    char text[HEX_TEXT_BYTES(sizeof(bytes))];
    hex_encode(SLICE_ARRAY(bytes), text);
    assert_string_equal(text, "007f80ff");
    uint8_t out[4] = { 9, 9, 9, 9 };
    static const char *const bad[] = {
        "", "007f80f", "007f80fff", "007f80ff00", "007f80fg", "007f 0ff", "007f80f\xff"
    };
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        assert_int_equal(hex_decode(bad[i], out, sizeof(out)), TEXT_MALFORMED);
        assert_int_equal(out[0], 9); /* nothing is written on failure */
    }
    assert_int_equal(hex_decode("007F80fF", out, sizeof(out)), 0);
    assert_memory_equal(out, bytes, sizeof(bytes));
    assert_int_equal(hex_decode("", out, 0), 0);
}

/* RFC 4648 section 10, in lower case and without padding. */
static void test_base32(void **state)
{
    (void)state;
    static const struct {
        const char *plain, *text;
    } cases[] = {
        { "", "" },
        { "f", "my" },
        { "fo", "mzxq" },
        { "foo", "mzxw6" },
        { "foob", "mzxw6yq" },
        { "fooba", "mzxw6ytb" },
        { "foobar", "mzxw6ytboi" },
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        char text[32];
        uint8_t back[16];
        size_t len = strlen(cases[i].plain);
        base32_encode(slice_str(cases[i].plain), text);
        assert_string_equal(text, cases[i].text);
        assert_int_equal(strlen(text) + 1, BASE32_TEXT_BYTES(len));
        assert_int_equal(base32_decode(text, back, len), 0);
        assert_memory_equal(back, cases[i].plain, len);
        assert_int_equal(base32_decode(text, back, len + 1), TEXT_MALFORMED);
    }
}

static void test_base32_malformed(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text;
    } cases[] = {
        { "upper case", "MY" }, { "padding", "my======" }, { "unused bits set", "mz" },
        { "too short", "m" },   { "too long", "myy" },     { "digit 1", "m1" },
        { "digit 8", "m8" },    { "space", "m " },         { "not ASCII", "m\xff" },
    };
    uint8_t out[1] = { 9 };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        if (base32_decode(cases[i].text, out, 1) != TEXT_MALFORMED || out[0] != 9)
            fail_msg("%s", cases[i].name);
    assert_int_equal(base32_decode("my", out, SIZE_MAX), TEXT_MALFORMED);
}

static void test_base32_every_byte(void **state)
{
    (void)state;
    uint8_t bytes[32], back[32];
    char text[BASE32_TEXT_BYTES(sizeof(bytes))];
    for (unsigned v = 0; v < 256; v++) {
        for (unsigned i = 0; i < sizeof(bytes); i++)
            bytes[i] = (uint8_t)(v * 7 + i * 13);
        base32_encode(SLICE_ARRAY(bytes), text);
        assert_int_equal(strlen(text), 52);
        assert_int_equal(base32_decode(text, back, sizeof(back)), 0);
        assert_memory_equal(back, bytes, sizeof(bytes));
    }
}

static void test_card_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool card;
    } cases[] = {
        { "4111111111111111", true },
        { "4111 1111 1111 1111", true },
        { "4111-1111-1111-1111", true },
        { "4111.1111.1111.1111", true },
        { "4111 - 1111 - 1111 - 1111", true },
        { "4111\xc2\xa0"
          "1111\xc2\xa0"
          "1111\xc2\xa0"
          "1111",
          true },
        { "VISA4111111111111111X", true },
        { "my card: 4111 1111 1111 1111 12/27 123", true },
        { "12 4111111111111111", true },
        { "378282246310005", true },     /* 15 digits */
        { "4222222222222", true },       /* 13 */
        { "6304000000000000000", true }, /* 19 */
        { "4111111111111112", false },
        { "411111111111", false },         /* 12 */
        { "41111111111111110000", false }, /* 20 together */
        { "4111a1111a1111a1111", false },
        { "4111    1111    1111    1111", false },
        { "customer-4711", false },
        { "cus_9fK2x7QpLm", false },
        { "2026-11-25", false },
        { "", false },
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        if (text_has_card_number(cases[i].text) != cases[i].card)
            fail_msg("%s", cases[i].text);
    /* Every single wrong digit is noticed. */
    char number[] = "4111111111111111";
    for (size_t i = 0; i + 1 < sizeof(number); i++) {
        char was = number[i];
        number[i] = (char)(was == '9' ? '0' : was + 1);
        assert_false(text_has_card_number(number));
        number[i] = was;
    }
}

static void test_suggest(void **state)
{
    (void)state;
    static const char *const names[] = {
        "serve", "settings", "settlement", "stats", "user", "license", "ledger", "id"
    };
    static const struct {
        const char *word, *meant;
    } cases[] = {
        { "serv", "serve" },
        { "sreve", "serve" },
        { "serves", "serve" },
        { "sett", "settings" },
        { "setings", "settings" },
        { "licence", "license" },
        { "legder", "ledger" },
        { "users", "user" },
        { "di", "id" },
        { "dance", NULL },
        { "", NULL },
        { "x", NULL },
        { "statistics-of-all-that-there-ever-was-in-the-whole-world", NULL },
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct suggest s = suggest(cases[i].word);
        for (size_t j = 0; j < ARRAY_COUNT(names); j++)
            suggest_try(&s, names[j]);
        const char *found = suggest_found(&s);
        if ((found == NULL) != (cases[i].meant == NULL) || (found != NULL && strcmp(found, cases[i].meant) != 0))
            fail_msg("%s: %s", cases[i].word, found != NULL ? found : "nothing");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_suggest),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_safe),
        cmocka_unit_test(test_file_name),
        cmocka_unit_test(test_card_numbers),
        cmocka_unit_test(test_hex),
        cmocka_unit_test(test_base32),
        cmocka_unit_test(test_base32_malformed),
        cmocka_unit_test(test_base32_every_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
