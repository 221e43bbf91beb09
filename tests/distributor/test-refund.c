/* Money that goes back, and whose account pays for a copy: seed S76-S78, S85; design section 6 (billing). */
#include "town.h"

#include <stdio.h>

#include "distributor/accounts.h"
#include "distributor/billing.h"
#include "distributor/copies.h"
#include "distributor/refunds.h"

static struct town town;
static struct gadget kitchen, attic, bedroom; /* alice at A, bob at A, alina at B, of one household */
static struct reply reply;
static struct id song;
static doc_CopyCertificate certificate;
static struct buf receipt;

static int set_up(void **state)
{
    (void)state;
    town_init(&town);
    shop_user(&town.a, "alice", 2000);
    shop_user(&town.a, "bob", 2000);
    shop_user(&town.b, "alina", 2000);
    gadget_init(&town, &kitchen, "kitchen");
    gadget_init(&town, &attic, "attic");
    gadget_init(&town, &bedroom, "bedroom");
    assert_int_equal(gadget_register(&town.a, &kitchen, "alice", TOWN_PASSWORD), 0);
    assert_int_equal(gadget_register(&town.a, &attic, "bob", TOWN_PASSWORD), 0);
    assert_int_equal(gadget_register(&town.b, &bedroom, "alina", TOWN_PASSWORD), 0);
    song = shop_publish(&town.a, "Song", 499, 50, 3, 2);
    msg_Result result;
    assert_int_equal(gadget_buy(&town.a, &kitchen, &song, &result), 0);
    town_link(&town, &kitchen, &bedroom);
    town_link(&town, &attic, &bedroom);
    reply_init(&reply);
    receipt = buf(512);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    buf_free(&receipt);
    reply_free(&reply);
    gadget_deinit(&kitchen);
    gadget_deinit(&attic);
    gadget_deinit(&bedroom);
    town_deinit(&town);
    return 0;
}

static struct license license_of(const struct gadget *g)
{
    struct license l;
    assert_int_equal(licenses_find_content(town.a.o, &song, &g->client, &l), 0);
    return l;
}

static struct copy copy_row(void)
{
    struct copy c;
    assert_int_equal(copies_find(town.a.o, certificate.serial, &c, NULL, NULL), 0);
    return c;
}

static int give(uint64_t entry, int64_t amount, bool revoke)
{
    struct transaction t CLEANUP(transaction_end) = { 0 };
    struct refund f = { .entry = entry, .amount = amount, .text = "Sorry", .now_ms = town.now_ms, .revoke = revoke };
    assert_int_equal(transaction_begin(&t, town.a.o->store), 0);
    int r = refunds_give(town.a.o, &f, NULL);
    return r == 0 ? transaction_commit(&t) : r;
}

static int give_back(void)
{
    struct transaction t CLEANUP(transaction_end) = { 0 };
    assert_int_equal(transaction_begin(&t, town.a.o->store), 0);
    int r = copies_give_back(town.a.o, certificate.serial, town.now_ms, "Not used");
    return r == 0 ? transaction_commit(&t) : r;
}

/* The entry of the newest charge of an account. */
static uint64_t newest(const char *user)
{
    struct ledger_line line;
    size_t count = 1;
    char account[LEDGER_ACCOUNT_BYTES];
    ledger_account_user(user, account);
    assert_int_equal(ledger_before(town.a.o, account, 0, &line, &count), 0);
    assert_int_equal(count, 1);
    return line.number;
}

static void copy_to_attic(void)
{
    msg_Result result;
    struct key32 key;
    assert_int_equal(gadget_copy(&town.a, &kitchen, &song, &attic, false, false, &result), 0);
    assert_int_equal(vault_key_of_copy(&town.a, &town.a, &attic, &kitchen.client, &result, &certificate, &key), 0);
}

