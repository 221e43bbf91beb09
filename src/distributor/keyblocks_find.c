/* Key blocks found in the operations database: the newest, a version, the entry of a leaf, a page for a partner. On the connection's
 * thread. */
#define LOG_MODULE "keyblocks"
#include <stdlib.h>

#include "base/log.h"
#include "base/util.h"
#include "distributor/keyblocks.h"
#include "distributor/keyblocks_parts.h"
#include "distributor/rows.h"
#include "distributor/storage.h"

void keyblocks_context(const struct id *distributor, uint64_t version, uint8_t out[KEYBLOCKS_CONTEXT_BYTES])
{
    memcpy(out, distributor->bytes, ID_BYTES);
    put_be64(out + ID_BYTES, version);
}

struct block_row {
    uint64_t version;
    uint32_t category, kind;
    uint8_t key_check[32], root[KEYS_STORED_BYTES];
    size_t root_len; /* earlier versions stored less */
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
    struct slice root = query_blob(&q, 4);
    row->root_len = size_min(root.len, sizeof(row->root));
    if (row->root_len > 0)
        memcpy(row->root, root.data, row->root_len);
    row->ends_ms = query_i64(&q, 5);
    row->kind = query_u32(&q, 6);
    return query_check(&q);
}

int keyblocks_newest_envelope(struct operations *o, struct buf *out)
{
    struct block_row row;
    return read_block(o, OPERATIONS_SELF, 0, &row, out);
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
    uint8_t context[KEYBLOCKS_CONTEXT_BYTES];
    keyblocks_context(&id, row.version, context);
    r = keys_reveal(o->keys, STORAGE_BLOCK_ROOT, SLICE_ARRAY(context), slice(row.root, row.root_len), &out->root);
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

static int read_cover(struct operations *o, int64_t distributor, const struct block_row *row,
                      struct operations_block *out)
{
    struct query q CLEANUP(query_end) = query(o->store, BLOCK_ENTRIES);
    query_bind_i64(&q, 1, distributor);
    query_bind_u64(&q, 2, row->version);
    int r = rows_one(&q);
    if (r != 0)
        return r > 0 ? -EUCLEAN : r;
    struct slice entries = query_blob(&q, 0);
    r = row->kind == EKB_KIND_SUBSET_DIFFERENCE
            ? keyblocks_parts_load(o, distributor, row->version, row->category, entries, &out->parts)
            : ekb_load(&out->ekb, row->category, row->version, entries);
    return r > 0 ? -EUCLEAN : r;
}

/* Blocks are told apart by their key check, not by number: a transaction that is rolled back takes its version number
 * with it, and the next one uses it again. */
static int load_block(struct operations *o, int64_t distributor, const struct block_row *row,
                      struct operations_block **out)
{
    for (size_t i = 0; i < ARRAY_COUNT(o->blocks); i++) {
        struct operations_block *b = &o->blocks[i];
        if (b->distributor == distributor && secret_equal(b->key_check, row->key_check, sizeof(row->key_check))) {
            b->used = ++o->block_uses;
            *out = b;
            return 0;
        }
    }
    struct operations_block loaded = { .distributor = distributor, .kind = row->kind };
    int r = read_cover(o, distributor, row, &loaded);
    if (r != 0)
        return r;
    struct operations_block *b = least_used(o);
    ekb_deinit(&b->ekb);
    ekb_parts_deinit(&b->parts);
    loaded.used = ++o->block_uses;
    memcpy(loaded.key_check, row->key_check, sizeof(loaded.key_check));
    *b = loaded;
    *out = b;
    return 0;
}

int keyblocks_newest_parts(struct operations *o, int64_t distributor, struct ekb_parts *out)
{
    struct block_row row;
    struct operations_block loaded = { 0 };
    int r = read_block(o, distributor, 0, &row, NULL);
    if (r == 0 && row.kind != EKB_KIND_SUBSET_DIFFERENCE)
        r = OPERATIONS_ABSENT;
    if (r == 0)
        r = read_cover(o, distributor, &row, &loaded);
    if (r == 0)
        *out = loaded.parts;
    return r;
}

/* --- The entry of a leaf ------------------------------------------------------------------------------------------- */

static int set_proof(doc_KeyBlockEntry *entry, const struct buf *proof)
{
    entry->has_proof = proof->len > 0;
    return entry->has_proof && CODEC_SET_BYTES(entry->proof, buf_slice(proof)) != 0 ? -EUCLEAN : 0;
}

static int entry_complete(const struct ekb *block, uint32_t leaf, doc_KeyBlockEntry *entry)
{
    struct buf proof CLEANUP(buf_free) = buf(sizeof(entry->proof.bytes));
    int r = ekb_find(block, leaf, &entry->index, entry->entry, &proof);
    return r == 0 ? set_proof(entry, &proof) : r;
}

static int entry_in_part(struct operations *o, struct operations_block *block, uint32_t leaf, doc_KeyBlockEntry *entry)
{
    struct ekb_place place CLEANUP(ekb_place_deinit) = ekb_place();
    struct buf part CLEANUP(buf_free) = buf(sizeof(entry->part.bytes));
    uint32_t at;
    int r = ekb_parts_at(&block->parts, leaf, &at);
    if (r == 0)
        r = keyblocks_parts_entries(o, block->distributor, block->parts.version, &block->parts.parts[at]);
    if (r == 0)
        r = ekb_parts_find(&block->parts, leaf, &place);
    if (r == 0)
        r = ekb_place_encode(&place, &part);
    if (r != 0)
        return r;
    entry->index = place.index;
    memcpy(entry->entry, place.top, sizeof(entry->entry));
    entry->has_part = true;
    return CODEC_SET_BYTES(entry->part, buf_slice(&part)) != 0 ? -EUCLEAN : set_proof(entry, &place.proof);
}

int keyblocks_entry(struct operations *o, int64_t distributor, uint32_t leaf, doc_KeyBlockEntry *out)
{
    struct block_row row;
    struct operations_block *block = NULL;
    doc_KeyBlockEntry entry = doc_KeyBlockEntry_init_zero;
    struct buf envelope CLEANUP(buf_free) = buf(sizeof(out->block.bytes));
    int r = read_block(o, distributor, 0, &row, &envelope);
    if (r == 0)
        r = load_block(o, distributor, &row, &block);
    if (r != 0)
        return r;
    r = block->kind == EKB_KIND_SUBSET_DIFFERENCE ? entry_in_part(o, block, leaf, &entry)
                                                  : entry_complete(&block->ekb, leaf, &entry);
    if (r != 0)
        return r == EKB_NOT_COVERED ? REASON_DEVICE_REVOKED : r > 0 ? -EUCLEAN : r;
    if (CODEC_SET_BYTES(entry.block, buf_slice(&envelope)) != 0)
        return -EUCLEAN;
    *out = entry;
    return 0;
}

/* --- A page for a partner ------------------------------------------------------------------------------------------ */

static int page_complete(struct operations *o, uint64_t version, uint32_t first, uint32_t most, struct buf *out)
{
    struct query q CLEANUP(query_end) = query(o->store, BLOCK_PAGE);
    query_bind_i64(&q, 1, OPERATIONS_SELF);
    query_bind_u64(&q, 2, version);
    query_bind_i64(&q, 3, (int64_t)first * EKB_ENTRY_BYTES + 1);
    query_bind_i64(&q, 4, (int64_t)most * EKB_ENTRY_BYTES);
    int r = rows_one(&q);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? -EUCLEAN : r;
    query_append(&q, 0, out);
    return query_check(&q);
}

int keyblocks_page(struct operations *o, uint64_t version, uint32_t first, uint32_t most, struct buf *out)
{
    struct block_row row;
    int r = read_block(o, OPERATIONS_SELF, version, &row, NULL);
    if (r != 0)
        return r;
    if (row.kind != EKB_KIND_SUBSET_DIFFERENCE)
        return page_complete(o, row.version, first, most, out);
    struct query q CLEANUP(query_end) = query(o->store, BLOCK_ENTRIES);
    query_bind_i64(&q, 1, OPERATIONS_SELF);
    query_bind_u64(&q, 2, row.version);
    r = rows_one(&q);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? -EUCLEAN : r;
    return keyblocks_parts_page(o, OPERATIONS_SELF, row.version, query_blob(&q, 0), first, most, out);
}

/* --- Blocks of another format -------------------------------------------------------------------------------------- */

static int next_owner(struct operations *o, int64_t *distributor)
{
    struct query q CLEANUP(query_end) = query(o->store, BLOCK_OWNER_NEXT);
    query_bind_i64(&q, 1, *distributor);
    int r = rows_one(&q);
    if (r == 0)
        *distributor = query_i64(&q, 0);
    return r == 0 ? query_check(&q) : r;
}

static int drop_blocks(struct operations *o, int64_t distributor, uint64_t version)
{
    struct query q CLEANUP(query_end) = query(o->store, BLOCK_PURGE);
    query_bind_i64(&q, 1, distributor);
    query_bind_u64(&q, 2, version);
    return rows_run(&q);
}

int keyblocks_replace_unreadable(struct operations *o, int64_t now_ms)
{
    int64_t distributor = 0;
    int r = 0;
    while (!o->blocks_checked && (r = next_owner(o, &distributor)) == 0) {
        struct block_row row;
        struct operations_block loaded = { 0 };
        r = read_block(o, distributor, 0, &row, NULL);
        if (r != 0)
            return r > 0 ? -EUCLEAN : r;
        r = read_cover(o, distributor, &row, &loaded);
        ekb_deinit(&loaded.ekb);
        ekb_parts_deinit(&loaded.parts);
        if (r == -EUCLEAN) {
            log_warn("a key block cannot be read: %s",
                     distributor == OPERATIONS_SELF ? "a new one is issued" : "asked for again");
            r = distributor == OPERATIONS_SELF ? keyblocks_issue(o, now_ms) : drop_blocks(o, distributor, row.version);
        }
        if (r != 0)
            return r;
    }
    o->blocks_checked = r == 0 || r == OPERATIONS_ABSENT;
    return r == OPERATIONS_ABSENT ? 0 : r;
}
