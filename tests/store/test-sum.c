/* The sum over all rows follows whatever changes them, and is what adding them up anew gives: after commits, undone transactions, undone savepoints. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/util.h"
#include "household.h"

enum {
    PUT_LAMP,
    MOVE_LAMP,
    RENAME,
    DROP_LAMP,
    DROP_ALL,
    PUT_ROOM,
    RAISE_ROOM,
    REPLACE_ROOM,
    DROP_ROOM,
    PUT_NOTE,
    GET_NOTE,
    STATEMENTS
};
static const char *const statements[] = {
    [PUT_LAMP] =
        "INSERT OR REPLACE INTO lamp (id, name, room, code) VALUES (?1, ?2, NULL, ?3)", /* an ID or a name that is there goes */
    [MOVE_LAMP] = "UPDATE lamp SET id = id + 100 WHERE id = ?1",
    [RENAME] = "UPDATE OR IGNORE lamp SET name = ?2 WHERE id <= ?1",
    [DROP_LAMP] = "DELETE FROM lamp WHERE id = ?1",
    [DROP_ALL] = "DELETE FROM lamp",
    [PUT_ROOM] = "INSERT OR IGNORE INTO room (name, floor) VALUES (?2, ?1)",
    [RAISE_ROOM] = "UPDATE room SET floor = floor + 1 WHERE floor < ?1",
    [REPLACE_ROOM] =
        "INSERT INTO room (name, floor) VALUES (?2, ?1) ON CONFLICT (name) DO UPDATE SET floor = excluded.floor",
    [DROP_ROOM] = "DELETE FROM room WHERE floor = ?1",
    [PUT_NOTE] = "INSERT OR REPLACE INTO note (one, sum) VALUES (1, ?1)",
    [GET_NOTE] = "SELECT sum FROM note",
};
_Static_assert(ARRAY_COUNT(statements) == STATEMENTS, "one text a statement");
static const char *migrations[3];
static struct store_schema schema = { migrations, ARRAY_COUNT(migrations), statements, STATEMENTS,
                                      .flags = STORE_SUMMED };

/* Stands for a keyed hash: tells rows apart. */
static void hash(void *ctx, struct slice row, uint8_t out[STORE_SUM_BYTES])
{
    uint64_t state = *(uint64_t *)ctx;
    for (size_t i = 0; i < row.len; i++)
        state = (state ^ row.data[i]) * UINT64_C(0x100000001b3) + i;
    for (size_t i = 0; i < STORE_SUM_BYTES; i++) {
        state = state * UINT64_C(6364136223846793005) + 1442695040888963407u;
        out[i] = (uint8_t)(state >> 56);
    }
}

static struct store *store;
static uint64_t key = 42;
static int seal_outcome;
static int seal(void *ctx, const uint8_t sum[STORE_SUM_BYTES])
{
    (void)ctx;
    if (seal_outcome != 0)
        return seal_outcome;
    struct query q CLEANUP(query_end) = query(store, PUT_NOTE);
    query_bind_blob(&q, 1, slice(sum, STORE_SUM_BYTES));
    return query_run(&q);
}
static struct store_sum by = { "note", hash, seal, &key };

static int open_followed(void **state)
{
    uint8_t sum[STORE_SUM_BYTES];
    if (household_setup(state) != 0)
        return -1;
    migrations[0] = household_migrations[0];
    migrations[1] = household_migrations[1];
    migrations[2] = "CREATE TABLE note (one INTEGER PRIMARY KEY, sum BLOB NOT NULL) STRICT;";
    seal_outcome = 0;
    assert_int_equal(store_open(&store, household_path(), &schema), 0);
    assert_int_equal(store_sum_rows(store, &by, sum), 0);
    store_sum_follow(store, &by, sum);
    return 0;
}

static int close_followed(void **state)
{
    store_close(store);
    return household_teardown(state);
}

static void assert_right(void)
{
    uint8_t followed[STORE_SUM_BYTES], rows[STORE_SUM_BYTES];
    store_sum_get(store, followed);
    assert_int_equal(store_sum_rows(store, &by, rows), 0);
    assert_memory_equal(followed, rows, sizeof(rows));
}

static unsigned below(unsigned n) { return (unsigned)rand() % n; }

static void change(unsigned which)
{
    char name[16];
    uint8_t code[40] = { 0 };
    snprintf(name, sizeof(name), "n%u", below(8));
    memset(code, (int)below(256), sizeof(code));
    struct query q CLEANUP(query_end) = query(store, which);
    if (which != DROP_ALL)
        query_bind_i64(&q, 1, below(12));
    if (which == PUT_LAMP || which == RENAME || which == PUT_ROOM || which == REPLACE_ROOM)
        query_bind_text(&q, 2, name);
    if (which == PUT_LAMP)
        query_bind_blob(&q, 3, slice(code, below(sizeof(code))));
    int r = query_run(&q);
    assert_true(r == 0 || r == STORE_CONFLICT);
}

