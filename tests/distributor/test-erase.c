/* The end of an account, among two distributors: what goes, what others hear of it, what stays for the books. The bytes of the files:
 * tests/household/test_erase.py. */
#include "town.h"

#include <pthread.h>
#include <stdio.h>

#include "distributor/accounts.h"
#include "distributor/billing.h"
#include "distributor/devices.h"
#include "distributor/erase.h"
#include "distributor/share.h"
#include "distributor/share_forget.h"

static struct town town;
static struct gadget kitchen, attic, bedroom;
static struct reply reply;
static struct id song;

static int set_up(void **state)
{
    (void)state;
    town_init(&town);
    shop_user(&town.a, "alice", 1000);
    shop_user(&town.a, "bob", 1000);
    shop_user(&town.b, "anna", 1000);
    gadget_init(&town, &kitchen, "kitchen");
    gadget_init(&town, &attic, "attic");
    gadget_init(&town, &bedroom, "bedroom");
    reply_init(&reply);
    assert_int_equal(gadget_register(&town.a, &kitchen, "alice", TOWN_PASSWORD), 0);
    assert_int_equal(gadget_register(&town.a, &attic, "alice", TOWN_PASSWORD), 0);
    assert_int_equal(gadget_register(&town.b, &bedroom, "anna", TOWN_PASSWORD), 0);
    town_link(&town, &kitchen, &bedroom);
    song = shop_publish(&town.a, "song", 100, 40, 9, 1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    reply_free(&reply);
    gadget_deinit(&kitchen);
    gadget_deinit(&attic);
    gadget_deinit(&bedroom);
    town_deinit(&town);
    return 0;
}

static void pay(const char *user)
{
    struct transaction t CLEANUP(transaction_end) = { 0 };
    int64_t balance = shop_balance(&town.a, user);
    assert_int_equal(transaction_begin(&t, town.a.o->store), 0);
    assert_int_equal(billing_pay(town.a.o, user, -balance, NULL, town.now_ms, "paid by Alice"), 0);
    assert_int_equal(transaction_commit(&t), 0);
}

static int erase(const char *user, bool forgive)
{
    struct transaction t CLEANUP(transaction_end) = { 0 };
    assert_int_equal(transaction_begin(&t, town.a.o->store), 0);
    int r = erase_account(town.a.o, user, forgive, town.now_ms, NULL);
    if (r == 0)
        assert_int_equal(transaction_commit(&t), 0);
    return r;
}

static int erase_as(struct gadget *g, bool right)
{
    msg_AccountErase m = msg_AccountErase_init_zero;
    CODEC_SET_TEXT(m.password, "judged on the pool");
    g->who.password_ok = right;
    int r = RUN(&town.a, &g->who, ACCOUNT_ERASE, msg_AccountErase, &m, &reply);
    g->who.password_ok = false;
    return r;
}

static void refusals_change_nothing(void **state)
{
    (void)state;
    uint8_t before[32], after[32];
    msg_Result result;
    assert_int_equal(gadget_buy(&town.a, &kitchen, &song, &result), 0);
    shop_digest(&town.a, before);
    assert_int_equal(erase_as(&kitchen, false), REASON_BAD_CREDENTIALS);
    assert_int_equal(erase_as(&kitchen, true), REASON_STILL_OWED);
    assert_int_equal(erase_as(&bedroom, true), REASON_NOT_REGISTERED); /* another distributor's customer */
    assert_int_equal(erase("alice", false), REASON_STILL_OWED);
    assert_int_equal(erase("nobody", true), REASON_NOT_FOUND);
    shop_digest(&town.a, after);
    assert_memory_equal(before, after, 32);
    shop_check(&town.a);
}

static void its_devices_are_strangers_then(void **state)
{
    (void)state;
    struct device d;
    struct account a;
    assert_int_equal(erase_as(&kitchen, true), 0);
    assert_int_equal(accounts_find(town.a.o, "alice", &a), OPERATIONS_ABSENT);
    assert_int_equal(devices_find_own(town.a.o, &kitchen.client, &d), OPERATIONS_ABSENT);
    msg_RosterGet m = msg_RosterGet_init_zero;
    assert_int_equal(RUN(&town.a, &attic.who, ROSTER_GET, msg_RosterGet, &m, &reply), REASON_NOT_REGISTERED);
    assert_int_equal(erase_as(&attic, true), REASON_NOT_REGISTERED);
    assert_int_equal(gadget_register(&town.a, &attic, "alice", TOWN_PASSWORD), REASON_BAD_CREDENTIALS);
    attic.who.session = 1; /* its connection has a session of before */
    assert_int_equal(gadget_register(&town.a, &attic, "bob", TOWN_PASSWORD), 0); /* somebody else's, on a new leaf */
    shop_check(&town.a);
}

static void partners_let_go(void **state)
{
    (void)state;
    struct device d;
    msg_Result result;
    assert_int_equal(gadget_buy(&town.a, &kitchen, &song, &result), 0);
    assert_int_equal(gadget_copy(&town.a, &kitchen, &song, &bedroom, false, false, &result), 0);
    town_share(&town);
    assert_int_equal(devices_find(town.b.o, &kitchen.client, &d), 0);
    pay("alice");
    assert_int_equal(erase("alice", false), 0);
    town_share(&town);
    assert_int_equal(devices_find(town.b.o, &kitchen.client, &d), OPERATIONS_ABSENT);
    assert_int_equal(devices_find_in_household(town.b.o, OPERATIONS_SELF, "anna", &kitchen.client, &d),
                     OPERATIONS_ABSENT);
    assert_int_equal(devices_find_own(town.b.o, &bedroom.client, &d), 0);
    shop_check(&town.a);
    shop_check(&town.b);
}

/* A receipt for a copy of before comes late: it is nobody's any more, and nothing fails. */
static void late_receipts(void **state)
{
    (void)state;
    static doc_CopyCertificate certificate;
    struct buf receipt CLEANUP(buf_free) = buf(1024);
    struct key32 key;
    msg_Result result;
    assert_int_equal(gadget_buy(&town.a, &kitchen, &song, &result), 0);
    assert_int_equal(gadget_copy(&town.a, &kitchen, &song, &bedroom, false, false, &result), 0);
    assert_int_equal(vault_key_of_copy(&town.a, &town.b, &bedroom, &kitchen.client, &result, &certificate, &key), 0);
    gadget_receipt(&bedroom, &certificate, 1, town.now_ms, &receipt);
    pay("alice");
    assert_int_equal(erase("alice", false), 0);
    msg_Hello hello = { .role = 1, .generation = 1 };
    assert_int_equal(RUN(&town.a, &bedroom.guest, HELLO, msg_Hello, &hello, &reply), 0);
    int r = gadget_redeem(&town.a, &bedroom.guest, buf_slice(&receipt));
    assert_true(r > 0 && r < REASON_COUNT);
    shop_check(&town.a);
}

static void what_is_owed_is_written_off_by_the_operator_only(void **state)
{
    (void)state;
    msg_Result result;
    assert_int_equal(gadget_buy(&town.a, &kitchen, &song, &result), 0);
    assert_int_equal(erase("alice", true), 0);
    assert_int_equal(shop_balance(&town.a, "alice"), 0);
    shop_check(&town.a);
}

static void names_are_given_once(void **state)
{
    (void)state;
    assert_int_equal(erase_was_used(town.a.o, "alice"), OPERATIONS_ABSENT);
    assert_int_equal(erase("alice", false), 0);
    assert_int_equal(erase_was_used(town.a.o, "alice"), 0);
    assert_int_equal(erase_was_used(town.a.o, "alicf"), OPERATIONS_ABSENT);
    struct transaction t CLEANUP(transaction_end) = { 0 };
    assert_int_equal(transaction_begin(&t, town.a.o->store), 0);
    assert_int_equal(accounts_add(town.a.o, "alice", "a hash", "", "", 0, town.now_ms), REASON_USER_EXISTS);
    assert_int_equal(accounts_add(town.a.o, "erased-1", "a hash", "", "", 0, town.now_ms), REASON_USER_EXISTS);
}

/* What was emptied keeps its place: a member that begins at the start comes out the same. */
static void a_member_from_the_start_comes_out_the_same(void **state)
{
    (void)state;
    struct device d;
    uint64_t last, after;
    assert_int_equal(erase("alice", false), 0);
    assert_int_equal(share_outbox_last(town.a.o, &last), 0);
    town.now_ms += ERASE_REMOVALS_MS + 1;
    struct transaction t CLEANUP(transaction_end) = { 0 };
    assert_int_equal(transaction_begin(&t, town.a.o->store), 0);
    assert_int_equal(erase_tick(town.a.o, town.now_ms), 0); /* the removal rows, too */
    assert_int_equal(transaction_commit(&t), 0);
    assert_int_equal(share_outbox_last(town.a.o, &after), 0);
    assert_int_equal(last + 1, after); /* which are empty is told in a row that stays */
    town_share(&town); /* the other shop has heard of kitchen before, never of its removal: what a month away costs */
    assert_int_equal(devices_find_at(town.b.o, OPERATIONS_SELF, &bedroom.client, &d), 0);
    assert_int_equal(gadget_register(&town.a, &attic, "bob", TOWN_PASSWORD), 0);
    town_share(&town);
    assert_int_equal(devices_find(town.b.o, &attic.client, &d), 0); /* rows go on after the empty ones */
    assert_string_equal(d.user, "bob");
}

/* --- Writing the file anew ------------------------------------------------------------------------------------------ */

#define SCRUBS 40

static void *scrub_often(void *o)
{
    for (unsigned i = 0; i < SCRUBS; i++)
        if (erase_scrub(o) == -EBUSY)
            continue;
    return NULL;
}

/* A server and a command at once, while more is erased: none of it is forgotten, and no counter goes below nothing. */
static void two_write_it_anew_at_once(void **state)
{
    (void)state;
    struct operations *other[2];
    pthread_t threads[2];
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(operations_open(&other[i], town.a.dir, town.a.keys, rng_system(), 0), 0);
        assert_int_equal(pthread_create(&threads[i], NULL, scrub_often, other[i]), 0);
    }
    for (unsigned i = 0; i < SCRUBS; i++) {
        struct transaction t CLEANUP(transaction_end) = { 0 };
        assert_int_equal(transaction_begin(&t, town.a.o->store), 0);
        assert_int_equal(erase_scrub_later(town.a.o), 0);
        assert_int_equal(transaction_commit(&t), 0);
    }
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        operations_close(other[i]);
    }
    assert_int_equal(erase_scrub(town.a.o), 0);
    assert_int_equal(shop_ask(&town.a, "SELECT value FROM counter WHERE name = 'scrub-due'"), SCRUBS);
    assert_int_equal(shop_ask(&town.a, "SELECT value FROM counter WHERE name = 'scrub-done'"), SCRUBS);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(refusals_change_nothing),
        CASE(its_devices_are_strangers_then),
        CASE(partners_let_go),
        CASE(late_receipts),
        CASE(what_is_owed_is_written_off_by_the_operator_only),
        CASE(names_are_given_once),
        CASE(a_member_from_the_start_comes_out_the_same),
        CASE(two_write_it_anew_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
