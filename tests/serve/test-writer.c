/* Jobs of the writer: each undone alone, all of a batch durable before anyone hears of it, none lost when it stops. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "distributor/writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/util.h"

#define JOBS 500

enum { ADD, COUNT, ORPHAN };
static const char version_1[] =
    "CREATE TABLE parent (id INTEGER PRIMARY KEY) STRICT;"
    "CREATE TABLE row (number INTEGER NOT NULL) STRICT;"
    "CREATE TABLE child (parent INTEGER NOT NULL REFERENCES parent(id) DEFERRABLE INITIALLY DEFERRED) STRICT;";
static const char *const migrations[] = { version_1 };
static const char *const statements[] = {
    [ADD] = "INSERT INTO row (number) VALUES (?1)",
    [COUNT] = "SELECT count(*) FROM row",
    [ORPHAN] = "INSERT INTO child (parent) VALUES (1)",
};
static const struct store_schema schema = { migrations, ARRAY_COUNT(migrations), statements, ARRAY_COUNT(statements) };

struct world {
    char path[64];
    uv_loop_t loop;
    struct store *store, *other;
    struct writer *writer;
    unsigned done, running;
    bool stopping, stopped;
    int64_t highest; /* order of on_done */
};

enum kind { GOOD, REFUSED, FAILED, BREAKS_COMMIT, SUBMITS_ANOTHER };

struct work {
    struct writer_job job;
    struct world *world;
    enum kind kind;
    int64_t number;
    int outcome;
    bool told;
    int64_t others_see; /* rows another connection sees when we are told */
};

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    snprintf(w->path, sizeof(w->path), "/tmp/test-writer-%d.db", (int)getpid());
    unlink(w->path);
    uv_loop_init(&w->loop);
    if (store_open(&w->store, w->path, &schema) != 0 || store_open(&w->other, w->path, &schema) != 0)
        return -1;
    *state = w;
    return writer_start(&w->writer, &w->loop, &(struct writer_database){ .database = w->store, .store = w->store });
}

static void on_stopped(void *ctx) { ((struct world *)ctx)->stopped = true; }

static void stop(struct world *w)
{
    if (!w->stopping)
        writer_stop(w->writer, on_stopped, w);
    w->stopping = true;
}

static int teardown(void **state)
{
    struct world *w = *state;
    stop(w);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    int r = w->stopped && uv_loop_close(&w->loop) == 0 ? 0 : -1;
    store_close(w->store);
    store_close(w->other);
    char name[80];
    unlink(w->path);
    snprintf(name, sizeof(name), "%s-wal", w->path);
    unlink(name);
    snprintf(name, sizeof(name), "%s-shm", w->path);
    unlink(name);
    free(w);
    return r;
}

static int64_t count_rows(struct store *s)
{
    struct query q CLEANUP(query_end) = query(s, COUNT);
    return query_one(&q) == 0 ? query_i64(&q, 0) : -1;
}

static int run(struct writer_job *job, void *database)
{
    struct work *k = container_of(job, struct work, job);
    struct query q CLEANUP(query_end) = query(database, ADD);
    query_bind_i64(&q, 1, k->number);
    int r = query_run(&q);
    if (r != 0)
        return r;
    if (k->kind == BREAKS_COMMIT && store_run(database, ORPHAN) != 0)
        return -EIO;
    return k->kind == REFUSED ? 7 : k->kind == FAILED ? -ENOTSUP : 0;
}

static void on_done(struct writer_job *job, int outcome)
{
    struct work *k = container_of(job, struct work, job);
    assert_false(k->told);
    k->told = true;
    k->outcome = outcome;
    k->others_see = count_rows(k->world->other);
    assert_true(k->number > k->world->highest);
    k->world->highest = k->number;
    k->world->done++;
    if (k->kind == SUBMITS_ANOTHER) {
        k[1].job = (struct writer_job){ .run = run, .on_done = on_done };
        writer_submit(k->world->writer, &k[1].job);
        assert_false(k[1].told); /* never inside the call */
    }
}

