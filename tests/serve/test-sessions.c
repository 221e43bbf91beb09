/* The real server and ends that do not behave: order of greetings, damaged frames, floods, wrong passwords.
 * After each of them it still serves the next one. argv[1]: hearth-distributor. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "base/util.h"
#include "client.h"
#include "crypto/merkle.h"
#include "crypto/seal.h"
#include "crypto/sha256.h"
#include "distributor/throttle.h"
#include "program.h"
#include "raw.h"
#include "shop.h"

#define QUIET_MS 400

static const char *binary;
static struct program server;
static uv_loop_t loop;

static int setup(void **state)
{
    (void)state;
    program_init(&server, binary, "sessions");
    shop_add_user(&server, "ada");
    shop_add_user(&server, "bob");
    shop_publish(&server, 1);
    program_start(&server);
    return uv_loop_init(&loop);
}

static int teardown(void **state)
{
    (void)state;
    program_stop(&server); /* it is still there, and ends by itself */
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    program_deinit(&server);
    return 0;
}

static void still_serves(void)
{
    struct client c;
    client_init(&c, &loop, 200);
    assert_true(client_connect(&c, server.address));
    client_hello(&c);
    assert_false(c.registered);
    client_deinit(&c);
}

static void test_keyset_first(void **state)
{
    (void)state;
    struct client c;
    client_init(&c, &loop, 1);
    assert_true(client_connect(&c, server.address));
    assert_int_equal(c.keysets, 1);
    client_run_ms(&c, 50);
    assert_int_equal(c.unasked, 0);
    client_deinit(&c);
}

/* Everything before HELLO is refused, and HELLO is said once. */
static void test_order(void **state)
{
    (void)state;
    static const uint16_t types[] = { msg_Type_ROSTER_GET,    msg_Type_ACCOUNT_GET,
                                      msg_Type_CATALOGUE_GET, msg_Type_TRANSACT,
                                      msg_Type_REGISTER,      msg_Type_INFO_GET,
                                      msg_Type_BLOCKS_GET,    msg_Type_SHARE_PULL,
                                      msg_Type_SHARE_PUSH,    msg_Type_DELEGATION_GET,
                                      msg_Type_COMMIT,        msg_Type_WELCOME,
                                      msg_Type_KEYSET,        4711 };
    struct answer a = { 0 };
    for (size_t i = 0; i < ARRAY_COUNT(types); i++) {
        struct client c;
        client_init(&c, &loop, 2);
        assert_true(client_connect(&c, server.address));
        client_ask(&c, types[i], NULL, NULL, slice(NULL, 0), &a);
        if (!a.there || a.reason != REASON_NOT_PERMITTED)
            fail_msg("type %u before HELLO: %s", types[i], a.there ? reason_code(a.reason) : "no answer");
        client_run_until(&c, &c.closed);
        client_deinit(&c);
    }
    struct client c;
    client_init(&c, &loop, 2);
    assert_true(client_connect(&c, server.address));
    client_hello(&c);
    msg_Hello again = { .role = 1, .generation = 1 };
    client_ask(&c, msg_Type_HELLO, msg_Hello_fields, &again, slice(NULL, 0), &a);
    assert_int_equal(a.reason, REASON_NOT_PERMITTED);
    client_run_until(&c, &c.closed);
    client_deinit(&c);
    answer_free(&a);
    still_serves();
}

/* The highest generation that a vault has signed is said to its device; what HELLO claims counts for nothing; a lower one is refused. */
static void test_generation(void **state)
{
    (void)state;
    static const struct {
        uint64_t generation, said;
        enum reason presented;
    } cases[] = { { 50, 0, REASON_NONE },
                  { 40, 50, REASON_CATCH_UP_NEEDED },
                  { 60, 50, REASON_NONE },
                  { UINT64_C(1) << 62, 60, REASON_NOT_PERMITTED }, /* the way to lock itself out for ever */
                  { 61, 60, REASON_NONE } };
    struct client c;
    struct answer a = { 0 };
    client_init(&c, &loop, 11);
    assert_true(client_connect(&c, server.address));
    client_hello(&c);
    client_register(&c, "ada", SHOP_PASSWORD, &a);
    assert_int_equal(a.type, msg_Type_REGISTERED);
    client_deinit(&c);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        client_init(&c, &loop, 11);
        assert_true(client_connect(&c, server.address));
        c.generation = cases[i].generation;
        client_hello(&c);
        assert_true(c.registered);
        assert_int_equal(c.said, cases[i].said);
        assert_int_equal(c.presented, cases[i].presented);
        client_deinit(&c);
    }
    answer_free(&a);
}

