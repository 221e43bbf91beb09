/* What a peer says: frames in a queue, records of ciphertext in a wire buffer, bytes in the socket.
 * A record is made only when the wire buffer has been sent, so that what waits is plaintext that is not copied.
 * Not here: encryption (peer_tls.c), requests (peer_request.c). On the loop thread. */
#define LOG_MODULE "peer"
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/log.h"
#include "base/secret.h"
#include "base/util.h"
#include "net/peer_internal.h"

#define TAIL_COPIED_BYTES 4096 /* smaller tails travel in the buffer of their head */
#define WRITE_PIECES 32

/* --- Queueing --- */

static void out_free(struct peer_out *o)
{
    if (!o)
        return;
    if (o->head.data)
        secret_wipe(o->head.data, o->head.len); /* it may have been a password */
    buf_free(&o->head);
    free(o->tail);
    if (o->pass_fd >= 0)
        close(o->pass_fd);
    free(o);
}

static size_t out_len(const struct peer_out *o) { return o->head.len + o->tail_len; }

/* What a queued frame counts for: small ones cost more memory than they have bytes. */
static size_t out_cost(const struct peer_out *o) { return out_len(o) + sizeof *o; }

/* fields NULL: message is a struct slice, encoded already (NULL: an empty message). */
static int encode_head(struct buf *head, uint16_t type, uint32_t request, const pb_msgdesc_t *fields,
                       const void *message, size_t tail_len)
{
    static const uint8_t room[FRAME_HEADER_BYTES] = { 0 };
    int r = buf_append(head, SLICE_ARRAY(room));
    if (r == 0 && fields)
        r = codec_encode(head, fields, message);
    else if (r == 0 && message)
        r = buf_append(head, *(const struct slice *)message);
    if (r > 0 || (r == 0 && head->len - FRAME_HEADER_BYTES > FRAME_MESSAGE_MAX))
        return -EMSGSIZE;
    if (r == 0)
        frame_header(head->data, type, request, head->len - FRAME_HEADER_BYTES, tail_len);
    return r;
}

/* Takes tail and pass_fd, also on failure. */
static int enqueue(struct peer *p, uint16_t type, uint32_t request, const pb_msgdesc_t *fields, const void *message,
                   struct slice copied_tail, uint8_t *tail, size_t tail_len, int pass_fd)
{
    struct peer_out *o = calloc(1, sizeof *o);
    int r = o ? 0 : -ENOMEM;
    if (!o) {
        free(tail);
        if (pass_fd >= 0)
            close(pass_fd);
        return r;
    }
    o->pass_fd = pass_fd;
    o->tail = tail;
    o->tail_len = tail_len;
    o->head = buf(FRAME_HEADER_BYTES + FRAME_MESSAGE_MAX + TAIL_COPIED_BYTES);
    if (peer_is_closing(p))
        r = -EPIPE;
    if (r == 0 && tail_len + copied_tail.len > FRAME_TAIL_MAX)
        r = -EMSGSIZE;
    if (r == 0)
        r = encode_head(&o->head, type, request, fields, message, copied_tail.len + tail_len);
    if (r == 0 && buf_append(&o->head, copied_tail) != 0)
        r = -ENOMEM;
    if (r == 0 && p->out.queued_bytes + out_cost(o) > PEER_QUEUE_MAX) {
        log_warn("%s: closing: it does not read what it is sent", p->address);
        peer_fail(p, REASON_TOO_LARGE);
        r = -ENOBUFS;
    }
    if (r != 0) {
        out_free(o);
        return r;
    }
    *p->out.last = o;
    p->out.last = &o->next;
    p->out.queued_bytes += out_cost(o);
    if (p->out.queued_bytes > PEER_HIGH_WATER)
        p->out.above_high = true;
    if (p->state == PEER_OPEN && !p->out.blocked)
        peer_pump(p);
    return 0;
}

int peer_send(struct peer *p, uint16_t type, uint32_t request, const pb_msgdesc_t *fields, const void *message,
              struct slice tail)
{
    if (tail.len <= TAIL_COPIED_BYTES)
        return enqueue(p, type, request, fields, message, tail, NULL, 0, -1);
    uint8_t *copy = malloc(tail.len);
    if (!copy)
        return -ENOMEM;
    memcpy(copy, tail.data, tail.len);
    return enqueue(p, type, request, fields, message, slice(NULL, 0), copy, tail.len, -1);
}

