/* Issuing key blocks, and keeping what partners granted. The cryptography is crypto/ekb.h's and crypto/ekb_parts.h's. On the connection's
 * thread: a block with many revocations takes up to seconds to build, one more revocation milliseconds. Finding in them: keyblocks_find.c.
 * Source: seed S12, Fig. 21, Fig. 22; design section 3. */
#define LOG_MODULE "keyblocks"
#include "distributor/keyblocks.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/util.h"
#include "distributor/keyblocks_parts.h"
#include "distributor/rows.h"
#include "distributor/share.h"
#include "distributor/share_rows.h"
#include "distributor/storage.h"

#define KEPT_VERSIONS 4           /* of ours: a partner may be in the middle of fetching an older one */
#define COMPLETE_MAX_ENTRIES 4096 /* a complete subtree's entry opens faster, and its block is one row */

static const struct keytree_node whole_tree = { 0, 0 };

/* --- Storing ----------------------------------------------------------------------------------------------------- */

/* entries: of a block in parts its top entries. */
static int store_block(struct operations *o, int64_t distributor, const struct id *id, const doc_Ekb *block,
                       struct slice envelope, struct slice entries, const struct key32 *root, int64_t ends_ms)
{
    uint8_t context[KEYBLOCKS_CONTEXT_BYTES], stored[KEYS_STORED_BYTES];
    keyblocks_context(id, block->version, context);
    int r = storage_protect(o, STORAGE_BLOCK_ROOT, SLICE_ARRAY(context), root, stored);
    if (r != 0)
        return r;
    struct query q CLEANUP(query_end) = query(o->store, BLOCK_ADD);
    query_bind_i64(&q, 1, distributor);
    query_bind_u64(&q, 2, block->version);
    query_bind_i64(&q, 3, block->category);
    query_bind_blob(&q, 4, envelope);
    query_bind_blob(&q, 5, SLICE_ARRAY(block->key_check));
    query_bind_blob(&q, 6, SLICE_ARRAY(stored));
    query_bind_i64(&q, 7, ends_ms);
    query_bind_blob(&q, 8, entries);
    query_bind_i64(&q, 9, block->kind);
    return rows_run(&q);
}

static int purge_to(struct operations *o, int64_t distributor, uint64_t version)
{
    struct query q CLEANUP(query_end) = query(o->store, BLOCK_PURGE);
    query_bind_i64(&q, 1, distributor);
    query_bind_u64(&q, 2, version);
    int r = rows_run(&q);
    return r == 0 ? keyblocks_parts_purge(o, distributor, version) : r;
}

static int add_parts(struct operations *o, int64_t distributor, const struct ekb_parts *e, uint32_t first,
                     uint32_t count)
{
    int r = 0;
    for (uint32_t i = first; r == 0 && i < first + count; i++)
        r = keyblocks_parts_add(o, distributor, e->version, &e->parts[i]);
    return r;
}

static struct slice tops_of(const struct ekb_parts *e) { return slice(e->tops, (size_t)e->count * EKB_ENTRY_BYTES); }

/* --- Granted by partners ------------------------------------------------------------------------------------------- */

static bool commits_to(const doc_Ekb *block, const uint8_t root[MERKLE_HASH_BYTES], uint32_t count)
{
    return memcmp(root, block->entries_root, MERKLE_HASH_BYTES) == 0 && count == block->entry_count;
}

static int keep_complete(struct operations *o, int64_t distributor, const doc_Ekb *block, struct slice envelope,
                         struct slice entries, const struct key32 *root, int64_t ends_ms)
{
    struct id id = id_from(block->distributor);
    struct ekb e = { 0 };
    int r = ekb_load(&e, block->category, block->version, entries);
    if (r != 0)
        return r > 0 ? REASON_MALFORMED : r;
    bool committed = commits_to(block, e.root, e.count);
    ekb_deinit(&e);
    return committed ? store_block(o, distributor, &id, block, envelope, entries, root, ends_ms) : REASON_MALFORMED;
}

static int keep_parts(struct operations *o, int64_t distributor, const doc_Ekb *block, struct slice envelope,
                      struct slice units, const struct key32 *root, int64_t ends_ms)
{
    struct id id = id_from(block->distributor);
    struct ekb_parts e CLEANUP(ekb_parts_deinit) = { 0 };
    int r = ekb_parts_load(&e, block->category, block->version, units);
    if (r != 0)
        return r > 0 ? REASON_MALFORMED : r;
    if (!commits_to(block, e.root, e.count))
        return REASON_MALFORMED;
    r = store_block(o, distributor, &id, block, envelope, tops_of(&e), root, ends_ms);
    return r == 0 ? add_parts(o, distributor, &e, 0, e.count) : r;
}