static void test_bad_hello(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint32_t role;
        const char *tail;
        enum reason reason;
    } cases[] = {
        { "role 0", 0, "", REASON_MALFORMED },
        { "role 4", 4, "", REASON_MALFORMED },
        { "a contents server that is no place of ours", 3, "", REASON_NOT_PERMITTED },
        { "a distributor without keyset", 2, "", REASON_MALFORMED },
        { "a distributor with something else", 2, "this is no keyset at all", REASON_MALFORMED },
    };
    struct answer a = { 0 };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct client c;
        msg_Hello hello = { .role = cases[i].role, .generation = 1 };
        client_init(&c, &loop, 3);
        assert_true(client_connect(&c, server.address));
        client_ask(&c, msg_Type_HELLO, msg_Hello_fields, &hello, slice_str(cases[i].tail), &a);
        if (!a.there || a.reason != cases[i].reason)
            fail_msg("%s: %s", cases[i].name, a.there ? reason_code(a.reason) : "no answer");
        client_run_until(&c, &c.closed);
        client_deinit(&c);
    }
    answer_free(&a);
}

/* A keyset that is fine, of somebody who is no partner of ours. */
static void test_unknown_distributor(void **state)
{
    (void)state;
    struct client c;
    struct answer a = { 0 };
    client_init(&c, &loop, 4);
    struct signer root;
    signer_from_seed(&root, &c.seed);
    doc_Keyset keyset = doc_Keyset_init_zero;
    memcpy(keyset.distributor, c.id.bytes, 32);
    CODEC_SET_TEXT(keyset.name, "nobody");
    keyset.sequence = 1;
    keyset.issued_ms = (uint64_t)clock_wall_ms(clock_system());
    keyset.ends_ms = keyset.issued_ms + 3600000;
    keyset.keys_count = 1;
    keyset.keys[0].purpose = KEY_TLS;
    keyset.keys[0].ends_ms = keyset.ends_ms;
    memcpy(keyset.keys[0].key, root.public_key, 32);
    struct buf envelope = buf(4096);
    assert_int_equal(document_sign(&envelope, DOCUMENT_KEYSET, &keyset, &root), 0);
    assert_true(client_connect(&c, server.address));
    msg_Hello hello = { .role = 2, .generation = 0 };
    client_ask(&c, msg_Type_HELLO, msg_Hello_fields, &hello, buf_slice(&envelope), &a);
    assert_int_equal(a.reason, REASON_UNKNOWN_DISTRIBUTOR);
    client_run_until(&c, &c.closed);
    client_deinit(&c);
    buf_free(&envelope);
    answer_free(&a);
}

