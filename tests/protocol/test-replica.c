/* Replicas: named merges, answers that are cut or changed, and random histories of many replicas against a model that remembers everything.
 * HEARTH_SEED=N repeats a history, HEARTH_HISTORIES=N runs more of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/rng.h"
#include "base/util.h"
#include "protocol/replica.h"

#define KIND 7

static bool any(uint8_t kind, struct slice key, struct slice value)
{
    (void)key;
    (void)value;
    return kind == KIND;
}

static void start(struct replica *r, uint8_t name)
{
    uint8_t id[REPLICA_ID_BYTES] = { name };
    replica_init(r, id);
}

static void take(struct replica *r, struct replica_change *c)
{
    assert_int_equal(replica_make_room(r, c), 0);
    replica_take(r, c);
}

/* value NULL: deletes. */
static struct dot put_over(struct replica *r, const char *key, const char *value, const struct dots *seen)
{
    struct replica_change c = replica_change(r);
    assert_int_equal(replica_put(r, &c, KIND, slice_str(key), value == NULL ? slice(NULL, 0) : slice_str(value), seen),
                     0);
    take(r, &c);
    return r->self;
}

static struct dot put(struct replica *r, const char *key, const char *value) { return put_over(r, key, value, NULL); }

static struct buf version_of(const struct replica *r)
{
    struct buf version = buf(REPLICA_VERSION_BYTES_MAX);
    assert_int_equal(replica_version(r, &version), 0);
    return version;
}

static struct buf answer_to(const struct replica *asked, const struct replica *asking)
{
    struct buf version CLEANUP(buf_free) = version_of(asking), answer = buf(REPLICA_ANSWER_BYTES_MAX);
    assert_int_equal(replica_answer(asked, buf_slice(&version), false, &answer), 0);
    return answer;
}

static int read_into(struct replica *r, struct slice answer)
{
    struct replica_change c;
    int e = replica_read(r, answer, any, &c);
    if (e == 0)
        take(r, &c);
    return e;
}

static void pull(struct replica *to, struct replica *from)
{
    struct buf answer CLEANUP(buf_free) = answer_to(from, to), version CLEANUP(buf_free) = version_of(to);
    uint64_t told;
    assert_int_equal(replica_told(from, buf_slice(&version), &told), 0);
    assert_int_equal(read_into(to, buf_slice(&answer)), 0);
}

/* "a|b": the values under a key, sorted; "": none. */
static int compare_texts(const void *a, const void *b) { return strcmp(a, b); }
static const char *values(const struct replica *r, const char *key)
{
    static char out[512];
    char list[8][32];
    size_t count, first = replica_find(r, KIND, slice_str(key), &count);
    assert_true(count <= 8);
    for (size_t i = 0; i < count; i++) {
        struct slice v = replica_value(r->items[first + i]);
        snprintf(list[i], sizeof(list[i]), "%.*s", (int)v.len, (const char *)v.data);
    }
    qsort(list, count, sizeof(list[0]), compare_texts);
    out[0] = '\0';
    for (size_t i = 0; i < count; i++)
        snprintf(out + strlen(out), sizeof(out) - strlen(out), "%s%s", i > 0 ? "|" : "", list[i]);
    return out;
}

static void same(const struct replica *a, const struct replica *b)
{
    struct buf va CLEANUP(buf_free) = version_of(a), vb CLEANUP(buf_free) = version_of(b);
    assert_true(slice_equal(buf_slice(&va), buf_slice(&vb)));
    assert_int_equal(a->count, b->count);
    assert_int_equal(a->bytes, b->bytes);
    for (size_t i = 0; i < a->count; i++) {
        assert_true(dot_equal(&a->items[i]->dot, &b->items[i]->dot));
        assert_true(slice_equal(replica_key(a->items[i]), replica_key(b->items[i])));
        assert_true(slice_equal(replica_value(a->items[i]), replica_value(b->items[i])));
    }
}

