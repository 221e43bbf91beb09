/* Syncer: small files that wait for the disk at the same time are made durable together. A few are synced one by one; many by one sync of the whole file
 * system, which costs about as much as one of them. Those that get their names then get them, and the names are synced once for all, in the same trip to the
 * pool. Whoever waits while one is under way shares the next. A failed sync ends the program (base/file.h).
 * Loop thread; the disk is waited for on the pool. Source: seed S25, S172; design section 8. */
#ifndef NET_SYNCER_H
#define NET_SYNCER_H

#include <uv.h>

#include "base/outcome.h"

#define SYNCER_TOGETHER 4u /* from so many on, the file system as a whole */

struct syncer;
struct sync_wait { /* embedded by who waits; until done fires */
    struct sync_wait *next;
    int fd; /* of the file; -1: the names in the directory */
    int outcome;
    int (*name)(struct sync_wait *w);  /* pool, once the file is durable: names it; 0, -errno. NULL: it has its name */
    void (*done)(struct sync_wait *w); /* outcome: 0, -errno (it cannot be synced at all) */
};

/* dir: where the files are; all on one file system. 0, -errno. */
int syncer_new(struct syncer **out, uv_loop_t *loop, const char *dir) MUST_USE;
void syncer_free(struct syncer *s); /* who still waits is told; it is freed then. Accepts NULL. */
/* Everything written to w->fd (every name made or taken in the directory) before this is durable when w->done fires, which is not before this returns;
 * so is what w->name did, after it: it is not called when the file could not be synced. fd: borrowed, until then. */
void syncer_wait(struct syncer *s, struct sync_wait *w);

#endif
