/* One encryption block of a body (seed Fig. 9: seed, IV, E_K'c(data); design section 4).
 *   block bytes = seed:16 || IV:12 || ciphertext || tag:16;  K'c = HKDF(Kc, "hearth block" 00 || seed)
 *   associated data = content nonce:32 || index:8 || count:8
 * Leaf hash of the hash list = merkle_leaf(block bytes). */
#ifndef CRYPTO_BLOCK_H
#define CRYPTO_BLOCK_H

#include "base/rng.h"
#include "base/secret.h"
#include "base/slice.h"

#define BLOCK_SEED_BYTES 16
#define BLOCK_OVERHEAD_BYTES 44
#define BLOCK_PLAIN_MIN 4096
#define BLOCK_PLAIN_MAX (1024 * 1024)
#define BLOCK_PLAIN_DEFAULT (256 * 1024)
#define BLOCK_PLAIN_PLAYED_MIN (8 * 1024) /* of what has a playing time: a second of speech */
#define BLOCK_COUNT_MAX (1u << 20)
#define BLOCK_FORGED 1

/* Fresh random seed and IV. out: plain.len + BLOCK_OVERHEAD_BYTES. Source: seed S34. */
int block_seal(const struct rng *rng, const struct key32 *content_key, const uint8_t nonce[32], uint64_t index,
               uint64_t count, struct slice plain, uint8_t *out) MUST_USE;
/* out: block.len - BLOCK_OVERHEAD_BYTES. 0, BLOCK_FORGED (also: too short). Source: seed S49. */
int block_open(const struct key32 *content_key, const uint8_t nonce[32], uint64_t index, uint64_t count,
               struct slice block, uint8_t *out) MUST_USE;
void block_hash(struct slice block, uint8_t out[32]);

#endif
