/* Numbers of listings: each terminal's own, and no more of them than there is room for. */
#include "daemon/listing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static struct id content(uint32_t n)
{
    struct id id = { .bytes = { (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n } };
    return id;
}

static uint32_t number_of(struct daemon *d, uint64_t listing, uint32_t n)
{
    const struct id id = content(n), nobody = { 0 };
    return listing_add(d, listing, &id, &nobody, "A title", NULL);
}

static void add(struct daemon *d, uint64_t listing, uint32_t n) { assert_int_not_equal(number_of(d, listing, n), 0); }

static bool is(struct daemon *d, uint32_t number, uint32_t n)
{
    const struct listing_entry *e = listing_number(d, number);
    return e != NULL && id_equal(e->content.bytes, content(n).bytes);
}

static void each_terminal_has_its_own(void **state)
{
    struct daemon d = { 0 };
    (void)state;
    listing_choose(&d, 7);
    uint64_t first = listing_begin(&d);
    add(&d, first, 1);
    add(&d, first, 2);
    listing_choose(&d, 8);
    assert_null(listing_number(&d, 1));
    add(&d, listing_begin(&d), 3);
    assert_true(is(&d, 1, 3));
    assert_null(listing_number(&d, 2));
    listing_choose(&d, 7);
    assert_true(is(&d, 1, 1) && is(&d, 2, 2));
    assert_null(listing_number(&d, 0));
    assert_null(listing_number(&d, 3));
    (void)listing_begin(&d);
    assert_int_equal(listing_count(&d), 0);
    listing_choose(&d, 8);
    assert_int_equal(listing_count(&d), 1);
    listing_free(&d);
}

static void the_oldest_gives_way(void **state)
{
    struct daemon d = { 0 };
    (void)state;
    for (uint64_t terminal = 1; terminal <= 40; terminal++) {
        listing_choose(&d, terminal);
        add(&d, listing_begin(&d), (uint32_t)terminal);
    }
    listing_choose(&d, 40);
    assert_true(is(&d, 1, 40));
    listing_choose(&d, 9);
    assert_true(is(&d, 1, 9));
    listing_choose(&d, 8);
    assert_null(listing_number(&d, 1));
    listing_free(&d);
}

static void all_together_are_bounded(void **state)
{
    struct daemon d = { 0 };
    uint64_t listing = 0;
    (void)state;
    for (uint64_t terminal = 1; terminal <= 2; terminal++) {
        listing_choose(&d, terminal);
        listing = listing_begin(&d);
        for (uint32_t n = 1; n <= 60000; n++)
            add(&d, listing, n);
    }
    assert_int_equal(listing_count(&d), 60000);
    listing_choose(&d, 1);
    assert_int_equal(listing_count(&d), 0); /* a wrong number is worse than none */
    listing_choose(&d, 2);
    for (uint32_t n = 60001; n <= 100000; n++)
        add(&d, listing, n);
    assert_int_equal(number_of(&d, listing, 1), 0);
    listing_free(&d);
}

/* Two are made at one terminal: the one that was asked for later is the one whose numbers count, whichever has its pages first. */
static void a_late_page_is_given_no_numbers(void **state)
{
    struct daemon d = { 0 };
    (void)state;
    uint64_t early = listing_draw(&d), later = listing_begin(&d);
    add(&d, later, 1);
    listing_begin_drawn(&d, early);
    assert_int_equal(number_of(&d, early, 2), 0);
    add(&d, later, 3);
    assert_true(is(&d, 1, 1) && is(&d, 2, 3));

    listing_begin_drawn(&d, listing_draw(&d));
    assert_int_equal(listing_count(&d), 0);
    assert_int_equal(number_of(&d, later, 4), 0);
    listing_free(&d);
    assert_int_equal(number_of(&d, later, 5), 0); /* its terminal's gave way meanwhile */
    listing_free(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_terminal_has_its_own),
        cmocka_unit_test(the_oldest_gives_way),
        cmocka_unit_test(a_late_page_is_given_no_numbers),
        cmocka_unit_test(all_together_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
