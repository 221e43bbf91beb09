/* Enabling key block: gives a fresh root key to every leaf of a category except the revoked ones, by the complete-subtree
 * cover (Naor, Naor, Lotspiech). Fig. 22. The signed document (doc_Ekb) commits to the entries by an RFC 9162 root, so a
 * device needs only its own entry and proof.
 *
 * Entry bytes: depth:1 || index:4 || masked root key:32 = root key XOR HChaCha20(node key, first 16 bytes of the key check).
 *   Entries are sorted by first leaf; their ranges do not overlap.
 * The mask's input follows from the root key and the version, so that not even a server restored from a backup, which issues a version
 * number twice, uses one mask for two root keys. An entry carries no tag: the signed root vouches for its bytes, and the key check for what
 * comes out of it.
 * Nothing in here is about signatures or I/O. */
#ifndef CRYPTO_EKB_H
#define CRYPTO_EKB_H

#include "crypto/keytree.h"
#include "crypto/merkle.h"

#define EKB_ENTRY_BYTES 37
#define EKB_KIND_COMPLETE_SUBTREE 1
#define EKB_ENTRIES_MAX (1u << 20)
#define EKB_NOT_COVERED 1 /* outcome: no entry covers this leaf: the leaf is revoked */
#define EKB_FORGED 2      /* outcome: the proof or the key check does not verify */
#define EKB_MALFORMED 3

struct ekb {
    uint32_t category;
    uint64_t version;
    uint32_t count;                  /* entries */
    uint8_t *entries;                /* owned: count * EKB_ENTRY_BYTES */
    uint8_t *levels;                 /* owned: the tree above the entries, so that a proof costs no rehashing */
    uint8_t root[MERKLE_HASH_BYTES]; /* over the entries */
    uint8_t key_check[32];           /* HKDF(root key, "hearth ekb check" 00 || version:8): tells a wrong root key */
};
/* revoked: sorted ascending, distinct (else -EINVAL). At the bound r*log2(N/r); more than EKB_ENTRIES_MAX entries -> -E2BIG,
 * no leaf left -> -EINVAL. 0, -ENOMEM, -EIO. */
int ekb_build(struct ekb *out, const struct key32 *tree_secret, uint32_t category, uint64_t version,
              const uint32_t *revoked, size_t revoked_count, const struct key32 *root_key) MUST_USE;
/* Rebuilds from entry bytes received (checks order, ranges, count); computes the root, leaves key_check zero. 0, EKB_MALFORMED, -ENOMEM. */
int ekb_load(struct ekb *out, uint32_t category, uint64_t version, struct slice entries) MUST_USE;
void ekb_deinit(struct ekb *e);
/* Entries of the cover: to choose by size. revoked: as above. */
size_t ekb_entries(const uint32_t *revoked, size_t count);
/* Masks a key, and unmasks it: for entries. nonce: never used with this key for another `in`. out may be in. */
#define EKB_NONCE_BYTES 16
void ekb_mask(const struct key32 *key, const uint8_t nonce[EKB_NONCE_BYTES], const uint8_t in[32], uint8_t out[32]);
/* What tells a wrong root key of that version. */
void ekb_key_check(const struct key32 *root_key, uint64_t version, struct key32 *out);
/* The entry covering leaf, by binary search: its index, bytes and proof (concatenated hashes appended). 0, EKB_NOT_COVERED,
 * BUF_FULL as -ENOBUFS, -ENOMEM. */
int ekb_find(const struct ekb *e, uint32_t leaf, uint32_t *index, uint8_t entry[EKB_ENTRY_BYTES], struct buf *proof)
    MUST_USE;
/* Opens one entry with a device's key set: checks the proof against root, that the entry covers the set's leaf, and key_check.
 * Source: seed Fig. 21 and 22 (root key from the block by the DNK). 0, EKB_NOT_COVERED, EKB_FORGED, EKB_MALFORMED. */
int ekb_open(struct slice device_set, uint64_t version, uint32_t entry_count, const uint8_t root[MERKLE_HASH_BYTES],
             const uint8_t key_check[32], uint32_t entry_index, struct slice entry, struct slice proof,
             struct key32 *root_key) MUST_USE;

#endif
