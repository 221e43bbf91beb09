/* The one strict decode function, and its encoder: nanopb messages in canonical form.
 *
 * Decode: bound the length, decode, re-encode, require identical bytes (so duplicates, unknown fields, wrong order and
 * non-minimal numbers are refused), then every string must be UTF-8 without controls. Ranges are the caller's. Any thread. */
#ifndef PROTOCOL_CODEC_H
#define PROTOCOL_CODEC_H

#include <pb.h>

#include "base/slice.h"
#include "protocol/frame.h"

#define CODEC_MALFORMED 1
/* out: the generated struct, zeroed by this function first. 0, CODEC_MALFORMED, -ENOMEM. */
int codec_decode(const pb_msgdesc_t *fields, size_t max_bytes, struct slice bytes, void *out, size_t out_size) MUST_USE;
/* Appends the encoding to out. 0, BUF_FULL, -EINVAL (a bound exceeded: our own mistake), -ENOMEM. */
int codec_encode(struct buf *out, const pb_msgdesc_t *fields, const void *message) MUST_USE;
/* Appends a whole frame: header, encoding, tail. */
int codec_frame(struct buf *out, uint16_t type, uint32_t request, const pb_msgdesc_t *fields, const void *message,
                struct slice tail) MUST_USE;

/* CODEC_DECODE(msg_Offer, frame.message, &offer): bound = the generated maximum size. */
#define CODEC_DECODE(T, bytes, out) codec_decode(T##_fields, T##_size, (bytes), (out), sizeof(T))
#define CODEC_ENCODE(T, out, message) codec_encode((out), T##_fields, (message))

/* Lists in tails: length:4 || bytes, repeated. codec_list_next: 0 with *item, CODEC_MALFORMED, or CODEC_END. */
#define CODEC_END 2
int codec_list_put(struct buf *out, struct slice item) MUST_USE;
int codec_list_next(struct reader *r, size_t item_max, struct slice *item) MUST_USE;

/* PB_BYTES_ARRAY fields <-> slices. */
#define CODEC_BYTES(field) slice((field).bytes, (field).size)
/* CODEC_SET_BYTES(message.license, slice): CODEC_TOO_LONG when it does not fit, else 0. */
#define CODEC_TOO_LONG 1
#define CODEC_SET_BYTES(field, s) codec_set_bytes((field).bytes, sizeof((field).bytes), &(field).size, (s))
int codec_set_bytes(pb_byte_t *bytes, size_t cap, pb_size_t *size, struct slice s) MUST_USE;
/* Copies text into a fixed char array, cutting at a UTF-8 boundary. */
#define CODEC_SET_TEXT(field, text) codec_set_text((field), sizeof(field), (text))
void codec_set_text(char *field, size_t cap, const char *text);

#endif
