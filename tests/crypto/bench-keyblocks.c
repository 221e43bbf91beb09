/* Key blocks for 2^32 leaves, each figure beside the raw operations of the same run: complete subtree with 10,000 revoked at the theoretical
 * bound, subset difference with 1,000,000, one more revocation, opening. Medians. Never fails. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/util.h"
#include "crypto/ekb_parts.h"

#define CATEGORY 1
#define ROUNDS 5
#define REVOCATIONS 200

static const struct key32 secret = { { 1 } }, root_key = { { 2 } };

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static int by_time(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *times, size_t count)
{
    qsort(times, count, sizeof(*times), by_time);
    return times[count / 2];
}

static size_t random_leaves(uint32_t *out, size_t count)
{
    size_t kept = 0;
    rng_fill(rng_system(), out, count * sizeof(*out));
    qsort(out, count, sizeof(*out), by_value);
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || out[kept - 1] != out[i])
            out[kept++] = out[i];
    return kept;
}

/* --- Raw limits --- */

static void raw(void)
{
    enum { N = 200000 };
    struct key32 key = secret, out;
    uint8_t bytes[EKB_ENTRY_BYTES] = { 0 }, hash[32];
    struct keytree tree;
    struct slice entry = SLICE_ARRAY(bytes);
    keytree_init(&tree, &secret, CATEGORY);
    double t = now_ms();
    for (int i = 0; i < N; i++)
        keytree_key(&tree, (struct keytree_node){ 32, (uint32_t)i }, &out);
    double node = N / (now_ms() - t) * 1e3;
    t = now_ms();
    for (int i = 0; i < N; i++)
        keytree_label_child(&key, i & 1, &key);
    double label = N / (now_ms() - t) * 1e3;
    t = now_ms();
    for (int i = 0; i < N; i++)
        merkle_leaf(&entry, 1, hash);
    double sha = N / (now_ms() - t) * 1e3;
    printf("one core of this machine: %.0f node keys/s, %.0f label steps/s, %.0f SHA-256 of 38 bytes/s\n", node, label,
           sha);
}

/* --- Blocks --- */

static double open_ms(int (*open_one)(void *block, const uint8_t *set, uint32_t leaf), void *block)
{
    double times[REVOCATIONS];
    static uint8_t set[KEYTREE_SET_BYTES];
    for (int i = 0; i < REVOCATIONS; i++) {
        uint32_t leaf;
        rng_fill(rng_system(), &leaf, sizeof(leaf));
        keytree_device_set(&secret, CATEGORY, leaf, set);
        double t = now_ms();
        if (open_one(block, set, leaf) < 0)
            exit(1);
        times[i] = now_ms() - t;
    }
    return median(times, REVOCATIONS);
}

static int open_complete(void *block, const uint8_t *set, uint32_t leaf)
{
    struct ekb *e = block;
    struct buf proof CLEANUP(buf_free) = buf(2048);
    uint8_t entry[EKB_ENTRY_BYTES];
    uint32_t index;
    struct key32 out;
    int r = ekb_find(e, leaf, &index, entry, &proof);
    return r != 0 ? 0
                  : ekb_open(slice(set, KEYTREE_SET_BYTES), e->version, e->count, e->root, e->key_check, index,
                             SLICE_ARRAY(entry), buf_slice(&proof), &out);
}

static int open_parts(void *block, const uint8_t *set, uint32_t leaf)
{
    struct ekb_parts *e = block;
    struct ekb_place place = { .proof = buf(2048), .part_proof = buf(2048) };
    struct key32 out;
    int r = ekb_parts_find(e, leaf, &place);
    r = r != 0
            ? 0
            : ekb_parts_open(slice(set, KEYTREE_SET_BYTES), e->version, e->count, e->root, e->key_check, &place, &out);
    buf_free(&place.proof);
    buf_free(&place.part_proof);
    return r;
}

