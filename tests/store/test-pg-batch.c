/* Batches over a real PostgreSQL server (TOWN_POSTGRES): statements that are not waited for, savepoints that are made when they are needed, and
 * answers that are remembered, by one store and by two that change the same rows in turn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "shelf.h"

enum { ADD, SET, MOVE, DROP, COUNT_OF, SUM, ON_SHELF, NAME_GET, NAME_SET, DIVIDE };
static const char *const migrations[] = {
    "CREATE TABLE item (number INTEGER PRIMARY KEY, shelf INTEGER NOT NULL, count INTEGER NOT NULL CHECK (count >= 0)) STRICT;"
    "CREATE TABLE name (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;",
};
static const char *const statements[] = {
    [ADD] = "INSERT INTO item (number, shelf, count) VALUES (?1, ?2, ?3)",
    [SET] = ("INSERT INTO item (number, shelf, count) VALUES (?1, ?2, ?3)"
             " ON CONFLICT (number) DO UPDATE SET shelf = excluded.shelf, count = excluded.count"),
    [MOVE] = "UPDATE item SET shelf = ?2 WHERE shelf = ?1",
    [DROP] = "DELETE FROM item WHERE number = ?1",
    [COUNT_OF] = "SELECT count FROM item WHERE number = ?1",
    [SUM] = "SELECT coalesce(sum(count), 0) FROM item",
    [ON_SHELF] = "SELECT coalesce(sum(count), 0) FROM item WHERE shelf = ?1",
    [NAME_GET] = "SELECT value FROM name WHERE key = ?1",
    [NAME_SET] = "INSERT INTO name (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
    [DIVIDE] = "SELECT 6 / ?1",
};
static struct store_schema schema = { migrations, ARRAY_COUNT(migrations), statements, ARRAY_COUNT(statements) };

static int empty(void **state)
{
    (void)state;
    struct store *s = shelf_open(&schema);
    store_close(s);
    shelf_by_hand("DROP TRIGGER IF EXISTS undone ON item; DELETE FROM item; DELETE FROM name;"
                  "UPDATE store_state SET turn = turn + 1, changes = changes + 1 WHERE one = 1");
    return 0;
}

static int change(struct store *s, unsigned statement, int64_t a, int64_t b, int64_t c, bool later)
{
    static const int parameters[] = { [ADD] = 3, [SET] = 3, [MOVE] = 2, [DROP] = 1 };
    const int64_t values[] = { a, b, c };
    struct query q CLEANUP(query_end) = query(s, statement);
    for (int i = 0; i < parameters[statement]; i++)
        query_bind_i64(&q, i + 1, values[i]);
    return later ? query_later(&q) : query_run(&q);
}

static int add_later(struct store *s, int64_t number) { return change(s, ADD, number, 0, 1, true); }

/* -1: no such row; the outcome of a failure otherwise. */
static int64_t ask(struct store *s, unsigned statement, int64_t about)
{
    struct query q CLEANUP(query_end) = query(s, statement);
    if (statement != SUM)
        query_bind_i64(&q, 1, about);
    int r = query_one(&q);
    return r == 0 ? query_i64(&q, 0) : r == STORE_ABSENT ? -1 : r;
}

static void ask_ahead(struct store *s, unsigned statement, int64_t about)
{
    struct query q CLEANUP(query_end) = query(s, statement);
    if (statement != SUM)
        query_bind_i64(&q, 1, about);
    query_ahead(&q);
}

static void name(struct store *s, const char *value)
{
    struct query q CLEANUP(query_end) = query(s, NAME_SET);
    query_bind_text(&q, 1, "it");
    query_bind_text(&q, 2, value);
    assert_int_equal(query_later(&q), 0);
}

static void assert_named(struct store *s, const char *value)
{
    char text[16] = "";
    struct query q CLEANUP(query_end) = query(s, NAME_GET);
    query_bind_text(&q, 1, "it");
    assert_int_equal(query_one(&q), 0);
    query_text(&q, 0, text, sizeof(text));
    assert_int_equal(query_check(&q), 0);
    assert_string_equal(text, value);
}

static int64_t sum_outside(void)
{
    struct store *s CLEANUP(store_closep) = shelf_open(&schema);
    return ask(s, SUM, 0);
}

/* --- What is remembered ------------------------------------------------------------------------------------------ */

static void assert_named_in_batch(struct store *s, const char *value)
{
    struct transaction t CLEANUP(transaction_end) = { 0 };
    assert_int_equal(transaction_begin_batch(&t, s), 0);
    assert_named(s, value);
}

