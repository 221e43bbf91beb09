/* Two ends in one process: the machinery of the peer tests. */
#include "pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

static void on_open(struct peer *p, void *ctx)
{
    struct end *e = ctx;
    assert_false(e->in_call);
    assert_ptr_equal(p, e->peer);
    assert_int_equal(e->frames, 0);
    e->opened++;
}

static void on_frame(struct peer *p, const struct frame *f, void *ctx)
{
    struct end *e = ctx;
    assert_false(e->in_call);
    assert_int_equal(e->opened, 1);
    assert_int_equal(e->closed, 0);
    e->frames++;
    e->last_type = f->type;
    e->last_request = f->request;
    if (e->on_frame && e->on_frame(e, f))
        return;
    for (size_t i = 0; i < f->tail.len; i++)
        e->tail_sum += (uint64_t)f->tail.data[i] * (++e->tail_bytes);
    if (e->pause_on_frame)
        peer_pause(p);
    if (e->echo)
        assert_int_equal(peer_send(p, f->type, f->request, NULL, NULL, f->tail), 0);
    if (e->close_on_frame) {
        peer_close(p, REASON_CANCELLED);
        peer_close(p, REASON_INTERNAL);
    }
}

static void on_drain(struct peer *p, void *ctx)
{
    struct end *e = ctx;
    assert_false(e->in_call);
    assert_true(peer_writable(p));
    e->drained++;
}

static void on_closed(struct peer *p, enum reason why, void *ctx)
{
    struct end *e = ctx;
    assert_false(e->in_call);
    assert_ptr_equal(p, e->peer);
    assert_int_equal(peer_send(p, PAIR_TYPE, 0, NULL, NULL, slice(NULL, 0)), -EPIPE);
    peer_close(p, REASON_INTERNAL);
    e->closed++;
    e->why = why;
    e->peer = NULL;
}

const struct peer_callbacks end_callbacks = { on_open, on_frame, on_drain, on_closed };

static bool on_accept(struct peer *p, struct peer_callbacks *callbacks, void **ctx, void *listener_ctx)
{
    struct pair *t = listener_ctx;
    t->accepted++;
    if (t->refuse)
        return false;
    assert_null(t->server.peer);
    struct end fresh = { .echo = t->server.echo,
                         .on_frame = t->server.on_frame,
                         .user = t->server.user,
                         .close_on_frame = t->server.close_on_frame,
                         .pause_on_frame = t->server.pause_on_frame };
    t->server = fresh;
    t->server.peer = p;
    *callbacks = end_callbacks;
    *ctx = &t->server;
    return true;
}

void pair_init(struct pair *t)
{
    memset(t, 0, sizeof *t);
    assert_int_equal(uv_loop_init(&t->loop), 0);
    for (int i = 0; i < 2; i++) {
        struct signer signer;
        memset(t->seeds[i].bytes, 7 + i, sizeof t->seeds[i].bytes);
        signer_from_seed(&signer, &t->seeds[i]);
        t->ids[i] = id_of_key(signer.public_key);
        assert_int_equal(peer_identity_new(&t->identities[i], &signer), 0);
    }
    assert_int_equal(peer_listen(&t->listener, &t->loop, t->identities[0], "127.0.0.1", 0, 100, on_accept, t, &t->port),
                     0);
    snprintf(t->address, sizeof t->address, "127.0.0.1:%u", t->port);
}

void pair_dial(struct pair *t, const char *address, const struct id *expected, uint64_t timeout_ms)
{
    struct end fresh = { .on_frame = t->client.on_frame, .user = t->client.user, .in_call = true };
    assert_null(t->client.peer);
    t->client = fresh;
    assert_int_equal(peer_dial(&t->client.peer, &t->loop, t->identities[1], address, expected, timeout_ms,
                               &end_callbacks, &t->client),
                     0);
    t->client.in_call = false;
}

void pair_connect(struct pair *t)
{
    pair_dial(t, t->address, &t->ids[0], PAIR_WAIT_MS);
    pair_until(t, &t->client.opened, 1);
    pair_until(t, &t->server.opened, 1);
}

static void on_watchdog(uv_timer_t *timer) { *(bool *)timer->data = true; }

static void run(struct pair *t, const unsigned *flag, unsigned value, uint64_t ms, bool must)
{
    uv_timer_t watchdog;
    bool expired = false;
    uv_timer_init(&t->loop, &watchdog);
    uv_update_time(&t->loop);
    watchdog.data = &expired;
    uv_timer_start(&watchdog, on_watchdog, ms, 0);
    while ((!flag || *flag < value) && !expired)
        uv_run(&t->loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&watchdog, NULL);
    uv_run(&t->loop, UV_RUN_NOWAIT); /* the watchdog's memory is ours again */
    assert_false(must && expired);
}

void pair_until(struct pair *t, const unsigned *flag, unsigned value) { run(t, flag, value, PAIR_WAIT_MS, true); }

void pair_run_ms(struct pair *t, uint64_t ms) { run(t, NULL, 0, ms, false); }

void pair_deinit(struct pair *t)
{
    if (t->client.peer)
        peer_close(t->client.peer, REASON_CANCELLED);
    peer_listener_close(t->listener);
    peer_listener_close(NULL);
    uv_run(&t->loop, UV_RUN_DEFAULT);
    assert_null(t->client.peer);
    assert_null(t->server.peer);
    assert_int_equal(uv_loop_close(&t->loop), 0);
    for (int i = 0; i < 2; i++)
        peer_identity_free(t->identities[i]);
}

void end_send(struct end *e, uint32_t request, size_t tail_len)
{
    uint8_t *tail = malloc(tail_len + 1);
    assert_non_null(tail);
    for (size_t i = 0; i < tail_len; i++)
        tail[i] = (uint8_t)(i * 7 + tail_len);
    e->in_call = true;
    assert_int_equal(peer_send_owned(e->peer, PAIR_TYPE, request, NULL, NULL, tail, tail_len), 0);
    e->in_call = false;
}
