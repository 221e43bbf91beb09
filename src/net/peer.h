/* Peer: one connection of frames, over TLS 1.3 with raw public keys (RFC 7250) or over a Unix socket, on the loop thread.
 *
 * Terms
 *   connection  a struct peer; owned by this module from peer_dial/on_peer until its on_closed has fired
 *   request     a frame with an ID and a callback for its replies; replies with the same ID come to that callback
 *   high water  queued output beyond PEER_HIGH_WATER: peer_writable() turns false until on_drain
 *
 * Callbacks, in the order in which they fire: on_open (handshake done, peer key known; once), then any number of on_frame
 * (whatever is not a reply) and reply callbacks, on_drain, and last on_closed (once, also when on_open never fired).
 * None fires before the starting call has returned. peer_close may be called from any of them, and twice.
 * A callback gets borrowed frame bytes: valid until it returns, or longer with peer_keep_frame.
 */
#ifndef NET_PEER_H
#define NET_PEER_H

#include <sys/types.h>
#include <uv.h>

#include "base/quota.h"
#include "crypto/id.h"
#include "crypto/sign.h"
#include "protocol/codec.h"
#include "protocol/frame.h"
#include "protocol/reason.h"

#define PEER_HIGH_WATER (1u << 20)
#define PEER_QUEUE_MAX (16u << 20)
#define PEER_ALPN "hearth/1"

struct peer;

struct peer_callbacks {
    void (*on_open)(struct peer *p, void *ctx);
    void (*on_frame)(struct peer *p, const struct frame *f, void *ctx);
    void (*on_drain)(struct peer *p, void *ctx);                   /* may be NULL */
    void (*on_closed)(struct peer *p, enum reason why, void *ctx); /* p is freed after this returns */
};

/* Who we are in TLS: a public key and somebody who signs with it at once (a key in memory, or the vault's TLS channel). */
struct peer_identity; /* owned by the caller, outlives its peers */
int peer_identity_new(struct peer_identity **out, const struct signer *signer)
    MUST_USE; /* copies *signer (ctx stays borrowed) */
void peer_identity_free(struct peer_identity *i);

/* expected: the ID the other end's key must hash to, or NULL: any key (judged by documents). address: "host:port", "[v6]:port".
 * timeout_ms: for connecting and handshake together. 0, and whatever goes wrong later, a bad address included, comes through on_closed
 * (REASON_NOT_FOUND: not an address; REASON_OFFLINE; REASON_TIMED_OUT; REASON_UNKNOWN_DEVICE: another key than expected;
 * REASON_BAD_CREDENTIALS: no acceptable key; REASON_NOT_PERMITTED: the other end refused ours). -ENOMEM: no peer, no callback.
 * Frames may be sent before on_open; they wait for it. */
int peer_dial(struct peer **out, uv_loop_t *loop, const struct peer_identity *identity, const char *address,
              const struct id *expected, uint64_t timeout_ms, const struct peer_callbacks *callbacks, void *ctx)
    MUST_USE;

struct peer_listener;
/* Called for each accepted connection (before its handshake): fill *callbacks and *ctx, or return false to refuse it. */
typedef bool (*peer_accept_fn)(struct peer *p, struct peer_callbacks *callbacks, void **ctx, void *listener_ctx);
/* port 0: any; the real one in *bound_port. host "": all interfaces, IPv6 and IPv4. max_peers bounds accepted connections;
 * idle handshakes end after 10 s. */
int peer_listen(struct peer_listener **out, uv_loop_t *loop, const struct peer_identity *identity, const char *host,
                uint16_t port, uint32_t max_peers, peer_accept_fn on_accept, void *ctx, uint16_t *bound_port) MUST_USE;
/* Unix socket, mode 0600; a peer whose SO_PEERCRED uid is not ours (or root) is refused, and one that is a child of this process or has ended by
 * the time it is accepted. fd: what peer_bind_unix returned for the path, taken in any case. */
int peer_listen_unix(struct peer_listener **out, uv_loop_t *loop, int fd, const char *path, uint32_t max_peers,
                     peer_accept_fn on_accept, void *ctx) MUST_USE;