/* ---- named merges -------------------------------------------------------------------------------------------- */

struct two {
    struct replica a, b;
};
static struct two *two_new(void)
{
    struct two *t = calloc(1, sizeof(*t));
    assert_non_null(t);
    start(&t->a, 1);
    start(&t->b, 2);
    return t;
}
static void two_free(struct two *t)
{
    replica_free(&t->a);
    replica_free(&t->b);
    free(t);
}
static void both(struct two *t)
{
    pull(&t->a, &t->b);
    pull(&t->b, &t->a);
    same(&t->a, &t->b);
}

static void test_later_replaces_earlier(void **state)
{
    (void)state;
    struct two *t = two_new();
    put(&t->a, "k", "one");
    pull(&t->b, &t->a);
    put(&t->b, "k", "two");
    both(t);
    assert_string_equal(values(&t->a, "k"), "two");
    two_free(t);
}

static void test_apart_both_stay(void **state)
{
    (void)state;
    struct two *t = two_new();
    put(&t->a, "k", "old");
    both(t);
    put(&t->a, "k", "a");
    put(&t->b, "k", "b");
    both(t);
    assert_string_equal(values(&t->a, "k"), "a|b");
    put(&t->b, "k", "chosen"); /* has seen both */
    both(t);
    assert_string_equal(values(&t->a, "k"), "chosen");
    two_free(t);
}

static void test_continues_one_of_several(void **state)
{
    (void)state;
    struct two *t = two_new();
    struct dots seen = { 0 };
    struct dot first = put(&t->a, "k", "1");
    both(t);
    put(&t->b, "k", "9");
    pull(&t->a, &t->b); /* a has seen 9, but goes on from its 1 */
    assert_int_equal(dots_set(&seen, &first), 0);
    struct dot second = put_over(&t->a, "k", "2", &seen);
    both(t);
    assert_string_equal(values(&t->b, "k"), "2|9");
    assert_int_equal(dots_set(&seen, &second), 0);
    put_over(&t->a, "k", "3", &seen);
    both(t);
    assert_string_equal(values(&t->b, "k"), "3|9");
    dots_free(&seen);
    two_free(t);
}

static void test_deletion_stays_deleted(void **state)
{
    (void)state;
    struct two *t = two_new();
    struct replica late;
    start(&late, 3);
    put(&t->a, "k", "x");
    pull(&late, &t->a);
    put(&t->a, "k", NULL);
    both(t);
    assert_string_equal(values(&t->b, "k"), "");
    for (unsigned i = 0; i < 2 * REPLICA_LOG_MAX; i++)
        put(&t->b, "other", i % 2 == 0 ? "u" : "v"); /* years later: no log knows of it */
    pull(&t->b, &late);
    assert_string_equal(values(&t->b, "k"), "");
    pull(&late, &t->b);
    assert_string_equal(values(&late, "k"), "");
    same(&late, &t->b);
    replica_free(&late);
    two_free(t);
}

static void test_edit_wins_over_deletion(void **state)
{
    (void)state;
    struct two *t = two_new();
    put(&t->a, "k", "x");
    both(t);
    put(&t->a, "k", NULL);
    put(&t->b, "k", "y");
    both(t);
    assert_string_equal(values(&t->a, "k"), "y");
    put(&t->a, "k", NULL);
    put(&t->b, "k", NULL);
    both(t);
    assert_string_equal(values(&t->a, "k"), "");
    two_free(t);
}

static void test_written_again_after_deletion(void **state)
{
    (void)state;
    struct two *t = two_new();
    put(&t->a, "k", "x");
    both(t);
    put(&t->a, "k", NULL);
    put(&t->a, "k", "x");
    both(t);
    assert_string_equal(values(&t->b, "k"), "x");
    two_free(t);
}