static void name_in_batch(struct store *s, const char *value, bool kept)
{
    struct transaction t CLEANUP(transaction_end) = { 0 };
    assert_int_equal(transaction_begin_batch(&t, s), 0);
    name(s, value);
    assert_named(s, value);
    if (kept)
        assert_int_equal(transaction_commit(&t), 0);
}

static void what_is_known_is_asked_once(void **state)
{
    (void)state;
    struct store *s = shelf_open(&schema), *other = shelf_open(&schema);
    name_in_batch(s, "a", true);
    assert_named_in_batch(s, "a");
    shelf_by_hand("UPDATE name SET value = 'b'"); /* takes no turn: nobody looks */
    assert_named_in_batch(s, "a");
    shelf_by_hand("UPDATE store_state SET turn = turn + 1, changes = changes + 1 WHERE one = 1");
    assert_named_in_batch(s, "b");
    name_in_batch(other, "c", true);
    assert_named_in_batch(s, "c");
    name_in_batch(other, "d", false); /* undone */
    assert_named_in_batch(other, "c");
    name_in_batch(s, "e", false);
    assert_named_in_batch(s, "c");
    {
        struct transaction t CLEANUP(transaction_end) = { 0 };
        assert_int_equal(transaction_begin_batch(&t, s), 0);
        {
            struct savepoint p CLEANUP(savepoint_end) = { 0 };
            assert_int_equal(savepoint_begin(&p, s), 0);
            name(s, "f");
            assert_named(s, "f");
        }
        assert_named(s, "c");
    }
    {
        struct transaction t CLEANUP(transaction_end) = { 0 }; /* not every transaction is a batch */
        assert_int_equal(transaction_begin(&t, other), 0);
        name(other, "g");
        assert_int_equal(transaction_commit(&t), 0);
    }
    assert_named_in_batch(s, "g");
    name(other, "h"); /* nor in one */
    assert_named_in_batch(s, "h");
    store_close(other);
    store_close(s);
}

/* --- Two stores, and a model of the table -------------------------------------------------------------------------- */

#define ITEMS 6
#define SHELVES 3
#define STEPS 4000
struct item {
    bool there;
    int64_t shelf, count;
};
struct model {
    struct item items[ITEMS];
};

static unsigned next(unsigned *seed, unsigned below)
{
    *seed = *seed * 1103515245u + 12345u;
    return (*seed >> 16) % below;
}

static int64_t model_ask(const struct model *m, unsigned statement, int64_t about)
{
    int64_t sum = 0;
    for (int64_t i = 0; i < ITEMS; i++) {
        const struct item *at = &m->items[i];
        if (statement == COUNT_OF && i == about)
            return at->there ? at->count : -1;
        sum += at->there && (statement == SUM || at->shelf == about) ? at->count : 0;
    }
    return sum;
}

static void model_change(struct model *m, unsigned statement, int64_t a, int64_t b, int64_t c)
{
    if (statement == SET)
        m->items[a] = (struct item){ true, b, c };
    else if (statement == DROP)
        m->items[a].there = false;
    for (size_t i = 0; statement == MOVE && i < ITEMS; i++)
        m->items[i].shelf = m->items[i].shelf == a ? b : m->items[i].shelf;
}

static void one_step(struct store *s, struct model *m, unsigned *seed)
{
    static const unsigned questions[] = { COUNT_OF, COUNT_OF, ON_SHELF, SUM }, changes[] = { SET, SET, MOVE, DROP };
    unsigned what = next(seed, 4), kind = next(seed, 4);
    unsigned question = questions[kind], statement = changes[kind];
    int64_t about = next(seed, question == ON_SHELF ? SHELVES : ITEMS);
    if (what == 0) {
        ask_ahead(s, question, about);
    } else if (what == 1) {
        int64_t a = next(seed, statement == MOVE ? SHELVES : ITEMS), b = next(seed, SHELVES), c = next(seed, 9);
        assert_int_equal(change(s, statement, a, b, c, next(seed, 4) != 0), 0);
        model_change(m, statement, a, b, c);
    } else {
        assert_int_equal(ask(s, question, about), model_ask(m, question, about));
    }
}

static void steps_in_savepoint(struct store *s, struct model *m, unsigned *seed, unsigned depth)
{
    struct savepoint p CLEANUP(savepoint_end) = { 0 };
    struct model before = *m;
    assert_int_equal(savepoint_begin(&p, s), 0);
    for (unsigned n = next(seed, 6); n > 0; n--) {
        if (depth < 3 && next(seed, 3) == 0)
            steps_in_savepoint(s, m, seed, depth + 1);
        else
            one_step(s, m, seed);
    }
    if (next(seed, 3) == 0)
        *m = before; /* undone at the end of the scope */
    else
        assert_int_equal(savepoint_release(&p), 0);
}

