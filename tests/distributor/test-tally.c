/* What a batch remembers goes with its savepoints: no number is lost or given twice, no balance is wrong, nothing uneven is kept. */
#include "town.h"

#include <stdio.h>

#include "distributor/late.h"
#include "distributor/ledger.h"
#include "distributor/tally.h"

static struct town town;

static int set_up(void **state)
{
    (void)state;
    town_init(&town);
    shop_user(&town.a, "alice", 1000);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    town_deinit(&town);
    return 0;
}

/* The writer's part, around one batch. */
static void begin(struct transaction *t)
{
    assert_int_equal(transaction_begin_batch(t, town.a.o->store), 0);
    late_begun(town.a.o);
}

static int finish(struct transaction *t, bool kept)
{
    int r = late_finish(town.a.o);
    if (r == 0 && kept)
        r = transaction_commit(t);
    transaction_end(t);
    late_over(town.a.o, r == 0 && kept);
    return r;
}

static uint64_t count(const char *name)
{
    uint64_t number = 0;
    assert_int_equal(operations_count(town.a.o, name, &number), 0);
    return number;
}

static uint64_t stored(const char *name)
{
    uint64_t number = 0;
    assert_int_equal(operations_counter(town.a.o, name, &number), 0);
    return number;
}

static void numbers_go_back_with_what_took_them(void **state)
{
    (void)state;
    if (town.a.o->tally == NULL)
        skip(); /* restarted between any two steps: nothing is remembered */
    struct transaction t = { 0 };
    begin(&t);
    assert_int_equal(count("x"), 1);
    for (int i = 0; i < 3; i++) {
        struct savepoint p CLEANUP(savepoint_end) = { 0 };
        assert_int_equal(savepoint_begin(&p, town.a.o->store), 0);
        assert_int_equal(count("x"), 2);
        assert_int_equal(count("y"), 1);
        {
            struct savepoint inner CLEANUP(savepoint_end) = { 0 };
            assert_int_equal(savepoint_begin(&inner, town.a.o->store), 0);
            assert_int_equal(count("x"), 3);
            assert_int_equal(operations_counter_set(town.a.o, "y", 40), 0);
            assert_int_equal(count("y"), 41);
        }
        assert_int_equal(count("x"), 3);
        assert_int_equal(count("y"), 2);
        if (i == 2)
            assert_int_equal(savepoint_release(&p), 0);
    }
    assert_int_equal(finish(&t, true), 0);
    assert_int_equal(stored("x"), 3);
    assert_int_equal(stored("y"), 2);
    begin(&t);
    assert_int_equal(count("x"), 4);
    assert_int_equal(late_finish(town.a.o), 0); /* for a job that wants everything written */
    assert_int_equal(count("x"), 5);
    assert_int_equal(finish(&t, false), 0);
    assert_int_equal(stored("x"), 3); /* nothing of it was kept */
    begin(&t);
    assert_int_equal(count("x"), 4);
    assert_int_equal(finish(&t, true), 0);
}

/* Another process counts in between. */
static void others_count_too(void **state)
{
    (void)state;
    if (town.a.o->tally == NULL)
        skip();
    struct operations *other = NULL;
    struct transaction t = { 0 };
    uint64_t number;
    assert_int_equal(operations_open(&other, town.a.dir, town.a.keys, &town.rng.rng, 0), 0);
    for (uint64_t i = 1; i < 10; i += 2) {
        begin(&t);
        assert_int_equal(count("x"), i);
        assert_int_equal(finish(&t, true), 0);
        assert_int_equal(transaction_begin(&t, other->store), 0);
        assert_int_equal(operations_count(other, "x", &number), 0);
        assert_int_equal(number, i + 1);
        assert_int_equal(transaction_commit(&t), 0);
    }
    operations_close(other);
}

static int post(const char *reference, int64_t user, int64_t payments, uint64_t *entry)
{
    struct posting p = { .kind = POSTING_PAYMENT, .time_ms = town.now_ms, .text = "x" };
    snprintf(p.reference, sizeof(p.reference), "received:%s", reference);
    assert_int_equal(posting_line(&p, "user:alice", user), 0);
    assert_int_equal(posting_line(&p, LEDGER_PAYMENTS, payments), 0);
    int r = ledger_post(town.a.o, &p);
    *entry = p.entry;
    return r;
}

static void balances_go_back_too(void **state)
{
    (void)state;
    if (town.a.o->tally == NULL)
        skip();
    struct transaction t = { 0 };
    uint64_t entry;
    begin(&t);
    assert_int_equal(post("a", 5, -5, &entry), 0);
    assert_int_equal(entry, 1);
    for (int i = 0; i < 2; i++) {
        struct savepoint p CLEANUP(savepoint_end) = { 0 };
        assert_int_equal(savepoint_begin(&p, town.a.o->store), 0);
        assert_int_equal(post("b", 7, -7, &entry), 0);
        assert_int_equal(entry, 3); /* lines are numbered without gaps */
        int64_t balance;
        assert_int_equal(ledger_balance(town.a.o, "user:alice", &balance), 0);
        assert_int_equal(balance, 12);
    }
    assert_int_equal(post("b", 1, -1, &entry), 0);
    assert_int_equal(post("b", 1, -1, &entry), REASON_ALREADY);
    assert_int_equal(finish(&t, true), 0);
    assert_int_equal(shop_balance(&town.a, "alice"), 6);
    shop_check(&town.a);
}

static void nothing_uneven_is_kept(void **state)
{
    (void)state;
    static const int64_t payments[] = { -99, 0, 100 };
    if (town.a.o->tally == NULL)
        skip();
    for (size_t i = 0; i < sizeof(payments) / sizeof(payments[0]); i++) {
        struct transaction t = { 0 };
        uint64_t entry;
        begin(&t);
        assert_int_equal(post("good", 5, -5, &entry), 0);
        int r = post("bad", 100, payments[i], &entry); /* SQLite's schema refuses it at once */
        assert_true(r == -EUCLEAN || (r == 0 && late_finish(town.a.o) != 0));
        transaction_end(&t);
        late_over(town.a.o, false);
    }
    assert_int_equal(shop_balance(&town.a, "alice"), 0);
    shop_check(&town.a);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(numbers_go_back_with_what_took_them),
        TEST(others_count_too),
        TEST(balances_go_back_too),
        TEST(nothing_uneven_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
