/* Peers over TLS: opening, frames, requests, backpressure, closing. What hostile ends do: test-peer-hostile.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "base/util.h"
#include "pair.h"

#define EMPTY slice(NULL, 0)

static void test_open(void **state)
{
    (void)state;
    struct pair t;
    pair_init(&t);
    pair_connect(&t);
    assert_memory_equal(peer_id(t.client.peer), &t.ids[0], ID_BYTES);
    assert_memory_equal(peer_id(t.server.peer), &t.ids[1], ID_BYTES);
    assert_string_equal(peer_address(t.client.peer), t.address);
    struct id of_key = id_of_key(peer_key(t.server.peer));
    assert_memory_equal(&of_key, &t.ids[1], ID_BYTES);
    peer_close(t.client.peer, REASON_CANCELLED);
    peer_close(t.client.peer, REASON_INTERNAL);
    pair_until(&t, &t.client.closed, 1);
    pair_until(&t, &t.server.closed, 1);
    assert_int_equal(t.client.why, REASON_CANCELLED);
    assert_int_equal(t.server.why, REASON_OFFLINE);
    pair_deinit(&t);
    assert_int_equal(t.client.closed + t.server.closed, 2);
}

static void test_does_not_open(void **state)
{
    (void)state;
    struct pair t;
    static const struct {
        const char *name, *address;
        bool wrong_id, refuse;
        enum reason why;
    } cases[] = {
        { "another key than expected", NULL, true, false, REASON_UNKNOWN_DEVICE },
        { "not accepted", NULL, false, true, REASON_OFFLINE },
        { "nobody there", "127.0.0.1:1", false, false, REASON_OFFLINE },
        { "no port", "127.0.0.1", false, false, REASON_NOT_FOUND },
        { "port 0", "127.0.0.1:0", false, false, REASON_NOT_FOUND },
        { "port 65536", "127.0.0.1:65536", false, false, REASON_NOT_FOUND },
        { "bare IPv6", "::1:80", false, false, REASON_NOT_FOUND },
        { "empty", "", false, false, REASON_NOT_FOUND },
        { "control characters", "a\nb:80", false, false, REASON_NOT_FOUND },
        { "unknown name", "no-such-name.invalid:80", false, false, REASON_OFFLINE },
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        pair_init(&t);
        t.refuse = cases[i].refuse;
        pair_dial(&t, cases[i].address ? cases[i].address : t.address, &t.ids[cases[i].wrong_id ? 1 : 0], 5000);
        pair_until(&t, &t.client.closed, 1);
        if (t.client.why != cases[i].why)
            fail_msg("%s: %s", cases[i].name, reason_code(t.client.why));
        assert_int_equal(t.client.opened, 0);
        pair_deinit(&t);
        assert_int_equal(t.client.closed, 1);
        assert_int_equal(t.server.opened, 0);
    }
}

static void test_name(void **state)
{
    (void)state;
    struct pair t;
    char address[32];
    pair_init(&t);
    snprintf(address, sizeof address, "localhost:%u", t.port); /* ::1 may come first and refuse */
    pair_dial(&t, address, &t.ids[0], PAIR_WAIT_MS);
    pair_until(&t, &t.client.opened, 1);
    pair_deinit(&t);
}

static void test_close_before_open(void **state)
{
    (void)state;
    struct pair t;
    /* after so many turns of the loop: while starting, connecting, in the handshake, and open */
    for (int turns = 0; turns < 8; turns++) {
        pair_init(&t);
        pair_dial(&t, turns == 7 ? "localhost:9" : t.address, NULL, PAIR_WAIT_MS);
        for (int i = 0; i < turns && turns != 7; i++)
            uv_run(&t.loop, UV_RUN_NOWAIT);
        peer_close(t.client.peer, REASON_CANCELLED);
        assert_int_equal(t.client.closed, 0);
        pair_until(&t, &t.client.closed, 1);
        assert_int_equal(t.client.why, REASON_CANCELLED);
        pair_deinit(&t);
    }
}

static void test_frames(void **state)
{
    (void)state;
    static const size_t sizes[] = {
        0, 1, 2, 100, 4095, 4096, 4097, 16383, 16384, 16385, 65536, 262188, FRAME_TAIL_MAX
    };
    struct pair t;
    uint64_t sum = 0;
    size_t bytes = 0;
    pair_init(&t);
    pair_dial(&t, t.address, NULL, PAIR_WAIT_MS);
    end_send(&t.client, 0, 5); /* before it is open: it waits */
    pair_until(&t, &t.server.frames, 1);
    assert_int_equal(t.server.tail_bytes, 5);
    peer_set_tail_max(t.server.peer, FRAME_TAIL_MAX);
    t.server.tail_bytes = t.server.tail_sum = 0;
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        end_send(&t.client, 0, sizes[i]);
        for (size_t j = 0; j < sizes[i]; j++)
            sum += (uint64_t)(uint8_t)(j * 7 + sizes[i]) * ++bytes;
    }
    pair_until(&t, &t.server.frames, 1 + ARRAY_COUNT(sizes));
    assert_int_equal(t.server.tail_bytes, bytes);
    assert_int_equal(t.server.tail_sum, sum);
    pair_deinit(&t);
}

static void test_many_frames(void **state)
{
    (void)state;
    enum { MANY = 20000 };
    struct pair t;
    pair_init(&t);
    t.server.echo = true;
    pair_connect(&t);
    for (unsigned i = 0; i < MANY; i++)
        end_send(&t.client, 0, i % 50);
    pair_until(&t, &t.client.frames, MANY);
    assert_int_equal(t.server.frames, MANY);
    assert_int_equal(t.client.tail_sum, t.server.tail_sum);
    pair_deinit(&t);
}

