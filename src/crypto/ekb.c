/* Enabling key block: building, finding, opening. Not here: signing and storing it. Any thread; building a large block
 * starts one more and has joined it before it returns.
 *
 * Entry:  0  1  depth
 *         1  4  index
 *         5  32 root key masked by the node's key */
#include "crypto/ekb.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/util.h"
#include "crypto/cover.h"
#include "crypto/hchacha.h"
#include "crypto/hkdf.h"

#define MASKED_AT 5

struct node_list {
    struct keytree_node *nodes;
    size_t count, cap;
};

static void node_list_free(struct node_list *l) { free(l->nodes); }

static int node_list_add(struct node_list *l, struct keytree_node node)
{
    if (l->count == EKB_ENTRIES_MAX)
        return -E2BIG;
    if (l->count == l->cap) {
        size_t cap = l->cap == 0 ? 64 : l->cap * 2;
        struct keytree_node *grown = reallocarray(l->nodes, cap, sizeof *grown);
        if (grown == NULL)
            return -ENOMEM;
        l->nodes = grown;
        l->cap = cap;
    }
    l->nodes[l->count++] = node;
    return 0;
}

/* The largest subtrees below `node` without a revoked leaf, from left to right (Naor, Naor, Lotspiech, section 3.1). */
static int cover(struct node_list *out, struct keytree_node node, const uint32_t *revoked, size_t count)
{
    if (count == 0)
        return node_list_add(out, node);
    if (node.depth == KEYTREE_DEPTH)
        return 0;
    struct keytree_node left = { (uint8_t)(node.depth + 1), node.index << 1 };
    struct keytree_node right = { left.depth, left.index | 1 };
    size_t in_left = cover_left_count(node, revoked, count);
    int r = cover(out, left, revoked, in_left);
    return r != 0 ? r : cover(out, right, revoked + in_left, count - in_left);
}

static size_t count_cover(struct keytree_node node, const uint32_t *revoked, size_t count)
{
    if (count == 0)
        return 1;
    if (node.depth == KEYTREE_DEPTH)
        return 0;
    struct keytree_node left = { (uint8_t)(node.depth + 1), node.index << 1 };
    struct keytree_node right = { left.depth, left.index | 1 };
    size_t in_left = cover_left_count(node, revoked, count);
    return count_cover(left, revoked, in_left) + count_cover(right, revoked + in_left, count - in_left);
}

size_t ekb_entries(const uint32_t *revoked, size_t count)
{
    return count_cover((struct keytree_node){ 0, 0 }, revoked, count);
}

void ekb_key_check(const struct key32 *root_key, uint64_t version, struct key32 *out)
{
    uint8_t context[8];
    put_be64(context, version);
    hkdf_key(root_key, "hearth ekb check", SLICE_ARRAY(context), out);
}

void ekb_mask(const struct key32 *key, const uint8_t nonce[EKB_NONCE_BYTES], const uint8_t in[32], uint8_t out[32])
{
    struct key32 mask CLEANUP(key32_wipe);
    hchacha(key, nonce, &mask);
    for (size_t i = 0; i < sizeof mask.bytes; i++)
        out[i] = in[i] ^ mask.bytes[i];
}

static void entry_hash(const uint8_t *entry, uint8_t out[MERKLE_HASH_BYTES])
{
    struct slice part = slice(entry, EKB_ENTRY_BYTES);
    merkle_leaf(&part, 1, out);
}

/* A run of entries, first..end - 1, and the tree above them. */
struct work {
    const struct keytree_node *nodes;
    const struct keytree *tree;
    const struct key32 *root_key;
    const struct ekb *e;
    uint8_t *hashes;
    size_t first, end;
};

