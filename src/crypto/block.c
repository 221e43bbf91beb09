/* One encryption block. Runs on the thread pool for bulk work; any thread. */
#include "crypto/block.h"

#include "crypto/aead.h"
#include "crypto/hkdf.h"
#include "crypto/merkle.h"

#define IV_AT BLOCK_SEED_BYTES
#define CIPHERTEXT_AT (IV_AT + AEAD_IV_BYTES)
#define ASSOCIATED_BYTES 48

_Static_assert(BLOCK_OVERHEAD_BYTES == CIPHERTEXT_AT + AEAD_TAG_BYTES, "layout of a block");

static void block_key(const struct key32 *content_key, const uint8_t *seed, struct key32 *out)
{
    hkdf_key(content_key, "hearth block", slice(seed, BLOCK_SEED_BYTES), out);
}

/* Place and total are authenticated: no reordering, truncation or mixing of contents. */
static void write_associated(const uint8_t nonce[32], uint64_t index, uint64_t count, uint8_t out[ASSOCIATED_BYTES])
{
    memcpy(out, nonce, 32);
    put_be64(out + 32, index);
    put_be64(out + 40, count);
}

int block_seal(const struct rng *rng, const struct key32 *content_key, const uint8_t nonce[32], uint64_t index,
               uint64_t count, struct slice plain, uint8_t *out)
{
    struct key32 key CLEANUP(key32_wipe);
    uint8_t associated[ASSOCIATED_BYTES];
    rng_fill(rng, out, CIPHERTEXT_AT);
    block_key(content_key, out, &key);
    write_associated(nonce, index, count, associated);
    return aead_seal(&key, out + IV_AT, SLICE_ARRAY(associated), plain, out + CIPHERTEXT_AT);
}

int block_open(const struct key32 *content_key, const uint8_t nonce[32], uint64_t index, uint64_t count,
               struct slice block, uint8_t *out)
{
    struct key32 key CLEANUP(key32_wipe);
    uint8_t associated[ASSOCIATED_BYTES];
    if (block.len < BLOCK_OVERHEAD_BYTES)
        return BLOCK_FORGED;
    block_key(content_key, block.data, &key);
    write_associated(nonce, index, count, associated);
    int r = aead_open(&key, block.data + IV_AT, SLICE_ARRAY(associated),
                      slice_sub(block, CIPHERTEXT_AT, block.len - CIPHERTEXT_AT), out);
    return r == AEAD_FORGED ? BLOCK_FORGED : r;
}

void block_hash(struct slice block, uint8_t out[32]) { merkle_leaf(&block, 1, out); }
