/* The subset-difference cover and key blocks in parts. Brute force: every revocation set of a tree of depth 4, for both covers; large random
 * sets against a second, slow way of counting; one more revocation at a time; every alteration. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "crypto/ekb_parts.h"

#define CATEGORY 1
#define VERSION 42
#define SMALL 16 /* leaves of the small tree: those below one node at depth 28 */

static const struct key32 secret = { { 0xaa, 2 } }, root_key = { { 0xbb, 3 } };
static const struct keytree_node small = { 28, 0x0123456 };
static uint8_t sets[SMALL][KEYTREE_SET_BYTES];
static struct rng_fake chance;

static int make_sets(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < SMALL; i++)
        keytree_device_set(&secret, CATEGORY, keytree_first_leaf(small) + i, sets[i]);
    rng_fake_init(&chance, 7);
    return 0;
}

/* --- Every revocation set of a small tree --- */

struct seen {
    uint32_t times[SMALL]; /* how often each leaf is covered */
    unsigned subsets;
    uint64_t last;
    uint32_t revoked;
    struct keytree tree;
};

static bool same_node(struct keytree_node a, struct keytree_node b) { return a.depth == b.depth && a.index == b.index; }

static int look(void *ctx, const struct cover_subset *s)
{
    struct seen *seen = ctx;
    uint8_t bytes[COVER_SUBSET_BYTES];
    struct cover_subset again;
    uint64_t order = ((uint64_t)keytree_first_leaf(s->top) << 6 | s->top.depth) + 1;
    struct key32 key, mine;
    assert_true(order > seen->last); /* sorted, and no top twice */
    seen->last = order;
    seen->subsets++;
    cover_encode(s, bytes);
    assert_true(cover_decode(bytes, &again));
    assert_true(same_node(again.top, s->top) && same_node(again.without, s->without));
    cover_key(&seen->tree, s, &key);
    for (uint32_t i = 0; i < SMALL; i++) {
        int r = cover_set_key(SLICE_ARRAY(sets[i]), s, &mine);
        bool in = cover_has(s, keytree_first_leaf(small) + i);
        assert_int_equal(r, in ? 0 : KEYTREE_MALFORMED);
        seen->times[i] += in;
        if (in)
            assert_memory_equal(&mine, &key, sizeof(key)); /* whoever is in it makes its key ... */
    }
    return 0;
}

static void every_set_of_a_small_tree(void **state)
{
    (void)state;
    struct seen seen = { 0 };
    unsigned most = 0;
    keytree_init(&seen.tree, &secret, CATEGORY);
    for (uint32_t set = 0; set < 1u << SMALL; set++) {
        uint32_t revoked[SMALL];
        size_t count = 0;
        memset(seen.times, 0, sizeof(seen.times));
        seen.subsets = 0;
        seen.last = 0;
        for (uint32_t i = 0; i < SMALL; i++)
            if (set >> i & 1)
                revoked[count++] = keytree_first_leaf(small) + i;
        assert_int_equal(cover_subset_difference(small, revoked, count, look, &seen), 0);
        for (uint32_t i = 0; i < SMALL; i++)
            assert_int_equal(seen.times[i],
                             !(set >> i & 1)); /* ... the others are in exactly one, the revoked in none */
        assert_true(seen.subsets <= (count == 0 ? 1 : 2 * count - 1)); /* the theorem's bound */
        most = seen.subsets > most ? seen.subsets : most;
    }
    print_message("65,536 sets; at most %u subsets\n", most);
}

/* The same through whole blocks of both kinds: real devices open, or do not. Every 5th set; all others of the tree are live. */
static struct ekb_place place_new(void) { return (struct ekb_place){ .proof = buf(2048), .part_proof = buf(2048) }; }

static void place_free(struct ekb_place *p)
{
    buf_free(&p->proof);
    buf_free(&p->part_proof);
}

static int open_parts(const struct ekb_parts *e, const uint8_t *set, uint32_t leaf, struct key32 *out)
{
    struct ekb_place place CLEANUP(place_free) = place_new();
    int r = ekb_parts_find(e, leaf, &place);
    if (r == 0)
        r = ekb_parts_open(slice(set, KEYTREE_SET_BYTES), e->version, e->count, e->root, e->key_check, &place, out);
    return r;
}

