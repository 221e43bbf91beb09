/* The store over a real PostgreSQL server (TOWN_POSTGRES): values, turns, what is undone by others, and connections that break anywhere, through a
 * relay that cuts them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/util.h"
#include "shelf.h"

enum { ADD, GET, COUNT, SUMS, PAIRS, DELETE, ANY };
static const char *const migrations[] = {
    "CREATE TABLE row (number INTEGER PRIMARY KEY, text TEXT, bytes BLOB CHECK (length(bytes) < 100)) STRICT;",
    "ALTER TABLE row ADD COLUMN user INTEGER NOT NULL DEFAULT 7;",
};
static const char *const statements[] = {
    [ADD] = "INSERT INTO row (number, text, bytes) VALUES (?1, ?2, ?3)",
    [GET] = "SELECT text, bytes, user FROM row WHERE number = ?1",
    [COUNT] = "SELECT count(*) FROM row",
    [SUMS] = "SELECT sum(number), coalesce(sum(number), 0), sum(number) * 10000, -sum(number), 1 FROM row",
    [PAIRS] = "SELECT number FROM row WHERE (number, text) > (?1, ?2) ORDER BY number LIMIT ?3",
    [DELETE] = "DELETE FROM row WHERE number >= ?1",
    [ANY] = "SELECT coalesce(?1, ?2)",
};
static struct store_schema schema = { migrations, ARRAY_COUNT(migrations), statements, ARRAY_COUNT(statements) };

static struct store *open_store(void) { return shelf_open(&schema); }

static int add(struct store *s, int64_t number)
{
    struct query q CLEANUP(query_end) = query(s, ADD);
    query_bind_i64(&q, 1, number);
    query_bind_text(&q, 2, "");
    query_bind_null(&q, 3);
    return query_run(&q);
}

static int add_in_transaction(struct store *s, int64_t number)
{
    struct transaction t CLEANUP(transaction_end) = { 0 };
    int r = transaction_begin(&t, s);
    if (r == 0)
        r = add(s, number);
    return r == 0 ? transaction_commit(&t) : r;
}

/* The same, sent and not waited for. */
static int add_in_batch(struct store *s, int64_t number)
{
    struct transaction t CLEANUP(transaction_end) = { 0 };
    int r = transaction_begin_batch(&t, s);
    if (r != 0)
        return r;
    {
        struct query q CLEANUP(query_end) = query(s, ADD);
        query_bind_i64(&q, 1, number);
        query_bind_text(&q, 2, "");
        query_bind_null(&q, 3);
        r = query_later(&q);
    }
    return r == 0 ? transaction_commit(&t) : r;
}

static int64_t count(struct store *s)
{
    struct query q CLEANUP(query_end) = query(s, COUNT);
    return query_one(&q) == 0 ? query_i64(&q, 0) : -1;
}

static int empty(void **state)
{
    (void)state;
    struct store *s = open_store();
    store_close(s);
    shelf_by_hand("DELETE FROM row");
    return 0;
}

/* --- Opening ----------------------------------------------------------------------------------------------------- */

static void strings_are_judged(void **state)
{
    (void)state;
    assert_int_equal(store_pg_judge("postgresql://host/name"), 0);
    assert_int_equal(store_pg_judge("postgresql:host=/run dbname=x passfile=/etc/x"), 0);
    assert_int_equal(store_pg_judge("postgresql://user:secret@host/name"), -EACCES);
    assert_int_equal(store_pg_judge("postgresql:password=secret"), -EACCES);
    assert_int_equal(store_pg_judge("postgresql:no=such"), -EINVAL);
    assert_int_equal(store_pg_judge("/var/lib/x.db"), -EINVAL);
}