static void a_refunded_license_is_copied_no_more(void **state)
{
    (void)state;
    msg_Result result;
    uint64_t entry = newest("alice");
    assert_int_equal(give(entry, 500, true), REASON_TOO_LARGE);
    assert_int_equal(give(entry, 200, true), 0);
    assert_int_equal(shop_balance(&town.a, "alice"), -299);
    assert_int_equal(give(entry, 0, false), REASON_ALREADY);
    assert_int_equal(license_of(&kitchen).state, LICENSE_REFUNDED);
    assert_int_equal(gadget_copy(&town.a, &kitchen, &song, &attic, false, false, &result), REASON_NO_LICENSE);
    assert_int_equal(gadget_buy(&town.a, &kitchen, &song, &result), 0); /* it may be bought again */
    assert_int_equal(license_of(&kitchen).state, LICENSE_LIVE);
    assert_int_equal(shop_balance(&town.a, "alice"), -299 - 499);
    shop_check(&town.a);
}

/* Otherwise what was refunded or moved away would count as lost with its device, and be given again (restore.c). */
static void a_removed_device_loses_only_what_it_had(void **state)
{
    (void)state;
    struct device d;
    static const struct {
        enum license_state before, after;
    } cases[] = { { LICENSE_REFUNDED, LICENSE_REFUNDED },
                  { LICENSE_GONE, LICENSE_GONE },
                  { LICENSE_LIVE, LICENSE_REVOKED } };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct license l = license_of(&kitchen);
        struct transaction t CLEANUP(transaction_end) = { 0 };
        assert_int_equal(transaction_begin(&t, town.a.o->store), 0);
        assert_int_equal(licenses_set_state(town.a.o, l.license_id, &l.client, l.sequence, cases[i].before), 0);
        assert_int_equal(devices_find_own(town.a.o, &kitchen.client, &d), 0);
        assert_int_equal(devices_revoke(town.a.o, &d, town.now_ms), 0);
        assert_int_equal(transaction_commit(&t), 0);
        assert_int_equal(license_of(&kitchen).state, cases[i].after);
    }
}

static void a_refund_may_leave_the_license(void **state)
{
    (void)state;
    assert_int_equal(give(newest("alice"), 0, false), 0);
    assert_int_equal(shop_balance(&town.a, "alice"), 0);
    assert_int_equal(license_of(&kitchen).state, LICENSE_LIVE);
    copy_to_attic();
    shop_check(&town.a);
}

static void a_refunded_copy_is_revoked_where_it_arrived(void **state)
{
    (void)state;
    copy_to_attic();
    uint64_t entry = newest("alice");
    assert_int_equal(give(entry, 0, true), REASON_NO_LICENSE); /* it has not arrived */
    gadget_receipt(&attic, &certificate, 1, town.now_ms, &receipt);
    assert_int_equal(gadget_redeem(&town.a, &attic.who, buf_slice(&receipt)), 0);
    assert_int_equal(give(entry, 0, true), 0);
    assert_int_equal(license_of(&attic).state, LICENSE_REFUNDED);
    assert_int_equal(license_of(&kitchen).state, LICENSE_LIVE);
    assert_int_equal(license_of(&kitchen).copies, 1);
    shop_check(&town.a);
}

static void an_unused_certificate_is_given_back_by_hand(void **state)
{
    (void)state;
    copy_to_attic();
    assert_int_equal(give_back(), REASON_IN_USE);
    town.now_ms += 8 * TOWN_DAY_MS;
    assert_int_equal(give_back(), 0);
    assert_int_equal(give_back(), REASON_ALREADY);
    assert_int_equal(copy_row().state, CERTIFICATE_GIVEN_BACK);
    assert_int_equal(license_of(&kitchen).copies, 0);
    assert_int_equal(shop_balance(&town.a, "alice"), -499);
    shop_check(&town.a);
    /* It was used after all, in time: it counts again. */
    gadget_receipt(&attic, &certificate, 1, (int64_t)certificate.issued_ms + 1000, &receipt);
    assert_int_equal(gadget_redeem(&town.a, &attic.who, buf_slice(&receipt)), 0);
    assert_int_equal(gadget_redeem(&town.a, &attic.who, buf_slice(&receipt)), 0);
    assert_int_equal(copy_row().state, CERTIFICATE_REDEEMED);
    assert_int_equal(license_of(&kitchen).copies, 1);
    assert_int_equal(license_of(&attic).state, LICENSE_LIVE);
    assert_int_equal(give_back(), REASON_NOT_PERMITTED);
    shop_check(&town.a);
}