/* Only the newest granted one is kept. */
int keyblocks_keep_granted(struct operations *o, int64_t distributor, const doc_Ekb *block, struct slice envelope,
                           struct slice entries, const struct key32 *root, int64_t ends_ms)
{
    int r = keyblocks_parts_end(o, distributor, block->version, whole_tree);
    if (r == 0)
        r = purge_to(o, distributor, block->version - 1);
    if (r != 0)
        return r;
    return block->kind == EKB_KIND_SUBSET_DIFFERENCE
               ? keep_parts(o, distributor, block, envelope, entries, root, ends_ms)
               : keep_complete(o, distributor, block, envelope, entries, root, ends_ms);
}

/* --- Issuing ----------------------------------------------------------------------------------------------------- */

static int sign_block(struct operations *o, const doc_Ekb *block, struct buf *envelope)
{
    struct signer signer;
    signer_from_pair(&signer, &o->keys->license);
    return document_sign(envelope, DOCUMENT_EKB, block, &signer);
}

static int announce(struct operations *o, uint64_t version)
{
    struct query q CLEANUP(query_end) = query(o->store, DISTRIBUTOR_SET_BLOCK);
    query_bind_i64(&q, 1, OPERATIONS_SELF);
    query_bind_u64(&q, 2, version);
    int r = rows_run(&q);
    share_KeyBlock row = { .version = version };
    return r == 0 ? SHARE_PUT(o, KEY_BLOCK, false, share_KeyBlock, &row) : r;
}

/* A new version, all but its parts. block: filled by the cover, the rest of it here. */
static int publish(struct operations *o, doc_Ekb *block, struct slice entries, const struct key32 *root, int64_t now_ms)
{
    struct buf envelope CLEANUP(buf_free) = buf(512);
    block->category = OPERATIONS_CATEGORY;
    block->issued_ms = (uint64_t)now_ms;
    memcpy(block->distributor, o->keys->self.bytes, ID_BYTES);
    int r = sign_block(o, block, &envelope);
    if (r == 0)
        r = store_block(o, OPERATIONS_SELF, &o->keys->self, block, buf_slice(&envelope), entries, root, INT64_MAX);
    if (r == 0 && block->version > KEPT_VERSIONS)
        r = purge_to(o, OPERATIONS_SELF, block->version - KEPT_VERSIONS);
    return r == 0 ? announce(o, block->version) : r;
}

static void deinit_ekb(struct ekb *e) { ekb_deinit(e); }

static int issue_complete(struct operations *o, uint64_t version, const uint32_t *leaves, size_t count, int64_t now_ms)
{
    struct key32 root CLEANUP(key32_wipe);
    struct ekb e CLEANUP(deinit_ekb) = { 0 };
    rng_fill(o->rng, root.bytes, sizeof(root.bytes));
    int r = ekb_build(&e, &o->keys->tree, OPERATIONS_CATEGORY, version, leaves, count, &root);
    if (r != 0)
        return r;
    doc_Ekb block = { .kind = EKB_KIND_COMPLETE_SUBTREE, .version = version, .entry_count = e.count };
    memcpy(block.entries_root, e.root, sizeof(block.entries_root));
    memcpy(block.key_check, e.key_check, sizeof(block.key_check));
    r = keyblocks_parts_end(o, OPERATIONS_SELF, version, whole_tree);
    return r == 0 ? publish(o, &block, slice(e.entries, (size_t)e.count * EKB_ENTRY_BYTES), &root, now_ms) : r;
}

static int publish_parts(struct operations *o, const struct ekb_parts *e, const struct key32 *root, int64_t now_ms)
{
    doc_Ekb block = { .kind = EKB_KIND_SUBSET_DIFFERENCE,
                      .version = e->version,
                      .entry_count = e->count,
                      .has_unit_count = true,
                      .unit_count = (uint32_t)ekb_parts_units(e) };
    memcpy(block.entries_root, e->root, sizeof(block.entries_root));
    memcpy(block.key_check, e->key_check, sizeof(block.key_check));
    return publish(o, &block, tops_of(e), root, now_ms);
}

static int issue_parts(struct operations *o, uint64_t version, const uint32_t *leaves, size_t count, int64_t now_ms)
{
    struct key32 root CLEANUP(key32_wipe);
    struct ekb_parts e CLEANUP(ekb_parts_deinit) = { 0 };
    rng_fill(o->rng, root.bytes, sizeof(root.bytes));
    int r = ekb_parts_build(&e, &o->keys->tree, OPERATIONS_CATEGORY, version, leaves, count, &root, o->rng);
    if (r == 0)
        r = keyblocks_parts_end(o, OPERATIONS_SELF, version, whole_tree);
    if (r == 0)
        r = add_parts(o, OPERATIONS_SELF, &e, 0, e.count);
    return r == 0 ? publish_parts(o, &e, &root, now_ms) : r;
}

static const struct {
    const char *name;
    uint32_t kind; /* 0: by size */
} kinds[] = { { "auto", 0 },
              { "complete-subtree", EKB_KIND_COMPLETE_SUBTREE },
              { "subset-difference", EKB_KIND_SUBSET_DIFFERENCE } };

bool keyblocks_kind_is_valid(const char *name)
{
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++)
        if (strcmp(kinds[i].name, name) == 0)
            return true;
    return false;
}