/* Frames that are none: the connection ends, nothing else. */
static void test_damaged_frames(void **state)
{
    (void)state;
    /* length type request message-length message */
    static const uint8_t truncated[] = { 0, 0, 0, 40, 0, 11, 0, 0, 0, 1, 0, 0, 0, 4, 8, 1 };
    static const uint8_t short_length[] = { 0, 0, 0, 3, 0, 11, 0, 0, 0, 1, 0, 0, 0, 4, 8, 1, 16, 1 };
    static const uint8_t message_beyond[] = { 0, 0, 0, 14, 0, 11, 0, 0, 0, 1, 0, 0, 1, 4, 8, 1, 16, 1 };
    static const uint8_t enormous[] = { 255, 255, 255, 255, 0, 11, 0, 0, 0, 1, 0, 0, 0, 4, 8, 1, 16, 1 };
    static const uint8_t negative[] = { 128, 0, 0, 0, 0, 11, 0, 0, 0, 1, 128, 0, 0, 0 };
    static const uint8_t long_tail[] = { 0, 2, 0, 14, 0, 11, 0, 0, 0, 1, 0, 0, 0, 4, 8, 1, 16, 1 };
    static const uint8_t not_canonical[] = { 0, 0, 0, 15, 0, 11, 0, 0, 0, 1, 0, 0, 0, 5, 8, 129, 0, 16, 1 };
    static const uint8_t unknown_field[] = { 0, 0, 0, 16, 0, 11, 0, 0, 0, 1, 0, 0, 0, 6, 8, 1, 16, 1, 24, 1 };
    static const struct {
        const char *name;
        struct slice bytes;
        bool ends;
    } cases[] = {
        { "nothing", { NULL, 0 }, false },
        { "truncated", { truncated, sizeof(truncated) }, false },
        { "length below the header", { short_length, sizeof(short_length) }, true },
        { "message longer than the frame", { message_beyond, sizeof(message_beyond) }, true },
        { "length beyond everything", { enormous, sizeof(enormous) }, true },
        { "negative lengths", { negative, sizeof(negative) }, true },
        { "a tail for which a stranger has no use", { long_tail, sizeof(long_tail) }, true },
        { "not canonical", { not_canonical, sizeof(not_canonical) }, true },
        { "an unknown field", { unknown_field, sizeof(unknown_field) }, true },
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct buf heard = buf(1 << 20);
        if (raw_speak(server.address, cases[i].bytes, QUIET_MS, &heard) != cases[i].ends)
            fail_msg("%s", cases[i].name);
        assert_true(heard.len > FRAME_HEADER_BYTES); /* the keyset came in any case */
        buf_free(&heard);
    }
    static const uint8_t noise[600] = "GET / HTTP/1.1\r\n\r\n";
    assert_true(raw_speak_plain(server.address, SLICE_ARRAY(noise), 5000));
    still_serves();
}

/* Random bytes after the handshake, many times over. */
static void test_noise(void **state)
{
    (void)state;
    struct rng_fake rng;
    rng_fake_init(&rng, 99);
    for (unsigned i = 0; i < 40; i++) {
        uint8_t bytes[300];
        struct buf heard = buf(1 << 20);
        rng_fill(&rng.rng, bytes, sizeof(bytes));
        bytes[0] = bytes[1] = 0;                            /* a length that is believed */
        bytes[4] = 0, bytes[5] = (uint8_t)(bytes[5] % 100); /* a type there is */
        raw_speak(server.address, slice(bytes, 14 + i * 7 % 280), 20, &heard);
        buf_free(&heard);
    }
    still_serves();
}

/* Damaged requests of a registered device are answered, one by one, and change nothing. */
static void test_damaged_requests(void **state)
{
    (void)state;
    struct client c;
    struct answer a = { 0 };
    struct rng_fake rng;
    rng_fake_init(&rng, 5);
    client_init(&c, &loop, 5);
    assert_true(client_connect(&c, server.address));
    client_hello(&c);
    client_register(&c, "ada", SHOP_PASSWORD, &a);
    assert_int_equal(a.type, msg_Type_REGISTERED);
    int64_t before = shop_balance(&c);
    for (uint16_t type = 20; type < 100; type++) {
        if (type == msg_Type_UNREGISTER || type == msg_Type_COMMIT)
            continue;
        uint8_t bytes[64];
        rng_fill(&rng.rng, bytes, sizeof(bytes));
        struct slice tail = slice(bytes, type % 2 == 0 ? sizeof(bytes) : 0);
        client_ask(&c, type, NULL, NULL, tail, &a);
        bool is_for_bodies = type == msg_Type_INFO_GET || type == msg_Type_LIST_GET || type == msg_Type_BLOCKS_GET;
        if (!a.there && !is_for_bodies)
            fail_msg("type %u was not answered", type);
        if (!a.there) { /* whoever serves bodies hangs up on what cannot be read */
            client_run_until(&c, &c.closed);
            assert_true(client_connect(&c, server.address));
            client_hello(&c);
        }
    }
    assert_int_equal(shop_balance(&c), before);
    client_deinit(&c);
    answer_free(&a);
}