static void two_stores_and_a_model_agree(void **state)
{
    (void)state;
    struct store *stores[] = { shelf_open(&schema), shelf_open(&schema) };
    struct model m = { 0 };
    unsigned seed = 1;
    for (unsigned round = 0; round < STEPS / 10; round++) {
        struct store *s = stores[next(&seed, 2)];
        struct transaction t CLEANUP(transaction_end) = { 0 };
        struct model before = m;
        assert_int_equal(next(&seed, 8) == 0 ? transaction_begin(&t, s) : transaction_begin_batch(&t, s), 0);
        for (unsigned n = next(&seed, 4); n > 0; n--)
            steps_in_savepoint(s, &m, &seed, 0);
        if (next(&seed, 4) == 0)
            m = before;
        else
            assert_int_equal(transaction_commit(&t), 0);
    }
    assert_int_equal(sum_outside(), model_ask(&m, SUM, 0));
    store_close(stores[1]);
    store_close(stores[0]);
}

/* --- What fails on its way --------------------------------------------------------------------------------------- */

/* As the writer does it: jobs in savepoints, the whole again when it is -EAGAIN. outcomes: of each job, at last. Returns how often it was begun. */
static unsigned run_jobs(struct store *s, const int64_t *numbers, int *outcomes, size_t count)
{
    int r = -EAGAIN;
    unsigned tries = 0;
    while (r == -EAGAIN && tries < 5) {
        struct transaction t CLEANUP(transaction_end) = { 0 };
        r = transaction_begin_batch(&t, s);
        assert_int_equal(r, 0);
        tries++;
        for (size_t i = 0; r == 0 && i < count; i++) {
            struct savepoint p CLEANUP(savepoint_end) = { 0 };
            r = savepoint_begin(&p, s);
            outcomes[i] = r == 0 ? add_later(s, numbers[i]) : r;
            if (outcomes[i] == 0)
                r = savepoint_release(&p);
        }
        if (r == 0)
            r = transaction_commit(&t);
    }
    assert_int_equal(r, 0);
    return tries;
}

static void one_bad_among_many_fails_alone(void **state)
{
    (void)state;
    static const int64_t numbers[] = { 1, 2, 3, 2, 4, 1, 5 };
    struct store *s = shelf_open(&schema);
    int outcomes[ARRAY_COUNT(numbers)];
    assert_int_equal(run_jobs(s, numbers, outcomes, ARRAY_COUNT(numbers)), 2); /* the second time each is waited for */
    for (size_t i = 0; i < ARRAY_COUNT(numbers); i++)
        assert_int_equal(outcomes[i], i == 3 || i == 5 ? STORE_CONFLICT : 0);
    assert_int_equal(sum_outside(), 5);
    static const int64_t good[] = { 6, 7 };
    assert_int_equal(run_jobs(s, good, outcomes, ARRAY_COUNT(good)), 1); /* and then no more */
    assert_int_equal(sum_outside(), 7);
    store_close(s);
}

static void what_the_server_undoes_is_run_again(void **state)
{
    (void)state;
    static const int64_t numbers[] = { 1, 666, 2 };
    int outcomes[ARRAY_COUNT(numbers)];
    struct store *s = shelf_open(&schema);
    shelf_by_hand(
        "CREATE SEQUENCE IF NOT EXISTS times; SELECT setval('times', 1);" /* twice: sequences are not undone */
        "CREATE OR REPLACE FUNCTION undone() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN"
        " IF nextval('times') < 4 THEN RAISE EXCEPTION 'undone' USING ERRCODE = '40001'; END IF; RETURN NEW; END$$;"
        "CREATE TRIGGER undone BEFORE INSERT ON item FOR EACH ROW WHEN (NEW.number = 666) EXECUTE FUNCTION undone()");
    assert_int_equal(run_jobs(s, numbers, outcomes, ARRAY_COUNT(numbers)), 3);
    for (size_t i = 0; i < ARRAY_COUNT(numbers); i++)
        assert_int_equal(outcomes[i], 0);
    assert_int_equal(sum_outside(), 3);
    store_close(s);
}

