/* Login tokens: what each policy asks for, what ends a token, and that nothing but the token's own key proves it. */
#include "town.h"

#include <stdio.h>

#include "crypto/seal.h"
#include "distributor/accounts.h"
#include "distributor/devices.h"
#include "distributor/links.h"
#include "distributor/tokens.h"

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

static void set_policy(struct shop *s, const char *policy)
{
    struct transaction t CLEANUP(transaction_end) = { 0 };
    assert_int_equal(transaction_begin(&t, s->o->store), 0);
    assert_int_equal(operations_setting_set(s->o, "login-policy", policy), 0);
    assert_int_equal(transaction_commit(&t), 0);
}

static int log_in(struct caller *who, const char *user, bool right, const struct gadget *g, struct key32 *token)
{
    msg_Login m = msg_Login_init_zero;
    msg_LoggedIn in;
    CODEC_SET_TEXT(m.user, user);
    CODEC_SET_TEXT(m.password, "judged on the pool");
    who->password_ok = right;
    int r = RUN(&town.a, who, LOGIN, msg_Login, &m, &reply);
    who->password_ok = false;
    if (r != 0)
        return r;
    REPLY_AS(&reply, LOGGED_IN, msg_LoggedIn, &in);
    assert_int_equal(seal_open(&g->sealing, SLICE_ARRAY(in.token), token->bytes), 0);
    assert_true(in.ends_ms == (uint64_t)(town.now_ms + 30 * TOWN_DAY_MS));
    return 0;
}

static int prove(struct caller *who, const struct key32 *token, const uint8_t challenge[32])
{
    msg_LoginProve m;
    login_token_prove(token, &town.a.keys->self, &who->client, challenge, m.key, m.proof);
    return RUN(&town.a, who, LOGIN_PROVE, msg_LoginProve, &m, &reply);
}

/* A change of the account that changes nothing. */
static int rename_self(struct gadget *g)
{
    msg_DeviceRename m = msg_DeviceRename_init_zero;
    memcpy(m.client, g->client.bytes, ID_BYTES);
    CODEC_SET_TEXT(m.name, g->name);
    return RUN(&town.a, &g->who, DEVICE_RENAME, msg_DeviceRename, &m, &reply);
}

static void the_devices_key_is_enough_by_default(void **state)
{
    (void)state;
    assert_int_equal(gadget_register(&town.a, &kitchen, "alice", TOWN_PASSWORD), 0);
    assert_false(kitchen.who.has_token);
    assert_int_equal(rename_self(&kitchen), 0);
}

static void registering_logs_in_where_the_password_counts(void **state)
{
    (void)state;
    static const char *const policies[] = { "password", "both" };
    for (size_t i = 0; i < 2; i++) {
        set_policy(&town.a, policies[i]);
        assert_int_equal(gadget_register(&town.a, &kitchen, "alice", TOWN_PASSWORD), 0);
        assert_true(kitchen.who.has_token);
        assert_int_equal(rename_self(&kitchen), 0);
        gadget_hello(&town.a, &kitchen); /* another connection */
        kitchen.who.has_token = false;
        assert_int_equal(rename_self(&kitchen), REASON_LOGIN_NEEDED);
    }
}

static void what_is_not_an_account_change_needs_no_login(void **state)
{
    (void)state;
    assert_int_equal(gadget_register(&town.a, &kitchen, "alice", TOWN_PASSWORD), 0);
    struct id song = shop_publish(&town.a, "song", 100, 0, 1, 0);
    msg_Result result;
    assert_int_equal(gadget_buy(&town.a, &kitchen, &song, &result), 0);
    set_policy(&town.a, "both");
    gadget_hello(&town.a, &kitchen);
    msg_RosterGet roster = msg_RosterGet_init_zero;
    assert_int_equal(RUN(&town.a, &kitchen.who, ROSTER_GET, msg_RosterGet, &roster, &reply), 0);
    msg_HeaderGet header;
    memcpy(header.content, song.bytes, ID_BYTES);
    assert_int_equal(RUN(&town.a, &kitchen.who, HEADER_GET, msg_HeaderGet, &header, &reply), 0);
    msg_BillsGet bills = msg_BillsGet_init_zero;
    assert_int_equal(RUN(&town.a, &kitchen.who, BILLS_GET, msg_BillsGet, &bills, &reply), 0);
    msg_LinkCodeGet code = msg_LinkCodeGet_init_zero;
    assert_int_equal(RUN(&town.a, &kitchen.who, LINK_CODE_GET, msg_LinkCodeGet, &code, &reply), REASON_LOGIN_NEEDED);
    msg_DeviceRemove gone;
    memcpy(gone.client, kitchen.client.bytes, ID_BYTES);
    assert_int_equal(RUN(&town.a, &kitchen.who, DEVICE_REMOVE, msg_DeviceRemove, &gone, &reply), REASON_LOGIN_NEEDED);
    msg_Unregister leave = msg_Unregister_init_zero;
    assert_int_equal(RUN(&town.a, &kitchen.who, UNREGISTER, msg_Unregister, &leave, &reply), 0);
}