/* As the operator says, 0: by size. */
static int wanted_kind(struct operations *o, uint32_t *kind)
{
    char name[32];
    int r = operations_setting(o, "key-block-kind", name, sizeof(name));
    *kind = 0;
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++)
        if (strcmp(kinds[i].name, name) == 0)
            *kind = kinds[i].kind;
    return r;
}

int keyblocks_issue(struct operations *o, int64_t now_ms)
{
    uint32_t *leaves CLEANUP(freep) = NULL, kind = 0;
    size_t count = 0;
    uint64_t version = 0;
    int r = keyblocks_revoked(o, whole_tree, &leaves, &count);
    if (r == 0)
        r = wanted_kind(o, &kind);
    if (r == 0)
        r = operations_count(o, "key-block", &version);
    if (r != 0)
        return r;
    if (kind == 0)
        kind =
            ekb_entries(leaves, count) <= COMPLETE_MAX_ENTRIES ? EKB_KIND_COMPLETE_SUBTREE : EKB_KIND_SUBSET_DIFFERENCE;
    r = kind == EKB_KIND_SUBSET_DIFFERENCE ? issue_parts(o, version, leaves, count, now_ms)
                                           : issue_complete(o, version, leaves, count, now_ms);
    if (r == 0)
        log_info("key block issued: version=%llu kind=%u revoked=%zu", (unsigned long long)version, kind, count);
    return r > 0 ? -EINVAL : r;
}

/* --- One more revocation ------------------------------------------------------------------------------------------- */

/* The parts of the newest block that are made anew for the leaf; the others stay. OPERATIONS_ABSENT: it has no parts, or none for it. */
static int issue_without(struct operations *o, uint32_t leaf, int64_t now_ms)
{
    struct ekb_parts e CLEANUP(ekb_parts_deinit) = { 0 };
    struct key32 root CLEANUP(key32_wipe);
    uint32_t *leaves CLEANUP(freep) = NULL, at, first, changed, kind;
    size_t count = 0;
    uint64_t version = 0;
    int r = wanted_kind(o, &kind);
    if (r == 0 && kind == EKB_KIND_COMPLETE_SUBTREE)
        r = OPERATIONS_ABSENT;
    if (r == 0)
        r = keyblocks_newest_parts(o, OPERATIONS_SELF, &e);
    if (r == 0 && ekb_parts_at(&e, leaf, &at) != 0)
        r = OPERATIONS_ABSENT;
    if (r != 0)
        return r;
    struct keytree_node part = e.parts[at].node;
    r = keyblocks_revoked(o, part, &leaves, &count);
    if (r == 0)
        r = operations_count(o, "key-block", &version);
    if (r != 0)
        return r;
    rng_fill(o->rng, root.bytes, sizeof(root.bytes));
    r = ekb_parts_revoke(&e, &o->keys->tree, version, leaf, leaves, count, &root, o->rng, &first, &changed);
    if (r == 0)
        r = keyblocks_parts_end(o, OPERATIONS_SELF, version, part);
    if (r == 0)
        r = add_parts(o, OPERATIONS_SELF, &e, first, changed);
    if (r == 0)
        r = publish_parts(o, &e, &root, now_ms);
    if (r == 0)
        log_info("key block issued: version=%llu kind=%u parts=%u changed=%u", (unsigned long long)version,
                 EKB_KIND_SUBSET_DIFFERENCE, e.count, changed);
    return r > 0 ? -EINVAL : r;
}

static int leaf_of(struct operations *o, const struct id *client, uint32_t *leaf)
{
    struct query q CLEANUP(query_end) = query(o->store, LEAF_GET);
    query_bind_i64(&q, 1, OPERATIONS_SELF);
    rows_bind_id(&q, 2, client);
    int r = rows_one(&q);
    if (r != 0)
        return r;
    *leaf = query_u32(&q, 1);
    return query_check(&q);
}

int keyblocks_revoke(struct operations *o, const struct id *client, int64_t now_ms)
{
    uint32_t leaf = 0;
    int r = leaf_of(o, client, &leaf);
    if (r != 0)
        return r;
    struct query q CLEANUP(query_end) = query(o->store, REVOKED_LEAF_ADD);
    query_bind_i64(&q, 1, OPERATIONS_CATEGORY);
    query_bind_i64(&q, 2, leaf);
    rows_bind_id(&q, 3, client);
    query_bind_i64(&q, 4, now_ms);
    r = rows_run(&q);
    if (r == 0)
        r = issue_without(o, leaf, now_ms);
    return r == OPERATIONS_ABSENT ? keyblocks_issue(o, now_ms) : r;
}

int keyblocks_next_leaf(struct operations *o, uint32_t *leaf)
{
    uint64_t next = 0;
    int r = operations_count(o, "leaf", &next);
    if (r != 0)
        return r;
    if (next > UINT32_MAX)
        return REASON_TOO_LARGE;
    *leaf = (uint32_t)(next - 1);
    return 0;
}
