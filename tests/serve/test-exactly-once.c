/* Purchases while the server is killed again and again: each is answered in the end, with the same bytes, and charged once.
 * argv[1]: hearth-distributor. Source: design section 5 (R5). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/util.h"
#include "client.h"
#include "program.h"
#include "shop.h"

#define TRACKS 24

static const char *binary;
static uv_loop_t loop;

struct buyer {
    struct client client;
    struct program *server;
    unsigned restarts;
};

/* A connection that has greeted, whatever it takes. */
static void reach(struct buyer *b)
{
    while (b->client.peer == NULL || b->client.closed) {
        if (b->server->pid == 0) {
            program_start(b->server);
            b->restarts++;
        }
        if (client_connect(&b->client, b->server->address))
            client_hello(&b->client);
    }
}

static bool is_transacted(const struct answer *a, const uint8_t id[16])
{
    msg_Transacted t;
    return a->there && a->type == msg_Type_TRANSACTED &&
           CODEC_DECODE(msg_Transacted, buf_slice(&a->message), &t) == 0 && memcmp(t.transaction, id, 16) == 0 &&
           t.count == 1;
}

static bool on_reply(struct peer *p, const struct frame *reply, enum reason why, void *ctx)
{
    struct answer *a = ctx;
    (void)p, (void)why;
    if (reply == NULL)
        return false;
    a->there = true;
    a->type = reply->type;
    if (buf_append(&a->message, reply->message) != 0 || buf_append(&a->tail, reply->tail) != 0)
        abort();
    return false;
}

/* Sends the transaction and kills the server after_us later, whatever it is doing then, or as soon as it has answered. */
static void send_and_kill(struct buyer *b, const msg_Transact *t, struct slice items, bool answered, unsigned after_us,
                          struct answer *a)
{
    answer_free(a);
    assert_int_equal(peer_request(b->client.peer, msg_Type_TRANSACT, msg_Transact_fields, t, items, CLIENT_WAIT_MS,
                                  on_reply, a, NULL),
                     0);
    uint64_t end_ns = uv_hrtime() + after_us * 1000ull;
    if (answered)
        client_run_until(&b->client, &a->there);
    while (!answered && uv_hrtime() < end_ns)
        uv_run(&loop, UV_RUN_NOWAIT);
    program_kill(b->server);
    client_run_until(&b->client, &b->client.closed);
}

static void buy(struct buyer *b, unsigned number, const struct shop_item *item, uint32_t bit)
{
    struct buf items = buf(8192);
    struct answer before = { 0 }, after = { 0 };
    reach(b);
    shop_quote(&b->client, item, &items);
    msg_Transact t = msg_Transact_init_zero;
    t.bit = bit;
    t.count = 1;
    memset(t.transaction, (int)number + 1, sizeof(t.transaction));
    t.session = b->client.session;
    /* From "hardly sent" on; every fourth is answered before, however busy the machine. */
    bool waits = number % 4 == 3;
    send_and_kill(b, &t, buf_slice(&items), waits, number * 400, &before);
    bool answered = is_transacted(&before, t.transaction);
    assert_true(answered || !waits);
    do {
        reach(b);
        t.session = b->client.session;
        client_ask(&b->client, msg_Type_TRANSACT, msg_Transact_fields, &t, buf_slice(&items), &after);
    } while (!after.there);
    if (!is_transacted(&after, t.transaction))
        fail_msg("purchase %u: %s", number, after.type == msg_Type_REFUSAL ? after.refusal.code : "another answer");
    if (answered) /* what was promised before the kill is what is kept */
        assert_true(slice_equal(buf_slice(&before.tail), buf_slice(&after.tail)));
    struct reader list = reader(buf_slice(&after.tail));
    struct slice one;
    static msg_Result result;
    assert_int_equal(codec_list_next(&list, 8192, &one), 0);
    assert_int_equal(CODEC_DECODE(msg_Result, one, &result), 0);
    if (!result.has_license || !result.has_header)
        fail_msg("purchase %u: %s %s", number, result.refusal.code, result.refusal.text);
    printf("purchase %u: killed after %u us%s, %s\n", number, number * 400, waits ? " or more" : "",
           answered ? "answered before" : "answered later");
    buf_free(&items);
    answer_free(&before);
    answer_free(&after);
}

static void test_kills(void **state)
{
    (void)state;
    struct program server;
    struct buyer b = { .server = &server };
    struct shop_item items[SHOP_TRACKS_MAX];
    struct answer a = { 0 };
    program_init(&server, binary, "kills");
    shop_add_user(&server, "ada");
    shop_publish(&server, TRACKS);
    program_start(&server);
    client_init(&b.client, &loop, 1);
    assert_true(client_connect(&b.client, server.address));
    client_hello(&b.client);
    client_register(&b.client, "ada", SHOP_PASSWORD, &a);
    assert_int_equal(a.type, msg_Type_REGISTERED);
    assert_int_equal(shop_browse(&b.client, items), TRACKS);
    int64_t balance = shop_balance(&b.client);
    uint32_t bit = b.client.bit;
    for (unsigned i = 0; i < TRACKS; i++) {
        bit ^= 1;
        buy(&b, i, &items[i], bit);
    }
    reach(&b);
    int64_t sum;
    assert_int_equal(shop_charges(&b.client, &sum), TRACKS);
    assert_int_equal(sum, -(int64_t)TRACKS * SHOP_PRICE_MINOR);
    assert_int_equal(shop_balance(&b.client), balance - (int64_t)TRACKS * SHOP_PRICE_MINOR);
    assert_true(b.restarts >= TRACKS);
    assert_int_equal(program_admin(&server, "ledger", "check", NULL), 0);
    client_deinit(&b.client);
    program_stop(&server);
    program_deinit(&server);
    answer_free(&a);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_kills) };
    if (argc < 2)
        return 77;
    binary = argv[1];
    uv_loop_init(&loop);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