/* Bodies are for registered devices; what comes hashes to what it is called. */
static void test_bodies(void **state)
{
    (void)state;
    struct client c, stranger;
    struct answer a = { 0 };
    static struct shop_item items[SHOP_TRACKS_MAX];
    static msg_Info info;
    msg_InfoGet get = msg_InfoGet_init_zero;
    struct id content;
    doc_ContentInfo facts;
    client_init(&stranger, &loop, 9);
    assert_true(client_connect(&stranger, server.address));
    client_hello(&stranger);
    client_init(&c, &loop, 5); /* registered by the test before */
    assert_true(client_connect(&c, server.address));
    client_hello(&c);
    assert_int_equal(shop_browse(&c, items), 1);
    client_ask(&c, msg_Type_INFO_GET, msg_InfoGet_fields, &get, slice(NULL, 0), &a);
    assert_int_equal(a.reason, REASON_UNKNOWN_CONTENT);
    memcpy(get.content, items[0].content, 32);
    client_ask(&stranger, msg_Type_INFO_GET, msg_InfoGet_fields, &get, slice(NULL, 0), &a);
    assert_int_equal(a.reason, REASON_NOT_REGISTERED);
    client_ask(&c, msg_Type_INFO_GET, msg_InfoGet_fields, &get, slice(NULL, 0), &a);
    assert_int_equal(a.type, msg_Type_INFO);
    assert_int_equal(CODEC_DECODE(msg_Info, buf_slice(&a.message), &info), 0);
    assert_int_equal(info_judge(CODEC_BYTES(info.info), info.list_root, &facts, &content), 0);
    assert_memory_equal(content.bytes, items[0].content, 32);

    msg_ListGet list = { .first = 0, .count = facts.block_count };
    memcpy(list.content, items[0].content, 32);
    client_ask(&c, msg_Type_LIST_GET, msg_ListGet_fields, &list, slice(NULL, 0), &a);
    assert_int_equal(a.type, msg_Type_LIST);
    assert_int_equal(a.tail.len, facts.block_count * SHA256_BYTES);
    uint8_t leaf[SHA256_BYTES];
    memcpy(leaf, a.tail.data, sizeof(leaf));
    msg_BlocksGet blocks = { .first = 0, .count = 1 };
    memcpy(blocks.content, items[0].content, 32);
    client_ask(&c, msg_Type_BLOCKS_GET, msg_BlocksGet_fields, &blocks, slice(NULL, 0), &a);
    assert_int_equal(a.type, msg_Type_BLOCK);
    uint8_t hash[SHA256_BYTES];
    merkle_leaf(&(struct slice){ a.tail.data, a.tail.len }, 1, hash);
    assert_memory_equal(hash, leaf, sizeof(hash));
    blocks.first = facts.block_count;
    client_ask(&c, msg_Type_BLOCKS_GET, msg_BlocksGet_fields, &blocks, slice(NULL, 0), &a);
    assert_true(!a.there || a.reason != REASON_NONE); /* beyond the end */
    client_deinit(&c);
    client_deinit(&stranger);
    answer_free(&a);
}

