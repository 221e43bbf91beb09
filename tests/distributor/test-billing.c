/* The ledger: seed S76-S78, S85. */
#include "town.h"

#include <stdio.h>

#include "distributor/billing.h"

static struct town town;
static struct gadget kitchen;
static struct reply reply;

static int set_up(void **state)
{
    (void)state;
    town_init(&town);
    shop_user(&town.a, "alice", 1000);
    gadget_init(&town, &kitchen, "kitchen");
    assert_int_equal(gadget_register(&town.a, &kitchen, "alice", TOWN_PASSWORD), 0);
    reply_init(&reply);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    reply_free(&reply);
    gadget_deinit(&kitchen);
    town_deinit(&town);
    return 0;
}

static msg_Bills *bills(uint64_t before)
{
    static msg_Bills m;
    msg_BillsGet get = { .before = before };
    assert_int_equal(RUN(&town.a, &kitchen.who, BILLS_GET, msg_BillsGet, &get, &reply), 0);
    REPLY_AS(&reply, BILLS, msg_Bills, &m);
    return &m;
}

static void bills_come_in_pages_newest_first(void **state)
{
    (void)state;
    struct transaction t CLEANUP(transaction_end) = { 0 };
    assert_int_equal(transaction_begin(&t, town.a.o->store), 0);
    for (int i = 1; i <= 40; i++) {
        char text[32];
        snprintf(text, sizeof(text), "Number %d", i);
        assert_int_equal(billing_charge(town.a.o, "alice", i, town.now_ms + i, text), 0);
    }
    assert_int_equal(billing_charge(town.a.o, "alice", 0, town.now_ms, "Nothing"), 0);
    assert_int_equal(transaction_commit(&t), 0);
    msg_Bills *m = bills(0);
    assert_int_equal(m->lines_count, 32);
    assert_true(m->more);
    assert_string_equal(m->lines[0].text, "Number 40");
    assert_int_equal(m->lines[0].amount, -40);
    assert_int_equal(m->lines[0].balance, -820);
    m = bills(m->lines[31].number);
    assert_int_equal(m->lines_count, 8);
    assert_false(m->more);
    assert_string_equal(m->lines[7].text, "Number 1");
    assert_string_equal(m->currency, "EUR");
}

static void payments_and_refunds_balance(void **state)
{
    (void)state;
    struct operations *o = town.a.o;
    struct transaction t CLEANUP(transaction_end) = { 0 };
    assert_int_equal(transaction_begin(&t, o->store), 0);
    assert_int_equal(billing_judge_credit(o, "alice", 1000), 0);
    assert_int_equal(billing_judge_credit(o, "alice", 1001), REASON_CREDIT_REFUSED);
    assert_int_equal(billing_judge_credit(o, "alice", INT64_MAX), REASON_CREDIT_REFUSED);
    assert_int_equal(billing_judge_credit(o, "alice", -5), REASON_CREDIT_REFUSED);
    assert_int_equal(billing_charge(o, "alice", 600, town.now_ms, "A thing"), 0);
    assert_int_equal(billing_judge_credit(o, "alice", 401), REASON_CREDIT_REFUSED);
    assert_int_equal(billing_pay(o, "alice", 100, town.now_ms, "Paid"), 0);
    assert_int_equal(billing_pay(o, "nobody", 100, town.now_ms, "Paid"), REASON_NOT_FOUND);
    assert_int_equal(billing_judge_credit(o, "alice", 500), 0);
    int64_t balance;
    assert_int_equal(billing_balance(o, "alice", &balance), 0);
    assert_int_equal(balance, -500);
    assert_int_equal(billing_refund(o, 1, town.now_ms, "Sorry"), 0);
    assert_int_equal(billing_refund(o, 1, town.now_ms, "Sorry"), REASON_ALREADY);
    assert_int_equal(billing_refund(o, 2, town.now_ms, "Sorry"), REASON_NOT_PERMITTED); /* our own side */
    assert_int_equal(billing_refund(o, 4, town.now_ms, "Sorry"), REASON_NOT_PERMITTED); /* a payment */
    assert_int_equal(billing_refund(o, 99, town.now_ms, "Sorry"), REASON_NOT_FOUND);
    assert_int_equal(transaction_commit(&t), 0);
    assert_int_equal(shop_balance(&town.a, "alice"), 100);
    char money[BILLING_MONEY_BYTES];
    assert_string_equal(billing_money(o, -105, money), "-1.05 EUR");
    assert_string_equal(billing_money(o, INT64_MIN, money), "-92233720368547758.08 EUR");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(bills_come_in_pages_newest_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(payments_and_refunds_balance, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
