/* `hearth burn`: a track as an audio CD, on a burner or as an image. Loop thread; files on the pool.
 *
 * The vault judges the right to record and charges a play before the first block is opened; the player decodes, and writes straight into the
 * image's file or the burner's standard input. hearthd hands the descriptors over and sees no sample.
 * Source: seed Fig. 12 (right to record the contents on a CD-R or like recording medium). */
#ifndef DAEMON_BURN_H
#define DAEMON_BURN_H

#include "daemon/daemon.h"

struct call;

/* ctl BURN. One at a time: REASON_IN_USE. REASON_MALFORMED: neither a device nor an image by its name. REASON_ALREADY: the image exists.
 * REASON_TOO_LARGE: longer than a disc. REASON_NOT_FOUND: no burner program, or no burner or disc there. REASON_NOT_PERMITTED, and what else
 * the vault says of a play. */
void burn_handle(struct daemon *d, struct call *c, const void *message);

#endif
