/* Three real servers: two partners and their directory. Accounts are linked, a copy certificate is issued for the other
 * one's customer; what is away is done without, and in bounded time. argv[1]: hearth-distributor. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/util.h"
#include "client.h"
#include "program.h"
#include "shop.h"

#define ASKED_MS 15000 /* a refusal that had to ask others first */

static const char *binary;
static uv_loop_t loop;
static struct program aurora, boreal, directory;
static struct id aurora_id, boreal_id, directory_id;
static struct client kitchen, attic, bedroom, study;
static uint32_t kitchen_bit;
static struct shop_item items_on_sale[SHOP_TRACKS_MAX];
static uint8_t license_id[16];

static int64_t now_ms(void) { return clock_mono_ms(clock_system()); }

static void url_of(const struct program *p, const struct id *id, char out[160])
{
    char text[ID_TEXT_BYTES];
    id_text(id->bytes, text);
    snprintf(out, 160, "hearth://%s#%s", p->address, text);
}

static struct id identify(const struct program *p)
{
    struct client c;
    client_init(&c, &loop, 99);
    assert_true(client_connect(&c, p->address));
    struct id id = id_from(c.keyset.distributor);
    client_deinit(&c);
    return id;
}

static void introduce(struct program *to, const struct program *who, const struct id *id, const char *name)
{
    char url[160];
    url_of(who, id, url);
    assert_int_equal(program_admin(to, "partner", "add", url, "--name", name, NULL), 0);
}

static void join(struct client *c, uint8_t name, struct program *p, const char *user)
{
    struct answer a = { 0 };
    client_init(c, &loop, name);
    assert_true(client_connect(c, p->address));
    client_hello(c);
    client_register(c, user, SHOP_PASSWORD, &a);
    assert_int_equal(a.type, msg_Type_REGISTERED);
    answer_free(&a);
}

static int setup(void **state)
{
    (void)state;
    char url[160];
    uv_loop_init(&loop);
    program_init(&aurora, binary, "aurora");
    program_init(&boreal, binary, "boreal");
    program_init_directory(&directory, binary, "directory");
    shop_add_user(&aurora, "alice");
    shop_add_user(&boreal, "alina");
    shop_publish(&aurora, 1);
    program_start(&aurora);
    program_start(&boreal);
    program_start(&directory);
    aurora_id = identify(&aurora);
    boreal_id = identify(&boreal);
    directory_id = identify(&directory);
    /* All of it while they serve. */
    introduce(&aurora, &boreal, &boreal_id, "boreal");
    introduce(&boreal, &aurora, &aurora_id, "aurora");
    introduce(&directory, &aurora, &aurora_id, "aurora");
    introduce(&directory, &boreal, &boreal_id, "boreal");
    url_of(&directory, &directory_id, url);
    assert_int_equal(program_admin(&aurora, "directory", "set", url, NULL), 0);
    assert_int_equal(program_admin(&boreal, "directory", "set", url, NULL), 0);
    join(&kitchen, 1, &aurora, "alice");
    join(&bedroom, 3, &boreal, "alina");
    kitchen_bit = kitchen.bit;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    struct client *clients[] = { &kitchen, &attic, &bedroom, &study };
    struct program *programs[] = { &aurora, &boreal, &directory };
    for (size_t i = 0; i < ARRAY_COUNT(clients); i++)
        if (clients[i]->identity != NULL)
            client_deinit(clients[i]);
    for (size_t i = 0; i < ARRAY_COUNT(programs); i++) {
        if (programs[i]->pid != 0)
            program_stop(programs[i]);
        program_deinit(programs[i]);
    }
    return 0;
}

/* The devices in this one's roster; 0 when it has none. */
static unsigned roster_size(struct client *c)
{
    struct answer a = { 0 };
    static doc_Roster roster;
    unsigned count = 0;
    client_ask(c, msg_Type_ROSTER_GET, NULL, NULL, slice(NULL, 0), &a);
    assert_true(a.there);
    if (a.type == msg_Type_ROSTER) {
        assert_int_equal(roster_judge(buf_slice(&a.tail), &c->keyset, clock_wall_ms(clock_system()), &roster), 0);
        count = roster.devices_count;
    }
    answer_free(&a);
    return count;
}

static void wait_for_roster(struct client *c, unsigned size)
{
    int64_t end_ms = now_ms() + CLIENT_WAIT_MS;
    while (roster_size(c) != size) {
        if (now_ms() > end_ms)
            fail_msg("the roster has %u devices, not %u", roster_size(c), size);
        client_run_ms(c, 20);
    }
}

/* As a device does: it looks when it is told of a change since it has seen so many, and not before. */
static void wait_told_of_roster(struct client *c, unsigned seen, unsigned size)
{
    int64_t end_ms = now_ms() + CLIENT_WAIT_MS;
    do {
        while (c->rosters_changed == seen && now_ms() < end_ms)
            client_run_ms(c, 10);
        if (c->rosters_changed == seen)
            fail_msg("nobody has told of a roster with %u devices", size);
        seen = c->rosters_changed;
    } while (roster_size(c) != size);
}

