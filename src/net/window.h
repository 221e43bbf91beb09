/* Memory that a player and the vault share: one block as it lies in the body file, and what the vault opened of it.
 *
 * The player makes it and hands its descriptor over beside a message; afterwards neither keeps one. Each end maps it: nothing of a block is copied
 * through a socket. Whoever takes a window trusts nobody with it: it cannot shrink, it is memory and no file, and it is as large as both parts are.
 * What is in it may change at any time by the other end's doing.
 * Source: seed S49. */
#ifndef NET_WINDOW_H
#define NET_WINDOW_H

#include <stddef.h>
#include <stdint.h>

#include "base/outcome.h"

struct window {
    uint8_t *plain;  /* block_bytes; NULL: there is no window */
    uint8_t *sealed; /* block_bytes and BLOCK_OVERHEAD_BYTES */
    size_t mapped;   /* bytes, from plain on */
};

/* block_bytes: BLOCK_PLAIN_MIN..BLOCK_PLAIN_MAX, a power of two. Its plain part is locked. *fd is the caller's to hand over and close. 0 or -errno. */
int window_make(struct window *w, uint32_t block_bytes, int *fd) MUST_USE;

#define WINDOW_UNFIT 1
/* The one that another process made; fd stays the caller's. 0, WINDOW_UNFIT, -errno. */
int window_take(struct window *w, uint32_t block_bytes, int fd) MUST_USE;

/* Wipes the plain part first; for whoever reads it. Idempotent. */
void window_wipe(struct window *w);
/* Leaves what is in it to the other end. Idempotent. */
void window_leave(struct window *w);

#endif