static void given_back_twice_is_given_back_once(void **state)
{
    (void)state;
    msg_MoveCancel m = msg_MoveCancel_init_zero;
    copy_to_attic();
    town.now_ms += 8 * TOWN_DAY_MS;
    assert_int_equal(give_back(), 0);
    gadget_receipt(&attic, &certificate, 2, town.now_ms, &receipt);
    assert_int_equal(CODEC_SET_BYTES(m.receipt, buf_slice(&receipt)), 0);
    assert_int_equal(RUN(&town.a, &kitchen.who, MOVE_CANCEL, msg_MoveCancel, &m, &reply), 0);
    assert_int_equal(copy_row().state, CERTIFICATE_REFUSED);
    assert_int_equal(license_of(&kitchen).copies, 0);
    assert_int_equal(shop_balance(&town.a, "alice"), -499);
    shop_check(&town.a);
}

static void set(const char *name, const char *value)
{
    struct transaction t CLEANUP(transaction_end) = { 0 };
    assert_int_equal(transaction_begin(&t, town.a.o->store), 0);
    if (strcmp(name, "product") == 0)
        assert_int_equal(billing_set_copy_payer(town.a.o, license_of(&kitchen).product, value), 0);
    else
        assert_int_equal(operations_setting_set(town.a.o, name, value), 0);
    assert_int_equal(transaction_commit(&t), 0);
}

static void the_destination_pays_where_that_is_the_rule(void **state)
{
    (void)state;
    msg_Result result;
    set("copy-charged", "destination");
    copy_to_attic();
    assert_int_equal(shop_balance(&town.a, "alice"), -499);
    assert_int_equal(shop_balance(&town.a, "bob"), -50);
    /* Another distributor's customer has no account here: the household's that stands for the license pays. */
    assert_int_equal(gadget_copy(&town.a, &kitchen, &song, &bedroom, false, false, &result), 0);
    assert_int_equal(shop_balance(&town.a, "alice"), -549);
    shop_check(&town.a);
}

static void the_products_rule_comes_before_the_distributors(void **state)
{
    (void)state;
    set("copy-charged", "destination");
    set("product", "source");
    copy_to_attic();
    assert_int_equal(shop_balance(&town.a, "alice"), -549);
    assert_int_equal(shop_balance(&town.a, "bob"), 0);
    set("product", NULL);
    bool destination = false;
    assert_int_equal(billing_copy_payer(town.a.o, license_of(&kitchen).product, &destination), 0);
    assert_true(destination);
}

static void nobody_gets_a_copy_on_the_others_credit(void **state)
{
    (void)state;
    msg_Result result;
    uint8_t before[32], after[32];
    set("copy-charged", "destination");
    struct transaction t CLEANUP(transaction_end) = { 0 };
    assert_int_equal(transaction_begin(&t, town.a.o->store), 0);
    assert_int_equal(accounts_set_credit(town.a.o, "bob", 49), 0);
    assert_int_equal(transaction_commit(&t), 0);
    shop_digest(&town.a, before);
    assert_int_equal(gadget_copy(&town.a, &kitchen, &song, &attic, false, false, &result), REASON_CREDIT_REFUSED);
    shop_digest(&town.a, after);
    assert_memory_equal(before, after, 32);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_refunded_license_is_copied_no_more),
        TEST(a_removed_device_loses_only_what_it_had),
        TEST(a_refund_may_leave_the_license),
        TEST(a_refunded_copy_is_revoked_where_it_arrived),
        TEST(an_unused_certificate_is_given_back_by_hand),
        TEST(given_back_twice_is_given_back_once),
        TEST(the_destination_pays_where_that_is_the_rule),
        TEST(the_products_rule_comes_before_the_distributors),
        TEST(nobody_gets_a_copy_on_the_others_credit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
