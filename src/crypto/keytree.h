/* The key tree of one category: a binary tree of depth 32 under the category node (seed S12; design section 3).
 *
 * Nothing is stored per node: node keys and subset-difference labels derive from one tree secret.
 *   node key (d, i)   = HChaCha20(HKDF(tree secret, "hearth node keys" 00 || category:4), d:1 || i:4)   d = 0 (category node) .. 32 (leaf)
 *   label of (d, i)   = HChaCha20(HKDF(tree secret, "hearth sd labels" 00 || category:4), d:1 || i:4)
 *   left/right child label within a subtree = HChaCha20(label, "hearth sd left" / "hearth sd right"); key of a label =
 *   HChaCha20(label, "hearth sd key"). Inputs are padded with zeros to the 16 bytes that the function takes. A large block derives a
 *   key and walks a dozen labels for each of a million entries: HKDF would take ten times as long.
 */
#ifndef CRYPTO_KEYTREE_H
#define CRYPTO_KEYTREE_H

#include "base/secret.h"
#include "base/slice.h"

#define KEYTREE_DEPTH 32
#define KEYTREE_PATH_COUNT (KEYTREE_DEPTH + 1)
#define KEYTREE_LABEL_COUNT (KEYTREE_DEPTH * (KEYTREE_DEPTH + 1) / 2) /* 528 */
/* Device node key set as sealed to a device: type:1 (KEYTREE_SET_TYPE) || category:4 || leaf:4 || 33 node keys from (0,0) to the leaf
 * || 528 labels (for each ancestor depth a = 0..31, for each depth d = a+1..32: label, from a's subtree, of the sibling of the path node at d). */
#define KEYTREE_SET_TYPE 3
#define KEYTREE_SET_BYTES (9 + 32 * (KEYTREE_PATH_COUNT + KEYTREE_LABEL_COUNT))

struct keytree_node {
    uint8_t depth;  /* 0..32 */
    uint32_t index; /* 0..2^depth-1 */
};
/* The tree as the distributor has it. */
struct keytree {
    struct key32 secret, nodes, labels;
    uint32_t category;
};
/* struct keytree t CLEANUP(keytree_wipe); */
void keytree_init(struct keytree *t, const struct key32 *tree_secret, uint32_t category);
void keytree_wipe(struct keytree *t);
void keytree_key(const struct keytree *t, struct keytree_node node, struct key32 *out);
/* Source: seed S12 (set of node keys in the path between the leaf and the category node). set: KEYTREE_SET_BYTES, secret. */
void keytree_device_set(const struct key32 *tree_secret, uint32_t category, uint32_t leaf, uint8_t *set);
/* The node key at `depth` on the path, out of a device's set. 0, or KEYTREE_MALFORMED for a set of another type or length. */
#define KEYTREE_MALFORMED 1
int keytree_set_key(struct slice set, uint8_t depth, struct key32 *out) MUST_USE;
int keytree_set_leaf(struct slice set, uint32_t *category, uint32_t *leaf) MUST_USE;
/* Labels (subset difference). keytree_label: of a subtree's top. */
void keytree_label(const struct keytree *t, struct keytree_node top, struct key32 *out);
void keytree_label_child(const struct key32 *label, bool right, struct key32 *out);
void keytree_label_key(const struct key32 *label, struct key32 *out);
/* Of a part of a key block (ekb_parts.h), made with this nonce: HKDF(tree secret, "hearth part key" 00 || category:4 || d:1 || i:4 || nonce:16).
 * Only the distributor can make it. */
#define KEYTREE_PART_NONCE_BYTES 16
void keytree_part_key(const struct keytree *t, struct keytree_node node, const uint8_t nonce[KEYTREE_PART_NONCE_BYTES],
                      struct key32 *out);
/* Out of a device's set: in the subtree of its path node at depth `top`, the label of the sibling of its path node at `depth`.
 * 0, KEYTREE_MALFORMED. top < depth <= KEYTREE_DEPTH. */
int keytree_set_label(struct slice set, unsigned top, unsigned depth, struct key32 *out) MUST_USE;
/* The node on a leaf's path at that depth. */
struct keytree_node keytree_path(uint32_t leaf, unsigned depth);
/* First leaf under a node, and whether a leaf lies under it. */
uint32_t keytree_first_leaf(struct keytree_node node);
bool keytree_covers(struct keytree_node node, uint32_t leaf);

#endif