static int open_complete(const struct ekb *e, const uint8_t *set, uint32_t leaf, struct key32 *out)
{
    struct buf proof CLEANUP(buf_free) = buf(2048);
    uint8_t entry[EKB_ENTRY_BYTES];
    uint32_t index;
    int r = ekb_find(e, leaf, &index, entry, &proof);
    if (r == 0)
        r = ekb_open(slice(set, KEYTREE_SET_BYTES), e->version, e->count, e->root, e->key_check, index,
                     SLICE_ARRAY(entry), buf_slice(&proof), out);
    return r;
}

/* A revoked device with every entry there is, also as if it were another leaf. */
static void check_opens_nothing(const struct ekb_parts *e, const uint8_t *set)
{
    uint8_t lying[KEYTREE_SET_BYTES];
    struct key32 out;
    for (uint32_t i = 0; i < SMALL; i++) {
        struct ekb_place place CLEANUP(place_free) = place_new();
        uint32_t leaf = keytree_first_leaf(small) + i;
        if (ekb_parts_find(e, leaf, &place) != 0)
            continue;
        assert_int_not_equal(
            ekb_parts_open(slice(set, KEYTREE_SET_BYTES), e->version, e->count, e->root, e->key_check, &place, &out),
            0);
        memcpy(lying, set, sizeof(lying));
        put_be32(lying + 5, leaf);
        assert_int_not_equal(
            ekb_parts_open(SLICE_ARRAY(lying), e->version, e->count, e->root, e->key_check, &place, &out), 0);
    }
}

static void both_kinds_agree(void **state)
{
    (void)state;
    for (uint32_t set = 0; set < 1u << SMALL; set += 37) {
        uint32_t revoked[SMALL];
        size_t count = 0;
        struct ekb complete;
        struct ekb_parts parts;
        for (uint32_t i = 0; i < SMALL; i++)
            if (set >> i & 1)
                revoked[count++] = keytree_first_leaf(small) + i;
        assert_int_equal(ekb_build(&complete, &secret, CATEGORY, VERSION, revoked, count, &root_key), 0);
        assert_int_equal(ekb_parts_build(&parts, &secret, CATEGORY, VERSION, revoked, count, &root_key, &chance.rng),
                         0);
        assert_memory_equal(complete.key_check, parts.key_check, 32);
        for (uint32_t i = 0; i < SMALL; i++) {
            uint32_t leaf = keytree_first_leaf(small) + i;
            struct key32 a = { 0 }, b = { 0 };
            int expected = set >> i & 1 ? EKB_NOT_COVERED : 0;
            assert_int_equal(open_complete(&complete, sets[i], leaf, &a), expected);
            assert_int_equal(open_parts(&parts, sets[i], leaf, &b), expected);
            if (expected == 0) {
                assert_memory_equal(&a, &root_key, sizeof(a));
                assert_memory_equal(&b, &root_key, sizeof(b));
            } else {
                check_opens_nothing(&parts, sets[i]);
            }
        }
        ekb_deinit(&complete);
        ekb_parts_deinit(&parts);
    }
}

/* --- Large sets --- */

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static size_t random_leaves(uint32_t *out, size_t count, uint32_t mask)
{
    size_t kept = 0;
    rng_fill(&chance.rng, out, count * sizeof(*out));
    for (size_t i = 0; i < count; i++)
        out[i] &= mask;
    qsort(out, count, sizeof(*out), by_value);
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || out[kept - 1] != out[i])
            out[kept++] = out[i];
    return kept;
}

struct total {
    uint64_t leaves;
    size_t subsets;
};

static int add_up(void *ctx, const struct cover_subset *s)
{
    struct total *t = ctx;
    bool whole = s->top.depth == s->without.depth;
    t->leaves += cover_leaf_count(s->top) - (whole ? 0 : cover_leaf_count(s->without));
    t->subsets++;
    return 0;
}

