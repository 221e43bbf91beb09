/* What the processes beside a server have in common (daemon/spawner.h, daemon/opener.h, distributor/starter.h): they are forked before it is confined, and each answers
 * datagrams over a socket pair, one after the other, until the server's end closes. Requests and answers begin with a serial number, a uint64_t, which an answer repeats: who has given one up waits for
 * the next all the same, and never takes a late answer for it. */
#ifndef BASE_HELPER_H
#define BASE_HELPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/outcome.h"

#define HELPER_FDS_MAX 3
#define HELPER_FD_OUT_OF_WAY 16 /* received descriptors are this or higher */

#define HELPER_PATIENCE_MS 10000 /* they only start programs and open files */
#define HELPER_ANSWER_BYTES_MAX 32

/* The server's end of one. One thread at a time. */
struct helper {
    int fd;
    pid_t pid;
    uint64_t asked, answered, given_up; /* the last serial numbers */
    size_t answer_bytes;
    /* An answer that nobody waits for any more; what came beside it is closed. May be NULL. */
    void (*on_late)(const void *answer, void *ctx);
    void *ctx;
    bool ended; /* and was waited for */
};

/* In the child h->pid is 0, and *theirs its end. Before threads. 0 or -errno. */
int helper_fork(struct helper *h, size_t answer_bytes, int *theirs) MUST_USE;
/* Sets the request's serial number. patience_ms: at most; less while it is behind. answer: of h->answer_bytes; *passed: the descriptor beside it, the caller's, or -1. 0; -ETIMEDOUT: given up, it may be done yet; -EPIPE: it has
 * ended; -errno. */
int helper_ask(struct helper *h, unsigned patience_ms, void *request, size_t len, const int *fds, size_t count,
               void *answer, int *passed) MUST_USE;
/* Nobody waits for the answer, nor for room; h->asked is its serial number. 0, -EAGAIN, -EPIPE, -errno. */
int helper_tell(struct helper *h, void *request, size_t len, const int *fds, size_t count) MUST_USE;
/* For who does not wait: the next answer that is there, of whichever request, which the answer names. 0; -EAGAIN: none; -EPIPE: it has ended; -errno. */
int helper_take(struct helper *h, void *answer, int *passed) MUST_USE;
/* Takes the answers that are there; 0, -EPIPE, -errno. */
int helper_drain(struct helper *h);
static inline bool helper_is_behind(const struct helper *h) { return h->answered < h->given_up; }
/* Whether the process is gone; never waits. */
bool helper_has_ended(struct helper *h);
/* Closes the server's end, and waits for the process, but not for long: one that was stopped goes on, and ends, when the server has ended. */
void helper_end(struct helper *h);

/* In the process: not traceable, without the signals of terminal and service manager, without any descriptor but fd and the standard ones, in a group of its own.
 * 0 or -errno. */
int helper_enter(int fd) MUST_USE;
/* An answer. 0, -EPIPE, -errno. */
int helper_send(int fd, const void *message, size_t len, const int *fds, size_t count) MUST_USE;
/* The next request. *good: it has this length, and no more descriptors than there is room for; count of them are the caller's. false: the server is gone. */
bool helper_next(int fd, void *request, size_t len, int fds[HELPER_FDS_MAX], size_t *count, bool *good);

#endif
