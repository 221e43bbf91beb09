/* How many copy certificates a second the real server signs, bills and syncs, and how long a device waits for its answer.
 * argv[1]: hearth-distributor; argv[2] accounts (each with two devices); argv[3] items a transaction; argv[4] seconds.
 * One line: certificates a second, p50 and p99 of a transaction in milliseconds. The load runs on the same machine. */
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

#define ACCOUNTS_MAX 100
#define SAMPLES_MAX 200000

static const char *binary;
static unsigned account_count = 16, item_count = 16, seconds = 5;
static uv_loop_t loop;
static bool over;
static unsigned in_flight, certificates, samples;
static double waited_ms[SAMPLES_MAX];

struct household {
    struct client source, destination;
    uint8_t license_id[16];
    uint32_t bit;
    uint64_t number, sent_ns;
    struct buf items; /* the copies asked for, again and again */
};
static struct household households[ACCOUNTS_MAX];
static struct shop_item on_sale[SHOP_TRACKS_MAX];

static void join(struct client *c, struct program *p, uint8_t name, const char *user)
{
    struct answer a = { 0 };
    client_init(c, &loop, name);
    assert_true(client_connect(c, p->address));
    client_hello(c);
    client_register(c, user, SHOP_PASSWORD, &a);
    assert_int_equal(a.type, msg_Type_REGISTERED);
    answer_free(&a);
}

static void next_transaction(msg_Transact *t, struct household *h)
{
    *t = (msg_Transact){ .session = h->source.session, .bit = h->bit ^= 1 };
    h->number++;
    memcpy(t->transaction, &h->number, sizeof(h->number));
}

static void buy(struct household *h)
{
    struct buf items = buf(8192);
    struct answer a = { 0 };
    static msg_Result result;
    msg_Transact t;
    struct slice one;
    doc_License license;
    shop_quote(&h->source, &on_sale[0], &items);
    next_transaction(&t, h);
    t.count = 1;
    client_ask(&h->source, msg_Type_TRANSACT, msg_Transact_fields, &t, buf_slice(&items), &a);
    assert_int_equal(a.type, msg_Type_TRANSACTED);
    struct reader list = reader(buf_slice(&a.tail));
    assert_int_equal(codec_list_next(&list, 8192, &one), 0);
    assert_int_equal(CODEC_DECODE(msg_Result, one, &result), 0);
    assert_int_equal(license_judge(CODEC_BYTES(result.license), &h->source.keyset, &license), 0);
    memcpy(h->license_id, license.license_id, 16);
    buf_free(&items);
    answer_free(&a);
}

static void prepare_items(struct household *h)
{
    msg_Item item = msg_Item_init_zero;
    struct buf encoded = buf(4096);
    item.has_copy = true;
    memcpy(item.copy.content, on_sale[0].content, 32);
    memcpy(item.copy.license_id, h->license_id, 16);
    memcpy(item.copy.destination, h->destination.id.bytes, 32);
    assert_int_equal(CODEC_ENCODE(msg_Item, &encoded, &item), 0);
    h->items = buf(FRAME_TAIL_MAX);
    for (unsigned i = 0; i < item_count; i++)
        assert_int_equal(codec_list_put(&h->items, buf_slice(&encoded)), 0);
    buf_free(&encoded);
}

static void ask_again(struct household *h);

static bool on_reply(struct peer *p, const struct frame *reply, enum reason why, void *ctx)
{
    struct household *h = ctx;
    static msg_Result result;
    struct slice one;
    (void)p;
    if (reply == NULL || reply->type != msg_Type_TRANSACTED) {
        fprintf(stderr, "not answered: %s\n", reason_code(reply == NULL ? why : peer_refusal(reply, 0, NULL)));
        exit(1);
    }
    struct reader list = reader(reply->tail);
    if (codec_list_next(&list, 8192, &one) != 0 || CODEC_DECODE(msg_Result, one, &result) != 0 ||
        !result.has_certificate) {
        fprintf(stderr, "no certificate: %s\n", result.refusal.text);
        exit(1);
    }
    if (samples < SAMPLES_MAX)
        waited_ms[samples++] = (double)(uv_hrtime() - h->sent_ns) / 1e6;
    certificates += item_count;
    in_flight--;
    if (!over)
        ask_again(h);
    return false;
}

static void ask_again(struct household *h)
{
    msg_Transact t;
    next_transaction(&t, h);
    t.count = item_count;
    h->sent_ns = uv_hrtime();
    in_flight++;
    if (peer_request(h->source.peer, msg_Type_TRANSACT, msg_Transact_fields, &t, buf_slice(&h->items), 60000, on_reply,
                     h, NULL) != 0)
        abort();
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void run(void **state)
{
    (void)state;
    struct program server;
    program_init(&server, binary, "copies");
    for (unsigned i = 0; i < account_count; i++) {
        char user[16];
        snprintf(user, sizeof(user), "user%u", i);
        shop_add_user(&server, user);
    }
    shop_publish_freely(&server);
    program_start(&server);
    for (unsigned i = 0; i < account_count; i++) {
        char user[16];
        snprintf(user, sizeof(user), "user%u", i);
        join(&households[i].source, &server, (uint8_t)(2 * i + 1), user);
        join(&households[i].destination, &server, (uint8_t)(2 * i + 2), user);
        households[i].bit = households[i].source.bit;
        if (i == 0)
            assert_int_equal(shop_browse(&households[i].source, on_sale), 1);
        buy(&households[i]);
        prepare_items(&households[i]);
    }
    uint64_t began_ns = uv_hrtime();
    for (unsigned i = 0; i < account_count; i++)
        ask_again(&households[i]);
    while (uv_hrtime() - began_ns < seconds * 1000000000ull)
        uv_run(&loop, UV_RUN_ONCE);
    double took = (double)(uv_hrtime() - began_ns) / 1e9;
    unsigned counted = certificates;
    over = true;
    while (in_flight > 0)
        uv_run(&loop, UV_RUN_ONCE);
    qsort(waited_ms, samples, sizeof(double), ascending);
    printf("certificates/s %.0f p50_ms %.1f p99_ms %.1f\n", counted / took, waited_ms[samples / 2],
           waited_ms[samples * 99 / 100]);
    for (unsigned i = 0; i < account_count; i++) {
        client_deinit(&households[i].source);
        client_deinit(&households[i].destination);
        buf_free(&households[i].items);
    }
    program_stop(&server);
    program_deinit(&server);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(run) };
    if (argc < 2)
        return 77;
    binary = argv[1];
    if (argc > 2)
        account_count = (unsigned)strtoul(argv[2], NULL, 10);
    if (argc > 3)
        item_count = (unsigned)strtoul(argv[3], NULL, 10);
    if (argc > 4)
        seconds = (unsigned)strtoul(argv[4], NULL, 10);
    if (account_count == 0 || account_count > ACCOUNTS_MAX || item_count == 0 || item_count > 256)
        return 2;
    uv_loop_init(&loop);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
