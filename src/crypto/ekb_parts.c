/* Key blocks in parts: building, changing, finding, opening. Not here: reading and writing their bytes (ekb_parts_bytes.c). Any thread;
 * building a large one starts one more and has joined it before it returns. */
#include "crypto/ekb_parts.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/util.h"

#define MASKED_AT COVER_SUBSET_BYTES
#define PARTS_WORTH_A_THREAD 16
_Static_assert(MASKED_AT + 32 == EKB_ENTRY_BYTES, "both kinds of entries are as long as a complete subtree's");

static void part_free(struct ekb_part *p)
{
    free(p->entries);
    p->entries = NULL;
}

void ekb_parts_deinit(struct ekb_parts *e)
{
    for (uint32_t i = 0; e->parts && i < e->count; i++)
        part_free(&e->parts[i]);
    free(e->parts);
    free(e->tops);
    free(e->levels);
    e->parts = NULL;
    e->tops = e->levels = NULL;
    e->count = 0;
}

/* --- Cutting the tree ----------------------------------------------------------------------------------------------- */

/* A part to be made, and what is revoked below it. */
struct cut {
    struct keytree_node node;
    const uint32_t *revoked;
    size_t count;
};
struct cuts {
    struct cut *list;
    size_t count, cap;
};

static void cuts_free(struct cuts *c) { free(c->list); }