static void submit(struct world *w, struct work *k, enum kind kind, int64_t number)
{
    *k = (struct work){ .world = w, .kind = kind, .number = number, .job = { .run = run, .on_done = on_done } };
    writer_submit(w->writer, &k->job);
}

static void run_until(struct world *w, unsigned done)
{
    while (w->done < done)
        uv_run(&w->loop, UV_RUN_ONCE);
}

static void test_each_alone(void **state)
{
    struct world *w = *state;
    static struct work works[JOBS];
    for (unsigned i = 0; i < JOBS; i++)
        submit(w, &works[i], i % 5 == 1 ? REFUSED : i % 5 == 2 ? FAILED : GOOD, i + 1);
    run_until(w, JOBS);
    unsigned kept = 0;
    for (unsigned i = 0; i < JOBS; i++) {
        static const int outcomes[] = { [GOOD] = 0, [REFUSED] = 7, [FAILED] = -ENOTSUP };
        assert_int_equal(works[i].outcome, outcomes[works[i].kind]);
        kept += works[i].kind == GOOD;
        assert_true(works[i].others_see >= kept); /* durable before it is told */
    }
    assert_int_equal(count_rows(w->other), kept);
    struct writer_figures f;
    writer_figures(w->writer, &f);
    assert_int_equal(f.jobs, JOBS);
    assert_true(f.batches < JOBS); /* they shared transactions */
    assert_int_equal(f.failed_batches, 0);
}

static void test_failed_commit(void **state)
{
    struct world *w = *state;
    struct work bad[2], after;
    submit(w, &bad[0], BREAKS_COMMIT, 1);
    submit(w, &bad[1], BREAKS_COMMIT, 2);
    run_until(w, 2);
    assert_true(bad[0].outcome < 0 && bad[1].outcome < 0);
    assert_int_equal(count_rows(w->other), 0);
    submit(w, &after, GOOD, 3);
    run_until(w, 3);
    assert_int_equal(after.outcome, 0);
    assert_int_equal(count_rows(w->other), 1);
}

static void test_stop(void **state)
{
    struct world *w = *state;
    static struct work works[JOBS];
    struct work last[2];
    for (unsigned i = 0; i + 1 < JOBS; i++)
        submit(w, &works[i], GOOD, i + 1);
    submit(w, &last[0], SUBMITS_ANOTHER, JOBS);
    last[1] = (struct work){ .world = w, .kind = GOOD, .number = JOBS + 1 };
    stop(w);
    assert_false(w->stopped); /* that is told later, by the loop */
    assert_int_equal(w->done, JOBS + 1);
    for (unsigned i = 0; i + 1 < JOBS; i++)
        assert_int_equal(works[i].outcome, 0);
    assert_int_equal(last[0].outcome, 0);
    assert_int_equal(last[1].outcome, -ECANCELED);
    assert_int_equal(count_rows(w->other), JOBS);
}

static int run_read(struct writer_job *job, void *database)
{
    (void)job;
    return (int)count_rows(database);
}

static void test_reader(void **state)
{
    struct world *w = *state;
    struct work add, look;
    struct writer *reader;
    struct store_schema read_only = schema;
    read_only.flags = STORE_READ_ONLY;
    struct store *store;
    assert_int_equal(store_open(&store, w->path, &read_only), 0);
    assert_int_equal(writer_start(&reader, &w->loop,
                                  &(struct writer_database){ .database = store, .store = store, .read_only = true }),
                     0);
    submit(w, &add, GOOD, 1);
    run_until(w, 1);
    look = (struct work){ .world = w, .number = 2, .job = { .run = run_read, .on_done = on_done } };
    writer_submit(reader, &look.job);
    run_until(w, 2);
    assert_int_equal(look.outcome, 1);
    writer_stop(reader, NULL, NULL);
    store_close(store);
}

/* --- The judge -------------------------------------------------------------------------------------------------------- */

