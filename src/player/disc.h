/* Samples for an audio CD: what libmpv writes into a pipe goes on into a descriptor that hearthd handed over, by a thread, and is filled up to a
 * whole sector with silence. The pipe has no name outside this process.
 * Source: seed Fig. 12 (right to record on a CD-R or like medium). */
#ifndef PLAYER_DISC_H
#define PLAYER_DISC_H

#include <stdint.h>

#include "base/outcome.h"

#define DISC_FORMAT "s16/2ch/44100"
#define DISC_SECTOR_BYTES 2352
#define DISC_SECTORS_MAX 359999 /* of the longest disc there is, in sectors of a 75th of a second */

struct disc;

/* Asks the vault whether this play may be recorded. vault_fd stays the caller's. 0; REASON_NOT_PERMITTED; a reason; -errno. */
int disc_judge(int vault_fd) MUST_USE;
/* Takes out_fd, also on failure. 0 or -errno */
int disc_start(struct disc **out, int out_fd) MUST_USE;
int disc_fd(const struct disc *d); /* the end to write to, as /dev/fd/N */
int disc_failure(
    const struct disc *d); /* 0; REASON_TOO_LARGE: no disc is that long; -EPIPE: the burner has gone; -errno */
/* Closes the writing end, waits until everything is written. Who else holds the writing end must have closed it. Frees d. samples: without the
 * silence at the end. As disc_failure. */
int disc_finish(struct disc *d, uint64_t *samples) MUST_USE;

#endif