static int cuts_add(struct cuts *c, struct cut cut)
{
    if (c->count == EKB_PARTS_MAX)
        return -E2BIG;
    if (c->count == c->cap) {
        size_t cap = c->cap == 0 ? 16 : c->cap * 2;
        struct cut *grown = reallocarray(c->list, cap, sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        c->list = grown;
        c->cap = cap;
    }
    c->list[c->count++] = cut;
    return 0;
}

/* From left to right; a part of which nothing is left has no place in the block. */
static int cut_below(struct cuts *out, struct cut at)
{
    if (at.count == cover_leaf_count(at.node))
        return 0;
    if (at.count <= EKB_PART_REVOKED_MAX)
        return cuts_add(out, at);
    size_t left = cover_left_count(at.node, at.revoked, at.count);
    struct keytree_node below = { (uint8_t)(at.node.depth + 1), at.node.index << 1 };
    int r = cut_below(out, (struct cut){ below, at.revoked, left });
    below.index |= 1;
    return r != 0 ? r : cut_below(out, (struct cut){ below, at.revoked + left, at.count - left });
}

/* --- A part --------------------------------------------------------------------------------------------------------- */

struct making {
    struct keytree tree;
    struct key32 part_key;
    struct ekb_part *part;
    uint8_t *hashes; /* of EKB_PART_ENTRIES_MAX entries */
    uint32_t count;
};

static int mask_subset(void *ctx, const struct cover_subset *subset)
{
    struct making *s = ctx;
    struct key32 key CLEANUP(key32_wipe);
    if (s->count == EKB_PART_ENTRIES_MAX)
        return -E2BIG;
    uint8_t *entry = s->part->entries + (size_t)s->count * EKB_ENTRY_BYTES;
    cover_encode(subset, entry);
    cover_key(&s->tree, subset, &key);
    ekb_mask(&key, s->part->nonce, s->part_key.bytes, entry + MASKED_AT);
    struct slice whole = slice(entry, EKB_ENTRY_BYTES);
    merkle_leaf(&whole, 1, s->hashes + (size_t)s->count * MERKLE_HASH_BYTES);
    s->count++;
    return 0;
}

/* part->nonce is there already. */
static int make_part(struct making *s, const struct cut *cut, struct ekb_part *part)
{
    keytree_part_key(&s->tree, cut->node, part->nonce, &s->part_key);
    part->node = cut->node;
    part->entries = malloc((2 * cut->count + 1) * EKB_ENTRY_BYTES);
    if (!part->entries)
        return -ENOMEM;
    s->part = part;
    s->count = 0;
    int r = cover_subset_difference(cut->node, cut->revoked, cut->count, mask_subset, s);
    part->count = s->count;
    if (r == 0)
        merkle_root(s->hashes, part->count, part->root);
    return r;
}

struct work {
    const struct key32 *tree_secret;
    uint32_t category;
    const struct cut *cuts;
    struct ekb_part *parts;
    size_t count;
    int outcome;
};

static int make_parts(const struct work *w)
{
    struct making s = { 0 };
    uint8_t *hashes CLEANUP(freep) = malloc(EKB_PART_ENTRIES_MAX * MERKLE_HASH_BYTES);
    if (!hashes)
        return -ENOMEM;
    s.hashes = hashes;
    int r = 0;
    keytree_init(&s.tree, w->tree_secret, w->category);
    for (size_t i = 0; r == 0 && i < w->count; i++)
        r = make_part(&s, &w->cuts[i], &w->parts[i]);
    keytree_wipe(&s.tree);
    key32_wipe(&s.part_key);
    return r;
}

static void *run_work(void *arg)
{
    struct work *w = arg;
    w->outcome = make_parts(w);
    return NULL;
}

/* A large block is made by two threads: a distributor waits for it before it can refuse the revoked. */
static int make_in_halves(const struct work *all)
{
    struct work first = *all, second = *all;
    pthread_t helper;
    first.count = all->count / 2;
    second.cuts += first.count;
    second.parts += first.count;
    second.count -= first.count;
    bool helped = first.count >= PARTS_WORTH_A_THREAD && pthread_create(&helper, NULL, run_work, &second) == 0;
    run_work(&first);
    if (helped)
        pthread_join(helper, NULL);
    else
        run_work(&second);
    return first.outcome != 0 ? first.outcome : second.outcome;
}

/* --- The top -------------------------------------------------------------------------------------------------------- */

static void top_hash(const uint8_t *top, uint32_t count, const uint8_t nonce[EKB_NONCE_BYTES],
                     const uint8_t root[MERKLE_HASH_BYTES], uint8_t out[MERKLE_HASH_BYTES])
{
    uint8_t number[4];
    put_be32(number, count);
    const struct slice parts[] = { slice(top, EKB_ENTRY_BYTES), SLICE_ARRAY(number), slice(nonce, EKB_NONCE_BYTES),
                                   slice(root, MERKLE_HASH_BYTES) };
    merkle_leaf(parts, ARRAY_COUNT(parts), out);
}

int ekb_parts_fill(struct ekb_parts *e)
{
    uint8_t *hashes CLEANUP(freep) = reallocarray(NULL, e->count, MERKLE_HASH_BYTES);
    free(e->levels);
    e->levels = malloc(merkle_levels_bytes(e->count) + 1);
    if (!hashes || !e->levels)
        return -ENOMEM;
    for (uint32_t i = 0; i < e->count; i++)
        top_hash(e->tops + (size_t)i * EKB_ENTRY_BYTES, e->parts[i].count, e->parts[i].nonce, e->parts[i].root,
                 hashes + (size_t)i * MERKLE_HASH_BYTES);
    merkle_levels_fill(hashes, e->count, e->levels, e->root);
    return 0;
}

static int mask_tops(struct ekb_parts *e, const struct key32 *tree_secret, const struct key32 *root_key)
{
    struct key32 check, key CLEANUP(key32_wipe);
    struct keytree tree CLEANUP(keytree_wipe);
    keytree_init(&tree, tree_secret, e->category);
    e->tops = reallocarray(NULL, e->count, EKB_ENTRY_BYTES);
    if (!e->tops)
        return -ENOMEM;
    ekb_key_check(root_key, e->version, &check);
    memcpy(e->key_check, check.bytes, sizeof(e->key_check));
    for (uint32_t i = 0; i < e->count; i++) {
        const struct ekb_part *p = &e->parts[i];
        uint8_t *top = e->tops + (size_t)i * EKB_ENTRY_BYTES;
        top[0] = p->node.depth;
        put_be32(top + 1, p->node.index);
        keytree_part_key(&tree, p->node, p->nonce, &key);
        ekb_mask(&key, e->key_check, root_key->bytes, top + MASKED_AT);
    }
    return ekb_parts_fill(e);
}

/* --- Building ------------------------------------------------------------------------------------------------------- */

static bool is_ascending(const uint32_t *revoked, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (revoked[i - 1] >= revoked[i])
            return false;
    return true;
}

/* Parts for these cuts, with new keys. *out: owned by the caller also on failure, `count` of them. */
static int make_cuts(const struct cuts *cuts, const struct key32 *tree_secret, uint32_t category, const struct rng *rng,
                     struct ekb_part *out)
{
    for (size_t i = 0; i < cuts->count; i++)
        rng_fill(rng, out[i].nonce, sizeof(out[i].nonce));
    return make_in_halves(&(struct work){ tree_secret, category, cuts->list, out, cuts->count, 0 });
}

int ekb_parts_build(struct ekb_parts *out, const struct key32 *tree_secret, uint32_t category, uint64_t version,
                    const uint32_t *revoked, size_t count, const struct key32 *root_key, const struct rng *rng)
{
    struct cuts cuts CLEANUP(cuts_free) = { 0 };
    struct ekb_parts e CLEANUP(ekb_parts_deinit) = { .category = category, .version = version };
    if (!is_ascending(revoked, count))
        return -EINVAL;
    int r = cut_below(&cuts, (struct cut){ { 0, 0 }, revoked, count });
    if (r != 0)
        return r;
    if (cuts.count == 0)
        return -EINVAL;
    e.parts = calloc(cuts.count, sizeof(*e.parts));
    if (!e.parts)
        return -ENOMEM;
    e.count = (uint32_t)cuts.count;
    r = make_cuts(&cuts, tree_secret, category, rng, e.parts);
    if (r == 0)
        r = mask_tops(&e, tree_secret, root_key);
    if (r != 0)
        return r;
    *out = e;
    e = (struct ekb_parts){ 0 };
    return 0;
}

int ekb_parts_revoke(struct ekb_parts *e, const struct key32 *tree_secret, uint64_t version, uint32_t leaf,
                     const uint32_t *revoked, size_t count, const struct key32 *root_key, const struct rng *rng,
                     uint32_t *first, uint32_t *changed)
{
    struct cuts cuts CLEANUP(cuts_free) = { 0 };
    struct ekb_parts next CLEANUP(ekb_parts_deinit) = { .category = e->category, .version = version };
    uint32_t at;
    if (!is_ascending(revoked, count) || ekb_parts_at(e, leaf, &at) != 0)
        return -EINVAL;
    struct ekb_part *old = &e->parts[at];
    int r = cut_below(&cuts, (struct cut){ old->node, revoked, count });
    if (r != 0)
        return r;
    uint32_t total = e->count - 1 + (uint32_t)cuts.count;
    if (total == 0 || total > EKB_PARTS_MAX)
        return total == 0 ? -EINVAL : -E2BIG;
    struct ekb_part *made = calloc(cuts.count + 1, sizeof(*made));
    next.parts = calloc(total, sizeof(*next.parts));
    r = made && next.parts ? make_cuts(&cuts, tree_secret, e->category, rng, made) : -ENOMEM;
    if (r == 0) {
        next.count = total;
        memcpy(next.parts, e->parts, at * sizeof(*next.parts));
        memcpy(next.parts + at, made, cuts.count * sizeof(*next.parts));
        memcpy(next.parts + at + cuts.count, e->parts + at + 1, (e->count - at - 1) * sizeof(*next.parts));
        r = mask_tops(&next, tree_secret, root_key);
    }
    if (r != 0) { /* what is shared with e stays e's */
        for (size_t i = 0; made && i < cuts.count; i++)
            part_free(&made[i]);
        next.count = 0;
        free(made);
        return r;
    }
    part_free(old);
    free(e->parts);
    free(e->tops);
    free(e->levels);
    free(made);
    *first = at;
    *changed = (uint32_t)cuts.count;
    *e = next;
    next = (struct ekb_parts){ 0 };
    return 0;
}

/* --- Finding -------------------------------------------------------------------------------------------------------- */

int ekb_parts_at(const struct ekb_parts *e, uint32_t leaf, uint32_t *index)
{
    uint32_t low = 0, high = e->count; /* parts before `low` begin at or before the leaf */
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (keytree_first_leaf(e->parts[middle].node) <= leaf)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0 || !keytree_covers(e->parts[low - 1].node, leaf))
        return EKB_NOT_COVERED;
    *index = low - 1;
    return 0;
}

