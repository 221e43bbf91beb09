/* Life of a peer: states, timers, closing, settings. Not here: bytes (peer_send.c, peer_receive.c), TLS (peer_tls.c).
 * On the loop thread.
 *
 * Callbacks, in the order in which they fire: on_pump and on_ready (work), on_timer, on_handle_closed (three times, then the end). */
#define LOG_MODULE "peer"
#include <assert.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"
#include "net/peer_internal.h"

/* --- States --- */

#define TO(s) (1u << (s))
static const unsigned transitions[PEER_STATE_COUNT] = {
    [PEER_STARTING] = TO(PEER_RESOLVING) | TO(PEER_CONNECTING) | TO(PEER_HANDSHAKE) | TO(PEER_OPEN) | TO(PEER_CLOSED),
    [PEER_RESOLVING] = TO(PEER_CONNECTING) | TO(PEER_CLOSED),
    [PEER_CONNECTING] = TO(PEER_CONNECTING) | TO(PEER_HANDSHAKE) | TO(PEER_CLOSED),
    [PEER_HANDSHAKE] = TO(PEER_OPEN) | TO(PEER_FLUSHING) | TO(PEER_CLOSED),
    [PEER_OPEN] = TO(PEER_FLUSHING) | TO(PEER_CLOSED),
    [PEER_FLUSHING] = TO(PEER_LINGERING) | TO(PEER_CLOSED),
    [PEER_LINGERING] = TO(PEER_CLOSED),
    [PEER_CLOSED] = 0,
};

void peer_set_state(struct peer *p, enum peer_state to)
{
    assert(transitions[p->state] & TO(to));
    p->state = to;
}

/* --- The end --- */

static void free_peer(struct peer *p)
{
    peer_tls_free(p);
    peer_dial_free(p);
    peer_out_clear(p);
    peer_in_trim(p, true);
    free(p);
}

void peer_handle_closed(struct peer *p)
{
    if (--p->open_handles > 0)
        return;
    peer_requests_fail(p, p->why);
    if (p->listener)
        peer_listener_gone(p);
    if (p->callbacks.on_closed)
        p->callbacks.on_closed(p, p->why, p->ctx);
    free_peer(p);
}

static void on_handle_closed(uv_handle_t *handle) { peer_handle_closed(handle->data); }

static void on_poll_closed(uv_handle_t *handle) { free(handle); }

void peer_drop_fd(struct peer *p)
{
    if (p->fd < 0)
        return;
    uv_close((uv_handle_t *)steal(&p->poll), on_poll_closed); /* stops watching at once */
    close(p->fd);
    p->fd = -1;
}

static void close_handles(struct peer *p)
{
    peer_set_state(p, PEER_CLOSED);
    peer_dial_stop(p);
    peer_drop_fd(p);
    uv_close((uv_handle_t *)&p->timer, on_handle_closed);
    uv_close((uv_handle_t *)&p->pump, on_handle_closed);
}

void peer_fail(struct peer *p, enum reason why)
{
    if (p->state == PEER_CLOSED)
        return;
    if (p->why == REASON_NONE)
        p->why = why;
    close_handles(p);
}

static void begin_flushing(struct peer *p, enum reason why)
{
    p->why = why;
    peer_set_state(p, PEER_FLUSHING);
    p->close_deadline_ms = peer_now(p) + PEER_LINGER_MS;
    peer_arm(p, p->close_deadline_ms);
    peer_pump(p);
}

void peer_close(struct peer *p, enum reason why)
{
    if (peer_is_closing(p))
        return;
    if (p->state == PEER_OPEN) {
        begin_flushing(p, why);
        return;
    }
    p->why = why;
    close_handles(p);
}

/* Our side is done: say so, then wait for the other end. Closing a socket with unread input would reset the connection
 * and destroy what is still on its way out, such as the refusal that explains the closing. */
static void serve_flushing(struct peer *p)
{
    if (!peer_flushed(p))
        return;
    if (!p->out.shut) {
        p->out.shut = true;
        if (p->tls)
            peer_tls_bye(p);
        peer_flush(p);
        if (p->state != PEER_FLUSHING || !peer_flushed(p))
            return;
    }
    shutdown(p->fd, SHUT_WR);
    peer_set_state(p, PEER_LINGERING);
}

/* --- When to look again --- */

static uint64_t sooner(uint64_t a, uint64_t b) { return a == 0 || (b != 0 && b < a) ? b : a; }

