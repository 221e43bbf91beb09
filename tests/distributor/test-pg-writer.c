/* Two writers over one PostgreSQL database (TOWN_POSTGRES), as of two servers: what is acknowledged is there once, and what is refused is not, whatever
 * fails in a batch, whoever undoes it, and whenever the server ends their connections. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "../store/shelf.h"
#include "base/util.h"
#include "distributor/writer.h"

#define WRITERS 2
#define JOBS 600 /* of each */

enum { ADD, COUNT, COUNT_OF, TOTAL_GET, TOTAL_SET };
static const char *const migrations[] = {
    "CREATE TABLE row (number INTEGER PRIMARY KEY) STRICT;"
    "CREATE TABLE total (one INTEGER PRIMARY KEY, value INTEGER NOT NULL) STRICT;"
    "INSERT INTO total (one, value) VALUES (1, 0);",
};
static const char *const statements[] = {
    [ADD] = "INSERT INTO row (number) VALUES (?1)",
    [COUNT] = "SELECT count(*) FROM row",
    [COUNT_OF] = "SELECT count(*) FROM row WHERE number = ?1",
    [TOTAL_GET] = "SELECT value FROM total WHERE one = 1",
    [TOTAL_SET] = "UPDATE total SET value = ?1 WHERE one = 1",
};
static const struct store_schema schema = { migrations, ARRAY_COUNT(migrations), statements, ARRAY_COUNT(statements) };

enum kind { GOOD, REFUSED, TAKEN, KINDS };
struct work {
    struct writer_job job;
    enum kind kind;
    int64_t number;
    int outcome;
};

static uv_loop_t loop;
static unsigned done;

/* Every good one raises the total that it has read: whoever read too early, or something that is not so, makes it wrong. */
static int raise_total(struct store *s)
{
    int64_t value;
    {
        struct query q CLEANUP(query_end) = query(s, TOTAL_GET);
        int r = query_one(&q);
        if (r != 0)
            return r < 0 ? r : -EUCLEAN;
        value = query_i64(&q, 0);
    }
    struct query q CLEANUP(query_end) = query(s, TOTAL_SET);
    query_bind_i64(&q, 1, value + 1);
    return query_later(&q);
}

static int run(struct writer_job *job, void *database)
{
    struct work *k = container_of(job, struct work, job);
    int r;
    {
        struct query q CLEANUP(query_end) = query(database, ADD);
        query_bind_i64(&q, 1, k->number);
        r = query_later(&q);
    }
    if (r == 0)
        r = raise_total(database);
    return r > 0 ? -EUCLEAN : r == 0 && k->kind == REFUSED ? 7 : r;
}

static void ask_ahead(struct writer_job *job, void *database, unsigned pass)
{
    struct work *k = container_of(job, struct work, job);
    struct query q CLEANUP(query_end) = query(database, pass == 0 ? TOTAL_GET : COUNT_OF);
    if (pass == 1)
        query_bind_i64(&q, 1, k->number);
    query_ahead(&q);
}

static void on_done(struct writer_job *job, int outcome)
{
    struct work *k = container_of(job, struct work, job);
    k->outcome = outcome;
    done++;
}

static int64_t ask(struct store *s, unsigned statement)
{
    struct query q CLEANUP(query_end) = query(s, statement);
    assert_int_equal(query_one(&q), 0);
    return query_i64(&q, 0);
}

static bool is_there(struct store *s, int64_t number)
{
    struct query q CLEANUP(query_end) = query(s, COUNT_OF);
    query_bind_i64(&q, 1, number);
    assert_int_equal(query_one(&q), 0);
    return query_i64(&q, 0) == 1;
}

static void hurt(void)
{
    shelf_by_hand("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
                  " AND pid <> pg_backend_pid()");
}

/* Some of the rows are undone by the server at their first attempts. */
static void let_fail(void)
{
    shelf_by_hand(
        "CREATE SEQUENCE times;"
        "CREATE FUNCTION undone() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN"
        " IF nextval('times') % 3 <> 0 THEN RAISE EXCEPTION 'undone' USING ERRCODE = '40001'; END IF; RETURN NEW; END$$;"
        "CREATE TRIGGER undone BEFORE INSERT ON row FOR EACH ROW WHEN (NEW.number % 97 = 5) EXECUTE FUNCTION undone()");
}

static void what_is_acknowledged_is_there_once(void **state)
{
    (void)state;
    static struct work works[WRITERS][JOBS];
    struct store *stores[WRITERS];
    struct writer *writers[WRITERS];
    for (unsigned w = 0; w < WRITERS; w++) {
        stores[w] = shelf_open(&schema);
        assert_int_equal(
            writer_start(&writers[w], &loop, &(struct writer_database){ .database = stores[w], .store = stores[w] }),
            0);
    }
    let_fail();
    for (unsigned i = 0; i < JOBS; i++) {
        for (unsigned w = 0; w < WRITERS; w++) {
            struct work *k = &works[w][i];
            *k = (struct work){ .kind = i % 11 == 7 ? REFUSED : i % 50 == 49 ? TAKEN : GOOD, .outcome = 1 };
            k->number = k->kind == TAKEN ? works[w][0].number : (int64_t)(i * WRITERS + w);
            k->job = (struct writer_job){ .run = run, .ahead = ask_ahead, .on_done = on_done };
            writer_submit(writers[w], &k->job);
        }
    }
    for (unsigned hurts = 1; done < WRITERS * JOBS;) {
        uv_run(&loop, UV_RUN_ONCE);
        if (done >= hurts * (WRITERS * JOBS / 6)) {
            hurts++;
            hurt();
        }
    }
    for (unsigned w = 0; w < WRITERS; w++)
        writer_stop(writers[w], NULL, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    int64_t good = 0;
    for (unsigned w = 0; w < WRITERS; w++) {
        for (unsigned i = 0; i < JOBS; i++) {
            const struct work *k = &works[w][i];
            assert_int_equal(k->outcome, k->kind == GOOD ? 0 : k->kind == REFUSED ? 7 : -EUCLEAN);
            assert_int_equal(is_there(stores[0], k->number),
                             k->kind != REFUSED); /* the first one of a number that is taken */
            good += k->kind == GOOD;
        }
    }
    assert_int_equal(ask(stores[0], COUNT), good);
    assert_int_equal(ask(stores[0], TOTAL_GET), good);
    for (unsigned w = 0; w < WRITERS; w++)
        store_close(stores[w]);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(what_is_acknowledged_is_there_once) };
    unsetenv("HEARTH_DOUBT"); /* what is remembered wrongly must show here */
    uv_loop_init(&loop);
    return cmocka_run_group_tests(tests, shelf_make, NULL);
}