static void test_deleting_nothing_is_no_change(void **state)
{
    (void)state;
    struct two *t = two_new();
    struct replica_change c = replica_change(&t->a);
    assert_int_equal(replica_put(&t->a, &c, KIND, slice_str("k"), slice(NULL, 0), NULL), 0);
    assert_true(replica_change_is_empty(&c));
    assert_int_equal(t->a.seen.count, 0);
    replica_change_free(&c);
    two_free(t);
}

static void test_several_at_once(void **state)
{
    (void)state;
    struct two *t = two_new();
    put(&t->a, "gone", "x");
    struct replica_change c = replica_change(&t->a);
    assert_int_equal(replica_put(&t->a, &c, KIND, slice_str("k1"), slice_str("1"), NULL), 0);
    assert_int_equal(replica_put(&t->a, &c, KIND, slice_str("gone"), slice(NULL, 0), NULL), 0);
    assert_int_equal(replica_put(&t->a, &c, KIND, slice_str("k2"), slice_str(""), NULL), 0);
    take(&t->a, &c);
    both(t);
    assert_int_equal(t->b.count, 2);
    assert_int_equal(t->b.seen.list[0].counter, 4);
    two_free(t);
}

static void test_answers_repeated_and_late(void **state)
{
    (void)state;
    struct two *t = two_new();
    put(&t->a, "k", "1");
    struct buf first CLEANUP(buf_free) = answer_to(&t->a, &t->b);
    put(&t->a, "k", "2");
    put(&t->a, "m", "3");
    struct buf second CLEANUP(buf_free) = answer_to(&t->a, &t->b);
    put(&t->a, "m", NULL);
    struct buf third CLEANUP(buf_free) = answer_to(&t->a, &t->b);
    assert_int_equal(read_into(&t->b, buf_slice(&third)), 0);
    assert_int_equal(read_into(&t->b, buf_slice(&first)), 0);
    assert_int_equal(read_into(&t->b, buf_slice(&second)), 0);
    assert_int_equal(read_into(&t->b, buf_slice(&third)), 0);
    same(&t->a, &t->b);
    two_free(t);
}

static void test_versions_say_who_lacks(void **state)
{
    (void)state;
    struct two *t = two_new();
    put(&t->a, "k", "1");
    struct buf va CLEANUP(buf_free) = version_of(&t->a), vb CLEANUP(buf_free) = version_of(&t->b);
    assert_int_equal(replica_lacks(&t->b, buf_slice(&va)), 1);
    assert_int_equal(replica_lacks(&t->a, buf_slice(&vb)), 0);
    assert_int_equal(replica_lacks(&t->a, slice(va.data, va.len - 1)), -EINVAL);
    two_free(t);
}

/* ---- a copy that was put back -------------------------------------------------------------------------------- */

static void copy(const struct replica *from, struct replica *to)
{
    replica_init(to, from->self.replica);
    for (size_t i = 0; i < from->seen.count; i++)
        assert_int_equal(replica_load_seen(to, &from->seen.list[i]), 0);
    for (size_t i = 0; i < from->count; i++)
        assert_int_equal(replica_load_item(to, KIND, replica_key(from->items[i]), replica_value(from->items[i]),
                                           &from->items[i]->dot),
                         0);
    to->told = from->told;
}

