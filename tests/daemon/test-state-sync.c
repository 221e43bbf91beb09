/* The household's state between two devices, one of them the daemon's files with a clock of the test's own, the other one this test: when it asks, when it answers with all.
 * And how often a device that is away is looked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <sys/socket.h>

#include "base/rng.h"
#include "base/util.h"
#include "daemon/link_internal.h"
#include "daemon/siblings_internal.h"
#include "daemon/state_sync.h"
#include "daemon/state_sync_internal.h"
#include "net/channel.h"

#define WAIT_MS 20000
#define MINUTE_MS 60000

struct world {
    uv_loop_t loop;
    struct clock_fake clock;
    struct daemon daemon;
    struct siblings siblings;
    struct sibling sibling;
    struct transfers transfers;
    struct link link;
    struct state state;
    struct channel far; /* the sibling's end */
    struct replica theirs;
    uint32_t next;
    bool closed;
};

static void on_open(struct peer *p, void *ctx)
{
    (void)p;
    (void)ctx;
}

static void on_frame(struct peer *p, const struct frame *f, void *ctx)
{
    struct world *w = ctx;
    (void)p;
    assert_int_equal(f->type, msg_Type_STATE_GET);
    state_on_get(&w->link, f);
}

static void on_closed(struct peer *p, enum reason why, void *ctx)
{
    struct world *w = ctx;
    (void)p;
    (void)why;
    w->closed = true;
}

static int set_up(void **state)
{
    static const struct peer_callbacks callbacks = { .on_open = on_open, .on_frame = on_frame, .on_closed = on_closed };
    struct world *w = calloc(1, sizeof(*w));
    uint8_t ours[REPLICA_ID_BYTES] = { 1 }, theirs[REPLICA_ID_BYTES] = { 2 };
    int ends[2];
    assert_non_null(w);
    assert_int_equal(uv_loop_init(&w->loop), 0);
    clock_fake_init(&w->clock, 1700000000000);
    w->clock.mono = 1000;
    w->sibling.client.bytes[0] = 2;
    w->siblings = (struct siblings){ .list = &w->sibling, .count = 1 };
    w->daemon = (struct daemon){ .loop = &w->loop,
                                 .clock = &w->clock.clock,
                                 .rng = rng_system(),
                                 .self = { .bytes = { 1 } },
                                 .siblings = &w->siblings,
                                 .transfers = &w->transfers,
                                 .state = &w->state };
    later_init(&w->daemon.later, &w->loop);
    w->transfers.daemon = &w->daemon;
    w->state.daemon = &w->daemon;
    w->state.last = &w->state.first;
    replica_init(&w->state.replica, ours);
    replica_init(&w->theirs, theirs);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    channel_init(&w->far, ends[1], 1 << 20);
    w->link = (struct link){ .owner = &w->transfers, .client = w->sibling.client, .state = LINK_OPEN };
    assert_int_equal(uv_timer_init(&w->loop, &w->link.timer), 0);
    assert_int_equal(peer_from_fd(&w->link.peer, &w->loop, ends[0], &callbacks, w), 0);
    state_listen(&w->daemon);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    state_stop(&w->daemon);
    uv_close((uv_handle_t *)&w->link.timer, NULL);
    peer_close(w->link.peer, REASON_NONE);
    channel_deinit(&w->far);
    later_close(&w->daemon.later);
    (void)uv_run(&w->loop, UV_RUN_DEFAULT);
    assert_true(w->closed);
    assert_int_equal(uv_loop_close(&w->loop), 0);
    replica_free(&w->state.replica);
    replica_free(&w->theirs);
    free(w);
    return 0;
}

/* The next frame that the daemon sends. */
static void hear(struct world *w, struct frame *f)
{
    uint64_t end_ms = uv_now(&w->loop) + WAIT_MS;
    while (channel_read(&w->far, false, f) != 0) {
        assert_true(uv_now(&w->loop) < end_ms);
        (void)uv_run(&w->loop, UV_RUN_NOWAIT);
    }
}

