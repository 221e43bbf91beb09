/* Hostile ends of connections, step by step: dial, say anything, hear what comes back, wait with a deadline.
 *
 * Terms
 *   wire   one hostile party: a loop and a TLS key
 *   line   one of its connections; what it hears waits in order until it is asked for
 * Everything here ends the program when it cannot do its own work; what the other end does is told to the caller. One thread. */
#ifndef TESTS_HOSTILE_WIRE_H
#define TESTS_HOSTILE_WIRE_H

#include "net/peer.h"

#define WIRE_WAIT_MS 15000 /* for answers */

struct wire {
    uv_loop_t loop;
    uv_timer_t tick; /* so that deadlines are noticed */
    struct sign_pair key;
    struct id id;
    struct peer_identity *identity;
};
/* The same seed is the same key; 0: any. */
void wire_init(struct wire *w, uint64_t seed);
void wire_deinit(struct wire *w); /* ends its lines, too */
void wire_turn(struct wire *w);   /* one turn of the loop, some milliseconds at most */
int64_t wire_now_ms(void);

struct heard {
    struct heard *next;
    uint16_t type;
    uint32_t request;
    struct slice message, tail; /* inside of this */
    uint8_t bytes[];
};
struct line {
    struct wire *wire;
    struct peer *peer; /* NULL once closed */
    bool open;
    enum reason why; /* of closing */
    struct heard *first, **last;
    size_t heard_count;
    bool deaf;        /* forgets what it hears, counting only */
    bool hears_state; /* else what siblings ask and tell each other by themselves is passed over */
};
struct line *line_dial(struct wire *w, const char *address);
/* For accepted connections: fill peer_callbacks with line_callbacks, ctx with the line. */
struct line *line_new(struct wire *w);
extern const struct peer_callbacks line_callbacks;
void line_free(struct line *l); /* hangs up without a word first; accepts NULL */

bool line_wait_open(struct line *l, int64_t ms);
bool line_wait_closed(struct line *l, int64_t ms);
/* The next frame; owned, free(3). NULL: closed, or time is over. */
struct heard *line_hear(struct line *l, int64_t ms) MUST_USE;

void line_say(struct line *l, uint16_t type, uint32_t request, const pb_msgdesc_t *fields, const void *message,
              struct slice tail);
void line_say_raw(struct line *l, struct slice bytes); /* past all framing */
#define LINE_SAY(l, number, request, T, message) \
    line_say((l), (number), (request), T##_fields, (message), slice(NULL, 0))
/* Everything queued has left this process, or the line is closed. */
bool line_flush(struct line *l, int64_t ms);

/* Still there and answering. */
bool line_ping(struct line *l, int64_t ms);

/* A TCP connection without TLS; -1. */
int wire_connect_plain(const char *address);

#endif