static void test_put_back_unnoticed(void **state)
{
    (void)state;
    struct two *t = two_new();
    struct replica back;
    put(&t->a, "told", "x");
    put(&t->a, "deleted", "x");
    both(t);
    both(t); /* a knows that b has it */
    copy(&t->a, &back);
    put(&t->a, "deleted", NULL);
    put(&t->a, "later", "y");
    put(&t->a, "more", "z");
    both(t);
    replica_free(&t->a);
    put(&back, "forked", "new"); /* under a counter that another change has */
    struct buf answer CLEANUP(buf_free) = answer_to(&t->b, &back);
    assert_int_equal(read_into(&back, buf_slice(&answer)), REPLICA_BEHIND);
    uint8_t id[REPLICA_ID_BYTES] = { 9 };
    struct replica_change c;
    assert_int_equal(replica_rename(&back, id, back.told, &c), 0);
    take(&back, &c);
    pull(&back, &t->b);
    pull(&t->b, &back);
    same(&back, &t->b);
    assert_string_equal(values(&back, "told"), "x");
    assert_string_equal(values(&back, "deleted"), "");
    assert_string_equal(values(&back, "later"), "y");
    assert_string_equal(values(&back, "more"), "z");
    assert_string_equal(values(&back, "forked"), "new");
    replica_free(&back);
    two_free(t);
}

/* Somebody only says that there are more of its changes than it made; who believed that lacks some. */
static void test_renamed_for_a_lie(void **state)
{
    (void)state;
    struct two *t = two_new();
    put(&t->a, "one", "x");
    both(t);
    put(&t->a, "two", "x");
    put(&t->a, "gone", "x");
    both(t);
    struct dot lie = { .counter = 1000 };
    memcpy(lie.replica, t->a.self.replica, REPLICA_ID_BYTES);
    assert_int_equal(dots_set(&t->b.seen, &lie), 0);
    put(&t->a, "gone", NULL);
    put(&t->a, "three", "x");
    for (int known = 3; known <= 1000; known += 997) {
        struct replica_change c;
        uint8_t id[REPLICA_ID_BYTES] = { 8, (uint8_t)known };
        assert_int_equal(replica_rename(&t->a, id, (uint64_t)known, &c), 0);
        take(&t->a, &c);
        assert_int_equal(t->a.self.counter, known == 3 ? 2 : 1); /* three, and that there is a new ID; or that alone */
        pull(&t->b, &t->a);
        assert_string_equal(values(&t->b, "three"), "x");
        assert_string_equal(values(&t->b, "gone"), "");
    }
    pull(&t->a, &t->b);
    same(&t->a, &t->b);
    two_free(t);
}

/* ---- bounds and what is hostile ------------------------------------------------------------------------------ */

static void test_full(void **state)
{
    (void)state;
    struct replica r;
    char key[16], value[REPLICA_VALUE_MAX + 1];
    start(&r, 1);
    memset(value, 'x', sizeof(value));
    for (unsigned i = 0; i < REPLICA_BYTES_MAX / (REPLICA_VALUE_MAX + 8); i++) {
        struct replica_change c = replica_change(&r);
        snprintf(key, sizeof(key), "%08u", i);
        assert_int_equal(replica_put(&r, &c, KIND, slice_str(key), slice(value, REPLICA_VALUE_MAX), NULL), 0);
        take(&r, &c);
    }
    struct replica_change c = replica_change(&r);
    assert_int_equal(replica_put(&r, &c, KIND, slice_str("more"), slice(value, REPLICA_VALUE_MAX), NULL), 0);
    assert_int_equal(replica_make_room(&r, &c), REPLICA_FULL);
    replica_change_free(&c);
    c = replica_change(&r);
    assert_int_equal(replica_put(&r, &c, KIND, slice_str("k"), slice(value, sizeof(value)), NULL), REPLICA_FULL);
    replica_change_free(&c);
    put(&r, "00000000", NULL); /* what gets smaller is not refused */
    struct replica other;
    start(&other, 2);
    put(&other, "a", "b");
    pull(&other, &r); /* the largest answer fits */
    pull(&r, &other);
    same(&r, &other);
    replica_free(&other);
    replica_free(&r);
}

