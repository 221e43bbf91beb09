/* The real directory and its members: rows in order, each once, from their owner only, over restarts.
 * argv[1]: hearth-distributor. */
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

static const char *binary;
static uv_loop_t loop;
static struct program server;

struct member {
    struct client client; /* its seed is root, TLS and license key in one */
    struct buf keyset;
};

static void member_init(struct member *m, uint8_t name)
{
    struct signer root;
    doc_Keyset k = doc_Keyset_init_zero;
    client_init(&m->client, &loop, name);
    signer_from_seed(&root, &m->client.seed);
    memcpy(k.distributor, m->client.id.bytes, 32);
    snprintf(k.name, sizeof(k.name), "member%u", name);
    k.sequence = 1;
    k.issued_ms = (uint64_t)clock_wall_ms(clock_system());
    k.ends_ms = k.issued_ms + 3600000;
    k.keys_count = 2;
    for (unsigned i = 0; i < 2; i++) {
        k.keys[i].purpose = i == 0 ? KEY_TLS : KEY_LICENSE;
        k.keys[i].ends_ms = k.ends_ms;
        memcpy(k.keys[i].key, root.public_key, 32);
    }
    m->keyset = buf(4096);
    assert_int_equal(document_sign(&m->keyset, DOCUMENT_KEYSET, &k, &root), 0);
}

static void member_deinit(struct member *m)
{
    client_deinit(&m->client);
    buf_free(&m->keyset);
}

static enum reason member_connect(struct member *m)
{
    struct answer a = { 0 };
    msg_Hello hello = { .role = 2, .generation = 0 };
    assert_true(client_connect(&m->client, server.address));
    client_ask(&m->client, msg_Type_HELLO, msg_Hello_fields, &hello, buf_slice(&m->keyset), &a);
    assert_true(a.there);
    enum reason r = a.reason;
    answer_free(&a);
    return r;
}

static void admit(struct member *m)
{
    char id[ID_TEXT_BYTES], url[128], name[16];
    id_text(m->client.id.bytes, id);
    snprintf(url, sizeof(url), "hearth://127.0.0.1:1#%s", id);
    snprintf(name, sizeof(name), "member-%.6s", id); /* no two in force share one */
    assert_int_equal(program_admin(&server, "partner", "add", url, "--name", name, NULL), 0);
}

static void put_row(struct member *signer_of, const struct id *origin, uint64_t sequence, const char *text,
                    struct buf *rows)
{
    struct signer signer;
    doc_Share share = doc_Share_init_zero;
    signer_from_seed(&signer, &signer_of->client.seed);
    memcpy(share.origin, origin->bytes, 32);
    share.sequence = sequence;
    share.table = 1;
    assert_int_equal(CODEC_SET_BYTES(share.row, slice_str(text)), 0);
    struct buf envelope = buf(8192);
    assert_int_equal(document_sign(&envelope, DOCUMENT_SHARE, &share, &signer), 0);
    assert_int_equal(codec_list_put(rows, buf_slice(&envelope)), 0);
    buf_free(&envelope);
}

/* Pushes; the sequence stored up to, or fails with the refusal expected. */
static uint64_t push(struct member *m, struct buf *rows, uint32_t count, enum reason expected)
{
    struct answer a = { 0 };
    msg_SharePush message = { .count = count };
    msg_SharePushed pushed = msg_SharePushed_init_zero;
    client_ask(&m->client, msg_Type_SHARE_PUSH, msg_SharePush_fields, &message, buf_slice(rows), &a);
    assert_true(a.there);
    if (a.reason != expected)
        fail_msg("push: %s", reason_code(a.reason));
    if (expected == REASON_NONE)
        assert_int_equal(CODEC_DECODE(msg_SharePushed, buf_slice(&a.message), &pushed), 0);
    answer_free(&a);
    buf_free(rows);
    *rows = buf(1 << 18);
    return pushed.sequence;
}

static uint32_t pull(struct member *m, uint64_t after, uint32_t wait_ms, uint64_t *next)
{
    struct answer a = { 0 };
    msg_SharePull message = { .after = after, .wait_ms = wait_ms };
    msg_SharePulled pulled;
    client_ask(&m->client, msg_Type_SHARE_PULL, msg_SharePull_fields, &message, slice(NULL, 0), &a);
    assert_true(a.there);
    assert_int_equal(a.type, msg_Type_SHARE_PULLED);
    assert_int_equal(CODEC_DECODE(msg_SharePulled, buf_slice(&a.message), &pulled), 0);
    struct reader r = reader(buf_slice(&a.tail));
    struct slice item;
    for (uint32_t i = 0; i < pulled.count; i++)
        assert_int_equal(codec_list_next(&r, 8192, &item), 0);
    assert_true(reader_done(&r));
    *next = pulled.next;
    answer_free(&a);
    return pulled.count;
}

