/* Key blocks in parts, as bytes that others get: written, and read with every check. Any thread. */
#include "crypto/ekb_parts.h"

#include <stdlib.h>

#include "base/util.h"

#define HEAD_BYTES (EKB_PART_HEAD_UNITS * EKB_ENTRY_BYTES)
#define PADDING_BYTES (EKB_ENTRY_BYTES - 4 - EKB_NONCE_BYTES)

static const uint8_t padding[PADDING_BYTES];

int ekb_part_encode(const struct ekb_part *p, const uint8_t top[EKB_ENTRY_BYTES], struct buf *out)
{
    int r = buf_append(out, slice(top, EKB_ENTRY_BYTES));
    if (r == 0)
        r = buf_put_u32(out, p->count);
    if (r == 0)
        r = buf_append(out, SLICE_ARRAY(p->nonce));
    if (r == 0)
        r = buf_append(out, SLICE_ARRAY(padding));
    if (r == 0)
        r = buf_append(out, slice(p->entries, (size_t)p->count * EKB_ENTRY_BYTES));
    return r;
}

int ekb_parts_encode(const struct ekb_parts *e, struct buf *out)
{
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < e->count; i++)
        r = ekb_part_encode(&e->parts[i], e->tops + (size_t)i * EKB_ENTRY_BYTES, out);
    return r;
}

size_t ekb_parts_units(const struct ekb_parts *e)
{
    size_t units = 0;
    for (uint32_t i = 0; i < e->count; i++)
        units += EKB_PART_HEAD_UNITS + e->parts[i].count;
    return units;
}

/* --- A place -------------------------------------------------------------------------------------------------------- */

struct ekb_place ekb_place(void)
{
    return (struct ekb_place){ .proof = buf((size_t)MERKLE_PROOF_MAX * MERKLE_HASH_BYTES),
                               .part_proof = buf((size_t)MERKLE_PROOF_MAX * MERKLE_HASH_BYTES) };
}

void ekb_place_deinit(struct ekb_place *p)
{
    buf_free(&p->proof);
    buf_free(&p->part_proof);
}

int ekb_place_encode(const struct ekb_place *p, struct buf *out)
{
    int r = buf_append(out, SLICE_ARRAY(p->nonce));
    if (r == 0)
        r = buf_put_u32(out, p->part_count);
    if (r == 0)
        r = buf_put_u32(out, p->part_index);
    if (r == 0)
        r = buf_append(out, SLICE_ARRAY(p->entry));
    return r == 0 ? buf_append(out, buf_slice(&p->part_proof)) : r;
}

int ekb_place_decode(struct slice part, struct ekb_place *out)
{
    struct reader r = reader(part);
    struct slice nonce = reader_bytes(&r, EKB_NONCE_BYTES);
    out->part_count = reader_u32(&r);
    out->part_index = reader_u32(&r);
    struct slice entry = reader_bytes(&r, EKB_ENTRY_BYTES);
    if (r.bad || part.len > EKB_PLACE_PART_BYTES || r.rest.len % MERKLE_HASH_BYTES != 0)
        return EKB_MALFORMED;
    memcpy(out->nonce, nonce.data, sizeof(out->nonce));
    memcpy(out->entry, entry.data, sizeof(out->entry));
    out->part_proof.len = 0;
    int outcome = buf_append(&out->part_proof, r.rest);
    return outcome == BUF_FULL ? EKB_MALFORMED : outcome;
}

/* --- Reading -------------------------------------------------------------------------------------------------------- */

/* The subsets of a part: below its node, in order, none with the same top as another. */
static bool entries_fit(const struct ekb_part *p)
{
    uint64_t last = 0;
    for (uint32_t i = 0; i < p->count; i++) {
        struct cover_subset s;
        if (!cover_decode(p->entries + (size_t)i * EKB_ENTRY_BYTES, &s) || s.top.depth < p->node.depth ||
            !keytree_covers(p->node, keytree_first_leaf(s.top)))
            return false;
        uint64_t order = ((uint64_t)keytree_first_leaf(s.top) << 6 | s.top.depth) + 1;
        if (order <= last)
            return false;
        last = order;
    }
    return true;
}