static struct buf sample(bool whole, struct replica *reader_of_it)
{
    struct replica r;
    start(&r, 1);
    start(reader_of_it, 2);
    put(&r, "a", "one");
    put(&r, "b", "two");
    pull(reader_of_it, &r);
    put(reader_of_it, "c", "theirs");
    pull(&r, reader_of_it);
    put(&r, "a", NULL);
    put(&r, "b", "three");
    if (whole) {
        for (unsigned i = 0; i <= REPLICA_LOG_MAX; i++)
            put(&r, "b", "three");
    }
    struct buf answer = answer_to(&r, reader_of_it);
    assert_int_equal(answer.data[0], whole ? 2 : 1);
    replica_free(&r);
    return answer;
}

static void refused_whole(struct replica *r, struct slice answer)
{
    struct replica before;
    struct replica_change c;
    copy(r, &before);
    int e = replica_read(r, answer, any, &c);
    assert_true(e == REPLICA_MALFORMED || e == REPLICA_BEHIND || e == 0);
    same(r, &before);
    replica_change_free(&c);
    replica_free(&before);
}

static void test_every_truncation(void **state)
{
    (void)state;
    for (int whole = 0; whole < 2; whole++) {
        struct replica r;
        struct replica_change c;
        struct buf answer CLEANUP(buf_free) = sample(whole, &r);
        for (size_t len = 0; len < answer.len; len++) {
            assert_int_equal(replica_read(&r, slice(answer.data, len), any, &c), REPLICA_MALFORMED);
            refused_whole(&r, slice(answer.data, len));
        }
        assert_int_equal(buf_put_u8(&answer, 0), 0);
        assert_int_equal(replica_read(&r, buf_slice(&answer), any, &c), REPLICA_MALFORMED);
        answer.len--;
        assert_int_equal(read_into(&r, buf_slice(&answer)), 0);
        assert_string_equal(values(&r, "a"), "");
        assert_string_equal(values(&r, "b"), "three");
        assert_string_equal(values(&r, "c"), "theirs");
        replica_free(&r);
    }
}

static void test_every_flipped_byte(void **state)
{
    (void)state;
    for (int whole = 0; whole < 2; whole++) {
        struct replica r;
        struct buf answer CLEANUP(buf_free) = sample(whole, &r);
        for (size_t i = 0; i < answer.len; i++)
            for (unsigned bit = 0; bit < 8; bit++) {
                answer.data[i] ^= (uint8_t)(1u << bit);
                refused_whole(
                    &r,
                    buf_slice(
                        &answer)); /* it may be another answer: what is planned is one thing, what is here another */
                answer.data[i] ^= (uint8_t)(1u << bit);
            }
        replica_free(&r);
    }
}

static void test_what_others_may_not_say(void **state)
{
    (void)state;
    struct replica r;
    struct replica_change c;
    struct buf answer CLEANUP(buf_free) = sample(false, &r);
    const size_t first = 1 + 4 + 2 * REPLICA_DOT_BYTES + 4; /* the first item: kind, key length, value length, dot */
    struct {
        const char *name;
        size_t at;
        uint8_t byte;
    } cases[] = {
        { "a kind that is none", first, 99 },
        { "an item beyond the version", first + 4 + REPLICA_ID_BYTES + 6, 1 },
        { "an item of an unknown replica", first + 4, 77 },
        { "a counter beyond the bound", 5 + REPLICA_ID_BYTES, 1 },
        { "a version that does not rise", 5, 200 },
        { "an answer that is none", 0, 3 },
        { "more replicas than there may be", 2, 1 },
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        uint8_t old = answer.data[cases[i].at];
        answer.data[cases[i].at] = cases[i].byte;
        if (replica_read(&r, buf_slice(&answer), any, &c) != REPLICA_MALFORMED)
            fail_msg("%s", cases[i].name);
        answer.data[cases[i].at] = old;
    }
    assert_int_equal(read_into(&r, buf_slice(&answer)), 0);
    replica_free(&r);
}