/* As rows that another distributor shared, and a purchase, would have it. */
__attribute__((format(printf, 1, 2))) static void change(const char *format, ...)
{
    char path[160], sql[512];
    sqlite3 *db;
    va_list arguments;
    va_start(arguments, format);
    assert_true(vsnprintf(sql, sizeof(sql), format, arguments) < (int)sizeof(sql));
    va_end(arguments);
    (void)snprintf(path, sizeof(path), "%s/operations.db", server.dir);
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    sqlite3_busy_timeout(db, 10000);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static unsigned waiting_for(struct client *guest)
{
    struct answer a = { 0 };
    msg_RestorableGet m = msg_RestorableGet_init_zero;
    static msg_Restorable list;
    client_ask(guest, msg_Type_QUEUED_GET, msg_RestorableGet_fields, &m, slice(NULL, 0), &a);
    assert_int_equal(a.type, msg_Type_QUEUED);
    assert_int_equal(CODEC_DECODE(msg_Restorable, buf_slice(&a.message), &list), 0);
    answer_free(&a);
    return list.items_count;
}

static enum reason info_for(struct client *guest, const struct shop_item *item)
{
    struct answer a = { 0 };
    msg_InfoGet m;
    memcpy(m.content, item->content, sizeof(m.content));
    client_ask(guest, msg_Type_INFO_GET, msg_InfoGet_fields, &m, slice(NULL, 0), &a);
    assert_true(a.there);
    enum reason reason = a.reason;
    answer_free(&a);
    return reason;
}

/* Another distributor's device gets bodies on a connection on which something was listed for it, and on no other. */
static void test_bodies_for_guests(void **state)
{
    (void)state;
    struct client c, guest;
    static struct shop_item items[SHOP_TRACKS_MAX];
    char client[HEX_TEXT_BYTES(ID_BYTES)], content[HEX_TEXT_BYTES(ID_BYTES)];
    client_init(&c, &loop, 5);
    assert_true(client_connect(&c, server.address));
    client_hello(&c);
    assert_int_equal(shop_browse(&c, items), 1);
    client_init(&guest, &loop, 77);
    hex_encode(slice(guest.id.bytes, ID_BYTES), client);
    hex_encode(slice(items[0].content, ID_BYTES), content);
    change("INSERT INTO distributor (number, id, name) VALUES (2, zeroblob(32), 'other');"
           "INSERT INTO client_user (distributor, client, user, name, registered_ms, revoked)"
           " VALUES (2, x'%s', 'olga', 'phone', 1, 0)",
           client);
    assert_true(client_connect(&guest, server.address));
    client_hello(&guest);
    assert_false(guest.registered);
    assert_int_not_equal(guest.session, 0);
    assert_int_equal(info_for(&guest, &items[0]), REASON_NOT_REGISTERED);
    assert_int_equal(waiting_for(&guest), 0);
    assert_int_equal(info_for(&guest, &items[0]), REASON_NOT_REGISTERED);
    change(
        "INSERT INTO link (distributor, user, other, other_user) VALUES (1, 'ada', 2, 'olga'), (2, 'olga', 1, 'ada');"
        "INSERT INTO copy_queue (client, content, license_id, source, user, queued_ms, ends_ms, taken)"
        " VALUES (x'%s', x'%s', zeroblob(16), zeroblob(32), 'ada', 1, 9000000000000, 1)",
        client, content);
    assert_int_equal(waiting_for(&guest), 1);
    assert_int_equal(info_for(&guest, &items[0]), REASON_NONE);
    client_disconnect(&guest);
    assert_true(client_connect(&guest, server.address));
    client_hello(&guest);
    assert_int_equal(info_for(&guest, &items[0]), REASON_NOT_REGISTERED);
    client_deinit(&c);
    client_deinit(&guest);
}

/* Many requests at once are all answered, in order, though only a few wait in memory. */
static bool on_flood(struct peer *p, const struct frame *reply, enum reason why, void *ctx)
{
    unsigned *answered = ctx;
    (void)p, (void)why;
    if (reply != NULL && reply->type == msg_Type_ACCOUNT)
        (*answered)++;
    return false;
}

static void test_flood(void **state)
{
    (void)state;
    enum { MANY = 1500 };
    struct client c;
    unsigned answered = 0;
    client_init(&c, &loop, 5);
    assert_true(client_connect(&c, server.address));
    client_hello(&c);
    assert_true(c.registered);
    for (unsigned i = 0; i < MANY; i++)
        assert_int_equal(
            peer_request(c.peer, msg_Type_ACCOUNT_GET, NULL, NULL, slice(NULL, 0), 60000, on_flood, &answered, NULL),
            0);
    int64_t began_ms = clock_mono_ms(clock_system());
    while (answered < MANY && !c.closed && clock_mono_ms(clock_system()) - began_ms < 60000)
        uv_run(&loop, UV_RUN_ONCE);
    assert_int_equal(answered, MANY);
    /* 800 at once, then 400 a second (config.h) */
    assert_true(clock_mono_ms(clock_system()) - began_ms > 1000);
    client_deinit(&c);
}

/* Wrong passwords: answered, then with a delay; a device of the account is not kept waiting by strangers. */
static void test_passwords(void **state)
{
    (void)state;
    struct client own, stranger;
    struct answer a = { 0 };
    client_init(&own, &loop, 6);
    assert_true(client_connect(&own, server.address));
    client_hello(&own);
    client_register(&own, "bob", SHOP_PASSWORD, &a);
    assert_int_equal(a.type, msg_Type_REGISTERED);

    client_init(&stranger, &loop, 7);
    assert_true(client_connect(&stranger, server.address));
    client_hello(&stranger);
    unsigned wrong = 0;
    do {
        client_register(&stranger, "bob", "a guess", &a);
        assert_true(a.there);
    } while (a.reason == REASON_BAD_CREDENTIALS && ++wrong < 50);
    assert_int_equal(a.reason, REASON_RATE_LIMITED);
    assert_true(a.refusal.has_retry_ms && a.refusal.retry_ms > 0 && a.refusal.retry_ms <= THROTTLE_FORGET_MS);
    assert_int_equal(wrong, THROTTLE_FREE_ATTEMPTS);
    client_register(&stranger, "bob", SHOP_PASSWORD, &a); /* even the right one has to wait now */
    assert_int_equal(a.reason, REASON_RATE_LIMITED);
    client_register(&stranger, "nobody-at-all", "a guess", &a); /* and other names from the same address */
    assert_int_equal(a.reason, REASON_RATE_LIMITED);
    client_register(&own, "bob", SHOP_PASSWORD, &a);
    assert_int_equal(a.type, msg_Type_REGISTERED);
    client_deinit(&stranger);
    client_deinit(&own);
    answer_free(&a);
}

static void open_account(struct client *c, const char *user, const char *password, struct answer *out)
{
    msg_Register r = { .new_account = true };
    struct key32 sealing;
    memset(sealing.bytes, 0x33, sizeof(sealing.bytes));
    CODEC_SET_TEXT(r.user, user);
    CODEC_SET_TEXT(r.password, password);
    CODEC_SET_TEXT(r.device_name, "cellar");
    seal_public_key(&sealing, r.sealing_key);
    client_ask(c, msg_Type_REGISTER, msg_Register_fields, &r, slice(NULL, 0), out);
    assert_true(out->there);
}

/* The answer to a new account's REGISTER is lost: the same again succeeds, a guess does not, and guesses are counted. */
static void test_new_account_again(void **state)
{
    (void)state;
    struct client c, stranger;
    struct answer a = { 0 };
    assert_int_equal(program_admin(&server, "settings", "registration", "open", NULL), 0);
    client_init(&c, &loop, 9);
    assert_true(client_connect(&c, server.address));
    client_hello(&c);
    open_account(&c, "carol", SHOP_PASSWORD, &a);
    assert_int_equal(a.type, msg_Type_REGISTERED);
    client_disconnect(&c);
    assert_true(client_connect(&c, server.address));
    client_hello(&c);
    open_account(&c, "carol", SHOP_PASSWORD, &a);
    assert_int_equal(a.type, msg_Type_REGISTERED);

    client_init(&stranger, &loop, 10);
    assert_true(client_connect(&stranger, server.address));
    client_hello(&stranger);
    open_account(&stranger, "carol", SHOP_PASSWORD, &a);
    assert_int_equal(a.reason, REASON_USER_EXISTS);

    msg_DeviceRename nameless = msg_DeviceRename_init_zero;
    memcpy(nameless.client, c.id.bytes, ID_BYTES);
    client_ask(&c, msg_Type_DEVICE_RENAME, msg_DeviceRename_fields, &nameless, slice(NULL, 0), &a);
    assert_int_equal(a.reason, REASON_MALFORMED);
    assert_non_null(strstr(a.refusal.text, "name")); /* its own words, not those of every refusal */

    unsigned wrong = 0;
    do
        open_account(&c, "carol", "another guess", &a);
    while (a.reason == REASON_USER_EXISTS && ++wrong < 50);
    assert_int_equal(a.reason, REASON_RATE_LIMITED);
    assert_int_equal(wrong, THROTTLE_FREE_ATTEMPTS);
    client_deinit(&stranger);
    client_deinit(&c);
    answer_free(&a);
}

/* A silent stranger is closed; it holds no place for ever. */
static void test_silence(void **state)
{
    (void)state;
    struct client c;
    client_init(&c, &loop, 8);
    assert_true(client_connect(&c, server.address));
    client_run_until(&c, &c.closed); /* within CLIENT_WAIT_MS */
    client_deinit(&c);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keyset_first),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_generation),
        cmocka_unit_test(test_bad_hello),
        cmocka_unit_test(test_unknown_distributor),
        cmocka_unit_test(test_damaged_frames),
        cmocka_unit_test(test_noise),
        cmocka_unit_test(test_damaged_requests),
        cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_bodies_for_guests),
        cmocka_unit_test(test_flood),
        cmocka_unit_test(test_new_account_again),
        cmocka_unit_test(test_passwords),
        cmocka_unit_test(test_silence),
    };
    if (argc < 2)
        return 77;
    binary = argv[1];
    return cmocka_run_group_tests(tests, setup, teardown);
}