static void *mask_entries(void *arg)
{
    const struct work *w = arg;
    struct key32 key CLEANUP(key32_wipe);
    for (size_t i = w->first; i < w->end; i++) {
        uint8_t *entry = w->e->entries + i * EKB_ENTRY_BYTES;
        entry[0] = w->nodes[i].depth;
        put_be32(entry + 1, w->nodes[i].index);
        keytree_key(w->tree, w->nodes[i], &key);
        ekb_mask(&key, w->e->key_check, w->root_key->bytes, entry + MASKED_AT);
        entry_hash(entry, w->hashes + i * MERKLE_HASH_BYTES);
    }
    merkle_levels_fill_run(w->hashes, w->e->count, w->e->levels, w->first, w->end);
    return NULL;
}

/* A large block is made by two threads: a distributor waits for it before it can refuse the revoked. */
static void mask_all(const struct work *all)
{
    struct work first = *all, second = *all;
    pthread_t helper;
    first.end = second.first = all->end / 2 / MERKLE_RUN_LEAVES * MERKLE_RUN_LEAVES;
    bool helped = first.end > 0 && pthread_create(&helper, NULL, mask_entries, &first) == 0;
    if (!helped)
        second.first = 0;
    mask_entries(&second);
    if (helped)
        pthread_join(helper, NULL);
}

static int allocate(struct ekb *e)
{
    e->entries = reallocarray(NULL, e->count, EKB_ENTRY_BYTES);
    e->levels = malloc(merkle_levels_bytes(e->count) + 1); /* a single entry has no level above it */
    return e->entries == NULL || e->levels == NULL ? -ENOMEM : 0;
}

int ekb_build(struct ekb *out, const struct key32 *tree_secret, uint32_t category, uint64_t version,
              const uint32_t *revoked, size_t revoked_count, const struct key32 *root_key)
{
    struct node_list list CLEANUP(node_list_free) = { 0 };
    struct ekb e CLEANUP(ekb_deinit) = { .category = category, .version = version };
    struct keytree tree CLEANUP(keytree_wipe);
    struct key32 check;
    for (size_t i = 1; i < revoked_count; i++) {
        if (revoked[i - 1] >= revoked[i])
            return -EINVAL;
    }
    int r = cover(&list, (struct keytree_node){ 0, 0 }, revoked, revoked_count);
    if (r != 0)
        return r;
    if (list.count == 0)
        return -EINVAL;
    e.count = (uint32_t)list.count;
    uint8_t *hashes CLEANUP(freep) = reallocarray(NULL, e.count, MERKLE_HASH_BYTES);
    r = allocate(&e);
    if (r != 0 || hashes == NULL)
        return -ENOMEM;
    ekb_key_check(root_key, version, &check);
    memcpy(e.key_check, check.bytes, sizeof e.key_check);
    keytree_init(&tree, tree_secret, category);
    mask_all(&(struct work){ list.nodes, &tree, root_key, &e, hashes, 0, e.count });
    merkle_levels_fill_rest(hashes, e.count, e.levels, e.root);
    *out = e;
    e.entries = e.levels = NULL;
    return 0;
}

static bool read_node(const uint8_t *entry, struct keytree_node *node)
{
    node->depth = entry[0];
    node->index = get_be32(entry + 1);
    return node->depth <= KEYTREE_DEPTH && (uint64_t)node->index >> node->depth == 0;
}

/* Every entry names a node of the tree, and its range begins after the one before it ended. */
static bool entries_are_ordered(struct slice entries)
{
    uint64_t next = 0;
    for (size_t at = 0; at < entries.len; at += EKB_ENTRY_BYTES) {
        struct keytree_node node;
        if (!read_node(entries.data + at, &node) || keytree_first_leaf(node) < next)
            return false;
        next = keytree_first_leaf(node) + ((uint64_t)1 << (KEYTREE_DEPTH - node.depth));
    }
    return true;
}

