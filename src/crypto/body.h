/* The body of a content: immutable, named by its content ID (design section 4, seed Fig. 9 without what belongs to a holder).
 *
 * File layout, as any static HTTP server can serve it:
 *   0    8  magic "HEARTHB1"
 *   8    4  I, length of the content information (1..BODY_INFO_MAX)
 *   12   I  content information: canonical doc_ContentInfo bytes (src/protocol/documents.proto)
 *   12+I 32*count  hash list: leaf hash of each block
 *   ..      blocks, each block_size + 44 bytes, the last one shorter
 * Content ID = SHA-256("hearth content id" 00 || I:4 || content information || merkle root of the hash list).
 * This module knows the numbers below, not the content information's encoding. No I/O except on an fd it is given (pread/pwrite). */
#ifndef CRYPTO_BODY_H
#define CRYPTO_BODY_H

#include "crypto/block.h"
#include "crypto/id.h"

#define BODY_INFO_MAX 2048
#define BODY_MAGIC "HEARTHB1"

void body_content_id(struct slice info, const uint8_t list_root[32], struct id *out);

struct body_shape {
    uint64_t plain_bytes; /* >= 1 */
    uint32_t block_bytes; /* plain bytes of a full block: a power of two, BLOCK_PLAIN_MIN..BLOCK_PLAIN_MAX */
    uint32_t block_count; /* ceil(plain_bytes / block_bytes), 1..BLOCK_COUNT_MAX */
    uint32_t info_bytes;
};
#define BODY_MALFORMED 1
/* Checks the numbers against each other; fills block_count. 0, BODY_MALFORMED. */
int body_shape_init(struct body_shape *s, uint64_t plain_bytes, uint32_t block_bytes, size_t info_bytes) MUST_USE;
uint64_t body_list_offset(const struct body_shape *s);
uint64_t body_block_offset(const struct body_shape *s, uint32_t index);
uint32_t body_block_len(const struct body_shape *s, uint32_t index); /* wire length, seed to tag */
uint64_t body_file_bytes(const struct body_shape *s);

#endif
