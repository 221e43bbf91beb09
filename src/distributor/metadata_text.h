/* Metadata as people write it, made into parts (protocol/metadata.h): tags, chapters and lyrics from text files. No I/O. Any thread.
 *
 *   tags      key=value           a line each; keys in small letters, digits and dashes, as often as wanted
 *   chapters  [HH:]MM:SS[.mmm] Title
 *   lyrics    LRC: [MM:SS.xx]Line, also with several times before one line; [offset:MS] counts, other tags in brackets are passed over
 *
 * Empty lines and lines that begin with # are passed over; lines may end as on any system. */
#ifndef DISTRIBUTOR_METADATA_TEXT_H
#define DISTRIBUTOR_METADATA_TEXT_H

#include "protocol/metadata.h"

#define METADATA_TEXT_FILE_MAX (1u << 20)

struct metadata_writer {
    struct buf parts;
    struct metadata_reader so_far;
    unsigned line;     /* where it failed, from 1 */
    const char *cause; /* why: what follows "FILE, line N: " */
};
void metadata_writer_init(struct metadata_writer *w);
void metadata_writer_deinit(struct metadata_writer *w);
/* In this order. text ends with a zero and is changed. 0, REASON_MALFORMED (w->line), REASON_TOO_LARGE, -ENOMEM. */
int metadata_write_tags(struct metadata_writer *w, char *text) MUST_USE;
int metadata_write_chapters(struct metadata_writer *w, char *text) MUST_USE;
int metadata_write_lyrics(struct metadata_writer *w, char *text) MUST_USE;
int metadata_write_cover(struct metadata_writer *w, struct slice picture) MUST_USE;

#endif