/* A savepoint in which nothing was written is none on the server: a question that fails there takes the batch with it, once. */
static void a_question_that_fails(void **state)
{
    (void)state;
    struct store *s = shelf_open(&schema);
    for (int again = 0; again < 2; again++) {
        struct transaction t CLEANUP(transaction_end) = { 0 };
        assert_int_equal(transaction_begin_batch(&t, s), 0);
        {
            struct savepoint p CLEANUP(savepoint_end) = { 0 };
            assert_int_equal(savepoint_begin(&p, s), 0);
            assert_int_equal(ask(s, DIVIDE, 2), 3);
            assert_int_equal(ask(s, DIVIDE, 0), -EINVAL);
        }
        assert_int_equal(add_later(s, 1), again ? 0 : -EAGAIN);
        assert_int_equal(transaction_commit(&t), again ? 0 : -EAGAIN);
    }
    assert_int_equal(sum_outside(), 1);
    store_close(s);
}

static void asked_ahead_in_vain(void **state)
{
    (void)state;
    struct store *s = shelf_open(&schema);
    for (int again = 0; again < 2; again++) {
        struct transaction t CLEANUP(transaction_end) = { 0 };
        assert_int_equal(transaction_begin_batch(&t, s), 0);
        ask_ahead(s, DIVIDE, 0); /* the second time: nothing is asked ahead */
        int r = add_later(s, 1); /* waits for what is on its way, when it is the first of its kind */
        assert_int_equal(r == 0 ? transaction_commit(&t) : r, again ? 0 : -EAGAIN);
    }
    assert_int_equal(sum_outside(), 1);
    store_close(s);
}

static void a_connection_that_ends(void **state)
{
    (void)state;
    struct store *s = shelf_open(&schema);
    for (int64_t i = 0; i < 3; i++) {
        struct transaction t CLEANUP(transaction_end) = { 0 };
        assert_int_equal(transaction_begin_batch(&t, s), 0);
        ask_ahead(s, COUNT_OF, 1);
        assert_int_equal(add_later(s, i), 0);
        shelf_by_hand("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
                      " AND pid <> pg_backend_pid()");
        if (i == 1) {
            assert_int_equal(ask(s, COUNT_OF, 1), -EAGAIN);
            assert_int_equal(add_later(s, 9), -EAGAIN);
        }
        assert_int_equal(transaction_commit(&t), -EAGAIN);
    }
    static const int64_t numbers[] = { 1, 2 };
    int outcomes[ARRAY_COUNT(numbers)];
    assert_int_equal(run_jobs(s, numbers, outcomes, ARRAY_COUNT(numbers)), 1);
    assert_int_equal(sum_outside(), 2);
    store_close(s);
}

/* More than is let on its way, and than is remembered. */
static void a_great_many(void **state)
{
    (void)state;
    struct store *s = shelf_open(&schema);
    for (int64_t batch = 0; batch < 3; batch++) {
        struct transaction t CLEANUP(transaction_end) = { 0 };
        assert_int_equal(transaction_begin_batch(&t, s), 0);
        for (int64_t i = 0; i < 3000; i++)
            ask_ahead(s, COUNT_OF, batch * 3000 + i);
        for (int64_t i = 0; i < 3000; i++)
            assert_int_equal(add_later(s, batch * 3000 + i), 0);
        for (int64_t i = 0; i < 9000; i += 7)
            assert_int_equal(ask(s, COUNT_OF, i), i < (batch + 1) * 3000 ? 1 : -1);
        assert_int_equal(transaction_commit(&t), 0);
    }
    assert_int_equal(sum_outside(), 9000);
    store_close(s);
}

/* A database of a version that did not say which tables it had changed. */
static void an_earlier_database(void **state)
{
    (void)state;
    struct store *s = shelf_open(&schema);
    name_in_batch(s, "a", true);
    store_close(s);
    shelf_by_hand("DROP TABLE store_touched");
    s = shelf_open(&schema);
    assert_named_in_batch(s, "a");
    name_in_batch(s, "b", true);
    assert_named_in_batch(s, "b");
    store_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_is_known_is_asked_once, empty),
        cmocka_unit_test_setup(two_stores_and_a_model_agree, empty),
        cmocka_unit_test_setup(one_bad_among_many_fails_alone, empty),
        cmocka_unit_test_setup(what_the_server_undoes_is_run_again, empty),
        cmocka_unit_test_setup(a_question_that_fails, empty),
        cmocka_unit_test_setup(asked_ahead_in_vain, empty),
        cmocka_unit_test_setup(a_connection_that_ends, empty),
        cmocka_unit_test_setup(a_great_many, empty),
        cmocka_unit_test_setup(an_earlier_database, empty),
    };
    unsetenv("HEARTH_DOUBT"); /* what is remembered wrongly must show here */
    return cmocka_run_group_tests(tests, shelf_make, NULL);
}
