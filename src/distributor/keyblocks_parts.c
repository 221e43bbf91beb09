/* Tables key_block_part and revoked_leaf. On the connection's thread. */
#include "distributor/keyblocks_parts.h"

#include <stdlib.h>

#include "base/util.h"
#include "distributor/rows.h"

static int read_part(struct query *q, struct ekb_part *p)
{
    query_fixed(q, 0, p->nonce, sizeof(p->nonce));
    p->node.depth = (uint8_t)query_u32(q, 1);
    p->node.index = query_u32(q, 2);
    p->count = query_u32(q, 3);
    query_fixed(q, 4, p->root, sizeof(p->root));
    int r = query_check(q);
    return r == 0 && p->count > EKB_PART_ENTRIES_MAX ? -EUCLEAN : r;
}

static int read_parts(struct operations *o, int64_t distributor, uint64_t version, size_t most, struct ekb_parts *e)
{
    struct query q CLEANUP(query_end) = query(o->store, BLOCK_PARTS);
    query_bind_i64(&q, 1, distributor);
    query_bind_u64(&q, 2, version);
    int r = 0;
    while (rows_next(&q, &r)) {
        if (e->count == most)
            return -EUCLEAN;
        r = read_part(&q, &e->parts[e->count++]);
        if (r != 0)
            return r;
    }
    return r == 0 && e->count != most ? -EUCLEAN : r;
}

/* The rows are those the top entries are for. */
static bool fit(const struct ekb_parts *e)
{
    for (uint32_t i = 0; i < e->count; i++) {
        const uint8_t *top = e->tops + (size_t)i * EKB_ENTRY_BYTES;
        if (top[0] != e->parts[i].node.depth || get_be32(top + 1) != e->parts[i].node.index)
            return false;
    }
    return true;
}

int keyblocks_parts_load(struct operations *o, int64_t distributor, uint64_t version, uint32_t category,
                         struct slice tops, struct ekb_parts *out)
{
    struct ekb_parts e CLEANUP(ekb_parts_deinit) = { .category = category, .version = version };
    size_t most = tops.len / EKB_ENTRY_BYTES;
    if (most == 0 || most > EKB_PARTS_MAX || tops.len % EKB_ENTRY_BYTES != 0)
        return -EUCLEAN;
    e.parts = calloc(most, sizeof(*e.parts));
    e.tops = malloc(tops.len);
    if (!e.parts || !e.tops)
        return -ENOMEM;
    memcpy(e.tops, tops.data, tops.len);
    int r = read_parts(o, distributor, version, most, &e);
    if (r == 0)
        r = fit(&e) ? ekb_parts_fill(&e) : -EUCLEAN;
    if (r != 0)
        return r;
    *out = e;
    e = (struct ekb_parts){ 0 };
    return 0;
}

int keyblocks_parts_entries(struct operations *o, int64_t distributor, uint64_t version, struct ekb_part *part)
{
    if (part->entries)
        return 0;
    struct query q CLEANUP(query_end) = query(o->store, BLOCK_PART_ENTRIES);
    query_bind_i64(&q, 1, distributor);
    query_bind_i64(&q, 2, keytree_first_leaf(part->node));
    query_bind_u64(&q, 3, version);
    int r = rows_one(&q);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? -EUCLEAN : r;
    struct slice entries = query_blob(&q, 0);
    r = query_check(&q);
    if (r != 0 || entries.len != (size_t)part->count * EKB_ENTRY_BYTES)
        return r != 0 ? r : -EUCLEAN;
    part->entries = malloc(entries.len);
    if (!part->entries)
        return -ENOMEM;
    memcpy(part->entries, entries.data, entries.len);
    return 0;
}

/* What of this part, which begins at unit `at`, is from unit `first` to before `end`. */
static int add_units(struct operations *o, int64_t distributor, uint64_t version, struct ekb_part *part,
                     const uint8_t *top, uint64_t at, uint64_t first, uint64_t end, struct buf *out)
{
    struct buf whole CLEANUP(buf_free) = buf((size_t)(EKB_PART_HEAD_UNITS + EKB_PART_ENTRIES_MAX) * EKB_ENTRY_BYTES);
    int r = keyblocks_parts_entries(o, distributor, version, part);
    if (r == 0)
        r = ekb_part_encode(part, top, &whole);
    if (r != 0)
        return r > 0 ? -EUCLEAN : r;
    uint64_t units = whole.len / EKB_ENTRY_BYTES;
    uint64_t from = first > at ? first - at : 0, to = end - at < units ? end - at : units;
    r = buf_append(out, slice(whole.data + from * EKB_ENTRY_BYTES, (to - from) * EKB_ENTRY_BYTES));
    return r > 0 ? -EMSGSIZE : r;
}