int ekb_load(struct ekb *out, uint32_t category, uint64_t version, struct slice entries)
{
    struct ekb e CLEANUP(ekb_deinit) = { .category = category, .version = version };
    if (entries.len == 0 || entries.len % EKB_ENTRY_BYTES != 0 || entries.len / EKB_ENTRY_BYTES > EKB_ENTRIES_MAX ||
        !entries_are_ordered(entries))
        return EKB_MALFORMED;
    e.count = (uint32_t)(entries.len / EKB_ENTRY_BYTES);
    uint8_t *hashes CLEANUP(freep) = reallocarray(NULL, e.count, MERKLE_HASH_BYTES);
    int r = allocate(&e);
    if (r != 0 || hashes == NULL)
        return -ENOMEM;
    memcpy(e.entries, entries.data, entries.len);
    for (size_t i = 0; i < e.count; i++)
        entry_hash(e.entries + i * EKB_ENTRY_BYTES, hashes + i * MERKLE_HASH_BYTES);
    merkle_levels_fill(hashes, e.count, e.levels, e.root);
    *out = e;
    e.entries = e.levels = NULL;
    return 0;
}

void ekb_deinit(struct ekb *e)
{
    free(e->entries);
    free(e->levels);
    e->entries = e->levels = NULL;
    e->count = 0;
}

int ekb_find(const struct ekb *e, uint32_t leaf, uint32_t *index, uint8_t entry[EKB_ENTRY_BYTES], struct buf *proof)
{
    uint32_t low = 0, high = e->count; /* entries before `low` begin at or before the leaf */
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        struct keytree_node node;
        if (read_node(e->entries + (size_t)middle * EKB_ENTRY_BYTES, &node) && keytree_first_leaf(node) <= leaf)
            low = middle + 1;
        else
            high = middle;
    }
    struct keytree_node node;
    if (low == 0 || !read_node(e->entries + (size_t)(low - 1) * EKB_ENTRY_BYTES, &node) || !keytree_covers(node, leaf))
        return EKB_NOT_COVERED;

    uint32_t at = low - 1, sibling = at ^ 1;
    uint8_t hashes[MERKLE_PROOF_MAX][MERKLE_HASH_BYTES], sibling_hash[MERKLE_HASH_BYTES];
    if (sibling < e->count)
        entry_hash(e->entries + (size_t)sibling * EKB_ENTRY_BYTES, sibling_hash);
    size_t count = merkle_levels_prove(e->levels, e->count, at, sibling < e->count ? sibling_hash : NULL, hashes);
    int r = buf_append(proof, slice(hashes, count * MERKLE_HASH_BYTES));
    if (r != 0)
        return r == BUF_FULL ? -ENOBUFS : r;
    *index = at;
    memcpy(entry, e->entries + (size_t)at * EKB_ENTRY_BYTES, EKB_ENTRY_BYTES);
    return 0;
}

int ekb_open(struct slice device_set, uint64_t version, uint32_t entry_count, const uint8_t root[MERKLE_HASH_BYTES],
             const uint8_t key_check[32], uint32_t entry_index, struct slice entry, struct slice proof,
             struct key32 *root_key)
{
    struct key32 node_key CLEANUP(key32_wipe), found CLEANUP(key32_wipe), check;
    struct keytree_node node;
    uint32_t category, leaf;
    uint8_t hash[MERKLE_HASH_BYTES];
    if (keytree_set_leaf(device_set, &category, &leaf) != 0 || entry.len != EKB_ENTRY_BYTES ||
        entry_count > EKB_ENTRIES_MAX || entry_index >= entry_count || proof.len % MERKLE_HASH_BYTES != 0 ||
        !read_node(entry.data, &node))
        return EKB_MALFORMED;
    /* Before anything is opened: the signer vouched for this entry at this place. */
    entry_hash(entry.data, hash);
    if (!merkle_proves(hash, entry_index, entry_count, proof, root))
        return EKB_FORGED;
    if (!keytree_covers(node, leaf))
        return EKB_NOT_COVERED;
    if (keytree_set_key(device_set, node.depth, &node_key) != 0)
        return EKB_MALFORMED;
    ekb_mask(&node_key, key_check, entry.data + MASKED_AT, found.bytes);
    ekb_key_check(&found, version, &check);
    if (!secret_equal(check.bytes, key_check, sizeof check.bytes))
        return EKB_FORGED;
    *root_key = found;
    return 0;
}
