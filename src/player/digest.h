/* SHA-256 over what is written into a pipe, by a thread that drains it. The pipe has no name outside this process. */
#ifndef PLAYER_DIGEST_H
#define PLAYER_DIGEST_H

#include <stdint.h>

#include "base/outcome.h"

struct digest;

int digest_start(struct digest **out) MUST_USE; /* 0 or -errno */
int digest_fd(const struct digest *d);          /* the end to write to; open it again as /dev/fd/N or write to it */
/* Closes the writing end, waits until everything is hashed. Who else holds the writing end must have closed it. Frees d. 0 or -errno. */
int digest_finish(struct digest *d, uint8_t hash[32], uint64_t *bytes) MUST_USE;

#endif
