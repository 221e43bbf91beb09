/* Files of a disc's image: raw samples with a cue sheet beside them, or a WAV file. Blocking; pool threads. */
#ifndef DAEMON_BURN_IMAGE_H
#define DAEMON_BURN_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/outcome.h"

#define BURN_PATH_BYTES 1280
#define BURN_SECTOR_BYTES 2352

struct burn_image {
    struct opener *opener;       /* borrowed; set before the others are called */
    char audio[BURN_PATH_BYTES]; /* .wav or .bin */
    char cue[BURN_PATH_BYTES];   /* "": none */
    char part[BURN_PATH_BYTES];
    bool wav;
    int fd; /* of part; -1 */
};
/* 0; REASON_MALFORMED: its name does not end in .wav, .bin or .cue, or is not absolute. */
int burn_image_name(struct burn_image *image, const char *path) MUST_USE;
/* A new part file, with room for its head. bytes: what will be written, as far as is known; 0: it is not. 0; REASON_ALREADY: there is such a file;
 * -ENOSPC: the disk has less room than that; -errno. */
int burn_image_begin(struct burn_image *image, uint64_t bytes) MUST_USE;
/* Writes head and cue sheet, syncs, and gives the files their names. title: shown by who plays the disc. sectors: how many it has. 0;
 * REASON_ALREADY; -errno: nothing has the image's name. */
int burn_image_end(struct burn_image *image, const char *title, uint64_t *sectors) MUST_USE;
void burn_image_abandon(struct burn_image *image); /* removes the part; harmless after either end */

#endif