static int judge(void *database, void *ctx)
{
    (void)database;
    return *(const int *)ctx;
}

/* While it says no, what always runs runs; what it says otherwise undoes the batch. */
static void test_judge(void **state)
{
    struct world *w = *state;
    const struct {
        int verdict, told, told_always;
        int64_t rows;
    } cases[] = {
        { 0, 0, 0, 2 }, { -EKEYREVOKED, -EKEYREVOKED, 0, 3 }, { -ENOTSUP, -ENOTSUP, -ENOTSUP, 3 }, { 0, 0, 0, 5 }
    };
    struct work work[2];
    struct writer *judged;
    struct store *store;
    assert_int_equal(store_open(&store, w->path, &schema), 0);
    int verdict = 0;
    assert_int_equal(writer_start(&judged, &w->loop,
                                  &(struct writer_database){
                                      .database = store, .store = store, .judge = judge, .judge_ctx = &verdict }),
                     0);
    for (unsigned i = 0; i < ARRAY_COUNT(cases); i++) {
        verdict = cases[i].verdict; /* nothing runs now */
        for (unsigned j = 0; j < 2; j++) {
            work[j] = (struct work){ .world = w, .number = 10 + 2 * i + j, .job = { .run = run, .on_done = on_done } };
            work[j].job.always = j == 1;
            writer_submit(judged, &work[j].job);
        }
        run_until(w, 2 * (i + 1));
        assert_int_equal(work[0].outcome, cases[i].told);
        assert_int_equal(work[1].outcome, cases[i].told_always);
        assert_int_equal(count_rows(w->store), cases[i].rows);
    }
    writer_stop(judged, NULL, NULL);
    store_close(store);
}

/* --- The log ---------------------------------------------------------------------------------------------------------- */

/* Whoever else moves the log while the writer writes never comes to its end; the writer does. */
static void test_log_begins_anew(void **state)
{
    struct world *w = *state;
    static struct work k[JOBS + 1];
    uint64_t log_pages;
    for (unsigned i = 0; i < JOBS; i++) { /* a page or two for each transaction */
        submit(w, &k[i], GOOD, i + 1);
        if (i % WRITER_BATCH_MAX == 0)
            run_until(w, i + 1);
    }
    run_until(w, JOBS);
    writer_checkpoint(w->writer);
    submit(w, &k[JOBS], GOOD, JOBS + 1); /* the first one in the new log */
    run_until(w, JOBS + 1);
    assert_int_equal(store_checkpoint(w->other, &log_pages), 0);
    assert_true(log_pages > 0 && log_pages < JOBS / WRITER_BATCH_MAX);
    assert_int_equal(count_rows(w->other), JOBS + 1);
    writer_checkpoint(w->writer); /* with nothing to do, and when it stops */
    stop(w);
}

/* --- What is unfinished until the end of a batch -------------------------------------------------------------------- */

#define LATE 1000 /* what a job leaves unfinished is written as its number and so much more */
#define FIRST 99

struct desk { /* the database, as these jobs see it */
    struct store *store;
    int64_t open, pending[JOBS];
    unsigned pending_count, finishes_to_fail, finishes, begun, lost;
};

static int add_row(struct store *store, int64_t number)
{
    struct query q CLEANUP(query_end) = query(store, ADD);
    query_bind_i64(&q, 1, number);
    return query_run(&q);
}

static void on_begun(void *database)
{
    struct desk *d = database;
    assert_int_equal(d->pending_count, 0);
    d->begun++;
}

static void on_ended(void *database, int outcome)
{
    struct desk *d = database;
    assert_true(d->begun > 0);
    if (outcome == 0 && d->open != 0)
        d->pending[d->pending_count++] = d->open;
    d->open = 0;
}

static int on_finish(void *database)
{
    struct desk *d = database;
    d->finishes++;
    for (; d->pending_count > 0; d->pending_count--) {
        if (d->finishes_to_fail > 0) {
            d->finishes_to_fail--;
            return -EAGAIN;
        }
        int r = add_row(d->store, d->pending[d->pending_count - 1] + LATE);
        if (r != 0)
            return r;
    }
    return 0;
}