static void test_bad_versions(void **state)
{
    (void)state;
    struct two *t = two_new();
    put(&t->a, "k", "1");
    put(&t->b, "k", "1");
    both(t);
    struct buf version CLEANUP(buf_free) = version_of(&t->a), out CLEANUP(buf_free) = buf(REPLICA_ANSWER_BYTES_MAX);
    for (size_t len = 1; len < version.len; len++)
        if (len % REPLICA_DOT_BYTES != 0)
            assert_int_equal(replica_answer(&t->b, slice(version.data, len), false, &out), REPLICA_MALFORMED);
    uint8_t swapped[2 * REPLICA_DOT_BYTES];
    memcpy(swapped, version.data + REPLICA_DOT_BYTES, REPLICA_DOT_BYTES);
    memcpy(swapped + REPLICA_DOT_BYTES, version.data, REPLICA_DOT_BYTES);
    assert_int_equal(replica_answer(&t->b, SLICE_ARRAY(swapped), false, &out), REPLICA_MALFORMED);
    memset(version.data + REPLICA_ID_BYTES, 0, 8);
    assert_int_equal(replica_answer(&t->b, buf_slice(&version), false, &out), REPLICA_MALFORMED);
    two_free(t);
}

static void test_loads_only_what_it_stored(void **state)
{
    (void)state;
    struct replica r;
    struct dot d = { { 1 }, 3 }, beyond = { { 1 }, 4 }, none = { { 2 }, 0 };
    uint8_t long_key[REPLICA_KEY_MAX + 1] = { 0 };
    start(&r, 1);
    assert_int_equal(replica_load_seen(&r, &none), REPLICA_MALFORMED);
    assert_int_equal(replica_load_seen(&r, &d), 0);
    assert_int_equal(replica_load_seen(&r, &d), REPLICA_MALFORMED);
    assert_int_equal(r.self.counter, 3);
    assert_int_equal(replica_load_item(&r, KIND, slice_str("k"), slice_str("v"), &beyond), REPLICA_MALFORMED);
    assert_int_equal(replica_load_item(&r, KIND, SLICE_ARRAY(long_key), slice_str("v"), &d), REPLICA_MALFORMED);
    assert_int_equal(replica_load_item(&r, KIND, slice_str("k"), slice_str("v"), &d), 0);
    replica_free(&r);
}

/* ---- random histories ---------------------------------------------------------------------------------------- */

/* The model remembers every change for ever, with what it took the place of; what a replica has must be what follows from the changes it knows. */
#define NODES 6
#define EVENTS 1200
#define KEYS 5
#define FLYING 24

struct event {
    struct dot dot;
    unsigned key, value; /* value 0: deletion */
    bool replaces[EVENTS];
};
struct node {
    struct replica r;
    bool knows[EVENTS];
    bool saved;
    struct replica copy; /* a backup */
    bool copy_knows[EVENTS];
    unsigned life; /* answers to an earlier life are lost */
};
struct flying { /* an answer on its way, or a copy of one */
    struct buf bytes;
    unsigned to, life;
    bool knows[EVENTS];
};
struct world {
    struct rng_fake rng;
    struct node nodes[NODES];
    struct event *events;
    unsigned event_count, ids;
    struct flying flying[FLYING];
};

static unsigned draw(struct world *w, unsigned below)
{
    uint32_t n;
    rng_fill(&w->rng.rng, &n, sizeof(n));
    return n % below;
}

static void new_id(struct world *w, uint8_t id[REPLICA_ID_BYTES])
{
    rng_fill(&w->rng.rng, id, REPLICA_ID_BYTES);
    id[0] = (uint8_t)++w->ids;
}

static bool is_live(const struct world *w, const bool *knows, unsigned e)
{
    if (!knows[e] || w->events[e].value == 0)
        return false;
    for (unsigned later = e + 1; later < w->event_count; later++)
        if (knows[later] && w->events[later].replaces[e])
            return false;
    return true;
}

