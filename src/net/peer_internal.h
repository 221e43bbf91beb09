/* Inside of a peer, shared by the files of this directory only.
 *
 *   peer.c           life: states, timers, closing, settings
 *   peer_send.c      what is queued, and how it gets to the socket
 *   peer_receive.c   what arrives, frame by frame
 *   peer_request.c   requests and their replies, refusals
 *   peer_tls.c       the only file that meets GnuTLS; also the identity
 *   dial.c           resolving and connecting
 *   listener.c       accepting
 *   address.c        "host:port"
 *
 * Work happens in peer_service(), which libuv calls when the socket is ready, or the pump (an idle handle that runs before the next
 * poll) when there is work that no socket event announces. */
#ifndef NET_PEER_INTERNAL_H
#define NET_PEER_INTERNAL_H

#include <stdbool.h>
#include <sys/socket.h>

#include "net/address.h"
#include "net/peer.h"

#define PEER_AGAIN 1 /* outcome: not now; the socket will say when */
#define PEER_END 2   /* outcome: the other end has closed */

#define PEER_RECORD_BYTES 16384       /* one TLS record of plaintext */
#define PEER_RECORD_OVERHEAD_BYTES 64 /* header, content type and tag, generously */
#define PEER_BATCH_BYTES (256u << 10) /* ciphertext gathered for one system call, either way */
#define PEER_TURN_BYTES (1u << 20)    /* moved before other peers get their turn */
#define PEER_TRIM_MS 1000             /* buffers unused for that long are given back */
#define PEER_STALL_MS 60000           /* the other end takes nothing of what is on its way for that long */
#define PEER_LINGER_MS 2000           /* for flushing and for the other end to close */
#define PEER_TAIL_DEFAULT (64u << 10)

enum peer_state {
    PEER_STARTING, /* something is to be done at the next pump: an accepted socket, or a dial that could not start */
    PEER_RESOLVING,
    PEER_CONNECTING,
    PEER_HANDSHAKE,
    PEER_OPEN,
    PEER_FLUSHING,  /* peer_close was called: what is queued still goes out */
    PEER_LINGERING, /* our side is shut; what arrives is thrown away until the other end closes */
    PEER_CLOSED,    /* handles are closing */
    PEER_STATE_COUNT
};

/* One queued frame: head holds header and message (and a small tail), tail a large one. */
struct peer_out {
    struct peer_out *next;
    struct buf head;
    uint8_t *tail;
    size_t tail_len;
    size_t sent;
    int pass_fd; /* -1: none */
};

struct peer_request_entry {
    struct peer_request_entry *next, *previous;
    uint32_t id;
    uint64_t timeout_ms, deadline_ms;
    peer_reply_fn on_reply;
    void *ctx;
};

struct peer_dial_state; /* dial.c */
struct peer_tls;        /* peer_tls.c */

struct peer {
    uv_loop_t *loop;
    enum peer_state state;
    enum reason why;  /* of closing; the first one stays */
    enum reason told; /* what the other end gave as its reason in a refusal without a request */
    struct peer_callbacks callbacks;
    void *ctx;
    bool opened; /* on_open has fired */
    bool dialed; /* chooses odd request IDs */

    int fd;
    int poll_events;
    uv_poll_t *poll; /* NULL without a socket; its memory goes with its own closed callback */
    uv_timer_t timer;
    uv_idle_t pump;
    unsigned open_handles; /* closed callbacks (and a resolver's callback) to wait for */
    uint64_t armed_ms;     /* when the timer fires; 0: not armed */
    uint64_t open_deadline_ms, close_deadline_ms;
    uint64_t idle_ms, last_heard_ms, last_ping_ms, last_sent_ms, last_used_ms;

    char address[ADDRESS_TEXT_BYTES];
    struct id expected;
    bool expects;
    uint8_t key[SIGN_PUBLIC_BYTES];
    struct id id;

    const struct peer_identity *identity; /* NULL: no TLS */
    struct peer_tls *tls;
    struct peer_dial_state *dial;
    struct peer_listener *listener;
    struct peer *listener_next, *listener_previous;

    /* Receiving: raw is what the socket gave and nobody has looked at; frame is the one being put together. */
    struct {
        uint8_t *raw;
        size_t raw_cap, raw_start, raw_end;
        bool blocked, ended; /* the socket has no more for now, or for ever */
        size_t turn_bytes;
        uint8_t header[FRAME_HEADER_BYTES];
        uint8_t *frame;
        size_t frame_cap, frame_need, have;
        size_t tail_max;
        bool lent; /* a callback holds slices of frame */
        bool paused;
    } in;

