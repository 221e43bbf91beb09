/* Frames: the only thing that travels on any connection of the project.
 *
 *   0    4  L, length of what follows: 10 + M + tail
 *   4    2  type (messages.proto, vault.proto, control.proto)
 *   6    4  request ID: chosen by who asks, rising, never 0; a reply carries it; 0 = not part of an exchange
 *   10   4  M, length of the message
 *   14   M  message, canonical protobuf
 *   14+M ..  tail, raw
 * No I/O here. */
#ifndef PROTOCOL_FRAME_H
#define PROTOCOL_FRAME_H

#include "base/slice.h"

#define FRAME_HEADER_BYTES 14
#define FRAME_MESSAGE_MAX (24 * 1024)
#define FRAME_TAIL_MAX (1024 * 1024 + 4096)
#define FRAME_MAX (FRAME_HEADER_BYTES + FRAME_MESSAGE_MAX + FRAME_TAIL_MAX)

struct frame {
    uint16_t type;
    uint32_t request;
    struct slice message; /* borrowed, as tail */
    struct slice tail;
};
#define FRAME_INCOMPLETE 1 /* more bytes are needed; *need says how many in all (at least FRAME_HEADER_BYTES) */
#define FRAME_MALFORMED 2
#define FRAME_TOO_LARGE 3
/* Splits the first frame off the front of bytes; *used is its length. Borrows from bytes. tail_max bounds the tail
 * further (<= FRAME_TAIL_MAX): a peer that has no business sending tails gets a small one. */
int frame_split(struct slice bytes, size_t tail_max, struct frame *out, size_t *used, size_t *need) MUST_USE;
/* Writes the 14-byte header for a message and a tail that follow. */
void frame_header(uint8_t out[FRAME_HEADER_BYTES], uint16_t type, uint32_t request, size_t message_len,
                  size_t tail_len);

#endif
