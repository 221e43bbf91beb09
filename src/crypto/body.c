/* Arithmetic of a body file and its content ID. No I/O. Any thread. */
#include "crypto/body.h"

#include "crypto/merkle.h"
#include "crypto/sha256.h"

#define HEAD_BYTES 12 /* magic, length of the content information */

void body_content_id(struct slice info, const uint8_t list_root[32], struct id *out)
{
    static const char tag[] = "hearth content id"; /* its 00 is part of the tag */
    uint8_t length[4];
    put_be32(length, (uint32_t)info.len);
    struct slice parts[] = { SLICE_ARRAY(tag), SLICE_ARRAY(length), info, slice(list_root, MERKLE_HASH_BYTES) };
    sha256_parts(parts, sizeof parts / sizeof parts[0], out->bytes);
}

int body_shape_init(struct body_shape *s, uint64_t plain_bytes, uint32_t block_bytes, size_t info_bytes)
{
    if (block_bytes < BLOCK_PLAIN_MIN || block_bytes > BLOCK_PLAIN_MAX || (block_bytes & (block_bytes - 1)) != 0)
        return BODY_MALFORMED;
    if (info_bytes == 0 || info_bytes > BODY_INFO_MAX)
        return BODY_MALFORMED;
    if (plain_bytes == 0 || plain_bytes > (uint64_t)BLOCK_COUNT_MAX * block_bytes)
        return BODY_MALFORMED;
    s->plain_bytes = plain_bytes;
    s->block_bytes = block_bytes;
    s->block_count = (uint32_t)((plain_bytes - 1) / block_bytes + 1);
    s->info_bytes = (uint32_t)info_bytes;
    return 0;
}

uint64_t body_list_offset(const struct body_shape *s) { return HEAD_BYTES + (uint64_t)s->info_bytes; }

uint64_t body_block_offset(const struct body_shape *s, uint32_t index)
{
    return body_list_offset(s) + (uint64_t)s->block_count * MERKLE_HASH_BYTES +
           (uint64_t)index * (s->block_bytes + BLOCK_OVERHEAD_BYTES);
}

uint32_t body_block_len(const struct body_shape *s, uint32_t index)
{
    uint64_t before = (uint64_t)index * s->block_bytes;
    if (before >= s->plain_bytes)
        return 0;
    uint64_t plain = s->plain_bytes - before;
    return (uint32_t)(plain < s->block_bytes ? plain : s->block_bytes) + BLOCK_OVERHEAD_BYTES;
}

uint64_t body_file_bytes(const struct body_shape *s)
{
    return body_block_offset(s, s->block_count - 1) + body_block_len(s, s->block_count - 1);
}
