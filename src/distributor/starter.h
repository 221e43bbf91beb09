/* The starter: a small process beside the server that runs the operator's payment command, because the server itself starts no program once it is confined. It is
 * forked before anything is open, is told the command once, before the server is confined, and then knows nothing else: no arguments, an environment of its own making,
 * one run at a time, each of which it ends itself when its time is over. It has no keys and no database, and ends when the server has. Loop thread.
 *
 * Callback of a run, once, never before starter_run has returned: on_ended. */
#ifndef DISTRIBUTOR_STARTER_H
#define DISTRIBUTOR_STARTER_H

#include <stdbool.h>
#include <uv.h>

#include "base/outcome.h"
#include "distributor/payments.h"

#define STARTER_PATIENCE_MS 10000      /* for an answer */
#define STARTER_GRACE_MS 2000          /* between SIGTERM and SIGKILL */
#define STARTER_TIMEOUT_MAX_MS 3600000 /* of a run */

struct starter;
struct starter_run { /* embedded by whoever runs it; lives until on_ended */
    /* 0: it ended by itself with this status. Else nothing is known of what it did: -EINTR, a signal ended it; -ETIMEDOUT, the starter stands still; -EPIPE, the starter
     * has ended; -errno, it was not started. */
    void (*on_ended)(struct starter_run *run, int error, int status);
    uint64_t serial; /* the starter's */
};

/* Starts the process. Before threads, and before keys are read. patience_ms: STARTER_PATIENCE_MS. 0 or -errno. */
int starter_new(struct starter **out, unsigned patience_ms) MUST_USE;
/* Tells it the one command that it starts; "" ends it. It waits, for patience_ms at most. 0; -EALREADY: it was told before; -ETIMEDOUT; -errno. */
int starter_configure(struct starter *s, const char *command) MUST_USE;
/* What it was told; "" when there is none. */
const char *starter_command(const struct starter *s);
/* Whether runs can be asked for: it was told a command, is watched, and has not ended. That it has is said in the log when it happens. */
bool starter_is_there(struct starter *s);

/* From here on runs can be asked for; starter_unwatch before the loop ends, when nothing runs. 0 or -errno. */
int starter_watch(struct starter *s, uv_loop_t *loop) MUST_USE;
void starter_unwatch(struct starter *s); /* its handles close later; accepts one that is not watched */

/* One run. Descriptors stay the caller's: of the command's input, output, and number 3. 0; -EBUSY: one is running; -EPIPE: the starter has ended; -EAGAIN; -errno. */
int starter_run(struct starter *s, struct starter_run *run, const int fds[3], int64_t timeout_ms) MUST_USE;
/* Asks the command that runs to end: SIGTERM, and SIGKILL a moment later; on_ended follows. */
void starter_hurry(struct starter *s);
/* The process ends, and a command that runs is ended by it. Accepts NULL. Nothing is watched any more. */
void starter_free(struct starter *s);

/* The process's life: requests from fd, until it closes. */
_Noreturn void starter_serve(int fd);

#endif
