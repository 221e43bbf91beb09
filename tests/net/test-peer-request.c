/* Requests over peers: replies, several of them, refusals, time, forgetting, both ends asking at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "base/util.h"
#include "pair.h"

#define EMPTY slice(NULL, 0)

struct asked {
    unsigned replies, ends;
    enum reason why;
    uint16_t type;
    size_t tail_len;
    bool more, close, forget;
    uint32_t request;
};

static bool on_reply(struct peer *p, const struct frame *reply, enum reason why, void *ctx)
{
    struct asked *a = ctx;
    if (!reply) {
        a->ends++;
        a->why = why;
        assert_int_not_equal(why, REASON_NONE);
        return true; /* of no meaning here */
    }
    a->replies++;
    a->type = reply->type;
    a->tail_len = reply->tail.len;
    assert_int_equal(reply->request, a->request);
    if (a->close)
        peer_close(p, REASON_CANCELLED);
    if (a->forget)
        peer_forget(p, a->request);
    return a->more;
}

static void ask(struct end *e, struct asked *a, size_t tail_len, uint64_t timeout_ms)
{
    static const uint8_t tail[5000] = { 1 };
    assert_int_equal(
        peer_request(e->peer, PAIR_TYPE, NULL, NULL, slice(tail, tail_len), timeout_ms, on_reply, a, &a->request), 0);
    assert_int_not_equal(a->request, 0);
}

static void start(struct pair *t)
{
    pair_init(t);
    pair_connect(t);
}

static void test_reply(void **state)
{
    (void)state;
    struct pair t;
    struct asked a = { 0 }, b = { 0 };
    start(&t);
    t.server.echo = true;
    ask(&t.client, &a, 11, PAIR_WAIT_MS);
    ask(&t.client, &b, 5000, PAIR_WAIT_MS);
    pair_until(&t, &b.replies, 1);
    assert_int_equal(a.replies, 1);
    assert_int_equal(a.tail_len, 11);
    assert_int_equal(b.tail_len, 5000);
    assert_int_equal(t.client.frames, 0); /* replies do not come to on_frame */
    pair_deinit(&t);
    assert_int_equal(a.ends + b.ends, 0);
}

static void test_both_ask(void **state)
{
    (void)state;
    struct pair t;
    struct asked mine[20] = { 0 }, theirs[20] = { 0 };
    start(&t);
    t.server.echo = t.client.echo = true;
    for (size_t i = 0; i < ARRAY_COUNT(mine); i++) {
        ask(&t.client, &mine[i], i, PAIR_WAIT_MS);
        ask(&t.server, &theirs[i], 2 * i, PAIR_WAIT_MS);
    }
    for (size_t i = 0; i < ARRAY_COUNT(mine); i++) {
        pair_until(&t, &mine[i].replies, 1);
        pair_until(&t, &theirs[i].replies, 1);
        assert_int_equal(mine[i].tail_len, i);
        assert_int_equal(theirs[i].tail_len, 2 * i);
    }
    pair_deinit(&t);
}

static void test_several_replies(void **state)
{
    (void)state;
    struct pair t;
    struct asked a = { .more = true };
    start(&t);
    ask(&t.client, &a, 0, 400);
    pair_until(&t, &t.server.frames, 1);
    for (unsigned i = 1; i <= 4; i++) { /* each starts the wait again */
        pair_run_ms(&t, 150);
        assert_int_equal(peer_send(t.server.peer, PAIR_TYPE, t.server.last_request, NULL, NULL, EMPTY), 0);
        pair_until(&t, &a.replies, i);
    }
    assert_int_equal(peer_refuse(t.server.peer, t.server.last_request, REASON_BLOCK_CORRUPT, NULL), 0);
    pair_until(&t, &a.replies, 5); /* the last, though the callback asks for more */
    assert_int_equal(a.type, msg_Type_REFUSAL);
    assert_int_equal(peer_send(t.server.peer, PAIR_TYPE, t.server.last_request, NULL, NULL, EMPTY), 0);
    pair_run_ms(&t, 600);
    assert_int_equal(a.replies, 5);
    assert_int_equal(a.ends, 0);
    pair_deinit(&t);
}

