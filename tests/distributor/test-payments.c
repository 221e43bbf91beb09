/* Payments asked of customers: every step of their way, repeated, late and contradictory. Source: seed S77, S85. */
#include "town.h"

#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "base/util.h"
#include "distributor/billing.h"
#include "distributor/payments.h"

static struct town town;
static struct payment payment;

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

/* Runs what is inside as one transaction, after a restart where that is asked for. */
#define COMMITTED(...)                                               \
    do {                                                             \
        town_restart(&town.a);                                       \
        struct transaction t CLEANUP(transaction_end) = { 0 };       \
        assert_int_equal(transaction_begin(&t, town.a.o->store), 0); \
        __VA_ARGS__;                                                 \
        assert_int_equal(transaction_commit(&t), 0);                 \
    } while (0)

static void owe(int64_t amount, uint64_t n)
{
    struct sale s = { .tariff = POSTING_LICENSE,
                      .user = "alice",
                      .price = amount,
                      .subject = { .has_license = true, .edition = n },
                      .text = "A thing",
                      .now_ms = town.now_ms };
    COMMITTED(assert_int_equal(billing_sell(town.a.o, &s, NULL), 0));
}

static int prepare(int64_t amount)
{
    int r = -1;
    COMMITTED(r = payments_prepare(town.a.o, "alice", amount, town.now_ms, &payment));
    return r;
}

static int take(void)
{
    int r = -1;
    COMMITTED(r = payments_take(town.a.o, town.now_ms, 60000, &payment));
    return r;
}

static int end(enum payment_outcome outcome)
{
    int r = -1;
    COMMITTED(r = payments_end(town.a.o, payment.key, payment.attempts, outcome, "words\x1b[31m", town.now_ms));
    return r;
}

static void set(const char *name, const char *value)
{
    COMMITTED(assert_int_equal(operations_setting_set(town.a.o, name, value), 0));
}

static uint32_t state_now(void)
{
    struct payment p;
    assert_int_equal(payments_get(town.a.o, payment.number, &p), 0);
    return p.state;
}

static void one_is_open_at_a_time(void **state)
{
    (void)state;
    assert_int_equal(prepare(0), REASON_NOT_FOUND); /* nothing is owed */
    owe(300, 1);
    assert_int_equal(prepare(301), REASON_TOO_LARGE);
    assert_int_equal(prepare(200), 0);
    struct payment first = payment;
    assert_int_equal(prepare(0), REASON_ALREADY);
    assert_memory_equal(payment.key, first.key, sizeof(first.key));
    assert_int_equal(payment.amount, 200);
    COMMITTED(assert_int_equal(payments_prepare(town.a.o, "nobody", 0, town.now_ms, &first), REASON_NOT_FOUND));
}

static void paid_is_posted_once(void **state)
{
    (void)state;
    owe(300, 1);
    assert_int_equal(prepare(0), 0);
    assert_int_equal(take(), 0);
    assert_int_equal(state_now(), PAYMENT_HANDED);
    assert_int_equal(shop_balance(&town.a, "alice"), -300);
    assert_int_equal(end(PAYMENT_SAYS_PAID), 0);
    assert_int_equal(end(PAYMENT_SAYS_PAID), 0);
    assert_int_equal(end(PAYMENT_SAYS_NOTHING), 0);
    assert_int_equal(end(PAYMENT_SAYS_DECLINED), REASON_NOT_PERMITTED);
    assert_int_equal(shop_balance(&town.a, "alice"), 0);
    town.now_ms += TOWN_DAY_MS;
    assert_int_equal(take(), OPERATIONS_ABSENT);
    COMMITTED(assert_int_equal(payments_retry(town.a.o, payment.number, town.now_ms), REASON_ALREADY));
    struct payment p;
    assert_int_equal(payments_get(town.a.o, payment.number, &p), 0);
    assert_null(strchr(p.detail, '\x1b'));
    shop_check(&town.a);
}