static void on_over(void *database, bool kept)
{
    struct desk *d = database;
    if (kept)
        assert_int_equal(d->pending_count, 0);
    d->lost += d->pending_count;
    d->pending_count = 0;
}

static int run_late(struct writer_job *job, void *database)
{
    struct work *k = container_of(job, struct work, job);
    struct desk *d = database;
    d->open = k->number;
    k->others_see = 0;
    return k->kind == REFUSED ? 7 : add_row(d->store, k->number);
}

/* Sees what is written; says so first when it may not be all. */
static int run_look(struct writer_job *job, void *database)
{
    struct work *k = container_of(job, struct work, job);
    struct desk *d = database;
    if (k->kind == REFUSED && d->pending_count > 0)
        return FIRST;
    k->others_see = count_rows(d->store);
    return 0;
}

static void on_late_done(struct writer_job *job, int outcome)
{
    struct work *k = container_of(job, struct work, job);
    int64_t seen = k->others_see;
    on_done(job, outcome);
    if (job->run == run_look)
        k->others_see = seen;
}

static void late_setup(struct world *w, struct desk *d)
{
    static const struct writer_unfinished unfinished = { FIRST, on_begun, on_ended, on_finish, on_over };
    writer_stop(w->writer, NULL, NULL);
    uv_run(&w->loop, UV_RUN_NOWAIT);
    *d = (struct desk){ .store = w->store };
    assert_int_equal(
        writer_start(&w->writer, &w->loop,
                     &(struct writer_database){ .database = d, .store = w->store, .unfinished = &unfinished }),
        0);
}

static void submit_late(struct world *w, struct work *k, int64_t number, enum kind kind, bool look, bool beside)
{
    *k = (struct work){ .world = w, .kind = kind, .number = number };
    k->job = (struct writer_job){ .run = look ? run_look : run_late, .on_done = on_late_done, .beside = beside };
    writer_submit(w->writer, &k->job);
}

static void test_unfinished(void **state)
{
    struct world *w = *state;
    struct desk d;
    struct work k[5];
    late_setup(w, &d);
    submit_late(w, &k[0], 1, GOOD, false, true);
    submit_late(w, &k[1], 2, REFUSED, false, true); /* what it left is undone with it */
    submit_late(w, &k[2], 3, REFUSED, true, true);  /* may run beside, and asks for the rest first */
    submit_late(w, &k[3], 4, GOOD, false, true);
    submit_late(w, &k[4], 5, GOOD, true, false); /* runs beside nothing */
    run_until(w, 5);
    assert_int_equal(k[0].outcome, 0);
    assert_true(k[0].others_see >= 2); /* durable as a whole before anyone hears of it */
    assert_int_equal(k[1].outcome, 7);
    assert_int_equal(k[2].outcome, 0);
    assert_int_equal(k[2].others_see, 2);
    assert_int_equal(k[4].outcome, 0);
    assert_int_equal(k[4].others_see, 4);
    assert_int_equal(count_rows(w->other), 4);
    stop(w);
}

static void test_unfinished_again(void **state)
{
    struct world *w = *state;
    struct desk d;
    struct work k[2];
    late_setup(w, &d);
    d.finishes_to_fail = 2;
    submit_late(w, &k[0], 1, GOOD, false, true);
    submit_late(w, &k[1], 2, GOOD, false, true);
    run_until(w, 2);
    for (int i = 0; i < 2; i++)
        assert_int_equal(k[i].outcome, 0);
    assert_int_equal(count_rows(w->other), 4); /* nothing of the first tries, all of the last */
    assert_true(d.lost >= 2);
    stop(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_each_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_failed_commit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stop, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reader, setup, teardown),
        cmocka_unit_test_setup_teardown(test_log_begins_anew, setup, teardown),
        cmocka_unit_test_setup_teardown(test_judge, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unfinished, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unfinished_again, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