static void test_link(void **state)
{
    (void)state;
    struct answer a = { 0 };
    msg_LinkCode code;
    msg_Link link = msg_Link_init_zero;
    client_ask(&kitchen, msg_Type_LINK_CODE_GET, NULL, NULL, slice(NULL, 0), &a);
    assert_int_equal(a.type, msg_Type_LINK_CODE);
    assert_int_equal(CODEC_DECODE(msg_LinkCode, buf_slice(&a.message), &code), 0);
    memcpy(link.distributor, aurora_id.bytes, 32);
    CODEC_SET_TEXT(link.address, code.address);
    CODEC_SET_TEXT(link.code, "wrong");
    client_ask(&bedroom, msg_Type_LINK, msg_Link_fields, &link, slice(NULL, 0), &a);
    assert_int_equal(a.reason, REASON_BAD_CREDENTIALS); /* said by the partner */
    CODEC_SET_TEXT(link.code, code.code);
    client_ask(&bedroom, msg_Type_LINK, msg_Link_fields, &link, slice(NULL, 0), &a);
    if (a.type != msg_Type_LINKED)
        fail_msg("link: %s %s", a.refusal.code, a.refusal.text);
    client_ask(&bedroom, msg_Type_LINK, msg_Link_fields, &link, slice(NULL, 0), &a);
    assert_int_equal(a.reason, REASON_BAD_CREDENTIALS); /* it worked once */
    wait_for_roster(&kitchen, 2);
    wait_for_roster(&bedroom, 2);
    assert_true(kitchen.rosters_changed > 0 && bedroom.rosters_changed > 0);
    answer_free(&a);
}

/* One item as a transaction of the kitchen's; its result, and how long it took. */
static int64_t transact(const msg_Item *wanted, msg_Result *result)
{
    static uint8_t number;
    struct buf items = buf(8192), encoded = buf(4096);
    struct answer a = { 0 };
    msg_Transact t = { .session = kitchen.session, .bit = kitchen_bit ^= 1, .count = 1 };
    memset(t.transaction, ++number, sizeof(t.transaction));
    assert_int_equal(CODEC_ENCODE(msg_Item, &encoded, wanted), 0);
    assert_int_equal(codec_list_put(&items, buf_slice(&encoded)), 0);
    int64_t began_ms = now_ms();
    client_ask(&kitchen, msg_Type_TRANSACT, msg_Transact_fields, &t, buf_slice(&items), &a);
    int64_t took_ms = now_ms() - began_ms;
    if (a.type != msg_Type_TRANSACTED)
        fail_msg("transact: %s", a.there ? a.refusal.code : "no answer");
    struct reader list = reader(buf_slice(&a.tail));
    struct slice one;
    assert_int_equal(codec_list_next(&list, 8192, &one), 0);
    assert_int_equal(CODEC_DECODE(msg_Result, one, result), 0);
    buf_free(&items);
    buf_free(&encoded);
    answer_free(&a);
    return took_ms;
}

static int64_t ask_copy(const struct client *destination, msg_Result *result)
{
    msg_Item wanted = msg_Item_init_zero;
    wanted.has_copy = true;
    memcpy(wanted.copy.content, items_on_sale[0].content, 32);
    memcpy(wanted.copy.license_id, license_id, 16);
    memcpy(wanted.copy.destination, destination->id.bytes, 32);
    return transact(&wanted, result);
}

static void test_copy(void **state)
{
    (void)state;
    static msg_Result result;
    struct buf items = buf(8192);
    struct slice one;
    msg_Item purchase;
    doc_License license;
    assert_int_equal(shop_browse(&kitchen, items_on_sale), 1);
    shop_quote(&kitchen, &items_on_sale[0], &items);
    struct reader list = reader(buf_slice(&items));
    assert_int_equal(codec_list_next(&list, 8192, &one), 0);
    assert_int_equal(CODEC_DECODE(msg_Item, one, &purchase), 0);
    transact(&purchase, &result);
    assert_true(result.has_license);
    assert_int_equal(license_judge(CODEC_BYTES(result.license), &kitchen.keyset, &license), 0);
    memcpy(license_id, license.license_id, 16);
    buf_free(&items);

    ask_copy(&bedroom, &result);
    if (!result.has_certificate)
        fail_msg("copy: %s %s", result.refusal.code, result.refusal.text);
    assert_true(result.has_delegation);
    doc_Delegation delegation;
    assert_int_equal(
        delegation_judge(CODEC_BYTES(result.delegation), &bedroom.keyset, clock_wall_ms(clock_system()), &delegation),
        0);
    assert_memory_equal(delegation.partner, aurora_id.bytes, 32);
}

