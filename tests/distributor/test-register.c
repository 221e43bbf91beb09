/* Registration: seed S1-S4, S11-S14; sessions; renaming and removing devices. */
#include "town.h"

#include <stdio.h>
#include <stdlib.h>

#include "crypto/seal.h"
#include "distributor/accounts.h"
#include "distributor/devices.h"
#include "distributor/roster.h"

static struct town town;
static struct gadget kitchen, attic;
static struct reply reply;

static int set_up(void **state)
{
    (void)state;
    town_init(&town);
    shop_user(&town.a, "alice", 1000);
    gadget_init(&town, &kitchen, "kitchen");
    gadget_init(&town, &attic, "attic");
    reply_init(&reply);
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

static uint32_t leaf_of(const struct gadget *g)
{
    doc_DeviceCertificate c;
    struct id client;
    assert_int_equal(device_judge(buf_slice(&g->certificate), &town.a.keyset, town.now_ms, &c, &client), 0);
    return c.leaf.number;
}

static void registering_twice_gives_the_same(void **state)
{
    (void)state;
    assert_int_equal(gadget_register(&town.a, &kitchen, "alice", TOWN_PASSWORD), 0);
    uint32_t leaf = leaf_of(&kitchen);
    assert_int_equal(gadget_register(&town.a, &attic, "alice", TOWN_PASSWORD), 0);
    assert_int_not_equal(leaf_of(&attic), leaf);
    uint8_t before[32], after[32];
    struct buf certificate CLEANUP(buf_free) = buf(512);
    assert_int_equal(buf_append(&certificate, buf_slice(&kitchen.certificate)), 0);
    assert_int_equal(gadget_register(&town.a, &kitchen, "alice", TOWN_PASSWORD), 0);
    shop_digest(&town.a, before);
    assert_int_equal(gadget_register(&town.a, &kitchen, "alice", TOWN_PASSWORD), 0);
    shop_digest(&town.a, after);
    assert_memory_equal(before, after, 32);
    assert_int_equal(leaf_of(&kitchen), leaf);
    assert_true(slice_equal(buf_slice(&certificate), buf_slice(&kitchen.certificate)));
    char user[OPERATIONS_NAME_BYTES];
    assert_true(roster_take_touched(town.a.o, user) || getenv("TOWN_RESTART"));
}

static void wrong_credentials_change_nothing(void **state)
{
    (void)state;
    gadget_hello(&town.a, &kitchen);
    uint8_t before[32], after[32];
    shop_digest(&town.a, before);
    assert_int_equal(gadget_register(&town.a, &kitchen, "alice", "wrong horse"), REASON_BAD_CREDENTIALS);
    assert_int_equal(gadget_register(&town.a, &kitchen, "nobody", TOWN_PASSWORD), REASON_BAD_CREDENTIALS);
    shop_digest(&town.a, after);
    assert_memory_equal(before, after, 32);
}

static void another_account_must_unregister_first(void **state)
{
    (void)state;
    shop_user(&town.a, "bob", 0);
    assert_int_equal(gadget_register(&town.a, &kitchen, "alice", TOWN_PASSWORD), 0);
    uint32_t leaf = leaf_of(&kitchen);
    assert_int_equal(gadget_register(&town.a, &kitchen, "bob", TOWN_PASSWORD), REASON_ALREADY);
    msg_Unregister m = msg_Unregister_init_zero;
    assert_int_equal(RUN(&town.a, &kitchen.who, UNREGISTER, msg_Unregister, &m, &reply), 0);
    assert_int_equal(RUN(&town.a, &kitchen.who, UNREGISTER, msg_Unregister, &m, &reply), REASON_DEVICE_REVOKED);
    assert_int_equal(gadget_register(&town.a, &kitchen, "bob", TOWN_PASSWORD), 0);
    assert_int_not_equal(leaf_of(&kitchen), leaf); /* the old one is out of every later key block */
}

static int new_account(struct gadget *g, const char *user, const char *invite, const char *password)
{
    msg_Register m = { .new_account = true, .has_invite = invite != NULL };
    CODEC_SET_TEXT(m.user, user);
    CODEC_SET_TEXT(m.password, password);
    if (invite)
        CODEC_SET_TEXT(m.invite, invite);
    CODEC_SET_TEXT(m.device_name, g->name);
    seal_public_key(&g->sealing, m.sealing_key);
    g->who.password_hash = "a fresh hash";
    int r = RUN(&town.a, &g->who, REGISTER, msg_Register, &m, &reply);
    if (r == 0)
        g->who.session = reply.session;
    return r;
}

static void invite(char code[ACCOUNTS_INVITE_BYTES])
{
    struct transaction t CLEANUP(transaction_end) = { 0 };
    assert_int_equal(transaction_begin(&t, town.a.o->store), 0);
    assert_int_equal(accounts_invite(town.a.o, town.now_ms, town.now_ms + TOWN_DAY_MS, code), 0);
    assert_int_equal(transaction_commit(&t), 0);
}

static void invitations_open_one_account_each(void **state)
{
    (void)state;
    char code[ACCOUNTS_INVITE_BYTES], late[ACCOUNTS_INVITE_BYTES];
    invite(code);
    invite(late);
    gadget_hello(&town.a, &kitchen);
    uint8_t before[32], after[32];
    shop_digest(&town.a, before);
    assert_int_equal(new_account(&kitchen, "carol", NULL, TOWN_PASSWORD), REASON_NOT_PERMITTED);
    assert_int_equal(new_account(&kitchen, "carol", "aaaaaaaaaaaaaaaa", TOWN_PASSWORD), REASON_BAD_CREDENTIALS);
    assert_int_equal(new_account(&kitchen, "carol", code, "short"), REASON_NOT_PERMITTED);
    assert_int_equal(new_account(&kitchen, "car ol", code, TOWN_PASSWORD), REASON_MALFORMED);
    assert_int_equal(new_account(&kitchen, "alice", code, TOWN_PASSWORD), REASON_USER_EXISTS);
    shop_digest(&town.a, after);
    assert_memory_equal(before, after, 32);

    assert_int_equal(new_account(&kitchen, "carol", code, TOWN_PASSWORD), 0);
    kitchen.who.password_ok = true; /* the answer was lost: asked again, the password fits */
    assert_int_equal(new_account(&kitchen, "carol", code, TOWN_PASSWORD), 0);
    gadget_hello(&town.a, &attic);
    assert_int_equal(new_account(&attic, "dave", code, TOWN_PASSWORD), REASON_BAD_CREDENTIALS);
    town.now_ms += 2 * TOWN_DAY_MS;
    assert_int_equal(new_account(&attic, "dave", late, TOWN_PASSWORD), REASON_BAD_CREDENTIALS);
}

static void sessions_rise_and_the_bit_stays(void **state)
{
    (void)state;
    assert_int_equal(gadget_register(&town.a, &kitchen, "alice", TOWN_PASSWORD), 0);
    uint64_t first = kitchen.who.session;
    assert_true(first > 0);
    gadget_hello(&town.a, &kitchen);
    assert_int_equal(kitchen.who.session, first + 1);
    msg_Hello m = { .role = 2 };
    assert_int_equal(RUN(&town.a, &kitchen.who, HELLO, msg_Hello, &m, &reply), REASON_MALFORMED);
    struct caller stranger = kitchen.who;
    stranger.client = attic.client;
    m.role = 1;
    assert_int_equal(RUN(&town.a, &stranger, HELLO, msg_Hello, &m, &reply), 0);
    msg_Welcome welcome;
    REPLY_AS(&reply, WELCOME, msg_Welcome, &welcome);
    assert_false(welcome.registered);
    assert_int_equal(welcome.session, 0);
}

static int rename_device(struct gadget *by, const struct gadget *which, const char *name)
{
    msg_DeviceRename m = msg_DeviceRename_init_zero;
    memcpy(m.client, which->client.bytes, ID_BYTES);
    CODEC_SET_TEXT(m.name, name);
    return RUN(&town.a, &by->who, DEVICE_RENAME, msg_DeviceRename, &m, &reply);
}

static int remove_device(struct gadget *by, const struct gadget *which)
{
    msg_DeviceRemove m;
    memcpy(m.client, which->client.bytes, ID_BYTES);
    return RUN(&town.a, &by->who, DEVICE_REMOVE, msg_DeviceRemove, &m, &reply);
}

static void get_roster(struct gadget *g, doc_Roster *roster)
{
    msg_RosterGet m = msg_RosterGet_init_zero;
    assert_int_equal(RUN(&town.a, &g->who, ROSTER_GET, msg_RosterGet, &m, &reply), 0);
    assert_int_equal(roster_judge(buf_slice(&reply.tail), &town.a.keyset, town.now_ms, roster), 0);
}

static void owners_rename_and_remove(void **state)
{
    (void)state;
    static doc_Roster one, two, three;
    shop_user(&town.a, "mallory", 0);
    struct gadget thief;
    gadget_init(&town, &thief, "thief");
    assert_int_equal(gadget_register(&town.a, &kitchen, "alice", TOWN_PASSWORD), 0);
    assert_int_equal(gadget_register(&town.a, &attic, "alice", TOWN_PASSWORD), 0);
    assert_int_equal(gadget_register(&town.a, &thief, "mallory", TOWN_PASSWORD), 0);
    get_roster(&kitchen, &one);
    assert_int_equal(one.devices_count, 2);
    assert_int_equal(rename_device(&thief, &kitchen, "mine"), REASON_UNKNOWN_DEVICE);
    assert_int_equal(remove_device(&thief, &kitchen), REASON_UNKNOWN_DEVICE);
    assert_int_equal(rename_device(&kitchen, &attic, ""), REASON_MALFORMED);
    assert_int_equal(rename_device(&kitchen, &attic, "loft"), 0);
    get_roster(&kitchen, &two);
    assert_int_equal(two.sequence, one.sequence + 1);
    assert_string_equal(roster_find(&two, &attic.client)->name, "loft");
    get_roster(&kitchen, &two);
    assert_int_equal(two.sequence, one.sequence + 1); /* nothing changed */

    uint32_t leaf = leaf_of(&attic);
    assert_int_equal(remove_device(&kitchen, &attic), 0);
    assert_int_equal(remove_device(&kitchen, &attic), REASON_UNKNOWN_DEVICE);
    get_roster(&kitchen, &three);
    assert_int_equal(three.devices_count, 1);
    msg_AccountGet get = msg_AccountGet_init_zero;
    assert_int_equal(RUN(&town.a, &attic.who, ACCOUNT_GET, msg_AccountGet, &get, &reply), REASON_DEVICE_REVOKED);
    /* With the password it may come back, on a new leaf: the old one stays revoked. */
    assert_int_equal(gadget_register(&town.a, &attic, "alice", TOWN_PASSWORD), 0);
    assert_int_not_equal(leaf_of(&attic), leaf);
    gadget_deinit(&thief);
}

static void certificates_are_renewed_in_time(void **state)
{
    (void)state;
    struct device d;
    doc_DeviceCertificate before, after;
    assert_int_equal(gadget_register(&town.a, &kitchen, "alice", TOWN_PASSWORD), 0);
    assert_int_equal(devices_find_own(town.a.o, &kitchen.client, &d), 0);
    assert_int_equal(devices_certificate(town.a.o, &d, town.now_ms, &before), 0);
    town.now_ms += 400 * TOWN_DAY_MS;
    gadget_hello(&town.a, &kitchen);
    assert_int_equal(devices_certificate(town.a.o, &d, town.now_ms, &after), 0);
    assert_true(after.ends_ms > before.ends_ms);
    assert_memory_equal(before.sealing_key, after.sealing_key, 32);
}

static void set_most(const char *most)
{
    struct transaction t CLEANUP(transaction_end) = { 0 };
    assert_int_equal(transaction_begin(&t, town.a.o->store), 0);
    assert_int_equal(operations_setting_set(town.a.o, "devices-per-account", most), 0);
    assert_int_equal(transaction_commit(&t), 0);
}

static void a_full_account_names_its_devices(void **state)
{
    (void)state;
    struct gadget phone;
    gadget_init(&town, &phone, "phone");
    set_most("2");
    assert_int_equal(gadget_register(&town.a, &kitchen, "alice", TOWN_PASSWORD), 0);
    assert_int_equal(gadget_register(&town.a, &attic, "alice", TOWN_PASSWORD), 0);
    town.now_ms += TOWN_DAY_MS;
    gadget_hello(&town.a, &kitchen); /* used since: attic is the one to go */
    gadget_hello(&town.a, &phone);
    uint8_t before[32], after[32];
    shop_digest(&town.a, before);
    msg_Register m = msg_Register_init_zero;
    CODEC_SET_TEXT(m.user, "alice");
    CODEC_SET_TEXT(m.password, TOWN_PASSWORD);
    CODEC_SET_TEXT(m.device_name, "phone");
    seal_public_key(&phone.sealing, m.sealing_key);
    phone.who.password_ok = true;
    assert_int_equal(RUN(&town.a, &phone.who, REGISTER, msg_Register, &m, &reply), REASON_DEVICE_LIMIT);
    assert_non_null(strstr(reply.detail, "2 devices, as many as it may: attic, kitchen. The first is unused longest"));
    phone.who.password_ok = false; /* who does not know the password learns no names */
    assert_int_equal(RUN(&town.a, &phone.who, REGISTER, msg_Register, &m, &reply), REASON_BAD_CREDENTIALS);
    assert_string_equal(reply.detail, "");
    shop_digest(&town.a, after);
    assert_memory_equal(before, after, 32);

    assert_int_equal(gadget_register(&town.a, &attic, "alice", TOWN_PASSWORD), 0); /* one of the two */
    assert_int_equal(remove_device(&kitchen, &attic), 0);
    assert_int_equal(gadget_register(&town.a, &phone, "alice", TOWN_PASSWORD), 0);
    assert_int_equal(gadget_register(&town.a, &attic, "alice", TOWN_PASSWORD), REASON_DEVICE_LIMIT);
    gadget_deinit(&phone);
}

static void long_names_are_counted(void **state)
{
    (void)state;
    static struct gadget many[5];
    set_most("4");
    for (size_t i = 0; i < 5; i++) {
        gadget_init(&town, &many[i], "a device with as long a name as a device may have, that is, 63.");
        assert_int_equal(gadget_register(&town.a, &many[i], "alice", TOWN_PASSWORD), i < 4 ? 0 : REASON_DEVICE_LIMIT);
    }
    msg_Register m = msg_Register_init_zero;
    CODEC_SET_TEXT(m.user, "alice");
    CODEC_SET_TEXT(m.device_name, "fifth");
    many[4].who.password_ok = true;
    assert_int_equal(RUN(&town.a, &many[4].who, REGISTER, msg_Register, &m, &reply), REASON_DEVICE_LIMIT);
    assert_non_null(strstr(reply.detail, " and 2 more. The first is unused longest (since "));
    assert_int_equal(reply.detail[strlen(reply.detail) - 1], '.'); /* nothing is cut */
    for (size_t i = 0; i < 5; i++)
        gadget_deinit(&many[i]);
}

static void card_numbers_are_refused(void **state)
{
    (void)state;
    char code[ACCOUNTS_INVITE_BYTES];
    invite(code);
    gadget_hello(&town.a, &kitchen);
    uint8_t before[32], after[32];
    shop_digest(&town.a, before);
    for (int field = 0; field < 3; field++) {
        msg_Register m = { .new_account = true, .has_invite = true };
        CODEC_SET_TEXT(m.user, "carol");
        CODEC_SET_TEXT(m.password, TOWN_PASSWORD);
        CODEC_SET_TEXT(m.invite, code);
        CODEC_SET_TEXT(m.device_name, "kitchen");
        seal_public_key(&kitchen.sealing, m.sealing_key);
        kitchen.who.password_hash = "a fresh hash";
        m.has_full_name = field == 0;
        m.has_email = field == 1;
        m.has_payment_reference = field == 2;
        snprintf(field == 0 ? m.full_name : field == 1 ? m.email : m.payment_reference, 100, "4111 1111-1111 1111");
        assert_int_equal(RUN(&town.a, &kitchen.who, REGISTER, msg_Register, &m, &reply), REASON_NOT_PERMITTED);
        assert_null(strstr(reply.detail, "4111"));
    }
    shop_digest(&town.a, after);
    assert_memory_equal(before, after, 32);
    assert_int_equal(new_account(&kitchen, "carol", code, TOWN_PASSWORD), 0); /* the invitation was not used up */
}

static void a_household_has_room_for_32(void **state)
{
    (void)state;
    static struct gadget many[33];
    set_most("32");
    for (size_t i = 0; i < 33; i++) {
        gadget_init(&town, &many[i], "one of many");
        assert_int_equal(gadget_register(&town.a, &many[i], "alice", TOWN_PASSWORD), i < 32 ? 0 : REASON_DEVICE_LIMIT);
    }
    for (size_t i = 0; i < 33; i++)
        gadget_deinit(&many[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(registering_twice_gives_the_same, set_up, tear_down),
        cmocka_unit_test_setup_teardown(wrong_credentials_change_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_account_must_unregister_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(invitations_open_one_account_each, set_up, tear_down),
        cmocka_unit_test_setup_teardown(sessions_rise_and_the_bit_stays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(owners_rename_and_remove, set_up, tear_down),
        cmocka_unit_test_setup_teardown(certificates_are_renewed_in_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_full_account_names_its_devices, set_up, tear_down),
        cmocka_unit_test_setup_teardown(long_names_are_counted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(card_numbers_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_household_has_room_for_32, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