/* Of an answer to the sibling: its first byte says whether it is a whole one. */
static uint8_t answer_kind(struct world *w)
{
    struct buf version CLEANUP(buf_free) = buf(REPLICA_VERSION_BYTES_MAX);
    struct frame f;
    w->next += 2;
    assert_int_equal(replica_version(&w->theirs, &version), 0);
    assert_int_equal(channel_send(&w->far, msg_Type_STATE_GET, w->next, msg_StateGet_fields, &(msg_StateGet){ 0 },
                                  buf_slice(&version)),
                     0);
    hear(w, &f);
    assert_int_equal(f.type, msg_Type_STATE); /* so there was no question of the daemon's before */
    assert_int_equal(f.request, w->next);
    return f.tail.data[0];
}

/* The daemon's question is here; it is answered. */
static void answer(struct world *w)
{
    struct buf all CLEANUP(buf_free) = buf(REPLICA_ANSWER_BYTES_MAX);
    struct frame f;
    hear(w, &f);
    assert_int_equal(f.type, msg_Type_STATE_GET);
    assert_int_equal(replica_answer(&w->theirs, f.tail, true, &all), 0);
    assert_int_equal(channel_send(&w->far, msg_Type_STATE, f.request, msg_State_fields, &(msg_State){ .last = true },
                                  buf_slice(&all)),
                     0);
    struct state_sibling *p = state_sibling_find(&w->state, &w->sibling.client);
    uint64_t end_ms = uv_now(&w->loop) + WAIT_MS;
    while (p->asking || w->state.busy || w->state.scheduled) {
        assert_true(uv_now(&w->loop) < end_ms);
        (void)uv_run(&w->loop, UV_RUN_NOWAIT);
    }
}

/* What a third has lied about shows in whole answers alone: each minute there is one in each direction. */
static void all_is_told_every_minute(void **state)
{
    struct world *w = *state;
    state_linked(&w->link);
    answer(w);
    uint8_t whole = answer_kind(w), difference = answer_kind(w);
    assert_int_not_equal(whole, difference);
    for (unsigned minute = 0; minute < 3; minute++) {
        w->clock.mono += MINUTE_MS - 1;
        state_tick(&w->state);
        assert_int_equal(answer_kind(w), difference);
        w->clock.mono += 1;
        state_tick(&w->state);
        answer(w);
        assert_int_equal(answer_kind(w), whole);
        assert_int_equal(answer_kind(w), difference);
    }
}

/* Of a device that is away for an hour: when it is looked for. */
static void one_that_is_away_is_looked_for(void **state)
{
    struct world *w = *state;
    struct hint hint = { .client = w->sibling.client }, *hints[] = { &hint };
    const struct id *client = &w->sibling.client;
    int64_t begun_ms = 5000, tried_ms = begun_ms, now_ms = begun_ms;
    unsigned tries = 0;
    w->siblings.hints = hints;
    w->siblings.hint_count = 1;
    assert_true(siblings_may_try(&w->daemon, client, now_ms));
    for (; now_ms < begun_ms + 60 * MINUTE_MS; now_ms += 500) {
        if (!siblings_may_try(&w->daemon, client, now_ms))
            continue;
        static const int64_t first_ms[] = { 2000, 2000, 4000, 8000, 8000 };
        int64_t waited = now_ms - tried_ms, away = tried_ms - begun_ms;
        int64_t expected = tries < ARRAY_COUNT(first_ms) ? first_ms[tries] : away < 10 * MINUTE_MS ? 8000 : 32000;
        assert_int_equal(waited, expected);
        tried_ms = now_ms;
        tries++;
    }
    assert_in_range(tries, 160, 180); /* 77 in the first ten minutes, then one in 32 s */
    assert_false(siblings_may_try(&w->daemon, client, tried_ms + 31999));
    siblings_try_anew(&w->daemon); /* a network has come: from the beginning */
    assert_true(siblings_may_try(&w->daemon, client, tried_ms + 1000));
    assert_false(siblings_may_try(&w->daemon, client, tried_ms + 2999));
    assert_true(siblings_may_try(&w->daemon, client, tried_ms + 3000));
    w->siblings.hints = NULL;
    w->siblings.hint_count = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_is_told_every_minute, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_is_away_is_looked_for, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
