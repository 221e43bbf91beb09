/* Blocking frames over a connected stream socket, for the processes that have no event loop: vault and player.
 *
 * A channel belongs to one thread. Descriptors that come with the bytes (SCM_RIGHTS) wait in order of arrival until they are
 * taken; more than CHANNEL_FDS_MAX at a time are closed. Nothing here knows what a message means.
 */
#ifndef NET_CHANNEL_H
#define NET_CHANNEL_H

#include "protocol/codec.h"
#include "protocol/frame.h"
#include "protocol/reason.h"

#define CHANNEL_FDS_MAX 4

struct channel {
    int fd; /* borrowed by channel_init, closed by channel_deinit */
    size_t tail_max;
    struct buf in;
    size_t in_used; /* bytes of the frame last given out, dropped by the next read */
    struct buf out;
    int fds[CHANNEL_FDS_MAX];
    unsigned fd_count;
};
/* Takes fd. tail_max: largest tail accepted. */
void channel_init(struct channel *c, int fd, size_t tail_max);
void channel_deinit(struct channel *c); /* closes everything and wipes what was buffered; idempotent */

#define CHANNEL_CLOSED 1  /* the other end closed, between two frames or within one */
#define CHANNEL_NOTHING 2 /* wait was false and no whole frame is there yet */
#define CHANNEL_BROKEN 3  /* not a frame, or one that is too large: the channel is of no more use */
/* Next frame, valid until the next read. wait: block until there is one. 0, CHANNEL_*, -errno. */
int channel_read(struct channel *c, bool wait, struct frame *out) MUST_USE;
/* Oldest descriptor that came; the caller owns it. -1 when there is none. */
int channel_take_fd(struct channel *c);

/* All of them write everything or fail. 0, -EPIPE when the other end is gone, -ETIMEDOUT (SO_SNDTIMEO), -errno. */
int channel_write(struct channel *c, struct slice bytes) MUST_USE;
int channel_send(struct channel *c, uint16_t type, uint32_t request, const pb_msgdesc_t *fields, const void *message,
                 struct slice tail) MUST_USE;
/* The same with a copy of a descriptor beside it; fd stays the caller's. No tail. */
int channel_send_fd(struct channel *c, uint16_t type, uint32_t request, const pb_msgdesc_t *fields, const void *message,
                    int fd) MUST_USE;
/* A Refusal; detail (may be NULL) replaces the standard sentence. */
int channel_refuse(struct channel *c, uint32_t request, enum reason reason, const char *detail) MUST_USE;

#endif