static void complete(void)
{
    enum { R = 10000 };
    static uint32_t revoked[R];
    size_t count = random_leaves(revoked, R);
    double times[ROUNDS];
    struct ekb e = { 0 };
    for (int i = 0; i < ROUNDS; i++) {
        ekb_deinit(&e);
        double t = now_ms();
        if (ekb_build(&e, &secret, CATEGORY, 1, revoked, count, &root_key) != 0)
            exit(1);
        times[i] = now_ms() - t;
    }
    double bound = (double)count * log2(4294967296.0 / (double)count), opened = open_ms(open_complete, &e);
    printf(
        "complete subtree, %zu revoked: %u entries, %.3f of the bound r*log2(N/r) = %.0f; built in %.0f ms (reach 100); opened in %.3f ms (reach 1)\n",
        count, e.count, e.count / bound, bound, median(times, ROUNDS), opened);
    printf("figure\tkey block, %zu revoked: entries, of the bound\t%.3f\t\tmost\t1\t%u entries\n", count,
           e.count / bound, e.count);
    printf("figure\tthe same: built\t%.1f\tms\tmost\t100\t\nfigure\tthe same: opened\t%.3f\tms\tmost\t1\t\n",
           median(times, ROUNDS), opened);
    ekb_deinit(&e);
}

/* Leaves that share a part, and where they begin. */
static size_t below(const uint32_t *revoked, size_t count, struct keytree_node node, size_t *begin)
{
    uint64_t first = keytree_first_leaf(node), end = first + cover_leaf_count(node);
    size_t low = 0, n = 0;
    while (low < count && revoked[low] < first)
        low++;
    while (low + n < count && revoked[low + n] < end)
        n++;
    *begin = low;
    return n;
}

static double one_more(struct ekb_parts *e, uint32_t *revoked, size_t *count)
{
    double times[REVOCATIONS];
    for (int i = 0; i < REVOCATIONS; i++) {
        uint32_t leaf, at, first, changed;
        size_t begin;
        do
            rng_fill(rng_system(), &leaf, sizeof(leaf));
        while (bsearch(&leaf, revoked, *count, sizeof(leaf), by_value) != NULL || ekb_parts_at(e, leaf, &at) != 0);
        revoked[(*count)++] = leaf;
        qsort(revoked, *count, sizeof(leaf), by_value); /* the database's index does this */
        size_t n = below(revoked, *count, e->parts[at].node, &begin);
        double t = now_ms();
        if (ekb_parts_revoke(e, &secret, e->version + 1, leaf, revoked + begin, n, &root_key, rng_system(), &first,
                             &changed) != 0)
            exit(1);
        times[i] = now_ms() - t;
    }
    return median(times, REVOCATIONS);
}

static void difference(void)
{
    enum { R = 1000000 };
    uint32_t *revoked = malloc((R + REVOCATIONS) * sizeof(*revoked));
    size_t count = random_leaves(revoked, R), entries = 0;
    double times[ROUNDS];
    struct ekb_parts e = { 0 };
    for (int i = 0; i < ROUNDS; i++) {
        ekb_parts_deinit(&e);
        double t = now_ms();
        if (ekb_parts_build(&e, &secret, CATEGORY, 1, revoked, count, &root_key, rng_system()) != 0)
            exit(1);
        times[i] = now_ms() - t;
    }
    for (uint32_t i = 0; i < e.count; i++)
        entries += e.parts[i].count;
    entries += e.count;
    printf(
        "subset difference, %zu revoked: %zu entries in %u parts, %.3f a revocation (reach 1.30); built in %.0f ms (reach 2000); opened in %.3f ms (reach 1)\n",
        count, entries, e.count, (double)entries / (double)count, median(times, ROUNDS), open_ms(open_parts, &e));
    double more = one_more(&e, revoked, &count);
    printf("one more revocation: %.1f ms (reach 10); %u entries of the top and one part instead of %zu\n", more,
           e.count, entries);
    ekb_parts_deinit(&e);
    free(revoked);
}

int main(void)
{
    raw();
    complete();
    difference();
    return 0;
}