static void some_changes(unsigned depth)
{
    for (unsigned n = below(6); n > 0; n--) {
        change(below(20) == 0 ? DROP_ALL : below(PUT_NOTE) == DROP_ALL ? PUT_LAMP : below(PUT_NOTE));
        if (depth < 3 && below(3) == 0) {
            struct savepoint p CLEANUP(savepoint_end) = { 0 };
            assert_int_equal(savepoint_begin(&p, store), 0);
            some_changes(depth + 1);
            if (below(2) == 0)
                assert_int_equal(savepoint_release(&p), 0);
        }
    }
}

static void follows_every_change(void **state)
{
    (void)state;
    srand(7);
    for (unsigned round = 0; round < 400; round++) {
        struct transaction t CLEANUP(transaction_end) = { 0 };
        assert_int_equal(transaction_begin(&t, store), 0);
        some_changes(0);
        assert_right(); /* in the middle, too */
        if (below(3) != 0)
            assert_int_equal(transaction_commit(&t), 0);
        transaction_end(&t);
        assert_right();
    }
}

static void is_sealed_in_the_transaction(void **state)
{
    (void)state;
    uint8_t sum[STORE_SUM_BYTES];
    {
        struct transaction t CLEANUP(transaction_end) = { 0 };
        assert_int_equal(transaction_begin(&t, store), 0);
        change(PUT_LAMP);
        assert_int_equal(transaction_commit(&t), 0);
    }
    store_sum_get(store, sum);
    struct query q CLEANUP(query_end) = query(store, GET_NOTE);
    assert_int_equal(query_one(&q), 0);
    struct slice noted = query_blob(&q, 0);
    assert_int_equal(query_check(&q), 0);
    assert_int_equal(noted.len, STORE_SUM_BYTES);
    assert_memory_equal(noted.data, sum, STORE_SUM_BYTES);
}

static void what_is_not_sealed_is_not_kept(void **state)
{
    (void)state;
    uint8_t before[STORE_SUM_BYTES], after[STORE_SUM_BYTES];
    struct transaction t CLEANUP(transaction_end) = { 0 };
    store_sum_get(store, before);
    assert_int_equal(transaction_begin(&t, store), 0);
    change(PUT_LAMP);
    seal_outcome = -ENOMEM;
    assert_int_equal(transaction_commit(&t), -ENOMEM);
    store_sum_get(store, after);
    assert_memory_equal(before, after, sizeof(after));
    assert_right();
}

/* A column or a table that comes with a newer version makes no difference; anything that stands in one does. */
static void a_new_column_makes_no_difference(void **state)
{
    (void)state;
    static const char *const more[] = {
        NULL, NULL, NULL,
        "ALTER TABLE lamp ADD COLUMN watts INTEGER NOT NULL DEFAULT 0;"
        "ALTER TABLE lamp ADD COLUMN maker TEXT; CREATE TABLE socket (name TEXT) STRICT;",
        "UPDATE lamp SET watts = 40;"
    };
    const char *longer[5];
    struct store_schema newer = { longer, 4, statements, STATEMENTS, .flags = STORE_SUMMED };
    uint8_t before[STORE_SUM_BYTES], after[STORE_SUM_BYTES];
    struct store *s;
    struct transaction t CLEANUP(transaction_end) = { 0 };
    assert_int_equal(transaction_begin(&t, store), 0);
    change(PUT_LAMP);
    assert_int_equal(transaction_commit(&t), 0);
    store_sum_get(store, before);
    for (unsigned i = 0; i < 5; i++)
        longer[i] = i < 3 ? migrations[i] : more[i];
    assert_int_equal(store_open(&s, household_path(), &newer), 0);
    assert_int_equal(store_sum_rows(s, &by, after), 0);
    assert_memory_equal(before, after, sizeof(after));
    store_close(s);
    newer.migration_count = 5;
    assert_int_equal(store_open(&s, household_path(), &newer), 0);
    assert_int_equal(store_sum_rows(s, &by, after), 0);
    assert_memory_not_equal(before, after, sizeof(after));
    store_close(s);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, open_followed, close_followed)
    const struct CMUnitTest tests[] = {
        CASE(follows_every_change),
        CASE(is_sealed_in_the_transaction),
        CASE(what_is_not_sealed_is_not_kept),
        CASE(a_new_column_makes_no_difference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
