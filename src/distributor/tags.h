/* What a media file says of itself: media type by its first bytes and its name, tags and duration by TagLib.
 * The file is an operator's own, but tags are somebody else's text: they are made printable here. One thread. */
#ifndef DISTRIBUTOR_TAGS_H
#define DISTRIBUTOR_TAGS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/outcome.h"
#include "base/slice.h"

struct tags {
    char media_type[64];
    char title[128], creator[128], album[128]; /* "" when there is none; the title is then made from the file name */
    uint64_t duration_ms;                      /* 0: not known */
    bool is_media;                             /* its first bytes are those of a media file, not its name alone */
    bool cut;                                  /* title, creator or album are longer than they may be */
};
/* Never fails for odd content: what cannot be told stays unknown. 0 or -errno (cannot be read). */
int tags_read(const char *path, struct tags *out) MUST_USE;
/* By content first, then by the name's ending; "application/octet-stream" when neither tells. */
void tags_media_type(struct slice head, const char *path, char out[64]);
/* Does a file that begins so look like any kind of sound, film or picture? */
bool tags_is_media(struct slice head);

#endif
