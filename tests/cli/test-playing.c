/* What is said of a play: one line that is never wider than the window and always has the place; what is left of a license that counts. */
#include "ui-cli/playing.h"

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "base/width.h"

static ctl_Playing song(const char *title, uint32_t state)
{
    ctl_Playing s = {
        .state = state, .number = 2, .count = 12, .volume = 100, .position_ms = 72000, .duration_ms = 441000
    };
    strcpy(s.title, title);
    strcpy(s.output, "audio");
    return s;
}

static void with_words(ctl_Playing *s)
{
    s->has_chapter_title = s->has_lyric = true;
    strcpy(s->chapter_title, "First movement");
    strcpy(s->lyric, "an ordinary line of a song, longer than what is left of the row");
}

static void one_row(void **state)
{
    char line[PLAYING_LINE_BYTES], long_title[128];
    (void)state;
    memset(long_title, 'x', sizeof(long_title) - 1);
    long_title[sizeof(long_title) - 1] = '\0';
    const char *titles[] = { "Evening Song", long_title, "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e\xe6\xad\x8c", "" };
    for (size_t i = 0; i < ARRAY_COUNT(titles); i++)
        for (size_t columns = 1; columns < 200; columns++) {
            ctl_Playing s = song(titles[i], 3);
            with_words(&s);
            s.volume = 40;
            (void)playing_line(&s, columns, line);
            assert_true(width_of(line) <= columns);
            if (columns >= 60) /* whatever else gives way */
                assert_non_null(strstr(line, "  1:12 / 7:21  volume 40  paused"));
        }
}

static void what_gives_way(void **state)
{
    ctl_Playing s = song("Evening Song", 2);
    char line[PLAYING_LINE_BYTES];
    (void)state;
    assert_string_equal(playing_line(&s, 79, line), "2/12 Evening Song  1:12 / 7:21");
    with_words(&s);
    assert_string_equal(
        playing_line(&s, SIZE_MAX, line),
        "2/12 Evening Song  1:12 / 7:21  First movement  an ordinary line of a song, longer than what is left of the row");
    assert_string_equal(playing_line(&s, 79, line),
                        "2/12 Evening Song  1:12 / 7:21  First movement  an ordinary line of a song, ...");
    assert_string_equal(playing_line(&s, 48, line), "2/12 Evening Song  1:12 / 7:21  First movement");
    assert_string_equal(playing_line(&s, 34, line), "2/12 Evening Song  1:12 / 7:21");
    assert_string_equal(playing_line(&s, 28, line), "2/12 Evening...  1:12 / 7:21");
}

static void left(void **state)
{
    static const struct {
        ctl_Left left;
        const char *text;
    } cases[] = {
        { { 0 }, "" },
        { { .has_plays = true, .plays = 6, .max_plays = 9 }, "6 of 9 plays are left." },
        { { .has_plays = true, .plays = 1, .max_plays = 9 }, "1 of 9 plays is left." },
        { { .has_plays = true, .plays = 0, .max_plays = 9 }, "0 of 9 plays are left." },
        { { .has_play_ms = true, .play_ms = 720000, .max_play_ms = 1800000 },
          "12:00 of 30:00 of playing time is left." },
        { { .has_play_ms = true, .max_play_ms = 1800000 }, "0:00 of 30:00 of playing time is left." },
        { { .has_plays = true,
            .plays = 6,
            .max_plays = 9,
            .has_play_ms = true,
            .play_ms = 720000,
            .max_play_ms = 1800000 },
          "6 of 9 plays are left, and 12:00 of 30:00 of playing time." },
    };
    char text[PLAYING_LEFT_BYTES];
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        assert_string_equal(playing_left(&cases[i].left, text), cases[i].text);
}

static void stopped(void **state)
{
    ctl_Playing s = song("Evening Song", 0);
    char text[PLAYING_LINE_BYTES];
    (void)state;
    assert_string_equal(playing_stopped(&s, text), "Stopped Evening Song at 1:12.");
    s.has_left = s.has_counted = s.counted = true;
    s.left = (ctl_Left){ .has_plays = true, .plays = 6, .max_plays = 9 };
    assert_string_equal(playing_stopped(&s, text),
                        "Stopped Evening Song at 1:12. This play is counted. 6 of 9 plays are left.");
    s.counted = false;
    assert_string_equal(playing_stopped(&s, text),
                        "Stopped Evening Song at 1:12. This play is not counted. 6 of 9 plays are left.");
    s.left = (ctl_Left){ .has_play_ms = true, .play_ms = 720000, .max_play_ms = 1800000 };
    assert_string_equal(playing_stopped(&s, text),
                        "Stopped Evening Song at 1:12. 12:00 of 30:00 of playing time is left.");
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(one_row), cmocka_unit_test(what_gives_way),
                                        cmocka_unit_test(left), cmocka_unit_test(stopped) };
    setlocale(LC_ALL, "");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
