/* Two ends in one process for the tests of peers: a listener, whoever it accepts, and a dialer, on one loop. */
#ifndef TESTS_NET_PAIR_H
#define TESTS_NET_PAIR_H

#include <stdbool.h>

#include "net/peer.h"

#define PAIR_WAIT_MS 20000
#define PAIR_TYPE 1000 /* a frame type that means nothing to the module */

/* What happened at one end. */
struct end {
    struct peer *peer;
    unsigned opened, frames, drained, closed;
    enum reason why;
    uint16_t last_type;
    uint32_t last_request;
    size_t tail_bytes;
    uint64_t tail_sum; /* of all tail bytes, each times its place */
    bool in_call;      /* a starting call is under way: no callback may fire */
    bool close_on_frame, echo, pause_on_frame;
    bool (*on_frame)(struct end *e, const struct frame *f); /* may be NULL; true: nothing else is done with it */
    void *user;
};

struct pair {
    uv_loop_t loop;
    struct key32 seeds[2];
    struct peer_identity *identities[2]; /* 0: server, 1: client */
    struct id ids[2];
    struct peer_listener *listener;
    uint16_t port;
    char address[32];
    struct end server, client; /* server: the newest accepted */
    unsigned accepted;
    bool refuse;
};

extern const struct peer_callbacks end_callbacks;
void pair_init(struct pair *t); /* loop, identities, listener on loopback */
void pair_dial(struct pair *t, const char *address, const struct id *expected, uint64_t timeout_ms);
void pair_connect(struct pair *t); /* dials and waits until both ends are open */
/* Closes what is open, runs the loop to its end and checks that every peer was closed exactly once. */
void pair_deinit(struct pair *t);
/* Runs the loop until *flag is at least value; fails the test after PAIR_WAIT_MS. */
void pair_until(struct pair *t, const unsigned *flag, unsigned value);
void pair_run_ms(struct pair *t, uint64_t ms); /* for what must not happen */

void end_send(struct end *e, uint32_t request, size_t tail_len); /* a frame of PAIR_TYPE */

#endif
