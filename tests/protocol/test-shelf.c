/* What a sibling says it has: honest answers, and those that lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "base/util.h"
#include "protocol/shelf.h"

static void add(msg_Shelf *a, const char *title)
{
    msg_ShelfItem *i = &a->items[a->items_count++];
    (void)snprintf(i->title, sizeof(i->title), "%s", title);
    (void)snprintf(i->media_type, sizeof(i->media_type), "audio/flac");
    i->license_state = 1;
}

static void test_answers(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint32_t at, skip, count;      /* asked */
        uint32_t items, next, to_skip; /* answered; next 0: that is all */
        int expected;
    } cases[] = {
        { "nothing", 0, 0, 50, 0, 0, 0, 0 },
        { "all of it", 0, 0, 50, 3, 0, 0, 0 },
        { "a full page", 0, 0, 50, 16, 16, 0, 0 },
        { "a full page of what fits seldom", 32, 0, 50, 16, 4000, 0, 0 },
        { "the last of those asked for", 0, 0, 2, 2, 2, 0, 0 },
        { "skipped", 0, 10, 50, 16, 26, 0, 0 },
        { "skipped, and there are no more", 0, 10, 50, 0, 0, 4, 0 },
        { "looked at much, found little", 0, 0, 50, 1, 4096, 0, 0 },
        { "looked at much, skipped all", 0, 9999, 50, 0, 4096, 5903, 0 },
        { "the last place of all", SHELF_TRACKS_MAX - 16, 0, 50, 16, SHELF_TRACKS_MAX, 0, 0 },
        { "more than was asked for", 0, 0, 2, 3, 0, 0, SHELF_MALFORMED },
        { "nothing was asked for", 0, 0, 0, 1, 0, 0, SHELF_MALFORMED },
        { "it stays where it is", 16, 0, 50, 16, 16, 0, SHELF_MALFORMED },
        { "it leads back", 4096, 0, 50, 0, 1, 0, SHELF_MALFORMED },
        { "small steps", 0, 0, 50, 1, 1, 0, SHELF_MALFORMED },
        { "small steps of nothing", 0, 0, 50, 0, 4095, 0, SHELF_MALFORMED },
        { "more than there is room for", 0, 0, 50, 16, 15, 0, SHELF_MALFORMED },
        { "more, with what was skipped", 0, 10, 50, 16, 25, 0, SHELF_MALFORMED },
        { "no end", SHELF_TRACKS_MAX - 16, 0, 50, 16, SHELF_TRACKS_MAX + 1, 0, SHELF_MALFORMED },
        { "more to skip than before", 0, 1, 50, 0, 0, 2, SHELF_MALFORMED },
        { "items before all was skipped", 0, 5, 50, 1, 0, 1, SHELF_MALFORMED },
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        const msg_ShelfGet asked = { .at = cases[i].at, .skip = cases[i].skip, .count = cases[i].count };
        msg_Shelf answer = { .has_next = cases[i].next > 0, .next = cases[i].next, .skip = cases[i].to_skip };
        while (answer.items_count < cases[i].items)
            add(&answer, "A title");
        if (shelf_judge(&asked, &answer) != cases[i].expected)
            fail_msg("%s", cases[i].name);
    }
}

/* The same for each text, and for a state that does not exist. */
static void test_texts(void **state)
{
    (void)state;
    static const char *const bad[] = { "\x1b[2J", "two\nlines", "\xe2\x80\xae turned", "\xff", "\xe2\x80\x8b" };
    const msg_ShelfGet asked = { .count = 50 };
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        for (int which = 0; which < 4; which++) {
            msg_Shelf answer = { 0 };
            add(&answer, "good");
            add(&answer, which == 0 ? bad[i] : "\xc3\xa9t\xc3\xa9");
            msg_ShelfItem *item = &answer.items[1];
            assert_int_equal(shelf_judge(&asked, &answer), which == 0 ? SHELF_MALFORMED : 0);
            char *text = which == 1 ? item->creator : which == 2 ? item->album : item->media_type;
            (void)snprintf(text, sizeof(item->media_type), "%s", bad[i]);
            assert_int_equal(shelf_judge(&asked, &answer), SHELF_MALFORMED);
        }
    msg_Shelf answer = { 0 };
    add(&answer, "good");
    answer.items[0].license_state = 7;
    assert_int_equal(shelf_judge(&asked, &answer), SHELF_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_answers), cmocka_unit_test(test_texts) };
    return cmocka_run_group_tests_name("protocol-shelf", tests, NULL, NULL);
}
