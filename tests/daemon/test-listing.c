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

static void add(struct daemon *d, uint32_t n)
{
    const struct id id = content(n), nobody = { 0 };
    assert_int_not_equal(listing_add(d, &id, &nobody, "A title", NULL), 0);
}

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
    add(&d, 1);
    add(&d, 2);
    listing_choose(&d, 8);
    assert_null(listing_number(&d, 1));
    listing_clear(&d);
    add(&d, 3);
    assert_true(is(&d, 1, 3));
    assert_null(listing_number(&d, 2));
    listing_choose(&d, 7);
    assert_true(is(&d, 1, 1) && is(&d, 2, 2));
    assert_null(listing_number(&d, 0));
    assert_null(listing_number(&d, 3));
    listing_clear(&d);
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
        add(&d, (uint32_t)terminal);
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
    const struct id id = content(1), nobody = { 0 };
    (void)state;
    for (uint64_t terminal = 1; terminal <= 2; terminal++) {
        listing_choose(&d, terminal);
        for (uint32_t n = 1; n <= 60000; n++)
            add(&d, n);
    }
    assert_int_equal(listing_count(&d), 60000);
    listing_choose(&d, 1);
    assert_int_equal(listing_count(&d), 0); /* a wrong number is worse than none */
    listing_choose(&d, 2);
    for (uint32_t n = 60001; n <= 100000; n++)
        add(&d, n);
    assert_int_equal(listing_add(&d, &id, &nobody, "One too many", NULL), 0);
    listing_free(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_terminal_has_its_own),
        cmocka_unit_test(the_oldest_gives_way),
        cmocka_unit_test(all_together_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
