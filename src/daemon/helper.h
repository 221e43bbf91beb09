/* What the processes beside hearthd have in common (spawner.h, opener.h): they are forked before it is confined, and each answers datagrams over a socket pair, one
 * after the other, until hearthd's end closes. */
#ifndef DAEMON_HELPER_H
#define DAEMON_HELPER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/outcome.h"

#define HELPER_FDS_MAX 2
#define HELPER_FD_OUT_OF_WAY 16 /* received descriptors are this or higher */

/* In the child *pid is 0, *theirs its end; in the parent *ours. Before threads. 0 or -errno. */
int helper_fork(pid_t *pid, int *ours, int *theirs) MUST_USE;
/* One datagram. 0, -EPIPE, -errno. */
int helper_send(int fd, const void *message, size_t len, const int *fds, size_t count) MUST_USE;
/* One of exactly this length; *passed: the descriptor beside it, or -1. 0, -EPIPE, -errno. */
int helper_receive(int fd, void *message, size_t len, int *passed) MUST_USE;

/* In the process: not traceable, without the signals of terminal and service manager. 0 or -errno. */
int helper_enter(void) MUST_USE;
/* The next request. *good: it has this length, and no more descriptors than there is room for; count of them are the caller's. false: hearthd is gone. */
bool helper_next(int fd, void *request, size_t len, int fds[HELPER_FDS_MAX], size_t *count, bool *good);

#endif