static void test_no_reply(void **state)
{
    (void)state;
    struct pair t;
    struct asked a = { 0 }, b = { 0 }, forgotten = { 0 };
    start(&t);
    ask(&t.client, &a, 0, PAIR_WAIT_MS);
    ask(&t.client, &b, 0, 100);
    ask(&t.client, &forgotten, 0, 50);
    peer_forget(t.client.peer, forgotten.request);
    pair_until(&t, &b.ends, 1);
    assert_int_equal(b.why, REASON_TIMED_OUT);
    assert_int_equal(a.ends, 0);
    /* too late: dropped, and not taken for something else */
    assert_int_equal(peer_send(t.server.peer, PAIR_TYPE, b.request, NULL, NULL, EMPTY), 0);
    pair_run_ms(&t, 50);
    assert_int_equal(b.replies + t.client.frames, 0);
    peer_close(t.server.peer, REASON_CANCELLED);
    pair_until(&t, &t.client.closed, 1);
    assert_int_equal(a.ends, 1);
    assert_int_equal(a.why, REASON_OFFLINE);
    assert_int_equal(forgotten.ends + forgotten.replies, 0);
    pair_deinit(&t);
}

static void test_in_callback(void **state)
{
    (void)state;
    struct pair t;
    struct asked forgets = { .more = true, .forget = true }, closes = { .more = true, .close = true };
    start(&t);
    t.server.echo = true;
    ask(&t.client, &forgets, 0, PAIR_WAIT_MS);
    pair_until(&t, &forgets.replies, 1);
    ask(&t.client, &closes, 0, PAIR_WAIT_MS);
    pair_until(&t, &t.client.closed, 1);
    assert_int_equal(closes.ends, 1);
    assert_int_equal(closes.why, REASON_CANCELLED);
    assert_int_equal(forgets.ends, 0);
    pair_deinit(&t);
}

static void test_pause_stops_time(void **state)
{
    (void)state;
    struct pair t;
    struct asked a = { 0 };
    start(&t);
    t.server.echo = true;
    peer_pause(t.client.peer);
    ask(&t.client, &a, 0, 100);
    pair_run_ms(&t, 400);
    assert_int_equal(a.ends + a.replies, 0);
    peer_resume(t.client.peer);
    pair_until(&t, &a.replies, 1);
    pair_deinit(&t);
}

static void test_refusal(void **state)
{
    (void)state;
    uint8_t bytes[] = { 0x0a, 0xff };
    struct buf encoded = buf(1000);
    msg_Refusal refusal, got;
    reason_refusal(&refusal, REASON_NO_LICENSE, "because");
    assert_int_equal(CODEC_ENCODE(msg_Refusal, &encoded, &refusal), 0);
    struct frame ok = { .type = msg_Type_OK }, refused = { .type = msg_Type_REFUSAL, .message = buf_slice(&encoded) },
                 broken = { .type = msg_Type_REFUSAL, .message = SLICE_ARRAY(bytes) };
    assert_int_equal(peer_refusal(&ok, msg_Type_OK, &got), REASON_NONE);
    assert_int_equal(peer_refusal(&refused, msg_Type_OK, &got), REASON_NO_LICENSE);
    assert_string_equal(got.text, "because");
    assert_int_equal(peer_refusal(&broken, msg_Type_OK, NULL), REASON_MALFORMED);
    assert_int_equal(peer_refusal(&ok, msg_Type_HELLO, NULL), REASON_MALFORMED);
    buf_free(&encoded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reply),    cmocka_unit_test(test_both_ask),    cmocka_unit_test(test_several_replies),
        cmocka_unit_test(test_no_reply), cmocka_unit_test(test_in_callback), cmocka_unit_test(test_pause_stops_time),
        cmocka_unit_test(test_refusal),
    };
    return cmocka_run_group_tests_name("peer-request", tests, NULL, NULL);
}
