/* What arrives at a peer: from the socket into frames, each put together in its final place. Pings end here.
 * Not here: decryption (peer_tls.c), replies (peer_request.c). On the loop thread. */
#define LOG_MODULE "peer"
#include <stdlib.h>

#include "base/log.h"
#include "base/secret.h"
#include "base/util.h"
#include "net/peer_internal.h"

#define RAW_FIRST_BYTES 4096         /* an idle peer's messages fit */
#define RAW_DIRECT_BYTES (32u << 10) /* larger reads go past the raw buffer */
#define FRAME_KEEP_BYTES 4096

/* --- Bytes --- */

static int receive_some(struct peer *p, void *out, size_t len, size_t *got)
{
    ssize_t n;
    if (p->in.ended)
        return PEER_END;
    if (p->in.blocked)
        return PEER_AGAIN;
    do
        n = recv(p->fd, out, len, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n > 0) {
        p->in.turn_bytes += (size_t)n;
        *got = (size_t)n;
        return 0;
    }
    if (n == 0) {
        p->in.ended = true;
        return PEER_END;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
        p->in.blocked = true;
        return PEER_AGAIN;
    }
    return -errno;
}

/* The raw buffer starts small and grows only while the socket keeps filling it. */
static int raw_grow(struct peer *p, size_t cap)
{
    uint8_t *raw = malloc(cap);
    if (!raw)
        return -ENOMEM;
    free(p->in.raw);
    p->in.raw = raw;
    p->in.raw_cap = cap;
    return 0;
}

static int raw_fill(struct peer *p)
{
    size_t got;
    int r = 0;
    if (!p->in.raw)
        r = raw_grow(p, RAW_FIRST_BYTES);
    else if (p->in.raw_end == p->in.raw_cap && p->in.raw_cap < PEER_BATCH_BYTES)
        r = raw_grow(p, p->in.raw_cap * 8 > PEER_BATCH_BYTES ? PEER_BATCH_BYTES : p->in.raw_cap * 8);
    p->in.raw_start = p->in.raw_end = 0;
    if (r == 0)
        r = receive_some(p, p->in.raw, p->in.raw_cap, &got);
    if (r == 0)
        p->in.raw_end = got;
    return r;
}

int peer_raw_read(struct peer *p, void *out, size_t len, size_t *got)
{
    if (p->in.raw_start == p->in.raw_end) {
        if (len >= RAW_DIRECT_BYTES)
            return receive_some(p, out, len, got);
        int r = raw_fill(p);
        if (r != 0)
            return r;
    }
    *got = size_min(len, p->in.raw_end - p->in.raw_start);
    memcpy(out, p->in.raw + p->in.raw_start, *got);
    p->in.raw_start += *got;
    return 0;
}

static int read_some(struct peer *p, void *out, size_t len, size_t *got)
{
    return p->tls ? peer_tls_read(p, out, len, got) : peer_raw_read(p, out, len, got);
}

void peer_discard(struct peer *p)
{
    uint8_t waste[16384];
    size_t got;
    int r;
    do
        r = receive_some(p, waste, sizeof waste, &got);
    while (r == 0 && p->in.turn_bytes < PEER_TURN_BYTES);
    if (r == PEER_END || r < 0)
        peer_fail(p, p->why);
}

/* --- Frames --- */

/* Says why before closing. The rest of what they sent is not looked at. */
static int refuse_all(struct peer *p, enum reason reason)
{
    log_info("%s: closing: %s", p->address, reason_code(reason));
    if (peer_refuse(p, 0, reason, NULL) != 0)
        log_debug("%s: no refusal could be sent", p->address);
    peer_close(p, reason);
    return PEER_AGAIN;
}

static int frame_room(struct peer *p, size_t need)
{
    if (p->in.frame_cap >= need)
        return 0;
    free(p->in.frame);
    p->in.frame_cap = 0;
    p->in.frame = malloc(need);
    if (!p->in.frame)
        return -ENOMEM;
    p->in.frame_cap = need;
    return 0;
}

