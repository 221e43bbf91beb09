/* Key blocks in the operations database. The cryptography is crypto/ekb.h's. On the connection's thread; a block with many
 * revocations takes tens of milliseconds to build. Source: seed S12, Fig. 21, Fig. 22; design section 3. */
#define LOG_MODULE "keyblocks"
#include "distributor/keyblocks.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/util.h"
#include "distributor/rows.h"
#include "distributor/share.h"
#include "distributor/share_rows.h"

#define ROOT_LABEL "hearth block root"
#define KEPT_VERSIONS 4 /* of ours: a partner may be in the middle of fetching an older one */

static void context_of(const struct id *distributor, uint64_t version, uint8_t out[ID_BYTES + 8])
{
    memcpy(out, distributor->bytes, ID_BYTES);
    put_be64(out + ID_BYTES, version);
}

/* --- Storing ----------------------------------------------------------------------------------------------------- */

static int store_block(struct operations *o, int64_t distributor, const struct id *id, const doc_Ekb *block,
                       struct slice envelope, struct slice entries, const struct key32 *root, int64_t ends_ms)
{
    uint8_t context[ID_BYTES + 8], stored[KEYS_STORED_BYTES];
    context_of(id, block->version, context);
    int r = keys_protect(o->keys, o->rng, ROOT_LABEL, SLICE_ARRAY(context), root, stored);
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
    return rows_run(&q);
}

static int purge_to(struct operations *o, int64_t distributor, uint64_t version)
{
    struct query q CLEANUP(query_end) = query(o->store, BLOCK_PURGE);
    query_bind_i64(&q, 1, distributor);
    query_bind_u64(&q, 2, version);
    return rows_run(&q);
}

int keyblocks_keep_granted(struct operations *o, int64_t distributor, const doc_Ekb *block, struct slice envelope,
                           struct slice entries, const struct key32 *root, int64_t ends_ms)
{
    struct id id = id_from(block->distributor);
    int r = store_block(o, distributor, &id, block, envelope, entries, root, ends_ms);
    return r == 0 && block->version > 1 ? purge_to(o, distributor, block->version - 1) : r;
}

/* --- Issuing ----------------------------------------------------------------------------------------------------- */

static int revoked_leaves(struct operations *o, uint32_t **out, size_t *count)
{
    struct query n CLEANUP(query_end) = query(o->store, REVOKED_LEAF_COUNT);
    query_bind_i64(&n, 1, OPERATIONS_CATEGORY);
    int r = rows_one(&n);
    if (r != 0)
        return r;
    size_t total = query_u32(&n, 0), used = 0;
    uint32_t *leaves CLEANUP(freep) = calloc(total + 1, sizeof(*leaves));
    if (!leaves)
        return -ENOMEM;
    struct query q CLEANUP(query_end) = query(o->store, REVOKED_LEAF_ALL);
    query_bind_i64(&q, 1, OPERATIONS_CATEGORY);
    while (used < total && rows_next(&q, &r))
        leaves[used++] = query_u32(&q, 0);
    if (r == 0)
        r = query_check(&q);
    if (r != 0)
        return r;
    *out = steal(&leaves);
    *count = used;
    return 0;
}

