/* Merkle tree hash of RFC 9162 section 2.1. Any thread.
 *
 * The RFC splits n leaves at the largest power of two below n. Pairing neighbours level by level and passing an odd last
 * node up unchanged gives the same tree; that is how the levels here are laid out. */
#include "crypto/merkle.h"

#include <assert.h>

#include "base/util.h"
#include "crypto/sha256.h"

#define LEAF_PARTS_MAX 8
#define LEAF_SHORT_BYTES 63

void merkle_leaf(const struct slice *parts, size_t count, uint8_t out[MERKLE_HASH_BYTES])
{
    static const uint8_t tag = 0;
    if (count == 1 &&
        parts[0].len <= LEAF_SHORT_BYTES) { /* a key block has 200,000 of these: spare each its hash handle */
        uint8_t bytes[1 + LEAF_SHORT_BYTES] = { 0 };
        if (parts[0].len > 0)
            memcpy(bytes + 1, parts[0].data, parts[0].len);
        sha256(slice(bytes, 1 + parts[0].len), out);
        return;
    }
    struct slice all[LEAF_PARTS_MAX + 1] = { slice(&tag, 1) };
    assert(count <= LEAF_PARTS_MAX);
    for (size_t i = 0; i < count; i++)
        all[i + 1] = parts[i];
    sha256_parts(all, count + 1, out);
}

/* out may be left or right. */
static void node(const uint8_t *left, const uint8_t *right, uint8_t out[MERKLE_HASH_BYTES])
{
    uint8_t bytes[1 + 2 * MERKLE_HASH_BYTES] = { 1 };
    memcpy(bytes + 1, left, MERKLE_HASH_BYTES);
    memcpy(bytes + 1 + MERKLE_HASH_BYTES, right, MERKLE_HASH_BYTES);
    sha256(SLICE_ARRAY(bytes), out);
}

/* A complete subtree of 2^k leaves waits in stack slot k, as in a binary counter. */
void merkle_root(const uint8_t *leaf_hashes, uint64_t count, uint8_t out[MERKLE_HASH_BYTES])
{
    uint8_t stack[64][MERKLE_HASH_BYTES], hash[MERKLE_HASH_BYTES];
    size_t depth = 0;
    if (count == 0) {
        sha256(slice(NULL, 0), out);
        return;
    }
    for (uint64_t i = 0; i < count; i++) {
        memcpy(hash, leaf_hashes + i * MERKLE_HASH_BYTES, MERKLE_HASH_BYTES);
        for (uint64_t n = i; (n & 1) != 0; n >>= 1)
            node(stack[--depth], hash, hash);
        memcpy(stack[depth++], hash, MERKLE_HASH_BYTES);
    }
    memcpy(hash, stack[--depth], MERKLE_HASH_BYTES);
    while (depth > 0)
        node(stack[--depth], hash, hash);
    memcpy(out, hash, MERKLE_HASH_BYTES);
}

/* RFC 9162 section 2.1.3.1, from the leaf upward: at each level the sibling's root, where there is a sibling. */
size_t merkle_prove(const uint8_t *leaf_hashes, uint64_t count, uint64_t index,
                    uint8_t proof[MERKLE_PROOF_MAX][MERKLE_HASH_BYTES])
{
    size_t written = 0;
    assert(index < count && count <= (uint64_t)1 << MERKLE_PROOF_MAX);
    for (uint64_t width = 1; width < count; width <<= 1) {
        uint64_t first = (index / width ^ 1) * width; /* the sibling's first leaf */
        if (first < count)
            merkle_root(leaf_hashes + first * MERKLE_HASH_BYTES, u64_min(width, count - first), proof[written++]);
    }
    return written;
}

size_t merkle_levels_bytes(uint64_t count)
{
    size_t nodes = 0;
    for (uint64_t n = count; n > 1; n = (n + 1) / 2)
        nodes += (size_t)((n + 1) / 2);
    return nodes * MERKLE_HASH_BYTES;
}

/* Nodes first..end - 1 of the level above n nodes. */
static void fill_level(const uint8_t *below, uint64_t n, uint8_t *level, uint64_t first, uint64_t end)
{
    for (uint64_t i = first; i < end; i++) {
        const uint8_t *left = below + 2 * i * MERKLE_HASH_BYTES;
        if (2 * i + 1 < n)
            node(left, left + MERKLE_HASH_BYTES, level + i * MERKLE_HASH_BYTES);
        else
            memcpy(level + i * MERKLE_HASH_BYTES, left, MERKLE_HASH_BYTES);
    }
}

