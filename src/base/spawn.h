/* Starting a program from a process that has no threads: one of the helpers (helper.h). */
#ifndef BASE_SPAWN_H
#define BASE_SPAWN_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/helper.h"
#include "base/outcome.h"

#define SPAWN_FIRST_FD 3 /* where the descriptors of a program begin */

struct spawn {
    const char *path;
    const char *const *argv;           /* ends in NULL */
    char *const *environment;          /* ends in NULL */
    int input, output;                 /* descriptors 0 and 1; -1: /dev/null. 2 is the helper's own */
    int fds[HELPER_FDS_MAX], fd_count; /* from SPAWN_FIRST_FD on */
    bool apart;                        /* in a session of its own, at /; asked to end when the helper ends */
    bool parents;                      /* a child of who started the helper, which waits for it */
};
/* Descriptors stay the caller's, and are HELPER_FD_OUT_OF_WAY or higher. All signals are as a program expects them. *pid: of what was started, also when it could not become
 * its program (-errno), for somebody to wait for; *pidfd: the caller's. Without a process neither is set. 0 or -errno. */
int spawn(const struct spawn *s, pid_t *pid, int *pidfd) MUST_USE;

#endif