static void check(const struct world *w, const struct node *n)
{
    size_t live = 0;
    for (unsigned e = 0; e < w->event_count; e++) {
        const struct event *v = &w->events[e];
        assert_true(!n->knows[e] || v->dot.counter <= dots_of(&n->r.seen, v->dot.replica));
        if (!is_live(w, n->knows, e))
            continue;
        char key[8];
        size_t count, first, found = 0;
        snprintf(key, sizeof(key), "%u", v->key);
        first = replica_find(&n->r, KIND, slice_str(key), &count);
        for (size_t i = first; i < first + count; i++)
            found += dot_equal(&n->r.items[i]->dot, &v->dot) && get_be32(replica_value(n->r.items[i]).data) == v->value;
        assert_int_equal(found, 1);
        live++;
    }
    assert_int_equal(n->r.count, live); /* nothing came back, nothing was invented */
}

static void change(struct world *w, struct node *n)
{
    unsigned which = w->event_count, key = draw(w, KEYS);
    struct event *v = &w->events[which];
    struct dots seen = { 0 };
    uint8_t value[4];
    char text[8];
    *v = (struct event){ .key = key, .value = draw(w, 4) == 0 ? 0 : which + 1 };
    snprintf(text, sizeof(text), "%u", key);
    put_be32(value, v->value);
    bool some = draw(w, 4) == 0;
    for (unsigned e = 0; e < which; e++)
        if (w->events[e].key == key && is_live(w, n->knows, e) && (!some || draw(w, 2) == 0)) {
            v->replaces[e] = true;
            size_t at = seen.count;
            seen.list = reallocarray(seen.list, at + 1, sizeof(*seen.list));
            assert_non_null(seen.list);
            seen.list[at] = w->events[e].dot;
            seen.count = seen.cap = at + 1;
        }
    struct replica_change c = replica_change(&n->r);
    assert_int_equal(replica_put(&n->r, &c, KIND, slice_str(text), v->value == 0 ? slice(NULL, 0) : SLICE_ARRAY(value),
                                 some ? &seen : NULL),
                     0);
    if (!replica_change_is_empty(&c)) {
        take(&n->r, &c);
        v->dot = n->r.self;
        n->knows[which] = true;
        w->event_count++;
    }
    replica_change_free(&c);
    dots_free(&seen);
}

static void ask(struct world *w, unsigned to, unsigned from)
{
    struct flying *f = &w->flying[draw(w, FLYING)];
    struct node *asking = &w->nodes[to], *asked = &w->nodes[from];
    buf_free(&f->bytes); /* one that was there is lost */
    *f = (struct flying){ .bytes = answer_to(&asked->r, &asking->r), .to = to, .life = asking->life };
    memcpy(f->knows, asked->knows, sizeof(f->knows));
}

static void arrive(struct world *w, struct flying *f)
{
    struct node *n = &w->nodes[f->to];
    if (f->bytes.len == 0 || f->life != n->life)
        return;
    assert_int_equal(read_into(&n->r, buf_slice(&f->bytes)), 0);
    for (unsigned e = 0; e < EVENTS; e++)
        n->knows[e] |= f->knows[e];
    check(w, n);
    if (draw(w, 3) > 0)
        buf_free(&f->bytes); /* else it comes again, whenever */
}

/* Stopped and started: the log is gone. From a backup: a new ID, as the file tells (state.c). */
static void restart(struct world *w, struct node *n, bool from_backup)
{
    struct replica again;
    uint8_t id[REPLICA_ID_BYTES];
    if (from_backup && !n->saved)
        return;
    copy(from_backup ? &n->copy : &n->r, &again);
    again.log_max = n->r.log_max;
    if (from_backup) {
        new_id(w, id);
        memcpy(again.self.replica, id, sizeof(id));
        again.self.counter = 0;
        memcpy(n->knows, n->copy_knows, sizeof(n->knows));
    }
    replica_free(&n->r);
    n->r = again;
    n->life++;
    check(w, n);
}

