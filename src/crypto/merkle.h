/* Merkle tree hash of RFC 9162 section 2.1 over SHA-256: leaf = H(00 || data), node = H(01 || left || right). */
#ifndef CRYPTO_MERKLE_H
#define CRYPTO_MERKLE_H

#include <stdbool.h>

#include "base/slice.h"

#define MERKLE_HASH_BYTES 32
#define MERKLE_PROOF_MAX 32 /* hashes in a proof, for up to 2^32 leaves */

void merkle_leaf(const struct slice *parts, size_t count, uint8_t out[MERKLE_HASH_BYTES]);
/* Root of `count` leaf hashes laid one after the other. count 0 gives H(). No allocation. */
void merkle_root(const uint8_t *leaf_hashes, uint64_t count, uint8_t out[MERKLE_HASH_BYTES]);
/* Inclusion proof of leaf `index`; returns the number of hashes written to proof (<= MERKLE_PROOF_MAX). */
size_t merkle_prove(const uint8_t *leaf_hashes, uint64_t count, uint64_t index,
                    uint8_t proof[MERKLE_PROOF_MAX][MERKLE_HASH_BYTES]);
/* The tree kept in memory, for who proves often: merkle_levels_bytes(count) bytes hold every level above the leaves. */
size_t merkle_levels_bytes(uint64_t count);
void merkle_levels_fill(const uint8_t *leaf_hashes, uint64_t count, uint8_t *levels, uint8_t root[MERKLE_HASH_BYTES]);
/* The same by several threads: each fills what lies above a run of leaves alone, first..end - 1, which begins at a multiple of MERKLE_RUN_LEAVES
 * and ends at one or at count; when all have, one thread fills the rest. */
#define MERKLE_RUN_LEVELS 10
#define MERKLE_RUN_LEAVES ((uint64_t)1 << MERKLE_RUN_LEVELS)
void merkle_levels_fill_run(const uint8_t *leaf_hashes, uint64_t count, uint8_t *levels, uint64_t first, uint64_t end);
void merkle_levels_fill_rest(const uint8_t *leaf_hashes, uint64_t count, uint8_t *levels,
                             uint8_t root[MERKLE_HASH_BYTES]);
/* As merkle_prove. sibling_leaf: the leaf hash at index ^ 1; NULL when that is outside the tree. */
size_t merkle_levels_prove(const uint8_t *levels, uint64_t count, uint64_t index, const uint8_t *sibling_leaf,
                           uint8_t proof[MERKLE_PROOF_MAX][MERKLE_HASH_BYTES]);
/* The root that the proof leads to; false: the proof is of no such leaf. */
bool merkle_root_of(const uint8_t leaf_hash[MERKLE_HASH_BYTES], uint64_t index, uint64_t count, struct slice proof,
                    uint8_t root[MERKLE_HASH_BYTES]);
/* RFC 9162 2.1.3.2. proof: concatenated hashes (a multiple of 32 bytes). */
bool merkle_proves(const uint8_t leaf_hash[MERKLE_HASH_BYTES], uint64_t index, uint64_t count, struct slice proof,
                   const uint8_t root[MERKLE_HASH_BYTES]);

#endif