/* A device, also one with an account, has no business with the rows of all distributors. */
static void refuse_device(void)
{
    struct client device;
    struct answer a = { 0 };
    msg_SharePull message = { .after = 0, .wait_ms = 0 };
    client_init(&device, &loop, 9);
    assert_true(client_connect(&device, server.address));
    client_hello(&device);
    client_ask(&device, msg_Type_SHARE_PULL, msg_SharePull_fields, &message, slice(NULL, 0), &a);
    assert_true(a.there);
    assert_int_equal(a.reason, REASON_NOT_PERMITTED);
    answer_free(&a);
    client_deinit(&device);
}

static bool on_pulled(struct peer *p, const struct frame *reply, enum reason why, void *ctx)
{
    (void)p, (void)why;
    *(bool *)ctx = reply != NULL && reply->type == msg_Type_SHARE_PULLED;
    return false;
}

static void test_members(void **state)
{
    (void)state;
    struct member ada, bob;
    struct buf rows = buf(1 << 18);
    uint64_t next;
    program_init_directory(&server, binary, "directory");
    program_start(&server);
    member_init(&ada, 1);
    member_init(&bob, 2);

    assert_int_equal(member_connect(&ada), REASON_UNKNOWN_DISTRIBUTOR);
    client_run_until(&ada.client, &ada.client.closed);
    admit(&ada); /* while it serves */
    admit(&bob);
    assert_int_equal(member_connect(&ada), REASON_NONE);
    assert_int_equal(member_connect(&bob), REASON_NONE);

    for (uint64_t i = 1; i <= 3; i++)
        put_row(&ada, &ada.client.id, i, "row", &rows);
    assert_int_equal(push(&ada, &rows, 3, REASON_NONE), 3);
    put_row(&ada, &ada.client.id, 2, "row", &rows); /* again: its answer was lost */
    put_row(&ada, &ada.client.id, 3, "row", &rows);
    put_row(&ada, &ada.client.id, 4, "row", &rows);
    assert_int_equal(push(&ada, &rows, 3, REASON_NONE), 4);
    put_row(&ada, &ada.client.id, 9, "gap", &rows);
    assert_int_equal(push(&ada, &rows, 1, REASON_NONE), 4); /* from there on, please */

    put_row(&bob, &ada.client.id, 5, "in her name", &rows);
    push(&bob, &rows, 1, REASON_SIGNATURE_INVALID);
    put_row(&bob, &bob.client.id, 1, "count is wrong", &rows);
    push(&bob, &rows, 2, REASON_MALFORMED);
    put_row(&ada, &ada.client.id, 5, "brought by another", &rows);
    push(&bob, &rows, 1, REASON_SIGNATURE_INVALID);

    assert_int_equal(pull(&bob, 0, 0, &next), 4);
    assert_int_equal(pull(&bob, next, 0, &next), 0);
    refuse_device();

    /* A pull that waits hears of the next row at once; other requests of its connection go past it. */
    bool heard = false;
    msg_SharePull wait = { .after = next, .wait_ms = 25000 };
    assert_int_equal(peer_request(bob.client.peer, msg_Type_SHARE_PULL, msg_SharePull_fields, &wait, slice(NULL, 0),
                                  40000, on_pulled, &heard, NULL),
                     0);
    put_row(&bob, &bob.client.id, 1, "row", &rows);
    assert_int_equal(push(&bob, &rows, 1, REASON_NONE), 1);
    client_run_until(&bob.client, &heard);
    int64_t began_ms = clock_mono_ms(clock_system());
    assert_int_equal(pull(&bob, next + 1, 700, &next), 0);
    assert_true(clock_mono_ms(clock_system()) - began_ms >= 700);

    /* A kill loses nothing that was confirmed. */
    program_kill(&server);
    client_run_until(&ada.client, &ada.client.closed);
    client_run_until(&bob.client, &bob.client.closed);
    program_start(&server);
    assert_int_equal(member_connect(&bob), REASON_NONE);
    assert_int_equal(pull(&bob, 0, 0, &next), 5);

    /* Out again: the connection ends within two seconds, and it does not come back. */
    char id[ID_TEXT_BYTES];
    id_text(bob.client.id.bytes, id);
    assert_int_equal(program_admin(&server, "partner", "withdraw", id, NULL), 0);
    client_run_until(&bob.client, &bob.client.closed);
    assert_int_equal(member_connect(&bob), REASON_NOT_PERMITTED);
    client_run_until(&bob.client, &bob.client.closed);

    member_deinit(&ada);
    member_deinit(&bob);
    buf_free(&rows);
    program_stop(&server);
    program_deinit(&server);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_members) };
    if (argc < 2)
        return 77;
    binary = argv[1];
    uv_loop_init(&loop);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