static uint64_t next_deadline(const struct peer *p)
{
    uint64_t at = 0;
    if (p->state < PEER_OPEN)
        return sooner(p->open_deadline_ms, peer_dial_deadline(p));
    if (peer_is_closing(p))
        return p->close_deadline_ms;
    if (p->in.raw || p->in.frame || p->out.wire.data)
        at = p->last_used_ms + PEER_TRIM_MS;
    if (p->out.blocked)
        at = sooner(at, p->last_sent_ms + PEER_STALL_MS);
    if (p->in.paused)
        return at;
    at = sooner(at, peer_requests_deadline(p));
    if (p->idle_ms > 0) {
        uint64_t last = p->last_heard_ms > p->last_ping_ms ? p->last_heard_ms : p->last_ping_ms;
        at = sooner(at, p->last_heard_ms + p->idle_ms);
        at = sooner(at, last + p->idle_ms / 3);
    }
    return at;
}

/* --- Work --- */

void peer_start_handshake(struct peer *p)
{
    int one = 1;
    peer_set_state(p, PEER_HANDSHAKE);
    setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (peer_tls_start(p) != 0) {
        peer_fail(p, REASON_INTERNAL);
        return;
    }
    peer_pump(p);
}

void peer_opened(struct peer *p)
{
    peer_set_state(p, PEER_OPEN);
    p->opened = true;
    p->last_heard_ms = p->last_ping_ms = p->last_sent_ms = peer_now(p);
    peer_arm(p, p->last_heard_ms + PEER_TRIM_MS);
    peer_pump(p); /* the other end's first frames may be here already */
    if (p->callbacks.on_open)
        p->callbacks.on_open(p, p->ctx);
}

static void serve_handshake(struct peer *p)
{
    enum reason why = REASON_INTERNAL;
    int r = peer_tls_handshake(p, &why);
    peer_flush(p); /* also an alert that explains a failure */
    if (p->state != PEER_HANDSHAKE)
        return;
    if (r == 0) {
        peer_opened(p);
    } else if (r < 0) {
        peer_out_drop(p); /* nobody will read it; the alert, already in the wire buffer, still goes out */
        p->out.shut = true;
        begin_flushing(p, why);
    }
}

static void serve_open(struct peer *p)
{
    peer_flush(p);
    if (p->state == PEER_OPEN && !p->in.paused)
        peer_receive(p);
    if (p->state == PEER_OPEN)
        peer_drained(p);
}

/* Whatever the state has to do now. */
static void service(struct peer *p)
{
    p->in.blocked = p->out.blocked = false;
    p->in.turn_bytes = 0;
    p->last_used_ms = peer_now(p);
    switch (p->state) {
    case PEER_STARTING:
        if (p->why != REASON_NONE)
            close_handles(p);
        else if (p->dial)
            peer_dial_begin(p);
        else if (p->identity)
            peer_start_handshake(p);
        else
            peer_opened(p);
        break;
    case PEER_CONNECTING:
        peer_dial_connected(p);
        break;
    case PEER_HANDSHAKE:
        serve_handshake(p);
        break;
    case PEER_OPEN:
        serve_open(p);
        break;
    case PEER_FLUSHING:
        peer_flush(p);
        if (p->state == PEER_FLUSHING)
            serve_flushing(p);
        break;
    case PEER_LINGERING:
        peer_discard(p);
        break;
    case PEER_RESOLVING:
    case PEER_CLOSED:
    case PEER_STATE_COUNT:
        break;
    }
    peer_poll(p);
    if (p->state == PEER_OPEN && p->armed_ms == 0)
        peer_arm(p, next_deadline(p));
}

static void on_pump(uv_idle_t *pump)
{
    struct peer *p = pump->data;
    uv_idle_stop(pump);
    if (p->state != PEER_CONNECTING)
        service(p);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    (void)status; /* the next system call tells what is wrong */
    (void)events;
    service(poll->data);
}

void peer_pump(struct peer *p)
{
    if (p->state != PEER_CLOSED)
        uv_idle_start(&p->pump, on_pump);
}

void peer_poll(struct peer *p)
{
    int events = 0;
    if (!p->poll || p->state == PEER_CLOSED)
        return;
    if (p->state == PEER_HANDSHAKE || p->state == PEER_LINGERING || (p->state == PEER_OPEN && !p->in.paused))
        events |= UV_READABLE;
    if (p->state == PEER_CONNECTING || p->out.blocked)
        events |= UV_WRITABLE;
    if (events == p->poll_events)
        return;
    p->poll_events = events;
    if (events == 0)
        uv_poll_stop(p->poll);
    else if (uv_poll_start(p->poll, events, on_ready) != 0)
        peer_fail(p, REASON_INTERNAL);
}

/* --- Timer --- */

static void judge_idle(struct peer *p)
{
    uint64_t now = peer_now(p), third = p->idle_ms / 3;
    if (p->idle_ms == 0 || p->in.paused)
        return;
    if (now >= p->last_heard_ms + p->idle_ms) {
        peer_fail(p, REASON_TIMED_OUT);
        return;
    }
    if (now < p->last_heard_ms + third || now < p->last_ping_ms + third)
        return;
    p->last_ping_ms = now;
    if (peer_send(p, msg_Type_PING, peer_next_request(p), NULL, NULL, slice(NULL, 0)) != 0)
        peer_fail(p, REASON_INTERNAL);
}

