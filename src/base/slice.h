/* Borrowed byte ranges, a checked reader over one, and a bounded growing buffer.
 * All length arithmetic of the project happens here. Any thread; no shared state. */
#ifndef BASE_SLICE_H
#define BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/outcome.h"

struct slice {
    const uint8_t *data; /* borrowed; NULL only when len is 0 */
    size_t len;
};

static inline struct slice slice(const void *data, size_t len) { return (struct slice){ data, len }; }
static inline struct slice slice_str(const char *text) { return slice(text, strlen(text)); }
#define SLICE_ARRAY(a) slice((a), sizeof(a))
bool slice_equal(struct slice a, struct slice b); /* not constant time: never for secrets */
/* [from, from+len) of s; an empty slice when that is not inside s (check with slice_has first). */
bool slice_has(struct slice s, size_t from, size_t len);
struct slice slice_sub(struct slice s, size_t from, size_t len);

/* Reads big-endian values in order. After the first failed read `bad` stays true and every read returns 0/empty. */
struct reader {
    struct slice rest;
    bool bad;
};
static inline struct reader reader(struct slice s) { return (struct reader){ s, false }; }
uint8_t reader_u8(struct reader *r);
uint16_t reader_u16(struct reader *r);
uint32_t reader_u32(struct reader *r);
uint64_t reader_u64(struct reader *r);
struct slice reader_bytes(struct reader *r, size_t len); /* borrows from the input */
bool reader_done(const struct reader *r);                /* everything was read and nothing failed */

/* A growing buffer that never exceeds max_bytes. */
struct buf {
    uint8_t *data;
    size_t len;
    size_t cap;
    size_t max_bytes;
};
#define BUF_FULL 1 /* outcome: the append would exceed max_bytes; nothing was appended */

static inline struct buf buf(size_t max_bytes) { return (struct buf){ NULL, 0, 0, max_bytes }; }
static inline struct slice buf_slice(const struct buf *b) { return slice(b->data, b->len); }
void buf_free(struct buf *b); /* frees the memory and leaves an empty buffer with the same bound; idempotent */
void buf_clear(struct buf *b);
void buf_consume(struct buf *b, size_t len); /* drops len bytes from the front; len <= b->len */
/* Room for len more bytes at data+len (does not change len). 0, BUF_FULL, -ENOMEM. */
int buf_reserve(struct buf *b, size_t len) MUST_USE;
int buf_append(struct buf *b, struct slice s) MUST_USE;
int buf_put_u8(struct buf *b, uint8_t v) MUST_USE;
int buf_put_u16(struct buf *b, uint16_t v) MUST_USE; /* big-endian, as all of these */
int buf_put_u32(struct buf *b, uint32_t v) MUST_USE;
int buf_put_u64(struct buf *b, uint64_t v) MUST_USE;

/* Plain stores for fixed layouts. */
void put_be16(uint8_t *p, uint16_t v);
void put_be32(uint8_t *p, uint32_t v);
void put_be64(uint8_t *p, uint64_t v);
uint32_t get_be32(const uint8_t *p);
uint64_t get_be64(const uint8_t *p);

#endif