static void large_sets_leave_nobody_out(void **state)
{
    (void)state;
    static const struct {
        size_t count;
        uint32_t mask;
    } cases[] = {
        { 1, UINT32_MAX }, { 2, UINT32_MAX }, { 1000, UINT32_MAX }, { 200000, UINT32_MAX }, { 200000, 0x3ffff }
    };
    for (size_t c = 0; c < ARRAY_COUNT(cases); c++) {
        uint32_t *revoked CLEANUP(freep) = calloc(cases[c].count, sizeof(*revoked));
        size_t count = random_leaves(revoked, cases[c].count, cases[c].mask);
        struct total t = { 0 };
        assert_int_equal(cover_subset_difference((struct keytree_node){ 0, 0 }, revoked, count, add_up, &t), 0);
        assert_true(t.leaves == ((uint64_t)1 << 32) - count); /* disjoint (sorted tops), so that the sum tells all */
        assert_true(t.subsets <= 2 * count - 1);
    }
}

static void check_some(const struct ekb_parts *e, const uint32_t *revoked, size_t count)
{
    static uint8_t set[KEYTREE_SET_BYTES];
    for (unsigned i = 0; i < 60; i++) {
        uint32_t leaf;
        struct key32 out = { 0 };
        rng_fill(&chance.rng, &leaf, sizeof(leaf));
        if (i % 3 == 0)
            leaf = revoked[leaf % count];
        else if (i % 3 == 1)
            leaf = revoked[leaf % count] ^ 1; /* a neighbour */
        bool gone = bsearch(&leaf, revoked, count, sizeof(*revoked), by_value) != NULL;
        keytree_device_set(&secret, CATEGORY, leaf, set);
        assert_int_equal(open_parts(e, set, leaf, &out), gone ? EKB_NOT_COVERED : 0);
        if (!gone)
            assert_memory_equal(&out, &root_key, sizeof(out));
    }
}

static void one_more_revocation(void **state)
{
    (void)state;
    static uint32_t revoked[4096];
    struct ekb_parts e;
    size_t count = random_leaves(revoked, 3000, 0xfffff); /* crowded: parts overflow and are cut */
    assert_int_equal(ekb_parts_build(&e, &secret, CATEGORY, 1, revoked, count, &root_key, &chance.rng), 0);
    for (uint64_t version = 2; version < 400; version++) {
        uint32_t leaf, at, first, changed, begin;
        do {
            rng_fill(&chance.rng, &leaf, sizeof(leaf));
            leaf &= 0xfffff;
        } while (bsearch(&leaf, revoked, count, sizeof(*revoked), by_value) != NULL);
        revoked[count++] = leaf;
        qsort(revoked, count, sizeof(*revoked), by_value);
        assert_int_equal(ekb_parts_at(&e, leaf, &at), 0);
        struct keytree_node node = e.parts[at].node;
        size_t below = 0;
        for (begin = 0; begin < count && revoked[begin] < keytree_first_leaf(node); begin++)
            ;
        while (begin + below < count && keytree_covers(node, revoked[begin + below]))
            below++;
        uint32_t before = e.count;
        assert_int_equal(ekb_parts_revoke(&e, &secret, version, leaf, revoked + begin, below, &root_key, &chance.rng,
                                          &first, &changed),
                         0);
        assert_int_equal(first, at);
        assert_int_equal(e.count, before - 1 + changed);
        if (version % 40 == 0)
            check_some(&e, revoked, count);
    }
    /* The same parts as if made at once. */
    struct ekb_parts whole;
    assert_int_equal(ekb_parts_build(&whole, &secret, CATEGORY, 400, revoked, count, &root_key, &chance.rng), 0);
    assert_int_equal(whole.count, e.count);
    for (uint32_t i = 0; i < e.count; i++)
        assert_true(same_node(whole.parts[i].node, e.parts[i].node));
    ekb_parts_deinit(&whole);
    ekb_parts_deinit(&e);
}

