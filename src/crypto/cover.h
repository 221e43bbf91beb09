/* Subset-difference cover (Naor, Naor, Lotspiech, section 3.2): the leaves below a node except the revoked ones, as disjoint subsets
 * "below this node, but not below that one". At most two for each revocation, 1.25 on the average: a complete-subtree cover has
 * log2(N/r). Pure: no keys, no I/O. */
#ifndef CRYPTO_COVER_H
#define CRYPTO_COVER_H

#include "crypto/keytree.h"

/* The leaves below top that are not below `without`; without == top: all of them. */
struct cover_subset {
    struct keytree_node top, without;
};
bool cover_has(const struct cover_subset *s, uint32_t leaf);

/* Five bytes: depth of top:6 bits || without as 2^depth + index:34 bits, big-endian. */
#define COVER_SUBSET_BYTES 5
void cover_encode(const struct cover_subset *s, uint8_t out[COVER_SUBSET_BYTES]);
bool cover_decode(const uint8_t bytes[COVER_SUBSET_BYTES], struct cover_subset *out); /* false: names no subset */

/* Calls emit for each subset of the cover, in order of first leaf of top, then depth of top: no top comes twice. revoked: below root,
 * ascending, distinct. Nothing is emitted when all are revoked. Ends early with what emit returns other than 0. */
int cover_subset_difference(struct keytree_node root, const uint32_t *revoked, size_t count,
                            int (*emit)(void *ctx, const struct cover_subset *s), void *ctx) MUST_USE;
/* How many of the revoked leaves are below the left half of a node. */
size_t cover_left_count(struct keytree_node node, const uint32_t *revoked, size_t count);
uint64_t cover_leaf_count(struct keytree_node node);

/* The key of a subset. Every leaf in it can make it from its set; no other can. */
void cover_key(const struct keytree *t, const struct cover_subset *s, struct key32 *out);
/* The same out of a device's set, whose leaf is in the subset. 0, KEYTREE_MALFORMED. */
int cover_set_key(struct slice set, const struct cover_subset *s, struct key32 *out) MUST_USE;

#endif
