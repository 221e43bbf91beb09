/* What is kept and what is undone: at the end of a scope, at a full disk, at a crash, beside another writer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "household.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/util.h"
#include "../base/failing-sync.h"
#include "../base/recorded-syncs.h"

static void test_undone_unless_committed(void **state)
{
    (void)state;
    struct store *s CLEANUP(store_closep) = household_open();
    {
        struct transaction t CLEANUP(transaction_end) = { 0 };
        assert_int_equal(transaction_begin(&t, s), 0);
        assert_int_equal(household_add_lamp(s, "desk", NULL), 0);
        assert_int_equal(household_lamp_count(s), 1);
    }
    assert_int_equal(household_lamp_count(s), 0);
    struct transaction t CLEANUP(transaction_end) = { 0 };
    assert_int_equal(transaction_begin(&t, s), 0);
    assert_int_equal(household_add_lamp(s, "desk", NULL), 0);
    assert_int_equal(transaction_commit(&t), 0);
    transaction_end(&t);
    assert_int_equal(household_lamp_count(s), 1);
}

/* Whoever hears that it is committed may rely on it. */
static void test_commit_is_synced(void **state)
{
    (void)state;
    struct store *s CLEANUP(store_closep) = household_open();
    for (int i = 0; i < 3; i++) {
        struct transaction t CLEANUP(transaction_end) = { 0 };
        const char *const names[] = { "a", "b", "c" };
        assert_int_equal(transaction_begin(&t, s), 0);
        assert_int_equal(household_add_lamp(s, names[i], NULL), 0);
        record_syncs_anew();
        assert_int_equal(transaction_commit(&t), 0);
        assert_non_null(strchr(recorded_syncs, 'F'));
    }
}

static void test_savepoints(void **state)
{
    (void)state;
    struct store *s CLEANUP(store_closep) = household_open();
    struct transaction t CLEANUP(transaction_end) = { 0 };
    assert_int_equal(transaction_begin(&t, s), 0);
    for (int i = 0; i < 4; i++) { /* every second item of a batch fails, and takes nothing with it */
        struct savepoint outer CLEANUP(savepoint_end) = { 0 };
        assert_int_equal(savepoint_begin(&outer, s), 0);
        static const char *const names[] = { "a", "b", "c", "d" };
        assert_int_equal(household_add_lamp(s, names[i], NULL), 0);
        struct savepoint inner CLEANUP(savepoint_end) = { 0 };
        assert_int_equal(savepoint_begin(&inner, s), 0);
        assert_int_equal(household_add_lamp(s, "inner", NULL), 0);
        savepoint_end(&inner);
        savepoint_end(&inner);
        if (i % 2 == 0)
            assert_int_equal(savepoint_release(&outer), 0);
    }
    assert_int_equal(transaction_commit(&t), 0);
    assert_int_equal(household_lamp_count(s), 2);
    assert_int_equal(household_add_lamp(s, "a", NULL), STORE_CONFLICT);
    assert_int_equal(household_add_lamp(s, "b", NULL), 0);
}

/* As the database does by itself without memory or room: nothing that comes after it stays, nor is it a mistake of ours. */
static void test_undone_by_the_database(void **state)
{
    (void)state;
    struct store *s CLEANUP(store_closep) = household_open();
    struct transaction t CLEANUP(transaction_end) = { 0 };
    assert_int_equal(transaction_begin(&t, s), 0);
    assert_int_equal(household_add_lamp(s, "a", NULL), 0);
    {
        struct savepoint p CLEANUP(savepoint_end) = { 0 };
        assert_int_equal(savepoint_begin(&p, s), 0);
        struct query q CLEANUP(query_end) = query(s, ADD_OR_UNDO);
        query_bind_text(&q, 1, "a");
        assert_int_equal(query_run(&q), STORE_CONFLICT);
        assert_int_equal(savepoint_release(&p), -ECANCELED);
    }
    struct savepoint next CLEANUP(savepoint_end) = { 0 };
    assert_int_equal(savepoint_begin(&next, s), -ECANCELED);
    assert_int_equal(household_add_lamp(s, "b", NULL), -ECANCELED);
    assert_int_equal(transaction_commit(&t), -ECANCELED);
    assert_int_equal(household_lamp_count(s), 0);
    assert_int_equal(transaction_begin(&t, s), 0);
    assert_int_equal(household_add_lamp(s, "c", NULL), 0);
    assert_int_equal(transaction_commit(&t), 0);
}

/* Memory goes with the savepoint in which it changed. */
static void test_memory_is_undone(void **state)
{
    (void)state;
    struct store *s CLEANUP(store_closep) = household_open();
    int a = 1, b = 1;
    {
        struct transaction t CLEANUP(transaction_end) = { 0 };
        assert_int_equal(transaction_begin_batch(&t, s), 0);
        assert_int_equal(store_keep(s, &a, sizeof(a)), 0);
        a = 2;
        for (int undone = 0; undone < 2; undone++) {
            struct savepoint outer CLEANUP(savepoint_end) = { 0 };
            assert_int_equal(savepoint_begin(&outer, s), 0);
            assert_int_equal(store_keep(s, &a, sizeof(a)), 0);
            a = 3;
            {
                struct savepoint inner CLEANUP(savepoint_end) = { 0 };
                assert_int_equal(savepoint_begin(&inner, s), 0);
                assert_int_equal(store_keep(s, &a, sizeof(a)), 0);
                a = 4;
                assert_int_equal(store_keep(s, &a, sizeof(a)), 0);
                a = 5;
            }
            assert_int_equal(a, 3);
            {
                struct savepoint inner CLEANUP(savepoint_end) = { 0 };
                assert_int_equal(savepoint_begin(&inner, s), 0);
                assert_int_equal(store_keep(s, &b, sizeof(b)), 0);
                b = 7;
                assert_int_equal(savepoint_release(&inner), 0); /* now it goes with the outer one */
            }
            if (undone == 0)
                continue;
            assert_int_equal(savepoint_release(&outer), 0);
        }
        assert_int_equal(a, 3);
        assert_int_equal(b, 7);
    }
    assert_int_equal(a, 1); /* the whole was undone */
    assert_int_equal(b, 1);
    for (int kept = 0; kept < 200; kept++) { /* what is committed stays, however much it was */
        struct transaction t CLEANUP(transaction_end) = { 0 };
        assert_int_equal(transaction_begin(&t, s), 0);
        for (int i = 0; i < kept; i++) {
            assert_int_equal(store_keep(s, &a, sizeof(a)), 0);
            a = i;
        }
        assert_int_equal(transaction_commit(&t), 0);
    }
    assert_int_equal(a, 198);
}