static void save(struct node *n)
{
    if (n->saved)
        replica_free(&n->copy);
    copy(&n->r, &n->copy);
    memcpy(n->copy_knows, n->knows, sizeof(n->knows));
    n->saved = true;
}

static void step(struct world *w)
{
    unsigned i = draw(w, NODES);
    struct node *n = &w->nodes[i];
    unsigned what = draw(w, 100);
    if (what < 40 && w->event_count < EVENTS)
        change(w, n);
    else if (what < 65)
        ask(w, i, (i + 1 + draw(w, NODES - 1)) % NODES);
    else if (what < 94)
        arrive(w, &w->flying[draw(w, FLYING)]);
    else if (what < 97)
        save(n);
    else
        restart(w, n, what == 99);
}

static void converge(struct world *w)
{
    for (unsigned round = 0; round < 2; round++)
        for (unsigned i = 0; i < NODES; i++)
            for (unsigned n = 0; n < NODES; n++)
                if (n != i) {
                    pull(&w->nodes[i].r, &w->nodes[n].r);
                    for (unsigned e = 0; e < EVENTS; e++)
                        w->nodes[i].knows[e] |= w->nodes[n].knows[e];
                    check(w, &w->nodes[i]);
                }
    for (unsigned i = 1; i < NODES; i++)
        same(&w->nodes[0].r, &w->nodes[i].r);
}

static void history(uint64_t seed)
{
    struct world *w = calloc(1, sizeof(*w));
    assert_non_null(w);
    w->events = calloc(EVENTS, sizeof(*w->events));
    assert_non_null(w->events);
    rng_fake_init(&w->rng, seed);
    unsigned steps = 50 + draw(w, 700);
    for (unsigned i = 0; i < NODES; i++) {
        uint8_t id[REPLICA_ID_BYTES];
        new_id(w, id);
        replica_init(&w->nodes[i].r, id);
        w->nodes[i].r.log_max =
            draw(w, 3) == 0 ? REPLICA_LOG_MAX : draw(w, 6); /* mostly whole answers, or mostly differences */
    }
    for (unsigned i = 0; i < steps; i++)
        step(w);
    converge(w);
    for (unsigned i = 0; i < NODES; i++) {
        replica_free(&w->nodes[i].r);
        replica_free(&w->nodes[i].copy);
    }
    for (unsigned i = 0; i < FLYING; i++)
        buf_free(&w->flying[i].bytes);
    free(w->events);
    free(w);
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

static void test_random_histories(void **state)
{
    (void)state;
    uint64_t first, count = number_of("HEARTH_HISTORIES", 60);
    rng_fill(rng_system(), &first, sizeof(first));
    first = number_of("HEARTH_SEED", first >> 16);
    for (uint64_t i = 0; i < count; i++) {
        if (i == 0 || count <= 1)
            print_message("histories from HEARTH_SEED=%llu on\n", (unsigned long long)first);
        history(first + i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_later_replaces_earlier),
        cmocka_unit_test(test_apart_both_stay),
        cmocka_unit_test(test_continues_one_of_several),
        cmocka_unit_test(test_deletion_stays_deleted),
        cmocka_unit_test(test_edit_wins_over_deletion),
        cmocka_unit_test(test_written_again_after_deletion),
        cmocka_unit_test(test_deleting_nothing_is_no_change),
        cmocka_unit_test(test_several_at_once),
        cmocka_unit_test(test_answers_repeated_and_late),
        cmocka_unit_test(test_versions_say_who_lacks),
        cmocka_unit_test(test_put_back_unnoticed),
        cmocka_unit_test(test_renamed_for_a_lie),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_every_truncation),
        cmocka_unit_test(test_every_flipped_byte),
        cmocka_unit_test(test_what_others_may_not_say),
        cmocka_unit_test(test_bad_versions),
        cmocka_unit_test(test_loads_only_what_it_stored),
        cmocka_unit_test(test_random_histories),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