/* A device that joins at the partner and is asked for at once: the directory is asked before the answer is no. */
static void test_asks_directory(void **state)
{
    (void)state;
    static msg_Result result;
    join(&study, 4, &boreal, "alina");
    for (unsigned tries = 0; tries < 20; tries++) { /* boreal pushes it at the same time */
        ask_copy(&study, &result);
        if (result.has_certificate)
            return;
        enum reason reason = reason_of_code(result.refusal.code);
        assert_true(reason == REASON_NOT_REGISTERED || reason == REASON_NOT_OWNED);
    }
    fail_msg("copy: %s %s", result.refusal.code, result.refusal.text);
}

/* The directory stops: the partner is asked itself. With the partner gone too, what nobody can say is refused in time. Later both are there again. */
static void test_without_directory(void **state)
{
    (void)state;
    static msg_Result result;
    struct client late;
    program_stop(&directory);
    join(&late, 5, &boreal, "alina");
    assert_true(ask_copy(&late, &result) < ASKED_MS);
    assert_true(result.has_certificate);
    program_kill(&boreal);
    struct client nobody;
    client_init(&nobody, &loop, 9);
    assert_true(ask_copy(&nobody, &result) < ASKED_MS);
    assert_true(result.has_refusal);
    client_deinit(&nobody);
    ask_copy(&bedroom, &result); /* what is known goes on */
    assert_true(result.has_certificate);
    program_start(&boreal);
    client_run_until(&bedroom, &bedroom.closed);
    assert_true(client_connect(&bedroom, boreal.address));
    client_hello(&bedroom);
    program_start(&directory);
    wait_for_roster(&kitchen, 4);
    ask_copy(&late, &result);
    assert_true(result.has_certificate);
    client_deinit(&late);
}

static void test_without_partner(void **state)
{
    (void)state;
    static msg_Result result;
    program_kill(&boreal);
    assert_true(ask_copy(&bedroom, &result) < ASKED_MS);
    assert_true(result.has_certificate); /* under the delegation and grant that are here */
    program_start(&boreal);
    client_run_until(&bedroom, &bedroom.closed);
    assert_true(client_connect(&bedroom, boreal.address));
    client_hello(&bedroom);
    assert_true(bedroom.registered);
}

/* The admin revokes a device while the server runs: the others hear of it, and it is refused. */
static void test_revoke(void **state)
{
    (void)state;
    struct answer a = { 0 };
    char id[ID_TEXT_BYTES];
    join(&attic, 2, &aurora, "alice");
    wait_for_roster(&kitchen, 5);
    unsigned before = kitchen.rosters_changed;
    id_text(attic.id.bytes, id);
    assert_int_equal(program_admin(&aurora, "device", "revoke", id, NULL), 0);
    client_ask(&attic, msg_Type_ACCOUNT_GET, NULL, NULL, slice(NULL, 0), &a);
    assert_int_equal(a.reason, REASON_DEVICE_REVOKED);
    wait_told_of_roster(&kitchen, before, 4);
    wait_for_roster(&bedroom, 4); /* through the directory */
    answer_free(&a);
}

/* A partner is put out: the keyset says so, and devices that were connected come to see it. */
static void test_new_keyset(void **state)
{
    (void)state;
    uint64_t before = bedroom.keyset.sequence;
    assert_int_equal(program_admin(&boreal, "partner", "withdraw", "aurora", NULL), 0);
    for (int i = 0; i < 200 && bedroom.keyset.sequence == before; i++) /* it is shown, on the connection there is */
        client_run_ms(&bedroom, 50);
    assert_true(bedroom.keyset.sequence > before);
    assert_false(bedroom.closed);
    assert_int_equal(bedroom.keyset.floors_count, 1);
    assert_memory_equal(bedroom.keyset.floors[0].partner, aurora_id.bytes, 32);
}

static void test_unlink(void **state)
{
    (void)state;
    struct answer a = { 0 };
    msg_Unlink unlink = msg_Unlink_init_zero;
    memcpy(unlink.distributor, boreal_id.bytes, 32);
    client_ask(&kitchen, msg_Type_UNLINK, msg_Unlink_fields, &unlink, slice(NULL, 0), &a);
    assert_int_equal(a.type, msg_Type_OK);
    assert_int_equal(roster_size(&kitchen), 1);
    wait_for_roster(&bedroom, 3);
    static msg_Result result;
    ask_copy(&bedroom, &result);
    assert_true(result.has_refusal);
    assert_string_equal(result.refusal.code, reason_code(REASON_NOT_OWNED));
    answer_free(&a);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_link),
        cmocka_unit_test(test_copy),
        cmocka_unit_test(test_asks_directory),
        cmocka_unit_test(test_without_directory),
        cmocka_unit_test(test_without_partner),
        cmocka_unit_test(test_revoke),
        cmocka_unit_test(test_unlink),
        cmocka_unit_test(test_new_keyset),
    };
    if (argc < 2)
        return 77;
    binary = argv[1];
    return cmocka_run_group_tests(tests, setup, teardown);
}
