/* An enabling key block in parts, by the subset-difference cover (crypto/cover.h): for many revocations, and so that one more costs little.
 *
 * The tree is cut into parts: a node with more than EKB_PART_REVOKED_MAX revoked leaves below it is cut in two, until none has. Each part
 * has a key of its own, masked once by the key of every subset of its cover; the root key is masked once by every part's key. When
 * one more leaf is revoked its part gets a new key, which the leaf cannot open, and with it the new root; the other parts stay as they are,
 * and only the root key is masked anew by their keys. A part of which nothing is left has none.
 *
 * Top entry, one a part:   depth:1 || index:4 || masked root key:32   (ekb_mask: part key, first 16 bytes of the key check).
 *                          In order of first leaf; ranges do not overlap.
 * Part entry, one a subset: subset:5 (cover.h) || masked part key:32   (ekb_mask: subset's key, part's nonce).
 *                          In order of the subset's top: first leaf, then depth.
 * Part's nonce:16 is random, and the part key follows from it and the tree secret (keytree.h): no secret of a block is stored but its root
 * key, and a distributor that was restored from a backup uses no part key for two sets of leaves.
 * Committed to by the signed root: RFC 9162 over H(00 || top entry || count:4 || nonce:16 || part's RFC 9162 root over its entries).
 * A device needs its top entry, its part entry and both proofs. Nothing in here is about signatures or I/O. */
#ifndef CRYPTO_EKB_PARTS_H
#define CRYPTO_EKB_PARTS_H

#include "base/rng.h"
#include "crypto/cover.h"
#include "crypto/ekb.h"

#define EKB_KIND_SUBSET_DIFFERENCE 2
#define EKB_PART_REVOKED_MAX 512
#define EKB_PART_ENTRIES_MAX 1024
#define EKB_PARTS_MAX (1u << 16) /* thirty million revocations */
#define EKB_UNITS_MAX (1u << 21) /* of a whole block as others get it: EKB_ENTRY_BYTES each */
#define EKB_PART_HEAD_UNITS 2

struct ekb_part {
    struct keytree_node node;
    uint8_t nonce[EKB_NONCE_BYTES];
    uint32_t count;
    uint8_t *entries; /* owned: count * EKB_ENTRY_BYTES; NULL: not loaded */
    uint8_t root[MERKLE_HASH_BYTES];
};
struct ekb_parts {
    uint32_t category;
    uint64_t version;
    struct ekb_part *parts; /* owned, by first leaf */
    uint32_t count;
    uint8_t *tops;   /* owned: count * EKB_ENTRY_BYTES */
    uint8_t *levels; /* owned: the tree above the top entries */
    uint8_t root[MERKLE_HASH_BYTES];
    uint8_t key_check[32];
};
void ekb_parts_deinit(struct ekb_parts *e); /* idempotent */

/* revoked: ascending, distinct (else -EINVAL). A large one is built by two threads. 0; -E2BIG: more than EKB_PARTS_MAX; -EINVAL: no leaf
 * left; -ENOMEM, -EIO. */
int ekb_parts_build(struct ekb_parts *out, const struct key32 *tree_secret, uint32_t category, uint64_t version,
                    const uint32_t *revoked, size_t count, const struct key32 *root_key, const struct rng *rng)
    MUST_USE;
/* The next version, with `leaf` revoked beside those below the same part (revoked: these, with it, ascending). *first, *changed: the parts that
 * are new in it. The others need no entries loaded. As above. On an error e is as it was. */
int ekb_parts_revoke(struct ekb_parts *e, const struct key32 *tree_secret, uint64_t version, uint32_t leaf,
                     const uint32_t *revoked, size_t count, const struct key32 *root_key, const struct rng *rng,
                     uint32_t *first, uint32_t *changed) MUST_USE;
/* The part a leaf is in. 0, EKB_NOT_COVERED. */
int ekb_parts_at(const struct ekb_parts *e, uint32_t leaf, uint32_t *index) MUST_USE;

/* What one leaf needs. Proofs: concatenated hashes. */
struct ekb_place {
    uint32_t index, part_index, part_count;
    uint8_t top[EKB_ENTRY_BYTES], entry[EKB_ENTRY_BYTES], nonce[EKB_NONCE_BYTES];
    struct buf proof, part_proof;
};
struct ekb_place ekb_place(void);
void ekb_place_deinit(struct ekb_place *p);
/* 0, EKB_NOT_COVERED, -ENOBUFS, -ENOMEM. The part's entries must be loaded. */
int ekb_parts_find(const struct ekb_parts *e, uint32_t leaf, struct ekb_place *out) MUST_USE;
/* As ekb_open: both proofs, that both entries cover the set's leaf, and the key check. */
int ekb_parts_open(struct slice device_set, uint64_t version, uint32_t part_total,
                   const uint8_t root[MERKLE_HASH_BYTES], const uint8_t key_check[32], const struct ekb_place *place,
                   struct key32 *root_key) MUST_USE;

/* The lower half of a place, as documents carry it: nonce:16 || part_count:4 || part_index:4 || entry:37 || part_proof. */
#define EKB_PLACE_PART_BYTES (EKB_NONCE_BYTES + 8 + EKB_ENTRY_BYTES + 10 * MERKLE_HASH_BYTES)
int ekb_place_encode(const struct ekb_place *p, struct buf *out) MUST_USE; /* appends */
int ekb_place_decode(struct slice part, struct ekb_place *out) MUST_USE;   /* 0, EKB_MALFORMED, -ENOMEM */

/* A part as others get it, all in units of EKB_ENTRY_BYTES: top entry || count:4 || nonce:16 || zeros:17 || entries. Appends. */
int ekb_part_encode(const struct ekb_part *p, const uint8_t top[EKB_ENTRY_BYTES], struct buf *out) MUST_USE;
int ekb_parts_encode(const struct ekb_parts *e, struct buf *out) MUST_USE;
size_t ekb_parts_units(const struct ekb_parts *e);
/* Reads the parts of a whole block: order, ranges, counts, subsets that belong to their part; computes the root. key_check stays zero.
 * 0, EKB_MALFORMED, -ENOMEM. */
int ekb_parts_load(struct ekb_parts *out, uint32_t category, uint64_t version, struct slice bytes) MUST_USE;
/* After parts, tops and roots were filled by the caller: the tree above them. 0, -ENOMEM. */
int ekb_parts_fill(struct ekb_parts *e) MUST_USE;

#endif