static void no_word_hands_the_same_key_again(void **state)
{
    (void)state;
    owe(300, 1);
    assert_int_equal(prepare(0), 0);
    assert_int_equal(take(), 0);
    struct payment first = payment;
    assert_int_equal(take(), OPERATIONS_ABSENT); /* it is with the command */
    town.now_ms += 60000 + PAYMENTS_END_MS;      /* whose server was killed meanwhile */
    assert_int_equal(take(), 0);
    assert_memory_equal(payment.key, first.key, sizeof(first.key));
    assert_int_equal(payment.attempts, 2);
    assert_int_equal(end(PAYMENT_SAYS_NOTHING), 0);
    assert_int_equal(take(), OPERATIONS_ABSENT); /* a pause */
    int64_t waited = 0;
    for (int i = 0; i < 30; i++) {
        struct payment p;
        assert_int_equal(payments_get(town.a.o, payment.number, &p), 0);
        assert_true(p.next_ms > town.now_ms && p.next_ms - town.now_ms >= waited);
        waited = p.next_ms - town.now_ms;
        town.now_ms = p.next_ms - 1;
        assert_int_equal(take(), OPERATIONS_ABSENT);
        town.now_ms++;
        assert_int_equal(take(), 0);
        assert_int_equal(end(PAYMENT_SAYS_NOTHING), 0);
    }
    assert_int_equal(waited, 3600 * 1000);
    COMMITTED(assert_int_equal(payments_retry(town.a.o, payment.number, town.now_ms), 0));
    assert_int_equal(take(), 0);
    assert_memory_equal(payment.key, first.key, sizeof(first.key));
    assert_int_equal(end(PAYMENT_SAYS_PAID), 0);
    assert_int_equal(shop_balance(&town.a, "alice"), 0);
}

/* Two machines over one database, and a command that does not end when it is told to. */
static void never_with_two_commands(void **state)
{
    (void)state;
    owe(300, 1);
    assert_int_equal(prepare(0), 0);
    assert_int_equal(take(), 0);
    struct payment slow = payment, p;
    town.now_ms += 60000; /* it is being ended there, which takes a while */
    assert_int_equal(take(), OPERATIONS_ABSENT);
    town.now_ms += PAYMENTS_END_MS - 1;
    assert_int_equal(take(), OPERATIONS_ABSENT);
    town.now_ms++;
    assert_int_equal(take(), 0); /* the other machine's, from here on */
    struct payment second = payment;
    payment = slow; /* the first one's server was held up, and says only now that it heard nothing */
    assert_int_equal(end(PAYMENT_SAYS_NOTHING), 0);
    payment = second;
    assert_int_equal(payments_get(town.a.o, payment.number, &p), 0);
    assert_int_equal(p.next_ms, town.now_ms + 60000 + PAYMENTS_END_MS);
    payment = slow; /* but that it was paid is true, whoever heard it */
    assert_int_equal(end(PAYMENT_SAYS_PAID), 0);
    payment = second;
    assert_int_equal(end(PAYMENT_SAYS_PAID), 0);
    assert_int_equal(shop_balance(&town.a, "alice"), 0);
}

/* Both of what an operator may do to one that is open; neither ends it. */
static int by_hand(void)
{
    struct transaction t CLEANUP(transaction_end) = { 0 };
    assert_int_equal(transaction_begin(&t, town.a.o->store), 0);
    int r = payments_retry(town.a.o, payment.number, town.now_ms);
    int marked =
        payments_end(town.a.o, payment.key, PAYMENTS_ANY_ATTEMPT, PAYMENT_SAYS_NOTHING, "by hand", town.now_ms);
    assert_int_equal(marked, r);
    return r;
}

/* The operator says "declined" on one machine while the command collects on the other: the customer would be asked a second time. */
static void not_contradicted_by_hand(void **state)
{
    (void)state;
    struct payment p;
    owe(300, 1);
    assert_int_equal(prepare(0), 0);
    assert_int_equal(take(), 0);
    assert_int_equal(payments_get(town.a.o, payment.number, &p), 0);
    assert_int_equal(p.busy_until_ms, town.now_ms + 60000 + PAYMENTS_END_MS);
    char path[96];
    snprintf(path, sizeof(path), "%s/database", town.a.dir);
    bool on_postgres = access(path, F_OK) == 0;
    if (!on_postgres) {                 /* as it looks where there are others; nothing is opened until it is gone */
        assert_int_equal(by_hand(), 0); /* alone: whether a command runs its lock tells */
        assert_int_equal(file_replace(path, slice_str("postgresql:host=/nowhere dbname=x\n"), 0600), 0);
    }
    assert_int_equal(by_hand(), REASON_IN_USE);
    town.now_ms += 60000 + PAYMENTS_END_MS;
    assert_int_equal(by_hand(), 0);
    if (!on_postgres)
        assert_int_equal(unlink(path), 0);
    assert_int_equal(take(), 0);
    assert_int_equal(end(PAYMENT_SAYS_NOTHING), 0); /* it has ended, and waits */
    assert_int_equal(payments_get(town.a.o, payment.number, &p), 0);
    assert_int_equal(p.busy_until_ms, 0);
    COMMITTED(assert_int_equal(
        payments_end(town.a.o, payment.key, PAYMENTS_ANY_ATTEMPT, PAYMENT_SAYS_PAID, "by hand", town.now_ms), 0));
    assert_int_equal(shop_balance(&town.a, "alice"), 0);
}