static int sign_block(struct operations *o, const struct ekb *e, int64_t now_ms, doc_Ekb *block, struct buf *envelope)
{
    *block = (doc_Ekb){ .category = e->category,
                        .kind = EKB_KIND_COMPLETE_SUBTREE,
                        .version = e->version,
                        .entry_count = e->count,
                        .issued_ms = (uint64_t)now_ms };
    memcpy(block->distributor, o->keys->self.bytes, ID_BYTES);
    memcpy(block->entries_root, e->root, sizeof(block->entries_root));
    memcpy(block->key_check, e->key_check, sizeof(block->key_check));
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

static void deinit_ekb(struct ekb *e) { ekb_deinit(e); }

int keyblocks_issue(struct operations *o, int64_t now_ms)
{
    uint32_t *leaves CLEANUP(freep) = NULL;
    size_t count = 0;
    uint64_t version = 0;
    int r = revoked_leaves(o, &leaves, &count);
    if (r == 0)
        r = operations_count(o, "key-block", &version);
    if (r != 0)
        return r;
    struct key32 root CLEANUP(key32_wipe);
    rng_fill(o->rng, root.bytes, sizeof(root.bytes));
    struct ekb e CLEANUP(deinit_ekb) = { 0 };
    r = ekb_build(&e, &o->keys->tree, OPERATIONS_CATEGORY, version, leaves, count, &root);
    if (r != 0)
        return r;
    doc_Ekb block;
    struct buf envelope CLEANUP(buf_free) = buf(512);
    r = sign_block(o, &e, now_ms, &block, &envelope);
    if (r == 0)
        r = store_block(o, OPERATIONS_SELF, &o->keys->self, &block, buf_slice(&envelope),
                        slice(e.entries, (size_t)e.count * EKB_ENTRY_BYTES), &root, INT64_MAX);
    if (r == 0 && version > KEPT_VERSIONS)
        r = purge_to(o, OPERATIONS_SELF, version - KEPT_VERSIONS);
    if (r == 0)
        r = announce(o, version);
    if (r == 0)
        log_info("key block issued: version=%llu entries=%u revoked=%zu", (unsigned long long)version, e.count, count);
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
    return r == 0 ? keyblocks_issue(o, now_ms) : r;
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

/* --- Finding ----------------------------------------------------------------------------------------------------- */

struct block_row {
    uint64_t version;
    uint32_t category;
    uint8_t key_check[32], root[KEYS_STORED_BYTES];
    int64_t ends_ms;
};

static int read_block(struct operations *o, int64_t distributor, uint64_t version, struct block_row *row,
                      struct buf *envelope)
{
    struct query q CLEANUP(query_end) = query(o->store, BLOCK_GET);
    query_bind_i64(&q, 1, distributor);
    query_bind_u64(&q, 2, version); /* 0: the newest */
    int r = rows_one(&q);
    if (r != 0)
        return r;
    row->version = query_u64(&q, 0);
    row->category = query_u32(&q, 1);
    if (envelope)
        query_append(&q, 2, envelope);
    query_fixed(&q, 3, row->key_check, sizeof(row->key_check));
    query_fixed(&q, 4, row->root, sizeof(row->root));
    row->ends_ms = query_i64(&q, 5);
    return query_check(&q);
}

void keyblocks_newest_wipe(struct keyblocks_newest *n) { key32_wipe(&n->root); }

int keyblocks_get(struct operations *o, int64_t distributor, uint64_t version, struct keyblocks_newest *out,
                  struct buf *envelope)
{
    struct block_row row;
    struct id id;
    int r = read_block(o, distributor, version, &row, envelope);
    if (r == 0)
        r = operations_distributor_get(o, distributor, &id, NULL, 0);
    if (r != 0)
        return r;
    uint8_t context[ID_BYTES + 8];
    context_of(&id, row.version, context);
    r = keys_reveal(o->keys, ROOT_LABEL, SLICE_ARRAY(context), SLICE_ARRAY(row.root), &out->root);
    if (r != 0)
        return r;
    out->version = row.version;
    out->ends_ms = row.ends_ms;
    return 0;
}

int keyblocks_newest(struct operations *o, int64_t distributor, struct keyblocks_newest *out)
{
    return keyblocks_get(o, distributor, 0, out, NULL);
}

static struct operations_block *least_used(struct operations *o)
{
    struct operations_block *found = &o->blocks[0];
    for (size_t i = 1; i < ARRAY_COUNT(o->blocks); i++)
        if (o->blocks[i].used < found->used)
            found = &o->blocks[i];
    return found;
}

/* Blocks are told apart by their key check, not by number: a transaction that is rolled back takes its version number
 * with it, and the next one uses it again. */
static int load_block(struct operations *o, int64_t distributor, const struct block_row *row, struct ekb **out)
{
    for (size_t i = 0; i < ARRAY_COUNT(o->blocks); i++) {
        struct operations_block *b = &o->blocks[i];
        if (b->distributor == distributor && secret_equal(b->key_check, row->key_check, sizeof(row->key_check))) {
            b->used = ++o->block_uses;
            *out = &b->ekb;
            return 0;
        }
    }
    struct query q CLEANUP(query_end) = query(o->store, BLOCK_ENTRIES);
    query_bind_i64(&q, 1, distributor);
    query_bind_u64(&q, 2, row->version);
    int r = rows_one(&q);
    if (r != 0)
        return r > 0 ? -EUCLEAN : r;
    struct operations_block *b = least_used(o);
    struct ekb loaded = { 0 };
    r = ekb_load(&loaded, row->category, row->version, query_blob(&q, 0));
    if (r != 0)
        return r > 0 ? -EUCLEAN : r;
    ekb_deinit(&b->ekb);
    *b = (struct operations_block){ .distributor = distributor, .ekb = loaded, .used = ++o->block_uses };
    memcpy(b->key_check, row->key_check, sizeof(b->key_check));
    *out = &b->ekb;
    return 0;
}

int keyblocks_entry(struct operations *o, int64_t distributor, uint32_t leaf, doc_KeyBlockEntry *out)
{
    struct block_row row;
    struct buf envelope CLEANUP(buf_free) = buf(sizeof(out->block.bytes));
    int r = read_block(o, distributor, 0, &row, &envelope);
    if (r != 0)
        return r;
    struct ekb *block = NULL;
    r = load_block(o, distributor, &row, &block);
    if (r != 0)
        return r;
    doc_KeyBlockEntry entry = doc_KeyBlockEntry_init_zero;
    struct buf proof CLEANUP(buf_free) = buf(sizeof(entry.proof.bytes));
    r = ekb_find(block, leaf, &entry.index, entry.entry, &proof);
    if (r != 0)
        return r == EKB_NOT_COVERED ? REASON_DEVICE_REVOKED : r > 0 ? -EUCLEAN : r;
    if (CODEC_SET_BYTES(entry.block, buf_slice(&envelope)) != 0)
        return -EUCLEAN;
    entry.has_proof = proof.len > 0;
    if (entry.has_proof && CODEC_SET_BYTES(entry.proof, buf_slice(&proof)) != 0)
        return -EUCLEAN;
    *out = entry;
    return 0;
}