static void versions_are_kept_apart(void **state)
{
    (void)state;
    struct store *s = open_store();
    store_close(s);
    struct store_schema older = schema, newer = schema, reader = schema;
    older.migration_count = 1;
    assert_int_equal(store_pg_open(&s, shelf_database, &older, false), STORE_NEWER);
    static const char *const more[] = { "", "", "CREATE TABLE third (a INTEGER) STRICT;", "nonsense" };
    newer.migrations = more;
    newer.migration_count = 3;
    newer.flags = STORE_READ_ONLY;
    assert_int_equal(store_pg_open(&s, shelf_database, &newer, false), -ESTALE);
    newer.migration_count = 4;
    newer.flags = 0;
    assert_int_equal(store_pg_open(&s, shelf_database, &newer, false), -EINVAL); /* and nothing of it is kept */
    reader.flags = STORE_READ_ONLY;
    assert_int_equal(store_pg_open(&s, shelf_database, &reader, false), 0);
    assert_int_equal(add(s, 1), -EROFS);
    store_close(s);
    char other[STORE_PG_DATABASE_BYTES];
    snprintf(other, sizeof(other), "postgresql:%s dbname=postgres", getenv("TOWN_POSTGRES"));
    assert_int_equal(store_pg_open(&s, other, &schema, false), -ENOENT);
    snprintf(other, sizeof(other), "postgresql:%s dbname=nowhere", getenv("TOWN_POSTGRES"));
    assert_int_equal(store_pg_open(&s, other, &schema, false),
                     -ECONNREFUSED); /* the server answers: it is no use to wait */
    assert_int_equal(store_pg_open(&s, "postgresql:host=/nowhere dbname=x", &schema, false), -EHOSTDOWN);
    char sql[160];
    snprintf(sql, sizeof(sql),
             "CREATE DATABASE ascii_%d ENCODING 'SQL_ASCII' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'",
             (int)getpid());
    shelf_by_hand(sql);
    snprintf(other, sizeof(other), "postgresql:%s dbname=ascii_%d", getenv("TOWN_POSTGRES"), (int)getpid());
    assert_int_equal(store_pg_open(&s, other, &schema, true), -EILSEQ);
}

/* --- Values ------------------------------------------------------------------------------------------------------ */

static void values_are_what_they_were(void **state)
{
    (void)state;
    static const uint8_t bytes[] = { 0, 1, 0xff, '\\', '\'' };
    struct store *s = open_store();
    {
        struct query q CLEANUP(query_end) = query(s, ADD);
        query_bind_i64(&q, 1, INT64_MIN);
        query_bind_text(&q, 2, "it's \\ ü");
        query_bind_blob(&q, 3, SLICE_ARRAY(bytes));
        assert_int_equal(query_run(&q), 0);
        query_bind_i64(&q, 1, INT64_MAX);
        query_bind_text(&q, 2, NULL);
        query_bind_blob(&q, 3, slice(NULL, 0));
        assert_int_equal(query_run(&q), 0);
        assert_int_equal(store_changed_count(s), 1);
        query_bind_i64(&q, 1, 5);
        query_bind_chars(&q, 2, slice("a\0b", 3));
        query_bind_null(&q, 3);
        assert_int_equal(query_run(&q), -EINVAL);
    }
    struct query q CLEANUP(query_end) = query(s, GET);
    char text[32];
    query_bind_i64(&q, 1, INT64_MIN);
    assert_int_equal(query_one(&q), 0);
    query_text(&q, 0, text, sizeof(text));
    assert_string_equal(text, "it's \\ ü");
    assert_true(slice_equal(query_blob(&q, 1), SLICE_ARRAY(bytes)));
    assert_int_equal(query_i64(&q, 2), 7);
    assert_int_equal(query_check(&q), 0);
    query_end(&q);
    q = query(s, GET);
    query_bind_i64(&q, 1, INT64_MAX);
    assert_int_equal(query_one(&q), 0);
    assert_true(query_is_null(&q, 0) && !query_is_null(&q, 1));
    assert_int_equal(query_blob(&q, 1).len, 0);
    assert_int_equal(query_step(&q), 0);
    query_end(&q);
    q = query(s, GET);
    query_bind_i64(&q, 1, 1);
    assert_int_equal(query_one(&q), STORE_ABSENT);
    query_end(&q);
    store_close(s);
}