/* A purchase without a login is refused item by item, so that bit and answer stay in step; nothing is charged. */
static void purchases_are_refused_in_step(void **state)
{
    (void)state;
    struct key32 token;
    msg_Result result;
    assert_int_equal(gadget_register(&town.a, &kitchen, "alice", TOWN_PASSWORD), 0);
    struct id song = shop_publish(&town.a, "song", 100, 0, 1, 0);
    set_policy(&town.a, "password");
    gadget_hello(&town.a, &kitchen);
    assert_int_equal(gadget_buy(&town.a, &kitchen, &song, &result), REASON_LOGIN_NEEDED);
    assert_int_equal(gadget_buy(&town.a, &kitchen, &song, &result), REASON_LOGIN_NEEDED);
    assert_int_equal(shop_balance(&town.a, "alice"), 0);
    assert_int_equal(log_in(&kitchen.who, "", true, &kitchen, &token), 0);
    assert_int_equal(gadget_buy(&town.a, &kitchen, &song, &result), 0);
    assert_int_equal(shop_balance(&town.a, "alice"), -100);
    shop_check(&town.a);
}

static void a_proof_is_of_this_token_device_and_connection(void **state)
{
    (void)state;
    struct key32 token, other;
    uint8_t old[32];
    set_policy(&town.a, "both");
    assert_int_equal(gadget_register(&town.a, &kitchen, "alice", TOWN_PASSWORD), 0);
    assert_int_equal(gadget_register(&town.a, &attic, "alice", TOWN_PASSWORD), 0);
    assert_int_equal(log_in(&kitchen.who, "", true, &kitchen, &token), 0);
    memcpy(old, kitchen.who.challenge, sizeof(old));
    gadget_hello(&town.a, &kitchen);
    assert_memory_not_equal(old, kitchen.who.challenge, sizeof(old));
    kitchen.who.has_token = false;

    assert_int_equal(prove(&kitchen.who, &token, old), REASON_SIGNATURE_INVALID); /* what an earlier connection said */
    rng_fill(&town.rng.rng, other.bytes, sizeof(other.bytes));
    assert_int_equal(prove(&kitchen.who, &other, kitchen.who.challenge), REASON_LOGIN_NEEDED);
    assert_int_equal(prove(&attic.who, &token, attic.who.challenge), REASON_LOGIN_NEEDED);
    msg_LoginProve m;
    login_token_prove(&token, &town.b.keys->self, &kitchen.client, kitchen.who.challenge, m.key, m.proof);
    assert_int_equal(RUN(&town.a, &kitchen.who, LOGIN_PROVE, msg_LoginProve, &m, &reply), REASON_SIGNATURE_INVALID);
    login_token_prove(&token, &town.a.keys->self, &kitchen.client, kitchen.who.challenge, m.key, m.proof);
    for (size_t i = 0; i < sizeof(m.proof); i++) {
        m.proof[i] ^= 1;
        assert_int_equal(RUN(&town.a, &kitchen.who, LOGIN_PROVE, msg_LoginProve, &m, &reply), REASON_SIGNATURE_INVALID);
        m.proof[i] ^= 1;
    }
    assert_int_equal(rename_self(&kitchen), REASON_LOGIN_NEEDED);
    assert_int_equal(prove(&kitchen.who, &token, kitchen.who.challenge), 0);
    assert_int_equal(rename_self(&kitchen), 0);
}

