/* Pictures that others have made: what kind, and how large they become, told from their outline alone, before anybody decodes them. No I/O. Any thread. */
#ifndef PROTOCOL_PICTURE_H
#define PROTOCOL_PICTURE_H

#include <stdint.h>

#include "base/slice.h"

/* "image/jpeg" or "image/png"; NULL: neither, not whole, or not strictly one picture of at most side_max pixels each way. Refused too: what decoders do not
 * agree on (bytes after the end, a second frame, kinds of JPEG other than baseline, extended and progressive), animation, and more than 64 KiB of
 * compressed notes in a PNG, which could be a thousand times larger unpacked. */
const char *picture_type(struct slice picture, uint32_t side_max);

#endif