/* A device that was revoked keeps what it had: the old part key does not open the new top. */
static void an_old_part_key_is_of_no_use(void **state)
{
    (void)state;
    uint32_t revoked[2] = { keytree_first_leaf(small) + 3, keytree_first_leaf(small) + 9 }, first, changed;
    struct ekb_place old CLEANUP(place_free) = place_new();
    struct ekb_parts e;
    struct key32 out, next = { { 9 } };
    assert_int_equal(ekb_parts_build(&e, &secret, CATEGORY, 1, revoked, 1, &root_key, &chance.rng), 0);
    assert_int_equal(ekb_parts_find(&e, revoked[1], &old), 0);
    assert_int_equal(open_parts(&e, sets[9], revoked[1], &out), 0);
    assert_int_equal(ekb_parts_revoke(&e, &secret, 2, revoked[1], revoked, 2, &next, &chance.rng, &first, &changed), 0);
    assert_int_equal(open_parts(&e, sets[9], revoked[1], &out), EKB_NOT_COVERED);
    memcpy(old.top, e.tops + (size_t)old.index * EKB_ENTRY_BYTES,
           EKB_ENTRY_BYTES); /* the new top entry, the old part */
    assert_int_equal(ekb_parts_open(SLICE_ARRAY(sets[9]), 2, e.count, e.root, e.key_check, &old, &out), EKB_FORGED);
    ekb_parts_deinit(&e);
}

/* --- Alterations and bytes --- */

static void every_alteration(void **state)
{
    (void)state;
    static uint32_t revoked[2000];
    struct ekb_parts e;
    struct key32 out;
    struct ekb_place place CLEANUP(place_free) = place_new();
    size_t count = random_leaves(revoked, ARRAY_COUNT(revoked), UINT32_MAX);
    uint32_t leaf = keytree_first_leaf(small) + 5;
    assert_int_equal(ekb_parts_build(&e, &secret, CATEGORY, VERSION, revoked, count, &root_key, &chance.rng), 0);
    assert_int_equal(ekb_parts_find(&e, leaf, &place), 0);
    assert_true(place.proof.len > 0 && place.part_proof.len > 0);
    const struct {
        uint8_t *bytes;
        size_t len;
    } fields[] = { { place.top, sizeof(place.top) },
                   { place.entry, sizeof(place.entry) },
                   { place.nonce, sizeof(place.nonce) },
                   { place.proof.data, place.proof.len },
                   { place.part_proof.data, place.part_proof.len },
                   { e.root, sizeof(e.root) },
                   { e.key_check, sizeof(e.key_check) } };
    for (size_t f = 0; f < ARRAY_COUNT(fields); f++)
        for (size_t i = 0; i < fields[f].len * 8; i += 3) {
            fields[f].bytes[i / 8] ^= (uint8_t)(1u << (i % 8));
            int r = ekb_parts_open(SLICE_ARRAY(sets[5]), VERSION, e.count, e.root, e.key_check, &place, &out);
            assert_true(r == EKB_FORGED || r == EKB_MALFORMED || r == EKB_NOT_COVERED);
            fields[f].bytes[i / 8] ^= (uint8_t)(1u << (i % 8));
        }
    uint32_t *const numbers[] = { &place.index, &place.part_index, &place.part_count }; /* the total is signed */
    for (size_t n = 0; n < ARRAY_COUNT(numbers); n++)
        for (unsigned bit = 0; bit < 32; bit++) {
            *numbers[n] ^= 1u << bit;
            int r = ekb_parts_open(SLICE_ARRAY(sets[5]), VERSION, e.count, e.root, e.key_check, &place, &out);
            assert_int_not_equal(r, 0);
            *numbers[n] ^= 1u << bit;
        }
    assert_int_equal(ekb_parts_open(SLICE_ARRAY(sets[5]), VERSION + 1, e.count, e.root, e.key_check, &place, &out),
                     EKB_FORGED);
    sets[5][0] = KEYTREE_SET_TYPE - 1; /* a set from before: its keys are of another making */
    assert_int_equal(ekb_parts_open(SLICE_ARRAY(sets[5]), VERSION, e.count, e.root, e.key_check, &place, &out),
                     EKB_MALFORMED);
    sets[5][0] = KEYTREE_SET_TYPE;
    assert_int_equal(ekb_parts_open(SLICE_ARRAY(sets[5]), VERSION, e.count, e.root, e.key_check, &place, &out), 0);
    ekb_parts_deinit(&e);
}