static int hash_part(struct ekb_part *p)
{
    uint8_t *hashes CLEANUP(freep) = reallocarray(NULL, p->count, MERKLE_HASH_BYTES);
    if (!hashes)
        return -ENOMEM;
    for (uint32_t i = 0; i < p->count; i++) {
        struct slice entry = slice(p->entries + (size_t)i * EKB_ENTRY_BYTES, EKB_ENTRY_BYTES);
        merkle_leaf(&entry, 1, hashes + (size_t)i * MERKLE_HASH_BYTES);
    }
    merkle_root(hashes, p->count, p->root);
    return 0;
}

static int read_part(struct reader *r, struct ekb_part *p, uint8_t top[EKB_ENTRY_BYTES], uint64_t *next_leaf)
{
    struct slice bytes = reader_bytes(r, EKB_ENTRY_BYTES);
    p->count = reader_u32(r);
    struct slice nonce = reader_bytes(r, EKB_NONCE_BYTES);
    struct slice zeros = reader_bytes(r, PADDING_BYTES);
    if (r->bad || memcmp(zeros.data, padding, PADDING_BYTES) != 0 || p->count == 0 || p->count > EKB_PART_ENTRIES_MAX)
        return EKB_MALFORMED;
    struct slice entries = reader_bytes(r, (size_t)p->count * EKB_ENTRY_BYTES);
    if (r->bad)
        return EKB_MALFORMED;
    memcpy(top, bytes.data, EKB_ENTRY_BYTES);
    memcpy(p->nonce, nonce.data, sizeof(p->nonce));
    p->node = (struct keytree_node){ top[0], get_be32(top + 1) };
    if (p->node.depth > KEYTREE_DEPTH || (uint64_t)p->node.index >> p->node.depth != 0 ||
        keytree_first_leaf(p->node) < *next_leaf)
        return EKB_MALFORMED;
    *next_leaf = keytree_first_leaf(p->node) + cover_leaf_count(p->node);
    p->entries = malloc(entries.len);
    if (!p->entries)
        return -ENOMEM;
    memcpy(p->entries, entries.data, entries.len);
    return entries_fit(p) ? hash_part(p) : EKB_MALFORMED;
}

int ekb_parts_load(struct ekb_parts *out, uint32_t category, uint64_t version, struct slice bytes)
{
    struct ekb_parts e CLEANUP(ekb_parts_deinit) = { .category = category, .version = version };
    size_t most = size_min(bytes.len / (HEAD_BYTES + EKB_ENTRY_BYTES), EKB_PARTS_MAX);
    if (bytes.len > (size_t)EKB_UNITS_MAX * EKB_ENTRY_BYTES)
        return EKB_MALFORMED;
    struct reader r = reader(bytes);
    uint64_t next_leaf = 0;
    if (most == 0)
        return EKB_MALFORMED;
    e.parts = calloc(most, sizeof(*e.parts));
    e.tops = reallocarray(NULL, most, EKB_ENTRY_BYTES);
    if (!e.parts || !e.tops)
        return -ENOMEM;
    while (r.rest.len > 0) {
        if (e.count == most)
            return EKB_MALFORMED;
        int outcome = read_part(&r, &e.parts[e.count], e.tops + (size_t)e.count * EKB_ENTRY_BYTES, &next_leaf);
        e.count++; /* whatever was read of it is freed */
        if (outcome != 0)
            return outcome;
    }
    int outcome = ekb_parts_fill(&e);
    if (outcome != 0)
        return outcome;
    *out = e;
    e = (struct ekb_parts){ 0 };
    return 0;
}