static void sums_are_whole_numbers(void **state)
{
    (void)state;
    static const int64_t numbers[] = { 0, 1, 9999, 10000, 10001, 123456789012345678, -1, -10000, 100000000 };
    struct store *s = open_store();
    for (size_t i = 0; i < ARRAY_COUNT(numbers); i++) {
        int64_t n = numbers[i];
        assert_int_equal(add(s, n), 0);
        struct query q CLEANUP(query_end) = query(s, SUMS);
        assert_int_equal(query_one(&q), 0);
        assert_int_equal(query_i64(&q, 0), n);
        assert_int_equal(query_i64(&q, 1), n);
        if (n < INT64_MAX / 10000)
            assert_int_equal(query_i64(&q, 2), n * 10000);
        assert_int_equal(query_i64(&q, 3), -n);
        assert_int_equal(query_i64(&q, 4), 1);
        assert_int_equal(query_check(&q), 0);
        query_end(&q);
        shelf_by_hand("DELETE FROM row");
    }
    store_close(s);
}

/* The types of what is bound are the statement's: another type prepares it anew. */
static void a_statement_takes_other_types(void **state)
{
    (void)state;
    struct store *s = open_store();
    struct query q CLEANUP(query_end) = query(s, ANY);
    query_bind_null(&q, 1);
    query_bind_i64(&q, 2, 3);
    assert_int_equal(query_one(&q), 0);
    assert_int_equal(query_i64(&q, 0), 3);
    query_end(&q);
    q = query(s, ANY);
    query_bind_blob(&q, 1, slice("ab", 2));
    query_bind_blob(&q, 2, slice("c", 1));
    assert_int_equal(query_one(&q), 0);
    assert_int_equal(query_blob(&q, 0).len, 2);
    query_end(&q);
    store_close(s);
}

/* --- Transactions ------------------------------------------------------------------------------------------------ */

static void a_conflict_undoes_its_savepoint(void **state)
{
    (void)state;
    struct store *s = open_store();
    struct transaction t CLEANUP(transaction_end) = { 0 };
    assert_int_equal(transaction_begin(&t, s), 0);
    assert_int_equal(add(s, 1), 0);
    {
        struct savepoint p CLEANUP(savepoint_end) = { 0 }, inner CLEANUP(savepoint_end) = { 0 };
        assert_int_equal(savepoint_begin(&p, s), 0);
        assert_int_equal(add(s, 2), 0);
        assert_int_equal(savepoint_begin(&inner, s), 0);
        assert_int_equal(add(s, 1), STORE_CONFLICT);
        assert_int_equal(add(s, 3), -ECANCELED); /* until it is undone */
        savepoint_end(&inner);
        assert_int_equal(add(s, 4), 0);
        assert_int_equal(savepoint_release(&p), 0);
    }
    {
        struct savepoint p CLEANUP(savepoint_end) = { 0 };
        assert_int_equal(savepoint_begin(&p, s), 0);
        assert_int_equal(add(s, 5), 0);
    }
    assert_int_equal(transaction_commit(&t), 0);
    assert_int_equal(count(s), 3); /* 1, 2, 4 */
    store_close(s);
}

static void one_writes_at_a_time(void **state)
{
    (void)state;
    struct store *s = open_store(), *other;
    struct store_schema hasty = schema;
    hasty.busy_ms = 100;
    assert_int_equal(store_pg_open(&other, shelf_database, &hasty, false), 0);
    struct transaction t CLEANUP(transaction_end) = { 0 }, u CLEANUP(transaction_end) = { 0 };
    assert_int_equal(transaction_begin(&t, s), 0);
    assert_int_equal(add(s, 1), 0);
    assert_int_equal(transaction_begin(&u, other), -EBUSY);
    assert_int_equal(transaction_begin_read(&u, other), 0); /* who reads waits for nobody */
    assert_int_equal(count(other), 0);
    assert_int_equal(transaction_commit(&t), 0);
    assert_int_equal(count(other), 0); /* what it sees stands still */
    assert_int_equal(transaction_commit(&u), 0);
    assert_int_equal(count(other), 1);
    assert_int_equal(add_in_transaction(other, 2), 0);
    store_close(other);
    store_close(s);
}