static void as_bytes(void **state)
{
    (void)state;
    static uint32_t revoked[2000];
    size_t count = random_leaves(revoked, ARRAY_COUNT(revoked), 0xffffff);
    struct ekb_parts e, again;
    struct buf bytes CLEANUP(buf_free) = buf(1 << 24);
    assert_int_equal(ekb_parts_build(&e, &secret, CATEGORY, VERSION, revoked, count, &root_key, &chance.rng), 0);
    assert_int_equal(ekb_parts_encode(&e, &bytes), 0);
    assert_int_equal(ekb_parts_load(&again, CATEGORY, VERSION, buf_slice(&bytes)), 0);
    assert_memory_equal(again.root, e.root, sizeof(e.root));
    memcpy(again.key_check, e.key_check, sizeof(e.key_check));
    check_some(&again, revoked, count);
    ekb_parts_deinit(&again);
    for (size_t len = 0; len < bytes.len; len += len < 300 ? 1 : 997)
        if (ekb_parts_load(&again, CATEGORY, VERSION, slice(bytes.data, len)) == 0) {
            assert_memory_not_equal(again.root, e.root, sizeof(e.root)); /* fewer parts: another block */
            ekb_parts_deinit(&again);
        }
    for (size_t at = 0; at < bytes.len; at += 131) {
        bytes.data[at] ^= 0x40;
        if (ekb_parts_load(&again, CATEGORY, VERSION, buf_slice(&bytes)) == 0) {
            assert_memory_not_equal(again.root, e.root, sizeof(e.root));
            ekb_parts_deinit(&again);
        }
        bytes.data[at] ^= 0x40;
    }
    ekb_parts_deinit(&e);
}

static void what_is_refused(void **state)
{
    (void)state;
    static const uint32_t falling[] = { 5, 4 }, twice[] = { 4, 4 };
    struct ekb_parts e;
    assert_int_equal(ekb_parts_build(&e, &secret, CATEGORY, 1, falling, 2, &root_key, &chance.rng), -EINVAL);
    assert_int_equal(ekb_parts_build(&e, &secret, CATEGORY, 1, twice, 2, &root_key, &chance.rng), -EINVAL);
    assert_int_equal(ekb_parts_load(&e, CATEGORY, 1, slice(NULL, 0)), EKB_MALFORMED);
    struct buf bytes CLEANUP(buf_free) = buf(1 << 16);
    struct ekb_parts again;
    assert_int_equal(ekb_parts_build(&e, &secret, CATEGORY, 1, twice, 1, &root_key, &chance.rng), 0);
    assert_int_equal(ekb_parts_encode(&e, &bytes), 0);
    for (size_t at = EKB_ENTRY_BYTES + 4 + EKB_NONCE_BYTES; at < EKB_PART_HEAD_UNITS * EKB_ENTRY_BYTES;
         at++) { /* the padding */
        bytes.data[at] = 1;
        assert_int_equal(ekb_parts_load(&again, CATEGORY, 1, buf_slice(&bytes)), EKB_MALFORMED);
        bytes.data[at] = 0;
    }
    assert_int_equal(ekb_parts_load(&again, CATEGORY, 1, buf_slice(&bytes)), 0);
    ekb_parts_deinit(&again);
    ekb_parts_deinit(&e);
    struct cover_subset s;
    static const uint8_t none[5] = { 0 }, below[5] = { 33 << 2, 0, 0, 0, 1 }, deep[5] = { 3, 0xff, 0xff, 0xff, 0xff };
    assert_false(cover_decode(none, &s));
    assert_false(cover_decode(below, &s));
    assert_false(cover_decode(deep, &s));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_set_of_a_small_tree),
        cmocka_unit_test(both_kinds_agree),
        cmocka_unit_test(large_sets_leave_nobody_out),
        cmocka_unit_test(one_more_revocation),
        cmocka_unit_test(an_old_part_key_is_of_no_use),
        cmocka_unit_test(every_alteration),
        cmocka_unit_test(as_bytes),
        cmocka_unit_test(what_is_refused),
    };
    return cmocka_run_group_tests(tests, make_sets, NULL);
}