void merkle_levels_fill_run(const uint8_t *leaf_hashes, uint64_t count, uint8_t *levels, uint64_t first, uint64_t end)
{
    const uint8_t *below = leaf_hashes;
    assert(first % MERKLE_RUN_LEAVES == 0 && (end == count || end % MERKLE_RUN_LEAVES == 0));
    uint64_t n = count;
    for (unsigned up = 0; up < MERKLE_RUN_LEVELS && n > 1; up++) {
        first /= 2;
        end = (end + 1) / 2;
        fill_level(below, n, levels, first, end);
        n = (n + 1) / 2;
        below = levels;
        levels += n * MERKLE_HASH_BYTES;
    }
}

void merkle_levels_fill_rest(const uint8_t *leaf_hashes, uint64_t count, uint8_t *levels,
                             uint8_t root[MERKLE_HASH_BYTES])
{
    const uint8_t *below = leaf_hashes;
    uint64_t n = count;
    assert(count > 0);
    for (unsigned up = 0; n > 1; up++) {
        uint64_t above = (n + 1) / 2;
        if (up >= MERKLE_RUN_LEVELS)
            fill_level(below, n, levels, 0, above);
        n = above;
        below = levels;
        levels += n * MERKLE_HASH_BYTES;
    }
    memcpy(root, below, MERKLE_HASH_BYTES);
}

void merkle_levels_fill(const uint8_t *leaf_hashes, uint64_t count, uint8_t *levels, uint8_t root[MERKLE_HASH_BYTES])
{
    merkle_levels_fill_run(leaf_hashes, count, levels, 0, count);
    merkle_levels_fill_rest(leaf_hashes, count, levels, root);
}

size_t merkle_levels_prove(const uint8_t *levels, uint64_t count, uint64_t index, const uint8_t *sibling_leaf,
                           uint8_t proof[MERKLE_PROOF_MAX][MERKLE_HASH_BYTES])
{
    size_t written = 0;
    assert(index < count && count <= (uint64_t)1 << MERKLE_PROOF_MAX);
    if (sibling_leaf != NULL)
        memcpy(proof[written++], sibling_leaf, MERKLE_HASH_BYTES);
    for (uint64_t n = (count + 1) / 2; n > 1; n = (n + 1) / 2) {
        index >>= 1;
        if ((index ^ 1) < n)
            memcpy(proof[written++], levels + (index ^ 1) * MERKLE_HASH_BYTES, MERKLE_HASH_BYTES);
        levels += n * MERKLE_HASH_BYTES;
    }
    return written;
}

/* RFC 9162 section 2.1.3.2; fn and sn are the RFC's names. */
bool merkle_root_of(const uint8_t leaf_hash[MERKLE_HASH_BYTES], uint64_t index, uint64_t count, struct slice proof,
                    uint8_t root[MERKLE_HASH_BYTES])
{
    uint8_t hash[MERKLE_HASH_BYTES];
    if (index >= count || proof.len % MERKLE_HASH_BYTES != 0)
        return false;
    uint64_t fn = index, sn = count - 1;
    memcpy(hash, leaf_hash, MERKLE_HASH_BYTES);
    for (size_t at = 0; at < proof.len; at += MERKLE_HASH_BYTES) {
        const uint8_t *p = proof.data + at;
        if (sn == 0)
            return false;
        if ((fn & 1) != 0 || fn == sn) {
            node(p, hash, hash);
            while ((fn & 1) == 0 && fn != 0) {
                fn >>= 1;
                sn >>= 1;
            }
        } else {
            node(hash, p, hash);
        }
        fn >>= 1;
        sn >>= 1;
    }
    memcpy(root, hash, MERKLE_HASH_BYTES);
    return sn == 0;
}

bool merkle_proves(const uint8_t leaf_hash[MERKLE_HASH_BYTES], uint64_t index, uint64_t count, struct slice proof,
                   const uint8_t root[MERKLE_HASH_BYTES])
{
    uint8_t found[MERKLE_HASH_BYTES];
    return merkle_root_of(leaf_hash, index, count, proof, found) && memcmp(found, root, MERKLE_HASH_BYTES) == 0;
}
