/* The key tree of one category. Nothing is stored: keys and labels derive from the tree secret. Any thread. */
#include "crypto/keytree.h"

#include <assert.h>
#include <string.h>

#include "base/util.h"
#include "crypto/hchacha.h"
#include "crypto/hkdf.h"

#define SET_HEAD_BYTES 9 /* type, category, leaf */
#define NODE_BYTES 5     /* depth, index */

struct keytree_node keytree_path(uint32_t leaf, unsigned depth)
{
    assert(depth <= KEYTREE_DEPTH);
    return (struct keytree_node){ (uint8_t)depth, (uint32_t)((uint64_t)leaf >> (KEYTREE_DEPTH - depth)) };
}

static void write_node(uint8_t *out, struct keytree_node node)
{
    out[0] = node.depth;
    put_be32(out + 1, node.index);
}

void keytree_init(struct keytree *t, const struct key32 *tree_secret, uint32_t category)
{
    uint8_t context[4];
    put_be32(context, category);
    t->secret = *tree_secret;
    t->category = category;
    hkdf_key(tree_secret, "hearth node keys", SLICE_ARRAY(context), &t->nodes);
    hkdf_key(tree_secret, "hearth sd labels", SLICE_ARRAY(context), &t->labels);
}

void keytree_wipe(struct keytree *t) { secret_wipe(t, sizeof *t); }

static void derive(const struct key32 *from, struct keytree_node node, struct key32 *out)
{
    uint8_t input[HCHACHA_INPUT_BYTES] = { 0 };
    write_node(input, node);
    hchacha(from, input, out);
}

void keytree_key(const struct keytree *t, struct keytree_node node, struct key32 *out) { derive(&t->nodes, node, out); }

void keytree_label(const struct keytree *t, struct keytree_node top, struct key32 *out)
{
    derive(&t->labels, top, out);
}

void keytree_part_key(const struct keytree *t, struct keytree_node node, const uint8_t nonce[KEYTREE_PART_NONCE_BYTES],
                      struct key32 *out)
{
    uint8_t context[4 + NODE_BYTES + KEYTREE_PART_NONCE_BYTES];
    put_be32(context, t->category);
    write_node(context + 4, node);
    memcpy(context + 4 + NODE_BYTES, nonce, KEYTREE_PART_NONCE_BYTES);
    hkdf_key(&t->secret, "hearth part key", SLICE_ARRAY(context), out);
}

void keytree_label_child(const struct key32 *label, bool right, struct key32 *out)
{
    static const uint8_t sides[2][HCHACHA_INPUT_BYTES] = { "hearth sd left", "hearth sd right" };
    hchacha(label, sides[right], out);
}

void keytree_label_key(const struct key32 *label, struct key32 *out)
{
    static const uint8_t text[HCHACHA_INPUT_BYTES] = "hearth sd key";
    hchacha(label, text, out);
}

/* The labels a device holds for the subtree of its ancestor at `top`: of the sibling of each path node below. They open
 * every subset "this subtree without that one" that the device is in, and none that it is not in. */
static uint8_t *write_labels(const struct keytree *t, uint32_t leaf, unsigned top, uint8_t *out)
{
    struct key32 label CLEANUP(key32_wipe), sibling CLEANUP(key32_wipe);
    keytree_label(t, keytree_path(leaf, top), &label);
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
    struct keytree t CLEANUP(keytree_wipe);
    uint8_t *p = set + SET_HEAD_BYTES;
    keytree_init(&t, tree_secret, category);
    set[0] = KEYTREE_SET_TYPE;
    put_be32(set + 1, category);
    put_be32(set + 5, leaf);
    for (unsigned depth = 0; depth <= KEYTREE_DEPTH; depth++) {
        keytree_key(&t, keytree_path(leaf, depth), &key);
        memcpy(p, key.bytes, sizeof key.bytes);
        p += sizeof key.bytes;
    }
    for (unsigned top = 0; top < KEYTREE_DEPTH; top++)
        p = write_labels(&t, leaf, top, p);
    assert(p == set + KEYTREE_SET_BYTES);
}

static bool is_set(struct slice set) { return set.len == KEYTREE_SET_BYTES && set.data[0] == KEYTREE_SET_TYPE; }

int keytree_set_label(struct slice set, unsigned top, unsigned depth, struct key32 *out)
{
    if (!is_set(set) || top >= depth || depth > KEYTREE_DEPTH)
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