/* The entry whose subset has this top; each has at most one. */
static bool find_top(const struct ekb_part *p, struct keytree_node top, uint32_t *index, struct cover_subset *subset)
{
    uint32_t low = 0, high = p->count;
    uint64_t wanted = (uint64_t)keytree_first_leaf(top) << 6 | top.depth;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (!cover_decode(p->entries + (size_t)middle * EKB_ENTRY_BYTES, subset))
            return false;
        uint64_t found = (uint64_t)keytree_first_leaf(subset->top) << 6 | subset->top.depth;
        if (found == wanted) {
            *index = middle;
            return true;
        }
        if (found < wanted)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

static int find_entry(const struct ekb_part *p, uint32_t leaf, uint32_t *index)
{
    for (unsigned depth = p->node.depth; depth <= KEYTREE_DEPTH; depth++) {
        struct cover_subset subset;
        if (find_top(p, keytree_path(leaf, depth), index, &subset) && cover_has(&subset, leaf))
            return 0;
    }
    return EKB_NOT_COVERED;
}

static int append_proof(struct buf *out, uint8_t hashes[][MERKLE_HASH_BYTES], size_t count)
{
    int r = buf_append(out, slice(hashes, count * MERKLE_HASH_BYTES));
    return r == BUF_FULL ? -ENOBUFS : r;
}

static int prove_part(const struct ekb_parts *e, uint32_t at, struct buf *proof)
{
    uint8_t hashes[MERKLE_PROOF_MAX][MERKLE_HASH_BYTES], sibling_hash[MERKLE_HASH_BYTES];
    uint32_t sibling = at ^ 1;
    if (sibling < e->count)
        top_hash(e->tops + (size_t)sibling * EKB_ENTRY_BYTES, e->parts[sibling].count, e->parts[sibling].nonce,
                 e->parts[sibling].root, sibling_hash);
    size_t n = merkle_levels_prove(e->levels, e->count, at, sibling < e->count ? sibling_hash : NULL, hashes);
    return append_proof(proof, hashes, n);
}

static int prove_entry(const struct ekb_part *p, uint32_t at, struct buf *proof)
{
    uint8_t hashes[MERKLE_PROOF_MAX][MERKLE_HASH_BYTES];
    uint8_t *leaves CLEANUP(freep) = reallocarray(NULL, p->count, MERKLE_HASH_BYTES);
    if (!leaves)
        return -ENOMEM;
    for (uint32_t i = 0; i < p->count; i++) {
        struct slice entry = slice(p->entries + (size_t)i * EKB_ENTRY_BYTES, EKB_ENTRY_BYTES);
        merkle_leaf(&entry, 1, leaves + (size_t)i * MERKLE_HASH_BYTES);
    }
    return append_proof(proof, hashes, merkle_prove(leaves, p->count, at, hashes));
}

int ekb_parts_find(const struct ekb_parts *e, uint32_t leaf, struct ekb_place *out)
{
    int r = ekb_parts_at(e, leaf, &out->index);
    if (r != 0)
        return r;
    const struct ekb_part *p = &e->parts[out->index];
    r = find_entry(p, leaf, &out->part_index);
    if (r == 0)
        r = prove_part(e, out->index, &out->proof);
    if (r == 0)
        r = prove_entry(p, out->part_index, &out->part_proof);
    if (r != 0)
        return r;
    out->part_count = p->count;
    memcpy(out->nonce, p->nonce, sizeof(out->nonce));
    memcpy(out->top, e->tops + (size_t)out->index * EKB_ENTRY_BYTES, EKB_ENTRY_BYTES);
    memcpy(out->entry, p->entries + (size_t)out->part_index * EKB_ENTRY_BYTES, EKB_ENTRY_BYTES);
    return 0;
}

/* --- Opening -------------------------------------------------------------------------------------------------------- */

/* The signer vouched for these two entries at these places. The part's root follows from the entry and its proof. */
static bool is_committed(const struct ekb_place *p, uint32_t part_total, const uint8_t root[MERKLE_HASH_BYTES])
{
    uint8_t hash[MERKLE_HASH_BYTES], part_root[MERKLE_HASH_BYTES];
    struct slice entry = SLICE_ARRAY(p->entry);
    merkle_leaf(&entry, 1, hash);
    if (!merkle_root_of(hash, p->part_index, p->part_count, buf_slice(&p->part_proof), part_root))
        return false;
    top_hash(p->top, p->part_count, p->nonce, part_root, hash);
    return merkle_proves(hash, p->index, part_total, buf_slice(&p->proof), root);
}

int ekb_parts_open(struct slice device_set, uint64_t version, uint32_t part_total,
                   const uint8_t root[MERKLE_HASH_BYTES], const uint8_t key_check[32], const struct ekb_place *place,
                   struct key32 *root_key)
{
    struct key32 key CLEANUP(key32_wipe), part_key CLEANUP(key32_wipe), found CLEANUP(key32_wipe), check;
    struct keytree_node node = { place->top[0], get_be32(place->top + 1) };
    struct cover_subset subset;
    uint32_t category, leaf;
    if (keytree_set_leaf(device_set, &category, &leaf) != 0 || part_total > EKB_PARTS_MAX ||
        place->index >= part_total || place->part_count > EKB_PART_ENTRIES_MAX ||
        place->part_index >= place->part_count || node.depth > KEYTREE_DEPTH || !cover_decode(place->entry, &subset))
        return EKB_MALFORMED;
    if (!is_committed(place, part_total, root))
        return EKB_FORGED;
    if (!keytree_covers(node, leaf) || subset.top.depth < node.depth || !cover_has(&subset, leaf))
        return EKB_NOT_COVERED;
    if (cover_set_key(device_set, &subset, &key) != 0)
        return EKB_MALFORMED;
    ekb_mask(&key, place->nonce, place->entry + MASKED_AT, part_key.bytes);
    ekb_mask(&part_key, key_check, place->top + MASKED_AT, found.bytes);
    ekb_key_check(&found, version, &check);
    if (!secret_equal(check.bytes, key_check, sizeof(check.bytes)))
        return EKB_FORGED;
    *root_key = found;
    return 0;
}
