/* The key tree of one category. Nothing is stored: keys and labels derive from the tree secret. Any thread. */
#include "crypto/keytree.h"

#include <assert.h>
#include <sodium.h>

#define SET_TYPE 2
#define SET_TYPE_OLD_LABELS 1
#define SET_HEAD_BYTES 9 /* type, category, leaf */

struct keytree_node keytree_path(uint32_t leaf, unsigned depth)
{
    assert(depth <= KEYTREE_DEPTH);
    return (struct keytree_node){ (uint8_t)depth, (uint32_t)((uint64_t)leaf >> (KEYTREE_DEPTH - depth)) };
}

static void derive(struct keytree *t, const char *label, struct keytree_node node, struct key32 *out)
{
    uint8_t context[9];
    put_be32(context, t->category);
    context[4] = node.depth;
    put_be32(context + 5, node.index);
    hkdf_from_key(&t->from, label, SLICE_ARRAY(context), out);
}

int keytree_init(struct keytree *t, const struct key32 *tree_secret, uint32_t category)
{
    t->category = category;
    return hkdf_from_init(&t->from, tree_secret);
}

void keytree_key(struct keytree *t, struct keytree_node node, struct key32 *out)
{
    derive(t, "hearth node key", node, out);
}

void keytree_part_key(struct keytree *t, struct keytree_node node, const uint8_t iv[12], struct key32 *out)
{
    uint8_t context[21];
    put_be32(context, t->category);
    context[4] = node.depth;
    put_be32(context + 5, node.index);
    memcpy(context + 9, iv, 12);
    hkdf_from_key(&t->from, "hearth part key", SLICE_ARRAY(context), out);
}

void keytree_label(struct keytree *t, struct keytree_node top, struct key32 *out)
{
    derive(t, "hearth sd label", top, out);
}

static void step(const struct key32 *label, const char text[16], struct key32 *out)
{
    (void)crypto_core_hchacha20(out->bytes, (const uint8_t *)text, label->bytes, NULL); /* cannot fail */
}

void keytree_label_child(const struct key32 *label, bool right, struct key32 *out)
{
    static const char sides[2][16] = { "hearth sd left", "hearth sd right" };
    step(label, sides[right], out);
}

void keytree_label_key(const struct key32 *label, struct key32 *out)
{
    static const char text[16] = "hearth sd key";
    step(label, text, out);
}

void keytree_deinit(struct keytree *t) { hkdf_from_deinit(&t->from); }

static void one_key(const struct key32 *tree_secret, uint32_t category, const char *label, struct keytree_node node,
                    struct key32 *out)
{
    uint8_t context[9];
    put_be32(context, category);
    context[4] = node.depth;
    put_be32(context + 5, node.index);
    hkdf_key(tree_secret, label, SLICE_ARRAY(context), out);
}

void keytree_node_key(const struct key32 *tree_secret, uint32_t category, struct keytree_node node, struct key32 *out)
{
    one_key(tree_secret, category, "hearth node key", node, out);
}

/* The labels a device holds for the subtree of its ancestor at `top`: of the sibling of each path node below. They open
 * every subset "this subtree without that one" that the device is in, and none that it is not in. */
static uint8_t *write_labels(const struct key32 *tree_secret, uint32_t category, uint32_t leaf, unsigned top,
                             uint8_t *out)
{
    struct key32 label CLEANUP(key32_wipe), sibling CLEANUP(key32_wipe);
    one_key(tree_secret, category, "hearth sd label", keytree_path(leaf, top), &label);
    for (unsigned depth = top + 1; depth <= KEYTREE_DEPTH; depth++) {
        unsigned right = keytree_path(leaf, depth).index & 1;
        keytree_label_child(&label, !right, &sibling);
        memcpy(out, sibling.bytes, sizeof sibling.bytes);
        out += sizeof sibling.bytes;
        keytree_label_child(&label, right, &sibling);
        label = sibling;
    }
    return out;
}

void keytree_device_set(const struct key32 *tree_secret, uint32_t category, uint32_t leaf, uint8_t *set)
{
    struct key32 key CLEANUP(key32_wipe);
    uint8_t *p = set + SET_HEAD_BYTES;
    set[0] = SET_TYPE;
    put_be32(set + 1, category);
    put_be32(set + 5, leaf);
    for (unsigned depth = 0; depth <= KEYTREE_DEPTH; depth++) {
        keytree_node_key(tree_secret, category, keytree_path(leaf, depth), &key);
        memcpy(p, key.bytes, sizeof key.bytes);
        p += sizeof key.bytes;
    }
    for (unsigned top = 0; top < KEYTREE_DEPTH; top++)
        p = write_labels(tree_secret, category, leaf, top, p);
    assert(p == set + KEYTREE_SET_BYTES);
}

static bool is_set(struct slice set)
{
    return set.len == KEYTREE_SET_BYTES && (set.data[0] == SET_TYPE || set.data[0] == SET_TYPE_OLD_LABELS);
}

int keytree_set_label(struct slice set, unsigned top, unsigned depth, struct key32 *out)
{
    if (!is_set(set) || set.data[0] != SET_TYPE || top >= depth || depth > KEYTREE_DEPTH)
        return KEYTREE_MALFORMED;
    size_t before =
        (size_t)top * KEYTREE_DEPTH - (size_t)top * (top - 1) / 2; /* labels of the subtrees above: 32 + 31 + ... */
    if (top == 0)
        before = 0;
    size_t index = KEYTREE_PATH_COUNT + before + (depth - top - 1);
    memcpy(out->bytes, set.data + SET_HEAD_BYTES + index * sizeof out->bytes, sizeof out->bytes);
    return 0;
}

int keytree_set_key(struct slice set, uint8_t depth, struct key32 *out)
{
    if (!is_set(set) || depth > KEYTREE_DEPTH)
        return KEYTREE_MALFORMED;
    memcpy(out->bytes, set.data + SET_HEAD_BYTES + (size_t)depth * sizeof out->bytes, sizeof out->bytes);
    return 0;
}

int keytree_set_leaf(struct slice set, uint32_t *category, uint32_t *leaf)
{
    if (!is_set(set))
        return KEYTREE_MALFORMED;
    *category = get_be32(set.data + 1);
    *leaf = get_be32(set.data + 5);
    return 0;
}

uint32_t keytree_first_leaf(struct keytree_node node)
{
    return (uint32_t)((uint64_t)node.index << (KEYTREE_DEPTH - node.depth));
}

bool keytree_covers(struct keytree_node node, uint32_t leaf)
{
    return node.depth <= KEYTREE_DEPTH && keytree_path(leaf, node.depth).index == node.index;
}
