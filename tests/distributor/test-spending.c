/* The household's own spending limit: what counts as spent, when it is asked, and what the PIN lifts. */
#include "town.h"

#include <stdio.h>

#include "distributor/billing.h"
#include "distributor/devices.h"
#include "distributor/refunds.h"
#include "distributor/spending.h"

static struct town town;
static struct gadget kitchen, attic;
static struct reply reply;
static struct id songs[6];

static int set_up(void **state)
{
    (void)state;
    town_init(&town);
    shop_user(&town.a, "alice", 100000);
    gadget_init(&town, &kitchen, "kitchen");
    gadget_init(&town, &attic, "attic");
    reply_init(&reply);
    assert_int_equal(gadget_register(&town.a, &kitchen, "alice", TOWN_PASSWORD), 0);
    assert_int_equal(gadget_register(&town.a, &attic, "alice", TOWN_PASSWORD), 0);
    for (size_t i = 0; i < 6; i++) {
        char title[16];
        snprintf(title, sizeof(title), "song %zu", i);
        songs[i] = shop_publish(&town.a, title, 100, 40, 9, 1);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    reply_free(&reply);
    gadget_deinit(&kitchen);
    gadget_deinit(&attic);
    town_deinit(&town);
    return 0;
}

/* right: what the pool found out about PIN or password. */
static int set_limit(struct gadget *g, int64_t amount, uint32_t period, const char *pin, bool password, bool right)
{
    msg_LimitSet m = { .amount = amount, .period = period, .password = password };
    CODEC_SET_TEXT(m.pin, pin);
    g->who.password_ok = right;
    g->who.password_hash = pin[0] != '\0' ? "hash of a PIN" : NULL;
    int r = RUN(&town.a, &g->who, LIMIT_SET, msg_LimitSet, &m, &reply);
    g->who.password_ok = false;
    return r;
}

static int unlock(struct caller *who, const char *user, bool right)
{
    msg_UnlockSpending m = msg_UnlockSpending_init_zero;
    CODEC_SET_TEXT(m.user, user);
    CODEC_SET_TEXT(m.pin, "1234");
    who->password_ok = right;
    int r = RUN(&town.a, who, UNLOCK_SPENDING, msg_UnlockSpending, &m, &reply);
    who->password_ok = false;
    return r;
}

static int buy(struct gadget *g, size_t song)
{
    msg_Result result;
    return gadget_buy(&town.a, g, &songs[song], &result);
}

static int64_t spent(void)
{
    struct spending s;
    assert_int_equal(spending_find(town.a.o, "alice", NULL, town.now_ms, &s), 0);
    return s.spent;
}

static void all_devices_together_reach_it(void **state)
{
    (void)state;
    assert_int_equal(set_limit(&kitchen, 250, SPENDING_MONTH, "1234", false, false), 0);
    assert_int_equal(buy(&kitchen, 0), 0);
    assert_int_equal(buy(&attic, 1), 0);
    assert_int_equal(spent(), 200);
    assert_int_equal(buy(&kitchen, 2), REASON_SPENDING_LIMIT);
    assert_int_equal(buy(&attic, 2), REASON_SPENDING_LIMIT);
    assert_int_equal(shop_balance(&town.a, "alice"), -200);
    shop_check(&town.a);
}

static void exactly_the_limit_is_allowed(void **state)
{
    (void)state;
    assert_int_equal(set_limit(&kitchen, 200, SPENDING_DAY, "1234", false, false), 0);
    assert_int_equal(buy(&kitchen, 0), 0);
    assert_int_equal(buy(&kitchen, 1), 0);
    assert_int_equal(buy(&kitchen, 2), REASON_SPENDING_LIMIT);
}

static void the_items_of_one_transaction_count_one_by_one(void **state)
{
    (void)state;
    struct order order;
    struct results results;
    assert_int_equal(set_limit(&kitchen, 250, SPENDING_DAY, "1234", false, false), 0);
    order_init(&order);
    for (size_t i = 0; i < 4; i++) {
        struct buf quote CLEANUP(buf_free) = buf(1024);
        assert_int_equal(gadget_quote(&town.a, &kitchen, &songs[i], 0, &quote), 0);
        order_purchase(&order, buf_slice(&quote));
    }
    assert_int_equal(gadget_transact(&town.a, &kitchen, &order, &results), 0);
    assert_int_equal(results.count, 4);
    for (size_t i = 0; i < 4; i++)
        assert_true(results.results[i].has_refusal == (i >= 2));
    assert_string_equal(results.results[3].refusal.code, "spending-limit");
    assert_int_equal(spent(), 200);
}

static void copies_count(void **state)
{
    (void)state;
    msg_Result result;
    assert_int_equal(buy(&kitchen, 0), 0);
    assert_int_equal(set_limit(&kitchen, 139, SPENDING_DAY, "1234", false, false), 0);
    assert_int_equal(gadget_copy(&town.a, &kitchen, &songs[0], &attic, false, false, &result), REASON_SPENDING_LIMIT);
    assert_int_equal(set_limit(&kitchen, 140, SPENDING_DAY, "", false, true), 0);
    assert_int_equal(gadget_copy(&town.a, &kitchen, &songs[0], &attic, false, false, &result), 0);
    assert_int_equal(spent(), 140);
}

static void what_is_free_is_not_limited(void **state)
{
    (void)state;
    msg_Result result;
    struct id gift = shop_publish(&town.a, "gift", 0, 0, 1, 0);
    assert_int_equal(set_limit(&kitchen, 0, SPENDING_DAY, "1234", false, false), 0);
    assert_int_equal(gadget_buy(&town.a, &kitchen, &gift, &result), 0);
    assert_int_equal(buy(&kitchen, 0), REASON_SPENDING_LIMIT);
}

static void periods_are_the_calendars(void **state)
{
    (void)state;
    const int64_t may_28 = TOWN_START_MS - TOWN_START_MS % TOWN_DAY_MS; /* 2026-05-28 */
    assert_int_equal(spending_period_start_ms(SPENDING_DAY, TOWN_START_MS), may_28);
    assert_int_equal(spending_period_start_ms(SPENDING_DAY, may_28), may_28);
    assert_int_equal(spending_period_start_ms(SPENDING_DAY, may_28 - 1), may_28 - TOWN_DAY_MS);
    assert_int_equal(spending_period_start_ms(SPENDING_MONTH, TOWN_START_MS), may_28 - 27 * TOWN_DAY_MS);
    assert_int_equal(spending_period_start_ms(SPENDING_MONTH, may_28 + 4 * TOWN_DAY_MS), may_28 + 4 * TOWN_DAY_MS);

    assert_int_equal(set_limit(&kitchen, 100, SPENDING_DAY, "1234", false, false), 0);
    assert_int_equal(buy(&kitchen, 0), 0);
    assert_int_equal(buy(&kitchen, 1), REASON_SPENDING_LIMIT);
    town.now_ms = may_28 + TOWN_DAY_MS - 1;
    assert_int_equal(buy(&kitchen, 1), REASON_SPENDING_LIMIT);
    town.now_ms = may_28 + TOWN_DAY_MS;
    assert_int_equal(buy(&kitchen, 1), 0);
    assert_int_equal(set_limit(&kitchen, 200, SPENDING_MONTH, "", false, true), 0); /* yesterday counts again */
    assert_int_equal(spent(), 200);
    assert_int_equal(buy(&kitchen, 2), REASON_SPENDING_LIMIT);
    town.now_ms = may_28 + 4 * TOWN_DAY_MS; /* June */
    assert_int_equal(buy(&kitchen, 2), 0);
}

static void give_back(uint64_t entry, int64_t amount)
{
    struct transaction t CLEANUP(transaction_end) = { 0 };
    struct refund f = { .entry = entry, .amount = amount, .text = "sorry", .now_ms = town.now_ms };
    assert_int_equal(transaction_begin(&t, town.a.o->store), 0);
    assert_int_equal(refunds_give(town.a.o, &f, NULL), 0);
    assert_int_equal(transaction_commit(&t), 0);
}

static uint64_t newest_entry(void)
{
    msg_BillsGet m = msg_BillsGet_init_zero;
    static msg_Bills bills;
    assert_int_equal(RUN(&town.a, &kitchen.who, BILLS_GET, msg_BillsGet, &m, &reply), 0);
    REPLY_AS(&reply, BILLS, msg_Bills, &bills);
    return bills.lines[0].number;
}

/* A refund gives room again where its sale took it, and nowhere else; a payment or anything else that comes in never does. */
static void refunds_count_in_the_period_of_their_sale(void **state)
{
    (void)state;
    assert_int_equal(set_limit(&kitchen, 200, SPENDING_DAY, "1234", false, false), 0);
    assert_int_equal(buy(&kitchen, 0), 0);
    uint64_t first = newest_entry();
    assert_int_equal(buy(&kitchen, 1), 0);
    uint64_t second = newest_entry();
    assert_int_equal(spent(), 200);
    give_back(second, 30);
    assert_int_equal(spent(), 170);
    assert_int_equal(buy(&kitchen, 2), REASON_SPENDING_LIMIT);

    struct transaction t CLEANUP(transaction_end) = { 0 };
    assert_int_equal(transaction_begin(&t, town.a.o->store), 0);
    assert_int_equal(billing_pay(town.a.o, "alice", 5000, "payment 1", town.now_ms, "paid"), 0);
    assert_int_equal(transaction_commit(&t), 0);
    assert_int_equal(spent(), 170);

    town.now_ms += TOWN_DAY_MS;
    assert_int_equal(buy(&kitchen, 2), 0);
    give_back(first, 0); /* yesterday's: today's spending is what it was */
    assert_int_equal(spent(), 100);
    assert_int_equal(buy(&kitchen, 3), 0);
    assert_int_equal(buy(&kitchen, 4), REASON_SPENDING_LIMIT);
    shop_check(&town.a);
}

static void the_pin_lifts_it_on_this_device_for_a_while(void **state)
{
    (void)state;
    assert_int_equal(set_limit(&kitchen, 50, SPENDING_DAY, "1234", false, false), 0);
    assert_int_equal(buy(&kitchen, 0), REASON_SPENDING_LIMIT);
    assert_int_equal(unlock(&kitchen.who, "", false), REASON_WRONG_PIN);
    assert_int_equal(buy(&kitchen, 0), REASON_SPENDING_LIMIT);
    assert_int_equal(unlock(&kitchen.who, "", true), 0);
    assert_int_equal(buy(&attic, 1), REASON_SPENDING_LIMIT);
    gadget_hello(&town.a, &kitchen); /* also on a later connection */
    assert_int_equal(buy(&kitchen, 0), 0);
    town.now_ms += SPENDING_UNLOCK_MS - 1;
    assert_int_equal(buy(&kitchen, 1), 0);
    town.now_ms += 1;
    assert_int_equal(buy(&kitchen, 2), REASON_SPENDING_LIMIT);
}

static void the_pin_does_not_lift_the_credit(void **state)
{
    (void)state;
    shop_user(&town.a, "bob", 50);
    struct gadget porch;
    gadget_init(&town, &porch, "porch");
    assert_int_equal(gadget_register(&town.a, &porch, "bob", TOWN_PASSWORD), 0);
    assert_int_equal(set_limit(&porch, 10, SPENDING_DAY, "1234", false, false), 0);
    assert_int_equal(unlock(&porch.who, "", true), 0);
    assert_int_equal(buy(&porch, 0), REASON_CREDIT_REFUSED);
    gadget_deinit(&porch);
}

static void who_may_change_it(void **state)
{
    (void)state;
    assert_int_equal(set_limit(&kitchen, 100, SPENDING_DAY, "", false, false), REASON_NOT_PERMITTED); /* no PIN */
    static const char *const bad[] = { "123", "1234567890123", "12a4", "12 4" };
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(set_limit(&kitchen, 100, SPENDING_DAY, bad[i], false, false), REASON_NOT_PERMITTED);
    assert_int_equal(set_limit(&kitchen, 100, 3, "1234", false, false), REASON_MALFORMED);
    assert_int_equal(set_limit(&kitchen, -1, SPENDING_DAY, "", false, false), REASON_NOT_FOUND);
    assert_int_equal(set_limit(&kitchen, 100, SPENDING_DAY, "1234", true, false), REASON_BAD_CREDENTIALS);
    assert_int_equal(set_limit(&kitchen, 100, SPENDING_DAY, "1234", false, false), 0);

    uint8_t before[32], after[32];
    shop_digest(&town.a, before);
    assert_int_equal(set_limit(&attic, 100000, SPENDING_DAY, "", false, false), REASON_WRONG_PIN);
    assert_int_equal(set_limit(&attic, 100000, SPENDING_DAY, "4321", false, false), REASON_WRONG_PIN);
    assert_int_equal(set_limit(&attic, -1, SPENDING_DAY, "", false, false), REASON_WRONG_PIN);
    assert_int_equal(set_limit(&attic, -1, SPENDING_DAY, "", true, false), REASON_BAD_CREDENTIALS);
    shop_digest(&town.a, after);
    assert_memory_equal(before, after, 32);

    assert_int_equal(unlock(&kitchen.who, "", true), 0);
    assert_int_equal(set_limit(&attic, 50, SPENDING_DAY, "4321", true, true), 0); /* the password: another PIN */
    assert_int_equal(buy(&kitchen, 0), REASON_SPENDING_LIMIT);                    /* what was unlocked is locked */
    assert_int_equal(set_limit(&attic, -1, SPENDING_DAY, "", false, true), 0);
    assert_int_equal(buy(&kitchen, 0), 0);
    assert_int_equal(unlock(&kitchen.who, "", true), REASON_NOT_FOUND);
}

/* A PIN may be tried by the household's devices only. */
static void strangers_try_no_pin(void **state)
{
    (void)state;
    char user[OPERATIONS_NAME_BYTES];
    struct gadget bedroom, stranger;
    gadget_init(&town, &bedroom, "bedroom");
    gadget_init(&town, &stranger, "stranger");
    shop_user(&town.b, "anna", 1000);
    assert_int_equal(gadget_register(&town.b, &bedroom, "anna", TOWN_PASSWORD), 0);
    town_link(&town, &kitchen, &bedroom);
    assert_int_equal(set_limit(&kitchen, 50, SPENDING_DAY, "1234", false, false), 0);
    assert_int_equal(spending_account(town.a.o, &stranger.client, "alice", user), REASON_NOT_REGISTERED);
    assert_int_equal(spending_account(town.a.o, &stranger.client, "", user), REASON_NOT_REGISTERED);
    assert_int_equal(spending_account(town.a.o, &kitchen.client, "bob", user), REASON_NOT_REGISTERED);
    assert_int_equal(spending_account(town.a.o, &bedroom.client, "alice", user), 0);
    assert_string_equal(user, "alice");
    memset(user, 0, sizeof(user));
    assert_int_equal(spending_account(town.a.o, &bedroom.client, "", user), 0); /* a guest's only one */
    assert_string_equal(user, "alice");
    gadget_hello(&town.a, &stranger);
    assert_int_equal(unlock(&stranger.who, "alice", true), REASON_NOT_REGISTERED);
    gadget_deinit(&bedroom);
    gadget_deinit(&stranger);
}

static void a_removed_device_is_locked(void **state)
{
    (void)state;
    struct spending s;
    assert_int_equal(set_limit(&kitchen, 50, SPENDING_DAY, "1234", false, false), 0);
    assert_int_equal(unlock(&attic.who, "", true), 0);
    assert_int_equal(spending_find(town.a.o, "alice", &attic.client, town.now_ms, &s), 0);
    assert_int_equal(s.unlocked_until_ms, town.now_ms + SPENDING_UNLOCK_MS);
    msg_DeviceRemove m;
    memcpy(m.client, attic.client.bytes, ID_BYTES);
    assert_int_equal(RUN(&town.a, &kitchen.who, DEVICE_REMOVE, msg_DeviceRemove, &m, &reply), 0);
    assert_int_equal(spending_find(town.a.o, "alice", &attic.client, town.now_ms, &s), 0);
    assert_int_equal(s.unlocked_until_ms, 0);
}

static void the_account_says_what_is_spent(void **state)
{
    (void)state;
    msg_AccountGet get = msg_AccountGet_init_zero;
    static msg_Account account;
    assert_int_equal(RUN(&town.a, &kitchen.who, ACCOUNT_GET, msg_AccountGet, &get, &reply), 0);
    REPLY_AS(&reply, ACCOUNT, msg_Account, &account);
    assert_false(account.has_spending_limit);
    assert_int_equal(set_limit(&kitchen, 150, SPENDING_MONTH, "1234", false, false), 0);
    assert_int_equal(buy(&kitchen, 0), 0);
    assert_int_equal(RUN(&town.a, &kitchen.who, ACCOUNT_GET, msg_AccountGet, &get, &reply), 0);
    REPLY_AS(&reply, ACCOUNT, msg_Account, &account);
    assert_true(account.has_spending_limit && account.has_spent && !account.has_unlocked_until_ms);
    assert_int_equal(account.spending_limit, 150);
    assert_int_equal(account.spent, 100);
    assert_int_equal(account.limit_period, SPENDING_MONTH);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(all_devices_together_reach_it),
        CASE(exactly_the_limit_is_allowed),
        CASE(the_items_of_one_transaction_count_one_by_one),
        CASE(copies_count),
        CASE(what_is_free_is_not_limited),
        CASE(periods_are_the_calendars),
        CASE(refunds_count_in_the_period_of_their_sale),
        CASE(the_pin_lifts_it_on_this_device_for_a_while),
        CASE(the_pin_does_not_lift_the_credit),
        CASE(who_may_change_it),
        CASE(strangers_try_no_pin),
        CASE(a_removed_device_is_locked),
        CASE(the_account_says_what_is_spent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
