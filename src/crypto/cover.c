/* The subset-difference cover and its keys. Any thread. */
#include "crypto/cover.h"

#define TOP_SHIFT 34

/* --- Subsets ----------------------------------------------------------------------------------------------------- */

static bool is_whole(const struct cover_subset *s)
{
    return s->top.depth == s->without.depth && s->top.index == s->without.index;
}

bool cover_has(const struct cover_subset *s, uint32_t leaf)
{
    return keytree_covers(s->top, leaf) && (is_whole(s) || !keytree_covers(s->without, leaf));
}

void cover_encode(const struct cover_subset *s, uint8_t out[COVER_SUBSET_BYTES])
{
    uint64_t packed = (uint64_t)s->top.depth << TOP_SHIFT | ((uint64_t)1 << s->without.depth) | s->without.index;
    out[0] = (uint8_t)(packed >> 32);
    put_be32(out + 1, (uint32_t)packed);
}

bool cover_decode(const uint8_t bytes[COVER_SUBSET_BYTES], struct cover_subset *out)
{
    uint64_t packed = (uint64_t)bytes[0] << 32 | get_be32(bytes + 1);
    uint64_t heap = packed & (((uint64_t)1 << TOP_SHIFT) - 1);
    unsigned top = (unsigned)(packed >> TOP_SHIFT);
    if (heap == 0)
        return false;
    unsigned depth = 63u - (unsigned)__builtin_clzll(heap);
    if (depth > KEYTREE_DEPTH || top > depth)
        return false;
    out->without = (struct keytree_node){ (uint8_t)depth, (uint32_t)(heap ^ ((uint64_t)1 << depth)) };
    out->top = (struct keytree_node){ (uint8_t)top, (uint32_t)((uint64_t)out->without.index >> (depth - top)) };
    return true;
}

/* --- The cover --------------------------------------------------------------------------------------------------- */

uint64_t cover_leaf_count(struct keytree_node node) { return (uint64_t)1 << (KEYTREE_DEPTH - node.depth); }

static struct keytree_node child_of(struct keytree_node node, unsigned right)
{
    return (struct keytree_node){ (uint8_t)(node.depth + 1), node.index << 1 | right };
}

size_t cover_left_count(struct keytree_node node, const uint32_t *revoked, size_t count)
{
    uint32_t boundary = keytree_first_leaf(child_of(node, 1));
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (revoked[middle] < boundary)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The lowest node above both. */
static struct keytree_node meeting(uint32_t first, uint32_t last)
{
    unsigned depth = first == last ? KEYTREE_DEPTH : (unsigned)__builtin_clz(first ^ last);
    return keytree_path(first, depth);
}

int cover_subset_difference(struct keytree_node root, const uint32_t *revoked, size_t count,
                            int (*emit)(void *ctx, const struct cover_subset *s), void *ctx)
{
    if (count == 0)
        return emit(ctx, &(struct cover_subset){ root, root });
    /* From root down to where the revoked leaves part nothing else is revoked: one subset. */
    struct keytree_node hole = meeting(revoked[0], revoked[count - 1]);
    if (hole.depth > root.depth) {
        int r = emit(ctx, &(struct cover_subset){ root, hole });
        if (r != 0)
            return r;
    }
    if (hole.depth == KEYTREE_DEPTH)
        return 0;
    size_t left = cover_left_count(hole, revoked, count); /* both halves have some */
    int r = cover_subset_difference(child_of(hole, 0), revoked, left, emit, ctx);
    return r != 0 ? r : cover_subset_difference(child_of(hole, 1), revoked + left, count - left, emit, ctx);
}

/* --- Keys -------------------------------------------------------------------------------------------------------- */

/* From the label of a node on the way down to that of `to`. */
static void walk(struct key32 *label, unsigned from_depth, struct keytree_node to)
{
    struct key32 next CLEANUP(key32_wipe);
    for (unsigned depth = from_depth + 1; depth <= to.depth; depth++) {
        keytree_label_child(label, to.index >> (to.depth - depth) & 1, &next);
        *label = next;
    }
}

void cover_key(const struct keytree *t, const struct cover_subset *s, struct key32 *out)
{
    struct key32 label CLEANUP(key32_wipe);
    if (is_whole(s)) {
        keytree_key(t, s->top, out);
        return;
    }
    keytree_label(t, s->top, &label);
    walk(&label, s->top.depth, s->without);
    keytree_label_key(&label, out);
}

int cover_set_key(struct slice set, const struct cover_subset *s, struct key32 *out)
{
    struct key32 label CLEANUP(key32_wipe) = { { 0 } };
    uint32_t category, leaf;
    if (keytree_set_leaf(set, &category, &leaf) != 0 || !cover_has(s, leaf))
        return KEYTREE_MALFORMED;
    if (is_whole(s))
        return keytree_set_key(set, s->top.depth, out);
    /* Where the way down to the hole leaves the leaf's own path, the device holds the label of that other side. */
    unsigned depth = s->top.depth + 1u;
    while (keytree_path(leaf, depth).index == s->without.index >> (s->without.depth - depth))
        depth++;
    int r = keytree_set_label(set, s->top.depth, depth, &label);
    if (r != 0)
        return r;
    walk(&label, depth, s->without);
    keytree_label_key(&label, out);
    return 0;
}