/* The header is complete: judged before anything is allocated for the rest. */
static int begin_frame(struct peer *p)
{
    struct frame f;
    size_t used = 0, need = 0;
    int r = frame_split(SLICE_ARRAY(p->in.header), p->in.tail_max, &f, &used, &need);
    if (r == FRAME_TOO_LARGE)
        return refuse_all(p, REASON_TOO_LARGE);
    if (r == FRAME_MALFORMED)
        return refuse_all(p, REASON_MALFORMED);
    if (r < 0)
        return r;
    if (r == 0)
        need = used;
    r = frame_room(p, need);
    if (r != 0)
        return r;
    memcpy(p->in.frame, p->in.header, FRAME_HEADER_BYTES);
    p->in.frame_need = need;
    return 0;
}

/* 0: a frame is complete; else as read_some. */
static int read_frame(struct peer *p)
{
    size_t got;
    int r;
    while (p->in.have < FRAME_HEADER_BYTES) {
        r = read_some(p, p->in.header + p->in.have, FRAME_HEADER_BYTES - p->in.have, &got);
        if (r != 0)
            return r;
        p->in.have += got;
        if (p->in.have == FRAME_HEADER_BYTES && (r = begin_frame(p)) != 0)
            return r;
    }
    while (p->in.have < p->in.frame_need) {
        r = read_some(p, p->in.frame + p->in.have, p->in.frame_need - p->in.have, &got);
        if (r != 0)
            return r;
        p->in.have += got;
    }
    return 0;
}

/* A refusal of the connection as a whole: remembered as the reason for its end. */
static void hear_refusal(struct peer *p, const struct frame *f)
{
    enum reason told = peer_refusal(f, msg_Type_NONE, NULL);
    if (f->request == 0 && told != REASON_NONE)
        p->told = told;
}

static void deliver(struct peer *p, const struct frame *f)
{
    if (f->type == msg_Type_PING) {
        if (p->out.above_high) /* who reads nothing needs no answer; answers to a flood of pings would only pile up */
            return;
        if (peer_send(p, msg_Type_PONG, f->request, NULL, NULL, slice(NULL, 0)) != 0)
            log_debug("%s: no answer to a ping", p->address);
        return;
    }
    if (f->type == msg_Type_PONG || peer_deliver_reply(p, f))
        return;
    if (f->type == msg_Type_REFUSAL)
        hear_refusal(p, f);
    if (p->callbacks.on_frame)
        p->callbacks.on_frame(p, f, p->ctx);
}

static int take_frame(struct peer *p)
{
    struct frame f;
    size_t used, need;
    if (frame_split(slice(p->in.frame, p->in.frame_need), p->in.tail_max, &f, &used, &need) != 0)
        return refuse_all(p, REASON_TOO_LARGE); /* tail_max was lowered while it arrived */
    p->in.have = p->in.frame_need = 0;
    p->last_heard_ms = peer_now(p);
    p->in.lent = true;
    deliver(p, &f);
    if (p->in.lent)
        secret_wipe(p->in.frame, f.message.len + FRAME_HEADER_BYTES); /* it may have been a password */
    p->in.lent = false;
    return 0;
}

static void end_of_input(struct peer *p, int r)
{
    if (r == 0 || r == PEER_AGAIN || p->state != PEER_OPEN)
        return;
    if (r < 0)
        log_debug("%s: reading failed: %s", p->address, strerror(-r));
    if (p->told != REASON_NONE)
        peer_fail(p, p->told);
    else
        peer_fail(p, r == -ENOMEM ? REASON_INTERNAL : r == -EPROTO ? REASON_MALFORMED : REASON_OFFLINE);
}

void peer_receive(struct peer *p)
{
    int r = 0;
    while (r == 0 && p->state == PEER_OPEN && !p->in.paused) {
        if (p->in.turn_bytes >= PEER_TURN_BYTES) {
            peer_pump(p);
            return;
        }
        r = read_frame(p);
        if (r == 0)
            r = take_frame(p);
    }
    end_of_input(p, r);
}

void *peer_keep_frame(struct peer *p)
{
    if (!p->in.lent)
        return NULL;
    p->in.lent = false;
    p->in.frame_cap = 0;
    return steal(&p->in.frame);
}

void peer_in_trim(struct peer *p, bool all)
{
    if (all || p->in.raw_start == p->in.raw_end) {
        if (p->in.raw)
            secret_wipe(p->in.raw, size_min(p->in.raw_end, p->in.raw_cap));
        free(steal(&p->in.raw));
        p->in.raw_cap = p->in.raw_start = p->in.raw_end = 0;
    }
    if (all || p->in.have < FRAME_HEADER_BYTES) {
        free(steal(&p->in.frame));
        p->in.frame_cap = 0;
    }
}