/* Its socket file, where nobody is answered yet. Replaces a stale one. Descriptor, or -EADDRINUSE, -EEXIST (there is something else), -errno. */
int peer_bind_unix(const char *path) MUST_USE;
/* Of connections that are accepted from now on; the one before is still that of its own. */
void peer_listener_set_identity(struct peer_listener *l, const struct peer_identity *identity);
void peer_listener_close(struct peer_listener *l); /* also its peers; l is freed later, by itself */
/* A peer over an already connected stream socket (socketpair to a child, a connected control socket). Takes fd on success. No TLS.
 * It asks with odd request IDs, like who dials; of two ends made by this function only one may ask. */
int peer_from_fd(struct peer **out, uv_loop_t *loop, int fd, const struct peer_callbacks *callbacks, void *ctx)
    MUST_USE;

/* The other end's Ed25519 key and ID, after on_open (TLS only). */
const uint8_t *peer_key(const struct peer *p);
const struct id *peer_id(const struct peer *p);
const char *peer_address(const struct peer *p); /* "127.0.0.1:4711" for logs and "last known address" */
/* Largest tail accepted from now on (default 64 KiB); what is buffered is bounded by this. */
void peer_set_tail_max(struct peer *p, size_t tail_max);
/* Closed with REASON_TIMED_OUT when nothing arrived for that long; 0: never. Pings are sent at a third of it. PING is answered by the module. */
void peer_set_idle_ms(struct peer *p, uint64_t idle_ms);

/* Queues a frame. fields NULL: message is a struct slice that is encoded already, or NULL (empty). The tail is copied. 0; -ENOBUFS beyond PEER_QUEUE_MAX (the peer is
 * then closed); -EPIPE when closing; -EMSGSIZE; -ENOMEM. */
int peer_send(struct peer *p, uint16_t type, uint32_t request, const pb_msgdesc_t *fields, const void *message,
              struct slice tail) MUST_USE;
/* Same, taking ownership of a malloc'd tail: no copy. tail_data is freed when sent (also on failure). */
int peer_send_owned(struct peer *p, uint16_t type, uint32_t request, const pb_msgdesc_t *fields, const void *message,
                    uint8_t *tail_data, size_t tail_len) MUST_USE;
/* A message that is encoded already (a kept answer, one made by another thread). Copies message; takes tail_data as above (may be NULL). */
int peer_send_encoded(struct peer *p, uint16_t type, uint32_t request, struct slice message, uint8_t *tail_data,
                      size_t tail_len) MUST_USE;
/* With one file descriptor beside it (SCM_RIGHTS), only on peer_from_fd; takes pass_fd. */
int peer_send_fd(struct peer *p, uint16_t type, uint32_t request, const pb_msgdesc_t *fields, const void *message,
                 int pass_fd) MUST_USE;
int peer_refuse(struct peer *p, uint32_t request, enum reason reason, const char *detail) MUST_USE;

/* reply: frame NULL and why set when there will be none (closed, timed out). For a request with several replies (more = true keeps it open)
 * the callback returns true to wait for the next one, false when it was the last. A Refusal frame always ends it. */
typedef bool (*peer_reply_fn)(struct peer *p, const struct frame *reply, enum reason why, void *ctx);
/* Sends a request; timeout_ms counts from the last reply. 0 or -errno (then the callback does not fire). *request may be NULL. */
int peer_request(struct peer *p, uint16_t type, const pb_msgdesc_t *fields, const void *message, struct slice tail,
                 uint64_t timeout_ms, peer_reply_fn on_reply, void *ctx, uint32_t *request) MUST_USE;
/* The callback will not fire any more; late replies are dropped. */
void peer_forget(struct peer *p, uint32_t request);
/* From on_frame or a reply callback: takes the memory that the frame just delivered lies in, so that its slices stay valid until the
 * returned pointer is freed (free(3), any thread). Large tails go to another thread this way without a copy. NULL: taken already. */
void *peer_keep_frame(struct peer *p) MUST_USE;

bool peer_writable(const struct peer *p);
void peer_pause(struct peer *p); /* stop reading (backpressure) */
void peer_resume(struct peer *p);
void peer_close(struct peer *p, enum reason why); /* graceful: queued output is flushed, within 2 s */

/* Refusal in a reply frame, if it is one: REASON_NONE when the frame is of the expected type, else the reason (out filled when not NULL). */
enum reason peer_refusal(const struct frame *f, uint16_t expected_type, msg_Refusal *out);

#endif