int peer_send_owned(struct peer *p, uint16_t type, uint32_t request, const pb_msgdesc_t *fields, const void *message,
                    uint8_t *tail_data, size_t tail_len)
{
    return enqueue(p, type, request, fields, message, slice(NULL, 0), tail_data, tail_len, -1);
}

int peer_send_encoded(struct peer *p, uint16_t type, uint32_t request, struct slice message, uint8_t *tail_data,
                      size_t tail_len)
{
    return enqueue(p, type, request, NULL, &message, slice(NULL, 0), tail_data, tail_len, -1);
}

int peer_send_fd(struct peer *p, uint16_t type, uint32_t request, const pb_msgdesc_t *fields, const void *message,
                 int pass_fd)
{
    if (p->identity) {
        close(pass_fd);
        return -EOPNOTSUPP;
    }
    return enqueue(p, type, request, fields, message, slice(NULL, 0), NULL, 0, pass_fd);
}

bool peer_writable(const struct peer *p) { return !peer_is_closing(p) && !p->out.above_high; }

void peer_drained(struct peer *p)
{
    if (!p->out.above_high || p->out.queued_bytes > PEER_HIGH_WATER / 2)
        return;
    p->out.above_high = false;
    if (p->callbacks.on_drain)
        p->callbacks.on_drain(p, p->ctx);
}

/* --- Going out --- */

/* The part of o that is still to be sent and lies in one piece. */
static struct slice out_piece(const struct peer_out *o)
{
    if (o->sent < o->head.len)
        return slice(o->head.data + o->sent, o->head.len - o->sent);
    return slice(o->tail + (o->sent - o->head.len), out_len(o) - o->sent);
}

/* len bytes of the front of the queue have left it. */
static void consume(struct peer *p, size_t len)
{
    p->out.queued_bytes -= len;
    while (p->out.first) {
        struct peer_out *o = p->out.first;
        size_t part = size_min(len, out_len(o) - o->sent);
        o->sent += part;
        len -= part;
        if (o->sent < out_len(o))
            return;
        p->out.first = o->next;
        if (!p->out.first)
            p->out.last = &p->out.first;
        p->out.queued_bytes -= sizeof *o;
        out_free(o);
    }
}

/* Small pieces of several frames share a record. */
static size_t gather(const struct peer *p, uint8_t *record)
{
    size_t len = 0;
    for (const struct peer_out *o = p->out.first; o && len < PEER_RECORD_BYTES; o = o->next) {
        struct peer_out view = *o;
        while (len < PEER_RECORD_BYTES && view.sent < out_len(&view)) {
            struct slice piece = out_piece(&view);
            size_t part = size_min(piece.len, PEER_RECORD_BYTES - len);
            memcpy(record + len, piece.data, part);
            view.sent += part;
            len += part;
        }
    }
    return len;
}

static int make_record(struct peer *p)
{
    uint8_t record[PEER_RECORD_BYTES];
    struct slice piece = out_piece(p->out.first);
    size_t len = PEER_RECORD_BYTES;
    int r;
    if (piece.len >= PEER_RECORD_BYTES) {
        r = peer_tls_write(p, piece.data, len);
    } else {
        len = gather(p, record);
        r = peer_tls_write(p, record, len);
        secret_wipe(record, len);
    }
    if (r == 0)
        consume(p, len);
    return r;
}

int peer_wire_put(struct peer *p, const void *data, size_t len) { return buf_append(&p->out.wire, slice(data, len)); }

/* 0, PEER_AGAIN, -errno */
static int sent(struct peer *p, ssize_t n, size_t *len)
{
    if (n >= 0) {
        *len = (size_t)n;
        p->last_sent_ms = peer_now(p);
        return 0;
    }
    if (errno == EINTR) {
        *len = 0;
        return 0;
    }
    if (errno != EAGAIN && errno != EWOULDBLOCK)
        return -errno;
    p->out.blocked = true;
    return PEER_AGAIN;
}