static int judge(void) { return billing_judge_credit(town.a.o, "alice", 1, town.now_ms, NULL); }

static void a_declined_one_ends_credit_until_something_is_paid(void **state)
{
    (void)state;
    owe(300, 1);
    assert_int_equal(judge(), 0);
    assert_int_equal(prepare(0), 0);
    assert_int_equal(judge(), 0); /* asked, and not answered */
    assert_int_equal(take(), 0);
    assert_int_equal(end(PAYMENT_SAYS_DECLINED), 0);
    assert_int_equal(judge(), REASON_CREDIT_REFUSED);
    COMMITTED(assert_int_equal(billing_pay(town.a.o, "alice", 299, NULL, town.now_ms, "Paid"), 0));
    assert_int_equal(judge(), REASON_CREDIT_REFUSED); /* not all of it */
    COMMITTED(assert_int_equal(billing_pay(town.a.o, "alice", 1, NULL, town.now_ms, "Paid"), 0));
    assert_int_equal(judge(), 0);
    town.now_ms += 1000;
    owe(300, 2);
    assert_int_equal(judge(), 0); /* what was declined is paid: this is another debt */
    assert_int_equal(prepare(0), 0);
    assert_int_equal(take(), 0);
    assert_int_equal(end(PAYMENT_SAYS_DECLINED), 0);
    assert_int_equal(judge(), REASON_CREDIT_REFUSED);
    assert_int_equal(prepare(0), 0);
    assert_int_equal(take(), 0);
    assert_int_equal(end(PAYMENT_SAYS_PAID), 0);
    owe(300, 3);
    assert_int_equal(judge(), 0); /* the last one was paid */
}

static void passing_the_threshold_prepares_one(void **state)
{
    (void)state;
    set("collect-at", "500");
    owe(499, 1);
    assert_int_equal(take(), OPERATIONS_ABSENT);
    COMMITTED(assert_int_equal(payments_set_payer(town.a.o, "alice", "customer-1"), 0));
    COMMITTED(assert_int_equal(payments_set_payer(town.a.o, "nobody", "x"), REASON_NOT_FOUND));
    COMMITTED(assert_int_equal(payments_set_payer(town.a.o, "alice", "a\nb"), REASON_MALFORMED));
    owe(1, 2);
    owe(1, 3); /* one is open */
    assert_int_equal(take(), 0);
    assert_int_equal(payment.amount, 500);
    assert_string_equal(payment.payer, "customer-1");
    assert_int_equal(end(PAYMENT_SAYS_PAID), 0);
    assert_int_equal(shop_balance(&town.a, "alice"), -1);
}

static void without_a_command_nothing_is_due(void **state)
{
    (void)state;
    struct payments_command command;
    owe(300, 1);
    assert_int_equal(payments_due(town.a.o, town.now_ms, &command), OPERATIONS_ABSENT);
    assert_int_equal(prepare(0), 0);
    assert_int_equal(payments_due(town.a.o, town.now_ms, &command), OPERATIONS_ABSENT);
    set("payment-command", "/usr/bin/true");
    assert_int_equal(payments_due(town.a.o, town.now_ms, &command), 0);
    assert_string_equal(command.path, "/usr/bin/true");
    assert_int_equal(command.timeout_ms, 60000);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(one_is_open_at_a_time),
        TEST(paid_is_posted_once),
        TEST(no_word_hands_the_same_key_again),
        TEST(never_with_two_commands),
        TEST(not_contradicted_by_hand),
        TEST(a_declined_one_ends_credit_until_something_is_paid),
        TEST(passing_the_threshold_prepares_one),
        TEST(without_a_command_nothing_is_due),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