static void open_timer(struct peer *p)
{
    uint64_t now = peer_now(p);
    if (p->out.blocked && now >= p->last_sent_ms + PEER_STALL_MS) {
        peer_fail(p, REASON_TIMED_OUT);
        return;
    }
    if (now >= p->last_used_ms + PEER_TRIM_MS) {
        peer_in_trim(p, false);
        peer_out_trim(p, false);
        p->last_used_ms = now; /* what could not be given back is looked at again later */
    }
    judge_idle(p);
    if (p->state == PEER_OPEN && !p->in.paused)
        peer_requests_expire(p);
}

static void on_timer(uv_timer_t *timer)
{
    struct peer *p = timer->data;
    uint64_t now = peer_now(p);
    p->armed_ms = 0;
    if (p->state < PEER_OPEN) {
        if (p->open_deadline_ms && now >= p->open_deadline_ms)
            peer_fail(p, REASON_TIMED_OUT);
        else if (peer_dial_deadline(p) && now >= peer_dial_deadline(p))
            peer_dial_expired(p);
    } else if (peer_is_closing(p)) {
        if (p->state != PEER_CLOSED && now >= p->close_deadline_ms)
            close_handles(p);
    } else {
        open_timer(p);
    }
    if (p->state != PEER_CLOSED)
        peer_arm(p, next_deadline(p));
}

/* Only ever moves the timer forward in time: a timer that fires too early costs one look at next_deadline. */
void peer_arm(struct peer *p, uint64_t at_ms)
{
    uint64_t now = peer_now(p);
    if (at_ms == 0 || p->state == PEER_CLOSED || (p->armed_ms != 0 && p->armed_ms <= at_ms))
        return;
    p->armed_ms = at_ms;
    uv_timer_start(&p->timer, on_timer, at_ms > now ? at_ms - now : 1, 0);
}

/* --- Beginnings --- */

int peer_new(struct peer **out, uv_loop_t *loop, const struct peer_callbacks *callbacks, void *ctx)
{
    struct peer *p = calloc(1, sizeof *p);
    if (!p)
        return -ENOMEM;
    p->loop = loop;
    p->callbacks = *callbacks;
    p->ctx = ctx;
    p->fd = -1;
    p->in.tail_max = PEER_TAIL_DEFAULT;
    p->out.last = &p->out.first;
    p->out.wire = buf(2 * PEER_BATCH_BYTES);
    p->timer.data = p->pump.data = p;
    uv_timer_init(loop, &p->timer);
    uv_idle_init(loop, &p->pump);
    p->open_handles = 2;
    *out = p;
    return 0;
}

int peer_take_fd(struct peer *p, int fd)
{
    uv_poll_t *poll = malloc(sizeof *poll);
    if (!poll)
        return -ENOMEM;
    int r = uv_poll_init(p->loop, poll, fd); /* also makes it non-blocking */
    if (r != 0) {
        free(poll);
        return r;
    }
    poll->data = p;
    p->poll = poll;
    p->poll_events = 0;
    p->fd = fd;
    return 0;
}

void peer_set_idle_ms(struct peer *p, uint64_t idle_ms)
{
    p->idle_ms = idle_ms;
    p->last_heard_ms = p->last_ping_ms = peer_now(p);
    if (p->state == PEER_OPEN)
        peer_arm(p, next_deadline(p));
}

int peer_from_fd(struct peer **out, uv_loop_t *loop, int fd, const struct peer_callbacks *callbacks, void *ctx)
{
    struct peer *p;
    int r = peer_new(&p, loop, callbacks, ctx);
    if (r != 0)
        return r;
    p->dialed = true;
    snprintf(p->address, sizeof p->address, "unix");
    r = peer_take_fd(p, fd);
    if (r != 0) {
        p->callbacks = (struct peer_callbacks){ NULL };
        close_handles(p);
        return r;
    }
    peer_pump(p);
    *out = p;
    return 0;
}

/* --- Settings and facts --- */

const uint8_t *peer_key(const struct peer *p) { return p->key; }
const struct id *peer_id(const struct peer *p) { return &p->id; }
const char *peer_address(const struct peer *p) { return p->address; }
void peer_set_tail_max(struct peer *p, size_t tail_max) { p->in.tail_max = size_min(tail_max, FRAME_TAIL_MAX); }
void peer_pause(struct peer *p) { p->in.paused = true; }

void peer_resume(struct peer *p)
{
    if (!p->in.paused)
        return;
    p->in.paused = false;
    p->last_heard_ms = peer_now(p); /* what was said meanwhile is still unread */
    peer_requests_restart(p);
    peer_arm(p, next_deadline(p));
    peer_pump(p);
}