static void what_ends_a_token(void **state)
{
    (void)state;
    struct key32 token;
    set_policy(&town.a, "both");
    assert_int_equal(gadget_register(&town.a, &kitchen, "alice", TOWN_PASSWORD), 0);
    assert_int_equal(gadget_register(&town.a, &attic, "alice", TOWN_PASSWORD), 0);

    town.now_ms += 30 * TOWN_DAY_MS; /* its time, though the connection is still there */
    assert_int_equal(rename_self(&kitchen), REASON_LOGIN_NEEDED);
    assert_int_equal(log_in(&kitchen.who, "", true, &kitchen, &token), 0);
    assert_int_equal(log_in(&attic.who, "", true, &attic, &token), 0);

    msg_Logout out = msg_Logout_init_zero;
    assert_int_equal(RUN(&town.a, &attic.who, LOGOUT, msg_Logout, &out, &reply), 0);
    assert_int_equal(prove(&attic.who, &token, attic.who.challenge), REASON_LOGIN_NEEDED);
    assert_int_equal(log_in(&attic.who, "", true, &attic, &token), 0);

    msg_PasswordSet set = msg_PasswordSet_init_zero;
    CODEC_SET_TEXT(set.fresh, "another password");
    attic.who.password_hash = "hash of another password";
    assert_int_equal(RUN(&town.a, &attic.who, PASSWORD_SET, msg_PasswordSet, &set, &reply), REASON_BAD_CREDENTIALS);
    assert_int_equal(rename_self(&kitchen), 0);
    attic.who.password_ok = true;
    CODEC_SET_TEXT(set.fresh, "short");
    assert_int_equal(RUN(&town.a, &attic.who, PASSWORD_SET, msg_PasswordSet, &set, &reply), REASON_NOT_PERMITTED);
    CODEC_SET_TEXT(set.fresh, "another password");
    assert_int_equal(RUN(&town.a, &attic.who, PASSWORD_SET, msg_PasswordSet, &set, &reply), 0);
    assert_int_equal(rename_self(&attic), 0);
    assert_int_equal(rename_self(&kitchen), REASON_LOGIN_NEEDED);
    assert_int_equal(prove(&attic.who, &token, attic.who.challenge), REASON_LOGIN_NEEDED);
    char hash[PASSWORD_HASH_BYTES];
    bool registered;
    assert_int_equal(requests_password_hash(town.a.o, "alice", &attic.client, hash, sizeof(hash), &registered), 0);
    assert_string_equal(hash, "hash of another password");

    msg_DeviceRemove m;
    memcpy(m.client, kitchen.client.bytes, ID_BYTES);
    assert_int_equal(log_in(&kitchen.who, "", true, &kitchen, &token), 0);
    assert_int_equal(RUN(&town.a, &attic.who, DEVICE_REMOVE, msg_DeviceRemove, &m, &reply), 0);
    struct token row;
    assert_int_equal(tokens_next(town.a.o, "alice", &(struct id){ 0 }, &row), 0);
    assert_true(id_equal(&row.client, &attic.client));
    assert_int_equal(tokens_next(town.a.o, "alice", &row.client, &row), OPERATIONS_ABSENT);
}

static void a_wrong_password_gives_nothing(void **state)
{
    (void)state;
    struct key32 token;
    uint8_t before[32], after[32];
    set_policy(&town.a, "password");
    assert_int_equal(gadget_register(&town.a, &kitchen, "alice", TOWN_PASSWORD), 0);
    shop_user(&town.a, "bob", 0);
    gadget_hello(&town.a, &attic);
    shop_digest(&town.a, before);
    assert_int_equal(log_in(&kitchen.who, "", false, &kitchen, &token), REASON_BAD_CREDENTIALS);
    assert_int_equal(log_in(&kitchen.who, "bob", true, &kitchen, &token), REASON_NOT_PERMITTED);
    assert_int_equal(log_in(&attic.who, "alice", true, &attic, &token), REASON_NOT_REGISTERED);
    assert_int_equal(log_in(&attic.who, "", true, &attic, &token), REASON_NOT_REGISTERED);
    shop_digest(&town.a, after);
    assert_memory_equal(before, after, 32);
}

