/* Each origin's rows without gaps, everyone's in one order, the same row once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "distributor/directory_db.h"

#include <string.h>

#include "protocol/codec.h"

static int setup(void **state) { return directory_db_open((struct store **)state, ":memory:"); }

static int teardown(void **state)
{
    store_close(*state);
    return 0;
}

static const struct id ada = { { 1 } }, bob = { { 2 } };

static void expect_rows(struct store *s, uint64_t after, const char *expected, uint64_t expected_next)
{
    struct buf rows = buf(4096);
    uint32_t count = 99;
    uint64_t next = 99;
    char text[64] = "";
    assert_int_equal(directory_db_read(s, after, 16, &rows, &count, &next), 0);
    struct reader r = reader(buf_slice(&rows));
    struct slice item;
    uint32_t seen = 0;
    while (codec_list_next(&r, 100, &item) == 0) {
        strncat(text, (const char *)item.data, item.len);
        seen++;
    }
    assert_string_equal(text, expected);
    assert_int_equal(count, seen);
    assert_int_equal(next, expected_next);
    buf_free(&rows);
}

static void test_order(void **state)
{
    struct store *s = *state;
    const struct {
        const struct id *origin;
        uint64_t sequence;
        const char *row;
        int outcome;
    } cases[] = {
        { &ada, 1, "a", 0 },
        { &bob, 1, "B", 0 },
        { &ada, 2, "b", 0 },
        { &ada, 2, "again", 0 },
        { &ada, 1, "again", 0 },
        { &ada, 4, "gap", DIRECTORY_GAP },
        { &bob, 3, "gap", DIRECTORY_GAP },
        { &ada, 3, "c", 0 },
    };
    expect_rows(s, 0, "", 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(directory_db_put(s, cases[i].origin, cases[i].sequence, slice_str(cases[i].row)),
                         cases[i].outcome);
    uint64_t last;
    assert_int_equal(directory_db_last(s, &ada, &last), 0);
    assert_int_equal(last, 3);
    assert_int_equal(directory_db_last(s, &(struct id){ { 3 } }, &last), 0);
    assert_int_equal(last, 0);
    expect_rows(s, 0, "aBbc", 4);
    expect_rows(s, 2, "bc", 4);
    expect_rows(s, 4, "", 4);
    expect_rows(s, 1000, "", 1000);
}

/* An empty row takes the place of what its origin put there; the order and everybody else's rows stay. */
static void test_emptied(void **state)
{
    struct store *s = *state;
    uint64_t last;
    assert_int_equal(directory_db_put(s, &ada, 1, slice_str("a")), 0);
    assert_int_equal(directory_db_put(s, &bob, 1, slice_str("B")), 0);
    assert_int_equal(directory_db_put(s, &ada, 2, slice_str("b")), 0);
    assert_int_equal(directory_db_scrub(s), 0); /* nothing to do */
    assert_int_equal(directory_db_empty(s, &ada, 1, slice_str("-")), 0);
    expect_rows(s, 0, "-Bb", 3);
    assert_int_equal(directory_db_empty(s, &ada, 1, slice_str("-")), 0);
    assert_int_equal(directory_db_empty(s, &ada, 3, slice_str("=")), 0); /* the next one, empty from the start */
    expect_rows(s, 0, "-Bb=", 4);
    assert_int_equal(directory_db_empty(s, &ada, 5, slice_str("gap")), DIRECTORY_GAP);
    assert_int_equal(directory_db_put(s, &ada, 1, slice_str("a")), 0); /* what was emptied does not come back */
    expect_rows(s, 0, "-Bb=", 4);
    assert_int_equal(directory_db_last(s, &ada, &last), 0);
    assert_int_equal(last, 3);
    assert_int_equal(directory_db_scrub(s), 0);
    expect_rows(s, 0, "-Bb=", 4);
}

static void test_pages(void **state)
{
    struct store *s = *state;
    uint8_t row[100];
    for (uint64_t i = 1; i <= 10; i++) {
        memset(row, (int)i, sizeof(row));
        assert_int_equal(directory_db_put(s, &ada, i, SLICE_ARRAY(row)), 0);
    }
    uint64_t after = 0;
    unsigned pages = 0;
    for (uint32_t count = 1; count > 0; pages++) {
        struct buf rows = buf(3 * 104 + 50); /* three rows fit, a fourth does not */
        assert_int_equal(directory_db_read(s, after, 64, &rows, &count, &after), 0);
        assert_int_equal(rows.len, count * 104);
        buf_free(&rows);
    }
    assert_int_equal(after, 10);
    assert_int_equal(pages, 5);
    struct buf two = buf(4096);
    uint32_t count;
    assert_int_equal(directory_db_read(s, 0, 2, &two, &count, &after), 0);
    assert_int_equal(count, 2);
    buf_free(&two);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_emptied, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pages, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