/* The wire buffer to the socket. */
static int send_wire(struct peer *p)
{
    struct buf *wire = &p->out.wire;
    while (p->out.wire_sent < wire->len) {
        size_t len = 0;
        int r = sent(
            p, send(p->fd, wire->data + p->out.wire_sent, wire->len - p->out.wire_sent, MSG_NOSIGNAL | MSG_DONTWAIT),
            &len);
        if (r != 0)
            return r;
        p->out.wire_sent += len;
    }
    p->out.wire_sent = 0;
    buf_clear(wire);
    return 0;
}

static int flush_tls(struct peer *p)
{
    for (size_t turn = 0; turn < PEER_TURN_BYTES; turn += PEER_BATCH_BYTES) {
        int r = send_wire(p);
        while (r == 0 && p->opened && p->out.first &&
               p->out.wire.len + PEER_RECORD_BYTES + PEER_RECORD_OVERHEAD_BYTES <= PEER_BATCH_BYTES)
            r = make_record(p);
        if (r != 0 || p->out.wire.len == 0)
            return r;
    }
    int r = send_wire(p);
    if (r == 0 && p->out.first)
        peer_pump(p); /* others first */
    return r;
}

/* As many frames as fit into one system call. A descriptor goes with a call that begins with its frame:
 * it arrives with these bytes at the latest. */
static int send_plain(struct peer *p)
{
    struct iovec pieces[WRITE_PIECES];
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control = { 0 };
    struct msghdr m = { .msg_iov = pieces };
    int *pass_fd = NULL;
    size_t len = 0;
    for (struct peer_out *o = p->out.first; o && m.msg_iovlen + 2 <= WRITE_PIECES; o = o->next) {
        struct peer_out view = *o;
        if (o->pass_fd >= 0 && o != p->out.first)
            break;
        if (o->pass_fd >= 0)
            pass_fd = &o->pass_fd;
        while (view.sent < out_len(&view)) {
            struct slice piece = out_piece(&view);
            pieces[m.msg_iovlen++] = (struct iovec){ (void *)(uintptr_t)piece.data, piece.len };
            view.sent += piece.len;
        }
    }
    if (pass_fd) {
        m.msg_control = control.room;
        m.msg_controllen = sizeof control.room;
        control.header = (struct cmsghdr){ CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
        memcpy(CMSG_DATA(&control.header), pass_fd, sizeof(int));
    }
    int r = sent(p, sendmsg(p->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT), &len);
    if (r != 0 || len == 0)
        return r;
    if (pass_fd) {
        close(*pass_fd);
        *pass_fd = -1;
    }
    consume(p, len);
    return 0;
}

static int flush_plain(struct peer *p)
{
    int r = 0;
    size_t before = p->out.queued_bytes;
    while (r == 0 && p->out.first && before - p->out.queued_bytes < PEER_TURN_BYTES)
        r = send_plain(p);
    if (r == 0 && p->out.first)
        peer_pump(p);
    return r;
}

void peer_flush(struct peer *p)
{
    int r = p->identity ? flush_tls(p) : flush_plain(p);
    if (r >= 0)
        return;
    log_debug("%s: sending failed: %s", p->address, strerror(-r));
    if (p->state != PEER_OPEN || p->in.paused || r == -ENOMEM || r == -EPROTO) {
        peer_fail(p, r == -ENOMEM || r == -EPROTO ? REASON_INTERNAL : REASON_OFFLINE);
        return;
    }
    /* The other end is gone for output; what it said before that, perhaps why, is still to be read. */
    peer_out_clear(p);
}

bool peer_flushed(const struct peer *p) { return !p->out.first && p->out.wire.len == 0; }

void peer_out_trim(struct peer *p, bool all)
{
    if (all || p->out.wire.len == 0)
        buf_free(&p->out.wire);
}

void peer_out_drop(struct peer *p)
{
    while (p->out.first) {
        struct peer_out *o = p->out.first;
        p->out.first = o->next;
        out_free(o);
    }
    p->out.last = &p->out.first;
    p->out.queued_bytes = 0;
}

void peer_out_clear(struct peer *p)
{
    peer_out_drop(p);
    p->out.wire_sent = 0;
    peer_out_trim(p, true);
}
