/* Slices, the checked reader and the bounded buffer: the one place with length arithmetic. Any thread. */
#include "base/slice.h"

#include <assert.h>
#include <stdlib.h>

#include "base/util.h"

bool slice_equal(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

bool slice_has(struct slice s, size_t from, size_t len) { return from <= s.len && len <= s.len - from; }

struct slice slice_sub(struct slice s, size_t from, size_t len)
{
    if (!slice_has(s, from, len) || !s.data)
        return slice(NULL, 0);
    return slice(s.data + from, len);
}

/* --- Reader --- */

struct slice reader_bytes(struct reader *r, size_t len)
{
    if (r->bad || len > r->rest.len) {
        r->bad = true;
        return slice(NULL, 0);
    }
    struct slice taken = slice_sub(r->rest, 0, len);
    r->rest = slice_sub(r->rest, len, r->rest.len - len);
    return taken;
}

static uint64_t reader_be(struct reader *r, size_t width)
{
    struct slice bytes = reader_bytes(r, width);
    uint64_t v = 0;
    for (size_t i = 0; i < bytes.len; i++)
        v = v << 8 | bytes.data[i];
    return v;
}

uint8_t reader_u8(struct reader *r) { return (uint8_t)reader_be(r, 1); }

uint16_t reader_u16(struct reader *r) { return (uint16_t)reader_be(r, 2); }

uint32_t reader_u32(struct reader *r) { return (uint32_t)reader_be(r, 4); }

uint64_t reader_u64(struct reader *r) { return reader_be(r, 8); }

bool reader_done(const struct reader *r) { return !r->bad && r->rest.len == 0; }

/* --- Buffer --- */

void buf_free(struct buf *b)
{
    free(b->data);
    *b = buf(b->max_bytes);
}

void buf_clear(struct buf *b) { b->len = 0; }

void buf_consume(struct buf *b, size_t len)
{
    assert(len <= b->len);
    b->len -= len;
    if (len > 0 && b->len > 0)
        memmove(b->data, b->data + len, b->len);
}

int buf_reserve(struct buf *b, size_t len)
{
    if (b->len > b->max_bytes || len > b->max_bytes - b->len)
        return BUF_FULL;
    size_t needed = b->len + len;
    if (needed <= b->cap)
        return 0;
    size_t doubled = b->cap > b->max_bytes / 2 ? b->max_bytes : b->cap * 2;
    size_t cap = needed > doubled ? needed : doubled;
    if (cap < 64)
        cap = size_min(64, b->max_bytes);
    uint8_t *data = realloc(b->data, cap);
    if (!data)
        return -ENOMEM;
    b->data = data;
    b->cap = cap;
    return 0;
}

int buf_append(struct buf *b, struct slice s)
{
    int r = buf_reserve(b, s.len);
    if (r != 0)
        return r;
    if (s.len > 0) {
        memcpy(b->data + b->len, s.data, s.len);
        b->len += s.len;
    }
    return 0;
}

int buf_put_u8(struct buf *b, uint8_t v) { return buf_append(b, slice(&v, 1)); }

int buf_put_u16(struct buf *b, uint16_t v)
{
    uint8_t bytes[2];
    put_be16(bytes, v);
    return buf_append(b, SLICE_ARRAY(bytes));
}

int buf_put_u32(struct buf *b, uint32_t v)
{
    uint8_t bytes[4];
    put_be32(bytes, v);
    return buf_append(b, SLICE_ARRAY(bytes));
}

int buf_put_u64(struct buf *b, uint64_t v)
{
    uint8_t bytes[8];
    put_be64(bytes, v);
    return buf_append(b, SLICE_ARRAY(bytes));
}

/* --- Fixed layouts --- */

void put_be16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

void put_be32(uint8_t *p, uint32_t v)
{
    put_be16(p, (uint16_t)(v >> 16));
    put_be16(p + 2, (uint16_t)v);
}

void put_be64(uint8_t *p, uint64_t v)
{
    put_be32(p, (uint32_t)(v >> 32));
    put_be32(p + 4, (uint32_t)v);
}

uint32_t get_be32(const uint8_t *p) { return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]; }

uint64_t get_be64(const uint8_t *p) { return (uint64_t)get_be32(p) << 32 | get_be32(p + 4); }