static void others_changes_are_noticed(void **state)
{
    (void)state;
    struct store *s = open_store(), *other = open_store();
    uint64_t before, after;
    assert_int_equal(store_outside_version(s, &before), 0);
    assert_int_equal(add_in_transaction(s, 1), 0);
    {
        struct transaction t CLEANUP(transaction_end) = { 0 };
        assert_int_equal(transaction_begin(&t, other), 0); /* changes nothing */
        assert_int_equal(transaction_commit(&t), 0);
    }
    assert_int_equal(store_outside_version(s, &after), 0);
    assert_int_equal(before, after);
    assert_int_equal(add_in_transaction(other, 2), 0);
    assert_int_equal(store_outside_version(s, &after), 0);
    assert_int_not_equal(before, after);
    store_close(other);
    store_close(s);
}

/* As an engine that is asked for more than it can keep apart: the server undoes the transaction that adds this row. */
#define UNDONE_NUMBER 666
static void let_fail(bool yes)
{
    shelf_by_hand("DROP TRIGGER IF EXISTS undone ON row");
    if (yes)
        shelf_by_hand(
            "CREATE OR REPLACE FUNCTION undone() RETURNS trigger LANGUAGE plpgsql AS"
            " $$BEGIN RAISE EXCEPTION 'undone' USING ERRCODE = '40001'; END$$;"
            "CREATE TRIGGER undone BEFORE INSERT ON row FOR EACH ROW WHEN (NEW.number = 666) EXECUTE FUNCTION undone()");
}

static void what_the_server_undoes_is_to_be_run_again(void **state)
{
    (void)state;
    struct store *s = open_store();
    assert_int_equal(add_in_transaction(s, 1), 0);
    let_fail(true);
    {
        struct transaction t CLEANUP(transaction_end) = { 0 };
        assert_int_equal(transaction_begin(&t, s), 0);
        assert_int_equal(add(s, 3), 0);
        assert_int_equal(add(s, UNDONE_NUMBER), -EAGAIN);
        assert_int_equal(add(s, 2), -EAGAIN); /* and everything after it */
        struct savepoint p CLEANUP(savepoint_end) = { 0 };
        assert_int_equal(savepoint_begin(&p, s), -EAGAIN);
        assert_int_equal(transaction_commit(&t), -EAGAIN);
    }
    let_fail(false);
    assert_int_equal(count(s), 1);
    assert_int_equal(add_in_transaction(s, UNDONE_NUMBER), 0);
    assert_int_equal(count(s), 2);
    store_close(s);
}

/* Several wait for one turn: each gets it, and sees what the one before has left. */
#define CONTENDERS 4
#define ROUNDS 25
static void *contend(void *unused)
{
    (void)unused;
    struct store *s = open_store();
    for (int i = 0; i < ROUNDS; i++) {
        struct transaction t CLEANUP(transaction_end) = { 0 };
        assert_int_equal(transaction_begin(&t, s), 0);
        assert_int_equal(add(s, count(s)), 0); /* its number is free only when nobody else came between */
        assert_int_equal(transaction_commit(&t), 0);
    }
    store_close(s);
    return NULL;
}

static void who_waited_for_a_turn_begins_at_once(void **state)
{
    (void)state;
    pthread_t threads[CONTENDERS];
    for (size_t i = 0; i < CONTENDERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, contend, NULL), 0);
    for (size_t i = 0; i < CONTENDERS; i++)
        pthread_join(threads[i], NULL);
    struct store *s = open_store();
    assert_int_equal(count(s), CONTENDERS * ROUNDS);
    store_close(s);
}

/* Also a statement by itself. */
static void nobody_writes_without_a_turn(void **state)
{
    (void)state;
    struct store *s = open_store(), *other = open_store();
    struct store_schema hasty = schema;
    uint64_t before, after;
    assert_int_equal(store_outside_version(other, &before), 0);
    assert_int_equal(add(s, 1), 0);
    assert_int_equal(store_outside_version(other, &after), 0);
    assert_int_not_equal(before, after);
    store_close(other);
    hasty.busy_ms = 100;
    assert_int_equal(store_pg_open(&other, shelf_database, &hasty, false), 0);
    {
        struct transaction t CLEANUP(transaction_end) = { 0 };
        assert_int_equal(transaction_begin(&t, s), 0);
        assert_int_equal(add(other, 2), -EBUSY);
        assert_int_equal(count(other), 1);
    }
    assert_int_equal(add(s, 1), STORE_CONFLICT);
    assert_int_equal(add(other, 2), 0);
    store_close(other);
    store_close(s);
}