/* Only the hash of a public key is kept: what lies in the database proves nothing. */
static void the_database_holds_no_token(void **state)
{
    (void)state;
    struct key32 token;
    struct token row;
    uint8_t key[32], hash[32];
    set_policy(&town.a, "password");
    assert_int_equal(gadget_register(&town.a, &kitchen, "alice", TOWN_PASSWORD), 0);
    assert_int_equal(log_in(&kitchen.who, "", true, &kitchen, &token), 0);
    assert_int_equal(tokens_next(town.a.o, "alice", &(struct id){ 0 }, &row), 0);
    sign_public_key(&token, key);
    login_token_hash(key, hash);
    assert_memory_equal(row.hash, hash, 32);
    assert_memory_not_equal(row.hash, token.bytes, 32);
    struct key32 stolen;
    memcpy(stolen.bytes, row.hash, 32);
    assert_int_equal(prove(&kitchen.who, &stolen, kitchen.who.challenge), REASON_LOGIN_NEEDED);
}

/* A device that a linked distributor registered: `password` lets it log in for the linked account, `both` does not. */
static void guests(void **state)
{
    (void)state;
    struct key32 token;
    shop_user(&town.b, "anna", 1000);
    assert_int_equal(gadget_register(&town.a, &kitchen, "alice", TOWN_PASSWORD), 0);
    assert_int_equal(gadget_register(&town.b, &attic, "anna", TOWN_PASSWORD), 0);
    town_link(&town, &kitchen, &attic);
    msg_Hello hello = { .role = 1, .generation = 1 };
    assert_int_equal(RUN(&town.a, &attic.guest, HELLO, msg_Hello, &hello, &reply), 0);
    set_policy(&town.a, "both");
    assert_int_equal(log_in(&attic.guest, "alice", true, &attic, &token), REASON_NOT_REGISTERED);
    set_policy(&town.a, "password");
    assert_int_equal(tokens_judge(town.a.o, &attic.guest, &reply), REASON_LOGIN_NEEDED);
    assert_int_equal(log_in(&attic.guest, "alice", false, &attic, &token), REASON_BAD_CREDENTIALS);
    assert_int_equal(log_in(&attic.guest, "alice", true, &attic, &token), 0);
    assert_int_equal(tokens_judge(town.a.o, &attic.guest, &reply), 0);
    assert_int_equal(log_in(&attic.guest, "", true, &attic, &token), 0); /* the only account of its household */
    assert_int_equal(tokens_judge(town.a.o, &attic.guest, &reply), 0);
    assert_int_equal(RUN(&town.a, &attic.guest, HELLO, msg_Hello, &hello, &reply), 0);
    attic.guest.has_token = false;
    assert_int_equal(prove(&attic.guest, &token, attic.guest.challenge), 0);
    assert_int_equal(tokens_judge(town.a.o, &attic.guest, &reply), 0);
    set_policy(&town.a, "both");
    assert_int_equal(tokens_judge(town.a.o, &attic.guest, &reply), REASON_NOT_REGISTERED);
}

static void links_need_a_login(void **state)
{
    (void)state;
    struct links_half half;
    msg_Link link = msg_Link_init_zero;
    struct buf bytes CLEANUP(buf_free) = buf(1024);
    assert_int_equal(gadget_register(&town.a, &kitchen, "alice", TOWN_PASSWORD), 0);
    set_policy(&town.a, "both");
    memcpy(link.distributor, town.b.keys->self.bytes, ID_BYTES);
    assert_int_equal(CODEC_ENCODE(msg_Link, &bytes, &link), 0);
    assert_int_equal(links_begin(town.a.o, &kitchen.who, buf_slice(&bytes), &half, &reply), REASON_LOGIN_NEEDED);
    msg_Unlink unlink;
    memcpy(unlink.distributor, town.b.keys->self.bytes, ID_BYTES);
    assert_int_equal(RUN(&town.a, &kitchen.who, UNLINK, msg_Unlink, &unlink, &reply), REASON_LOGIN_NEEDED);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_devices_key_is_enough_by_default),
        CASE(registering_logs_in_where_the_password_counts),
        CASE(what_is_not_an_account_change_needs_no_login),
        CASE(purchases_are_refused_in_step),
        CASE(a_proof_is_of_this_token_device_and_connection),
        CASE(what_ends_a_token),
        CASE(a_wrong_password_gives_nothing),
        CASE(the_database_holds_no_token),
        CASE(guests),
        CASE(links_need_a_login),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