    /* Sending: queue -> wire (encrypted, TLS only) -> socket. */
    struct {
        struct peer_out *first, **last;
        size_t queued_bytes;
        struct buf wire;
        size_t wire_sent;
        bool blocked; /* the socket takes no more for now */
        bool above_high;
        bool shut; /* our end is closed */
    } out;

    struct peer_request_entry *requests, *requests_last;
    uint32_t next_request;
    bool requests_wrapped; /* every ID has been used: 2^31 requests */
    uint32_t firing;       /* the request whose callback runs; 0: none */
    bool firing_forgotten;
};

/* --- peer.c --- */
int peer_new(struct peer **out, uv_loop_t *loop, const struct peer_callbacks *callbacks, void *ctx) MUST_USE;
void peer_set_state(struct peer *p, enum peer_state to);
int peer_take_fd(struct peer *p, int fd) MUST_USE; /* takes fd on success */
void peer_drop_fd(struct peer *p);                 /* gives up the socket of a failed attempt to connect */
void peer_pump(struct peer *p);                    /* peer_service before the next poll */
void peer_poll(struct peer *p);                    /* asks libuv for the events that the state needs */
void peer_arm(struct peer *p, uint64_t at_ms);     /* the timer fires at at_ms or before */
void peer_fail(struct peer *p, enum reason why);   /* closes at once; on_closed comes later */
void peer_start_handshake(struct peer *p);         /* fd is connected */
void peer_opened(struct peer *p);
void peer_handle_closed(struct peer *p); /* one thing less to wait for before the end */
static inline uint64_t peer_now(const struct peer *p) { return uv_now(p->loop); }
static inline bool peer_is_closing(const struct peer *p) { return p->state >= PEER_FLUSHING; }

/* --- peer_send.c --- */
void peer_flush(struct peer *p); /* queue to socket as far as it goes; fails the peer on an error */
bool peer_flushed(const struct peer *p);
void peer_drained(struct peer *p);                                        /* fires on_drain when it is due */
int peer_wire_put(struct peer *p, const void *data, size_t len) MUST_USE; /* ciphertext from GnuTLS */
void peer_out_trim(struct peer *p, bool all);
void peer_out_drop(struct peer *p);  /* the queue, not the wire buffer */
void peer_out_clear(struct peer *p); /* both */

/* --- peer_receive.c --- */
void peer_receive(struct peer *p);
void peer_discard(struct peer *p); /* while lingering */
/* Up to len bytes of what the socket gave. 0 with *got, PEER_AGAIN, PEER_END, -errno. */
int peer_raw_read(struct peer *p, void *out, size_t len, size_t *got) MUST_USE;
void peer_in_trim(struct peer *p, bool all);

/* --- peer_request.c --- */
/* True when the frame was a reply (wanted or not). */
bool peer_deliver_reply(struct peer *p, const struct frame *f);
void peer_requests_expire(struct peer *p);
void peer_requests_restart(struct peer *p); /* after a pause: every wait starts again */
void peer_requests_fail(struct peer *p, enum reason why);
uint64_t peer_requests_deadline(const struct peer *p); /* 0: none */
uint32_t peer_next_request(struct peer *p);

/* --- peer_tls.c --- */
int peer_tls_start(struct peer *p) MUST_USE;
/* 0 done, PEER_AGAIN, -errno with the reason for closing in *why. */
int peer_tls_handshake(struct peer *p, enum reason *why) MUST_USE;
int peer_tls_read(struct peer *p, void *out, size_t len, size_t *got) MUST_USE; /* as peer_raw_read */
int peer_tls_write(struct peer *p, const void *data, size_t len) MUST_USE;      /* one record into the wire buffer */
void peer_tls_bye(struct peer *p);
void peer_tls_free(struct peer *p);

/* --- dial.c --- */
void peer_dial_begin(struct peer *p);     /* the first attempt */
void peer_dial_connected(struct peer *p); /* the socket became writable */
void peer_dial_expired(struct peer *p);   /* this attempt took too long */
uint64_t peer_dial_deadline(const struct peer *p);
void peer_dial_stop(struct peer *p); /* closing: cancels a resolver */
void peer_dial_free(struct peer *p);

/* --- listener.c --- */
void peer_listener_gone(struct peer *p); /* p has closed */

#endif