static void a_connection_that_ends_is_made_again(void **state)
{
    (void)state;
    static const char others[] =
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid()";
    struct store *s = open_store();
    {
        struct transaction t CLEANUP(transaction_end) = { 0 };
        assert_int_equal(transaction_begin(&t, s), 0);
        assert_int_equal(add(s, 1), 0);
        shelf_by_hand(others);
        assert_int_equal(add(s, 2), -EAGAIN);
        assert_int_equal(transaction_commit(&t), -EAGAIN);
    }
    assert_int_equal(add_in_transaction(s, 3), 0);
    shelf_by_hand(others);
    assert_int_equal(count(s), 1); /* a question alone is asked again by itself */
    shelf_by_hand(others);
    assert_int_equal(add_in_transaction(s, 4), 0);
    store_close(s);
}

/* --- A relay that cuts ------------------------------------------------------------------------------------------- */

static struct relay {
    char dir[64], server[108];
    int listener;
    pthread_t thread;
    atomic_int
        cut; /* 1: the next COMMIT does not arrive; 2: its answer does not; 3: now, as a server does that is stopped immediately */
} relay;

static void connect_through(int from)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    snprintf(to.sun_path, sizeof(to.sun_path), "%s", relay.server);
    int server = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(connect(server, (struct sockaddr *)&to, sizeof(to)), 0);
    struct pollfd ends[] = { { from, POLLIN, 0 }, { server, POLLIN, 0 } };
    char bytes[8192];
    static const char farewell[] = "N\0\0\0\x1fSWARNING\0C57P01\0Mstopping\0";
    bool commits = false;
    for (;;) {
        int ready = poll(ends, 2, 10);
        if (relay.cut == 3 && ready == 0) {
            assert_int_equal(write(from, farewell, sizeof(farewell)), sizeof(farewell));
            break;
        }
        if (ready == 0)
            continue;
        int at = ends[0].revents ? 0 : 1;
        ssize_t n = read(ends[at].fd, bytes, sizeof(bytes));
        commits |= at == 0 && n > 0 && memmem(bytes, (size_t)n, ";COMMIT", 7) != NULL;
        int cut = commits ? relay.cut : 0;
        if (n <= 0 || (cut == 1 && at == 0) || (cut == 2 && at == 1) || write(ends[!at].fd, bytes, (size_t)n) != n) {
            relay.cut = cut ? 0 : (int)relay.cut;
            break;
        }
    }
    close(server);
    close(from);
    if (relay.cut == 3)
        relay.cut = 0;
}

static void *run_relay(void *unused)
{
    (void)unused;
    int client;
    while ((client = accept(relay.listener, NULL, NULL)) >= 0) { /* one at a time: a store has one connection */
        connect_through(client);
    }
    return NULL;
}

static int start_relay(void **state)
{
    empty(state);
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    snprintf(relay.dir, sizeof(relay.dir), "/tmp/hearth-relay-XXXXXX");
    assert_non_null(mkdtemp(relay.dir));
    const char *host = strstr(getenv("TOWN_POSTGRES"), "host=") + 5;
    snprintf(relay.server, sizeof(relay.server), "%.*s/.s.PGSQL.5432", (int)strcspn(host, " "), host);
    snprintf(at.sun_path, sizeof(at.sun_path), "%s/.s.PGSQL.5432", relay.dir);
    relay.listener = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(relay.listener, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(relay.listener, 8), 0);
    return pthread_create(&relay.thread, NULL, run_relay, NULL);
}

static int stop_relay(void **state)
{
    (void)state;
    char path[128];
    shutdown(relay.listener, SHUT_RDWR);
    pthread_join(relay.thread, NULL);
    close(relay.listener);
    snprintf(path, sizeof(path), "%s/.s.PGSQL.5432", relay.dir);
    unlink(path);
    return rmdir(relay.dir);
}

