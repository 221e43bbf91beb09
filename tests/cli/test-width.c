/* Columns: text keeps within a window, and is cut between characters. */
#include "ui-cli/width.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(cuts), cmocka_unit_test(bytes_are_bounded) };
    setlocale(LC_ALL, "");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
