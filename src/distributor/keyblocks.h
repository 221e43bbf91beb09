/* Enabling key blocks: ours, a new version after each revocation; and those that partners granted. */
#ifndef DISTRIBUTOR_KEYBLOCKS_H
#define DISTRIBUTOR_KEYBLOCKS_H

#include "distributor/operations.h"
#include "protocol/documents.h"

/* Setting key-block-kind: auto (by size), complete-subtree, subset-difference. */
bool keyblocks_kind_is_valid(const char *name) MUST_USE;
/* Builds, signs, stores and announces our next version: all leaves except the revoked ones. Writes. */
int keyblocks_issue(struct operations *o, int64_t now_ms) MUST_USE;
/* Appends the envelope of our newest one. 0, OPERATIONS_ABSENT, -errno. */
int keyblocks_newest_envelope(struct operations *o, struct buf *out) MUST_USE;
/* Revokes our client's leaf and issues a block without it; of a block in parts only the leaf's part is made anew. 0, OPERATIONS_ABSENT without a leaf. Writes. */
int keyblocks_revoke(struct operations *o, const struct id *client, int64_t now_ms) MUST_USE;
/* The next leaf that was never given: counted up, skipping nothing but the revoked. REASON_TOO_LARGE when all are given. */
int keyblocks_next_leaf(struct operations *o, uint32_t *leaf) MUST_USE;

struct keyblocks_newest {
    uint64_t version;
    int64_t ends_ms;   /* of the grant; INT64_MAX for ours */
    struct key32 root; /* our root key, or the partner root granted to us: wipe it */
};
void keyblocks_newest_wipe(struct keyblocks_newest *n);
/* Of a distributor's newest block here: version and root. 0, OPERATIONS_ABSENT, -errno. */
int keyblocks_newest(struct operations *o, int64_t distributor, struct keyblocks_newest *out) MUST_USE;
/* The same of a version still kept (0: the newest), with its envelope appended. */
int keyblocks_get(struct operations *o, int64_t distributor, uint64_t version, struct keyblocks_newest *out,
                  struct buf *envelope) MUST_USE;
/* The entry of a leaf in that block, with its proof. 0, REASON_DEVICE_REVOKED (not covered), OPERATIONS_ABSENT, -errno. */
int keyblocks_entry(struct operations *o, int64_t distributor, uint32_t leaf, doc_KeyBlockEntry *out) MUST_USE;

/* Units (EKB_ENTRY_BYTES) of a version of ours as partners get it, from `first` on, at most so many. Appends. 0, OPERATIONS_ABSENT, -errno. */
int keyblocks_page(struct operations *o, uint64_t version, uint32_t first, uint32_t most, struct buf *out) MUST_USE;

/* Keeps a block granted by a partner, whose documents were judged by the caller, and which commits to these entries (of a block in parts:
 * units; else REASON_MALFORMED), instead of the one before. root: the partner root. Writes. */
int keyblocks_keep_granted(struct operations *o, int64_t distributor, const doc_Ekb *block, struct slice envelope,
                           struct slice entries, const struct key32 *root, int64_t ends_ms) MUST_USE;

/* Between the two files of this module: what a stored root key is bound to. */
#define KEYBLOCKS_CONTEXT_BYTES (ID_BYTES + 8)
void keyblocks_context(const struct id *distributor, uint64_t version, uint8_t out[KEYBLOCKS_CONTEXT_BYTES]);

/* Blocks that cannot be read, which an earlier version made in another format: ours is issued anew, those of partners go, and are asked for again.
 * Once for each connection that writes; cheap when there are none. 0 or -errno. Writes. */
int keyblocks_replace_unreadable(struct operations *o, int64_t now_ms) MUST_USE;

#endif