static void a_lost_commit_is_settled(void **state)
{
    (void)state;
    char through[STORE_PG_DATABASE_BYTES];
    snprintf(through, sizeof(through), "postgresql:host=%s user=hearth dbname=store_%d", relay.dir, (int)getpid());
    struct store *s;
    uint64_t before, after;
    assert_int_equal(store_pg_open(&s, through, &schema, false), 0);
    assert_int_equal(store_outside_version(s, &before), 0);
    for (int64_t i = 0; i < 20; i += 2) {
        int (*add_one)(struct store *, int64_t) = i % 4 == 0 ? add_in_transaction : add_in_batch;
        relay.cut = 1;
        assert_int_equal(add_one(s, i), -EAGAIN); /* it did not arrive: nothing is kept */
        assert_int_equal(count(s), i / 2);
        relay.cut = 2;
        assert_int_equal(add_one(s, i), 0); /* it arrived: that its answer was lost makes no difference */
        assert_int_equal(count(s), i / 2 + 1);
    }
    assert_int_equal(store_outside_version(s, &after), 0);
    assert_int_equal(before, after); /* they were all our own */
    store_close(s);
}

/* The server said farewell and closed while nothing was asked: libpq finds that it cannot write, and goes on calling the connection good. */
static void a_server_that_left_is_asked_again(void **state)
{
    (void)state;
    char through[STORE_PG_DATABASE_BYTES];
    snprintf(through, sizeof(through), "postgresql:host=%s user=hearth dbname=store_%d", relay.dir, (int)getpid());
    struct store *s;
    uint64_t version;
    assert_int_equal(store_pg_open(&s, through, &schema, false), 0);
    for (int64_t i = 0; i < 12; i++) {
        relay.cut = 3;
        while (relay.cut == 3)
            usleep(1000);
        if (i % 4 == 0)
            assert_int_equal(add_in_transaction(s, i), 0);
        else if (i % 4 == 1)
            assert_int_equal(count(s), i / 4 + 1);
        else if (i % 4 == 2) {
            struct transaction t CLEANUP(transaction_end) = { 0 };
            assert_int_equal(transaction_begin_read(&t, s), 0);
            assert_int_equal(count(s), i / 4 + 1);
        } else
            assert_int_equal(store_outside_version(s, &version), 0);
    }
    {
        struct transaction t CLEANUP(transaction_end) = { 0 };
        assert_int_equal(transaction_begin(&t, s), 0);
        relay.cut = 3;
        while (relay.cut == 3)
            usleep(1000);
        assert_int_equal(add(s, 90), -EAGAIN);
        assert_int_equal(transaction_commit(&t), -EAGAIN);
    }
    {
        struct transaction t CLEANUP(transaction_end) = { 0 };
        assert_int_equal(transaction_begin(&t, s), 0);
        assert_int_equal(add(s, 91), 0);
        relay.cut = 3;
        while (relay.cut == 3)
            usleep(1000);
        assert_int_equal(transaction_commit(&t), -EAGAIN);
    }
    assert_int_equal(count(s), 3);
    store_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings_are_judged),
        cmocka_unit_test_setup(versions_are_kept_apart, empty),
        cmocka_unit_test_setup(values_are_what_they_were, empty),
        cmocka_unit_test_setup(sums_are_whole_numbers, empty),
        cmocka_unit_test_setup(a_statement_takes_other_types, empty),
        cmocka_unit_test_setup(a_conflict_undoes_its_savepoint, empty),
        cmocka_unit_test_setup(one_writes_at_a_time, empty),
        cmocka_unit_test_setup(others_changes_are_noticed, empty),
        cmocka_unit_test_setup(what_the_server_undoes_is_to_be_run_again, empty),
        cmocka_unit_test_setup(who_waited_for_a_turn_begins_at_once, empty),
        cmocka_unit_test_setup(nobody_writes_without_a_turn, empty),
        cmocka_unit_test_setup(a_connection_that_ends_is_made_again, empty),
        cmocka_unit_test_setup_teardown(a_lost_commit_is_settled, start_relay, stop_relay),
        cmocka_unit_test_setup_teardown(a_server_that_left_is_asked_again, start_relay, stop_relay),
    };
    return cmocka_run_group_tests(tests, shelf_make, NULL);
}