int keyblocks_parts_page(struct operations *o, int64_t distributor, uint64_t version, struct slice tops, uint64_t first,
                         uint64_t most, struct buf *out)
{
    struct ekb_parts e CLEANUP(ekb_parts_deinit) = { 0 };
    uint64_t at = 0, end = first + most;
    int r = keyblocks_parts_load(o, distributor, version, 0, tops, &e);
    for (uint32_t i = 0; r == 0 && i < e.count && at < end; i++) {
        struct ekb_part *part = &e.parts[i];
        uint64_t units = EKB_PART_HEAD_UNITS + (uint64_t)part->count;
        if (at + units > first)
            r = add_units(o, distributor, version, part, e.tops + (size_t)i * EKB_ENTRY_BYTES, at, first, end, out);
        at += units;
    }
    return r;
}

int keyblocks_parts_add(struct operations *o, int64_t distributor, uint64_t since, const struct ekb_part *part)
{
    struct query q CLEANUP(query_end) = query(o->store, BLOCK_PART_ADD);
    query_bind_i64(&q, 1, distributor);
    query_bind_i64(&q, 2, keytree_first_leaf(part->node));
    query_bind_u64(&q, 3, since);
    query_bind_blob(&q, 4, SLICE_ARRAY(part->nonce));
    query_bind_i64(&q, 5, part->node.depth);
    query_bind_i64(&q, 6, part->node.index);
    query_bind_i64(&q, 7, part->count);
    query_bind_blob(&q, 8, SLICE_ARRAY(part->root));
    query_bind_blob(&q, 9, slice(part->entries, (size_t)part->count * EKB_ENTRY_BYTES));
    return rows_run(&q);
}

static void bind_leaves(struct query *q, int at, struct keytree_node below)
{
    uint32_t first = keytree_first_leaf(below);
    query_bind_i64(q, at, first);
    query_bind_i64(q, at + 1, (int64_t)(first + (cover_leaf_count(below) - 1)));
}

int keyblocks_parts_end(struct operations *o, int64_t distributor, uint64_t until, struct keytree_node below)
{
    struct query q CLEANUP(query_end) = query(o->store, BLOCK_PART_END);
    query_bind_i64(&q, 1, distributor);
    query_bind_u64(&q, 2, until);
    bind_leaves(&q, 3, below);
    return rows_run(&q);
}

int keyblocks_parts_purge(struct operations *o, int64_t distributor, uint64_t version)
{
    struct query q CLEANUP(query_end) = query(o->store, BLOCK_PART_PURGE);
    query_bind_i64(&q, 1, distributor);
    query_bind_u64(&q, 2, version);
    return rows_run(&q);
}

/* --- Revoked leaves ------------------------------------------------------------------------------------------------- */

static int count_revoked(struct operations *o, struct keytree_node below, size_t *count)
{
    struct query q CLEANUP(query_end) = query(o->store, REVOKED_LEAF_COUNT);
    query_bind_i64(&q, 1, OPERATIONS_CATEGORY);
    bind_leaves(&q, 2, below);
    int r = rows_one(&q);
    if (r == 0)
        *count = query_u32(&q, 0);
    return r == 0 ? query_check(&q) : r;
}

int keyblocks_revoked(struct operations *o, struct keytree_node below, uint32_t **out, size_t *count)
{
    size_t total = 0, used = 0;
    int r = count_revoked(o, below, &total);
    if (r != 0)
        return r;
    uint32_t *leaves CLEANUP(freep) = calloc(total + 1, sizeof(*leaves));
    if (!leaves)
        return -ENOMEM;
    struct query q CLEANUP(query_end) = query(o->store, REVOKED_LEAF_ALL);
    query_bind_i64(&q, 1, OPERATIONS_CATEGORY);
    bind_leaves(&q, 2, below);
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