static void test_conflict_at_commit(void **state)
{
    (void)state;
    struct store *s CLEANUP(store_closep) = household_open();
    struct transaction t CLEANUP(transaction_end) = { 0 };
    assert_int_equal(transaction_begin(&t, s), 0);
    assert_int_equal(household_add_lamp(s, "desk", "cellar"), 0); /* the reference is deferred */
    assert_int_equal(transaction_commit(&t), STORE_CONFLICT);
    assert_int_equal(household_lamp_count(s), 0);
    assert_int_equal(transaction_begin(&t, s), 0); /* nothing is left open */
    assert_int_equal(household_add_lamp(s, "desk", "cellar"), 0);
    assert_int_equal(household_add_room(s, "cellar", -1), 0);
    assert_int_equal(transaction_commit(&t), 0);
}

static void test_second_writer(void **state)
{
    (void)state;
    struct store *a CLEANUP(store_closep) = household_open(), *b CLEANUP(store_closep) = household_open();
    struct transaction t CLEANUP(transaction_end) = { 0 }, u CLEANUP(transaction_end) = { 0 };
    assert_int_equal(transaction_begin(&t, a), 0);
    assert_int_equal(transaction_begin(&u, b), -EBUSY);
    assert_int_equal(household_add_lamp(b, "desk", NULL), -EBUSY);
    assert_int_equal(household_add_lamp(a, "desk", NULL), 0);
    assert_int_equal(household_lamp_count(b), 0); /* a reader is neither blocked nor shown what may be undone */
    assert_int_equal(transaction_commit(&t), 0);
    assert_int_equal(transaction_begin(&u, b), 0);
    assert_int_equal(household_lamp_count(b), 1);
}

static void test_one_view(void **state)
{
    (void)state;
    struct store *a CLEANUP(store_closep) = household_open(), *b CLEANUP(store_closep) = household_open();
    struct transaction t CLEANUP(transaction_end) = { 0 };
    assert_int_equal(transaction_begin_read(&t, a), 0);
    assert_int_equal(household_lamp_count(a), 0);
    assert_int_equal(household_add_lamp(b, "desk", NULL), 0);
    assert_int_equal(household_lamp_count(a), 0);
    assert_int_equal(household_add_lamp(a, "late", NULL), -EBUSY); /* what it saw is no longer the newest */
    transaction_end(&t);
    assert_int_equal(household_lamp_count(a), 1);
}

static void test_full(void **state)
{
    (void)state;
    struct store *s CLEANUP(store_closep) = household_open();
    assert_int_equal(store_run(s, LIMIT_PAGES), 0);
    struct transaction t CLEANUP(transaction_end) = { 0 };
    assert_int_equal(transaction_begin(&t, s), 0);
    int r = 0;
    for (int i = 0; r == 0 && i < 10; i++)
        r = store_run(s, FILL);
    assert_int_equal(r, -ENOSPC);
    transaction_end(&t);
    assert_int_equal(household_lamp_count(s), 0);
    assert_int_equal(household_add_lamp(s, "desk", NULL), 0); /* usable afterwards */
    assert_int_equal(store_verify(s), 0);
}

/* A process that dies at any moment leaves what was committed and nothing else. */
static void crash_after(bool committed)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct store *s = household_open();
        struct transaction t = { 0 };
        bool good = transaction_begin(&t, s) == 0 && household_add_lamp(s, "desk", NULL) == 0;
        if (good && committed)
            good = transaction_commit(&t) == 0;
        if (good)
            kill(getpid(), SIGKILL);
        _exit(1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    struct store *s CLEANUP(store_closep) = household_open();
    assert_int_equal(household_lamp_count(s), committed ? 1 : 0);
    assert_int_equal(store_verify(s), 0);
}

static void test_crash(void **state)
{
    (void)state;
    crash_after(false);
    crash_after(true);
}

/* A commit that could not be synced must not be answered: not with success, and not with failure either. */
static void test_failed_sync(void **state)
{
    (void)state;
    store_close(household_open());
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGABRT, SIG_DFL); /* cmocka's own handler would report a failure */
        struct store *s = household_open();
        if (!make_syncs_fail())
            _exit(77);
        int r = household_add_lamp(s, "desk", NULL);
        _exit(r == 0 ? 1 : 2);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        skip();
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    struct store *s CLEANUP(store_closep) = household_open();
    assert_int_equal(store_verify(s), 0);
}

#define EACH(test) cmocka_unit_test_setup_teardown(test, household_setup, household_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(test_undone_unless_committed),
        EACH(test_commit_is_synced),
        EACH(test_savepoints),
        EACH(test_undone_by_the_database),
        EACH(test_memory_is_undone),
        EACH(test_conflict_at_commit),
        EACH(test_second_writer),
        EACH(test_one_view),
        EACH(test_full),
        EACH(test_crash),
        EACH(test_failed_sync),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
