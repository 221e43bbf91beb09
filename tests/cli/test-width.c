/* Columns: text keeps within a window, and is cut between characters. */
#include "base/width.h"

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"

static void cuts(void **state)
{
    static const struct {
        const char *text;
        size_t width, columns;
        const char *cut;
    } cases[] = {
        { "", 0, 10, "" },
        { "Evening Song", 12, 12, "Evening Song" },
        { "Evening Song", 12, 11, "Evening ..." },
        { "Evening Song", 12, 4, "E..." },
        { "Evening Song", 12, 3, "Eve" }, /* no room for a mark */
        { "Evening Song", 12, 0, "" },
        { "\xc3\x84\xc3\x96\xc3\x9c\xc3\x9f\xc3\x84", 5, 4, "\xc3\x84..." }, /* two bytes a column */
        { "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e\xe6\xad\x8c", 8, 8,
          "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e\xe6\xad\x8c" },
        { "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e\xe6\xad\x8c", 8, 6,
          "\xe6\x97\xa5..." },                                /* half a character does not fit */
        { "e\xcc\x81t\xc3\xa9", 3, 3, "e\xcc\x81t\xc3\xa9" }, /* an accent of its own */
        { "\xff\xfe!", 3, 2, "\xff\xfe" },                    /* no text at all: a column a byte */
    };
    char out[64];
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        assert_int_equal(width_of(cases[i].text), cases[i].width);
        assert_string_equal(width_cut(cases[i].text, cases[i].columns, out, sizeof(out)), cases[i].cut);
        assert_true(width_of(out) <= cases[i].columns);
    }
}

static void bytes_are_bounded(void **state)
{
    char out[8];
    (void)state;
    assert_string_equal(width_cut("abcdefghijkl", 12, out, sizeof(out)), "abcd...");
    assert_string_equal(width_cut("\xc3\x84\xc3\x84\xc3\x84\xc3\x84\xc3\x84", 12, out, sizeof(out)),
                        "\xc3\x84\xc3\x84...");
    assert_string_equal(width_cut("abcdefghijkl", SIZE_MAX, out, 4), "abc");
    assert_int_equal(width_of_terminal(-1), 80);
}

static void lines_end_between_words(void **state)
{
    static const struct {
        const char *text;
        size_t columns, bytes;
    } cases[] = {
        { "", 10, 0 },
        { "Evening Song", 12, 12 },
        { "Evening Song", 11, 7 },
        { "Evening Song", 7, 7 },
        { "Evening Song", 6, 6 }, /* a word that is longer than the line */
        { "Evening Song", 0, 1 },
        { "\xe6\x97\xa5\xe6\x9c\xac", 1, 3 }, /* a character that is wider */
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        assert_int_equal(width_line(cases[i].text, cases[i].columns), cases[i].bytes);
}

static void what_turns_is_known(void **state)
{
    (void)state;
    assert_true(width_turns("\xd7\xa9\xd7\x99\xd7\xa8"));                         /* Hebrew */
    assert_true(width_turns("Best of \xd9\x81\xd9\x8a\xd8\xb1\xd9\x88\xd8\xb2")); /* Arabic behind Latin */
    assert_true(width_turns("\xf0\x9e\xa4\x80"));                                 /* Adlam */
    assert_false(width_turns("\xe6\x97\xa5\xe6\x9c\xac"));
    assert_false(width_turns("Evening Song"));
    assert_false(width_turns(""));
    assert_int_equal(width_of("\xe2\x81\xa8\xd7\xa9\xe2\x81\xa9"), 1); /* isolating takes no column */
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(cuts), cmocka_unit_test(bytes_are_bounded),
                                        cmocka_unit_test(lines_end_between_words),
                                        cmocka_unit_test(what_turns_is_known) };
    setlocale(LC_ALL, "");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