static void test_slow_reader(void **state)
{
    (void)state;
    struct pair t;
    unsigned sent = 0;
    pair_init(&t);
    pair_connect(&t);
    peer_set_tail_max(t.server.peer, FRAME_TAIL_MAX);
    peer_pause(t.server.peer);
    while (peer_writable(t.client.peer)) {
        end_send(&t.client, 0, 100000);
        sent++;
        pair_run_ms(&t, 1);
    }
    pair_run_ms(&t, 200);
    assert_int_equal(t.server.frames, 0);
    assert_int_equal(t.client.drained, 0);
    peer_resume(t.server.peer);
    pair_until(&t, &t.client.drained, 1);
    pair_until(&t, &t.server.frames, sent);
    /* Whoever ignores peer_writable is closed when there is too much. */
    peer_pause(t.server.peer);
    int r = 0;
    for (unsigned i = 0; r == 0 && i < 1000; i++)
        r = peer_send_owned(t.client.peer, PAIR_TYPE, 0, NULL, NULL, calloc(1, 1000000), 1000000);
    assert_int_equal(r, -ENOBUFS);
    pair_until(&t, &t.client.closed, 1);
    peer_resume(t.server.peer);
    pair_until(&t, &t.server.closed, 1);
    pair_deinit(&t);
}

static void test_flushed_on_close(void **state)
{
    (void)state;
    struct pair t;
    pair_init(&t);
    pair_connect(&t);
    peer_set_tail_max(t.server.peer, FRAME_TAIL_MAX);
    for (int i = 0; i < 10; i++)
        end_send(&t.client, 0, 500000);
    peer_close(t.client.peer, REASON_NONE);
    assert_int_equal(peer_send(t.client.peer, PAIR_TYPE, 0, NULL, NULL, EMPTY), -EPIPE);
    pair_until(&t, &t.server.closed, 1);
    assert_int_equal(t.server.frames, 10);
    pair_deinit(&t);
}

static void test_close_in_callback(void **state)
{
    (void)state;
    struct pair t;
    pair_init(&t);
    t.server.close_on_frame = true;
    pair_connect(&t);
    for (int i = 0; i < 10; i++)
        end_send(&t.client, 0, 10);
    pair_until(&t, &t.server.closed, 1);
    assert_int_equal(t.server.frames, 1);
    assert_int_equal(t.server.why, REASON_CANCELLED);
    pair_deinit(&t);
}

static void test_pause_in_callback(void **state)
{
    (void)state;
    struct pair t;
    pair_init(&t);
    t.server.pause_on_frame = true;
    pair_connect(&t);
    for (int i = 0; i < 10; i++)
        end_send(&t.client, 0, 10);
    for (unsigned i = 1; i <= 10; i++) {
        pair_until(&t, &t.server.frames, i);
        pair_run_ms(&t, 5);
        assert_int_equal(t.server.frames, i);
        peer_resume(t.server.peer);
    }
    pair_deinit(&t);
}

static bool keep_frame(struct end *e, const struct frame *f)
{
    struct {
        void *memory;
        struct slice tail;
    } *kept = e->user;
    kept->memory = peer_keep_frame(e->peer);
    kept->tail = f->tail;
    assert_non_null(kept->memory);
    assert_null(peer_keep_frame(e->peer));
    return true;
}

static void test_keep_frame(void **state)
{
    (void)state;
    struct pair t;
    struct {
        void *memory;
        struct slice tail;
    } kept = { NULL, { NULL, 0 } };
    pair_init(&t);
    pair_connect(&t);
    t.server.on_frame = keep_frame;
    t.server.user = &kept;
    assert_null(peer_keep_frame(t.server.peer));
    end_send(&t.client, 0, 3000);
    pair_until(&t, &t.server.frames, 1);
    struct slice first = kept.tail;
    void *memory = kept.memory;
    end_send(&t.client, 0, 3000);
    pair_until(&t, &t.server.frames, 2);
    assert_int_equal(first.len, 3000);
    assert_memory_equal(first.data, kept.tail.data, 3000);
    free(memory);
    free(kept.memory);
    pair_deinit(&t);
}

static void test_idle(void **state)
{
    (void)state;
    struct pair t;
    pair_init(&t);
    pair_connect(&t);
    peer_set_idle_ms(t.client.peer, 150); /* the other end answers pings */
    pair_run_ms(&t, 600);
    assert_int_equal(t.client.closed, 0);
    peer_pause(t.server.peer);
    pair_until(&t, &t.client.closed, 1);
    assert_int_equal(t.client.why, REASON_TIMED_OUT);
    peer_resume(t.server.peer);
    pair_until(&t, &t.server.closed, 1);
    assert_int_equal(t.server.frames, 0); /* pings are nobody else's business */
    pair_deinit(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open),
        cmocka_unit_test(test_does_not_open),
        cmocka_unit_test(test_name),
        cmocka_unit_test(test_close_before_open),
        cmocka_unit_test(test_frames),
        cmocka_unit_test(test_many_frames),
        cmocka_unit_test(test_slow_reader),
        cmocka_unit_test(test_flushed_on_close),
        cmocka_unit_test(test_close_in_callback),
        cmocka_unit_test(test_pause_in_callback),
        cmocka_unit_test(test_keep_frame),
        cmocka_unit_test(test_idle),
    };
    return cmocka_run_group_tests_name("peer", tests, NULL, NULL);
}
