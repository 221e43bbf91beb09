/* Versions and answers as bytes, and what an answer changes here. Everything read here comes from another device: it is read as a whole, and judged,
 * before anything is planned. */
#include <stdlib.h>

#include "base/util.h"
#include "protocol/replica.h"
#include "protocol/replica_internal.h"

enum answer_kind { ANSWER_DIFFERENCE = 1, ANSWER_WHOLE = 2 };

/* ---- dots as bytes ------------------------------------------------------------------------------------------- */

static int put_dot(struct buf *out, const struct dot *d)
{
    int r = buf_append(out, SLICE_ARRAY(d->replica));
    return r == 0 ? buf_put_u64(out, d->counter) : r;
}

/* false: bytes are missing, or the counter is none. */
static bool read_dot(struct reader *in, struct dot *out)
{
    struct slice id = reader_bytes(in, REPLICA_ID_BYTES);
    out->counter = reader_u64(in);
    if (in->bad || out->counter == 0 || out->counter > REPLICA_COUNTER_MAX)
        return false;
    memcpy(out->replica, id.data, REPLICA_ID_BYTES);
    return true;
}

/* That many, rising; of a version (by_replica) each replica once. 0, REPLICA_MALFORMED, -ENOMEM. */
static int read_dots(struct reader *in, size_t count, bool by_replica, struct dots *out)
{
    if (count > in->rest.len / REPLICA_DOT_BYTES)
        return REPLICA_MALFORMED; /* before anything is allocated */
    int e = replica_grow(&out->list, &out->cap, count, sizeof(*out->list));
    for (size_t i = 0; e == 0 && i < count; i++) {
        struct dot *d = &out->list[i];
        if (!read_dot(in, d))
            return REPLICA_MALFORMED;
        if (i > 0 && (by_replica ? memcmp(d[-1].replica, d->replica, REPLICA_ID_BYTES) : dot_compare(d - 1, d)) >= 0)
            return REPLICA_MALFORMED;
        out->count = i + 1;
    }
    return e;
}

static int read_version(struct slice bytes, struct dots *out)
{
    struct reader in = reader(bytes);
    if (bytes.len > REPLICA_VERSION_BYTES_MAX || bytes.len % REPLICA_DOT_BYTES != 0)
        return REPLICA_MALFORMED;
    return read_dots(&in, bytes.len / REPLICA_DOT_BYTES, true, out);
}

int replica_version(const struct replica *r, struct buf *out)
{
    int e = 0;
    for (size_t i = 0; e == 0 && i < r->seen.count; i++)
        e = put_dot(out, &r->seen.list[i]);
    return e;
}

static bool covers(const struct dots *version, const struct dot *d)
{
    return d->counter <= dots_of(version, d->replica);
}

static bool covers_all(const struct dots *version, const struct dots *other)
{
    for (size_t i = 0; i < other->count; i++)
        if (!covers(version, &other->list[i]))
            return false;
    return true;
}

int replica_lacks(const struct replica *r, struct slice version)
{
    struct dots theirs CLEANUP(dots_free) = { 0 };
    if (read_version(version, &theirs) != 0)
        return -EINVAL;
    return covers_all(&r->seen, &theirs) ? 0 : 1;
}

int replica_told(struct replica *r, struct slice version, uint64_t *of_ours)
{
    struct dots theirs CLEANUP(dots_free) = { 0 };
    if (read_version(version, &theirs) != 0)
        return -EINVAL;
    uint64_t told = dots_of(&theirs, r->self.replica);
    if (told > r->self.counter)
        return REPLICA_BEHIND;
    r->told = u64_max(r->told, told);
    *of_ours = told;
    return 0;
}

/* ---- answering ----------------------------------------------------------------------------------------------- */

/* A count that is known when everything counted is written. */
static int begin_count(struct buf *out, size_t *at)
{
    *at = out->len;
    return buf_put_u32(out, 0);
}

static void end_count(struct buf *out, size_t at, size_t count) { put_be32(out->data + at, (uint32_t)count); }

static int put_item(struct buf *out, const struct replica_item *i)
{
    int e = buf_put_u8(out, i->kind);
    if (e == 0)
        e = buf_put_u8(out, i->key_len);
    if (e == 0)
        e = buf_put_u16(out, i->value_len);
    if (e == 0)
        e = put_dot(out, &i->dot);
    return e == 0 ? buf_append(out, slice(i->bytes, (size_t)i->key_len + i->value_len)) : e;
}

static int put_items(const struct replica *r, const struct dots *theirs, struct buf *out)
{
    size_t at, count = 0;
    int e = begin_count(out, &at);
    for (size_t i = 0; e == 0 && i < r->count; i++)
        if (!covers(theirs, &r->items[i]->dot)) {
            e = put_item(out, r->items[i]);
            count++;
        }
    if (e == 0)
        end_count(out, at, count);
    return e;
}

static int put_removals(const struct replica *r, const struct dots *theirs, struct buf *out)
{
    size_t at, count = 0;
    int e = begin_count(out, &at);
    for (size_t i = 0; e == 0 && i < r->log_count; i++)
        if (!covers(theirs, &r->log[i].event)) {
            e = put_dot(out, &r->log[i].event);
            if (e == 0)
                e = put_dot(out, &r->log[i].removed);
            count++;
        }
    if (e == 0)
        end_count(out, at, count);
    return e;
}

/* Which of those they have seen are here: whatever else they have was deleted. */
static int put_live(const struct replica *r, const struct dots *theirs, struct buf *out)
{
    struct dots live CLEANUP(dots_free) = { 0 };
    int e = replica_grow(&live.list, &live.cap, r->count, sizeof(*live.list));
    for (size_t i = 0; e == 0 && i < r->count; i++)
        if (covers(theirs, &r->items[i]->dot))
            live.list[live.count++] = r->items[i]->dot;
    if (live.count > 0)
        qsort(live.list, live.count, sizeof(*live.list), replica_compare_dots);
    if (e == 0)
        e = buf_put_u32(out, (uint32_t)live.count);
    for (size_t i = 0; e == 0 && i < live.count; i++)
        e = put_dot(out, &live.list[i]);
    return e;
}

int replica_answer(const struct replica *r, struct slice version, bool whole, struct buf *out)
{
    struct dots theirs CLEANUP(dots_free) = { 0 };
    int e = read_version(version, &theirs);
    if (e != 0)
        return e;
    bool difference = !whole && covers_all(&theirs, &r->floor);
    e = buf_put_u8(out, difference ? ANSWER_DIFFERENCE : ANSWER_WHOLE);
    if (e == 0)
        e = buf_put_u32(out, (uint32_t)r->seen.count);
    if (e == 0)
        e = replica_version(r, out);
    if (e == 0)
        e = put_items(r, &theirs, out);
    if (e == 0)
        e = difference ? put_removals(r, &theirs, out) : put_live(r, &theirs, out);
    return e;
}

/* ---- reading ------------------------------------------------------------------------------------------------- */

/* An answer in pieces. */
struct answer {
    enum answer_kind kind;
    struct dots theirs;          /* version */
    struct replica_item **items; /* owned */
    size_t item_count, item_cap;
    struct replica_removal *removals;
    size_t removal_count, removal_cap;
    struct dots live; /* whole: also the items', sorted */
};

static void answer_free(struct answer *a)
{
    for (size_t i = 0; i < a->item_count; i++)
        free(a->items[i]);
    free(a->items);
    free(a->removals);
    dots_free(&a->theirs);
    dots_free(&a->live);
}

static int read_item(struct reader *in, struct answer *a, bool (*is_valid)(uint8_t, struct slice, struct slice))
{
    struct dot d;
    uint8_t kind = reader_u8(in);
    size_t key_len = reader_u8(in), value_len = reader_u16(in);
    bool good = read_dot(in, &d);
    struct slice key = reader_bytes(in, key_len), value = reader_bytes(in, value_len);
    if (!good || in->bad || key_len > REPLICA_KEY_MAX || value_len > REPLICA_VALUE_MAX || !covers(&a->theirs, &d) ||
        !is_valid(kind, key, value))
        return REPLICA_MALFORMED;
    int e = replica_grow(&a->items, &a->item_cap, a->item_count + 1, sizeof(*a->items));
    struct replica_item *item = e == 0 ? replica_item_new(kind, key, value, &d) : NULL;
    if (item == NULL)
        return -ENOMEM;
    a->items[a->item_count++] = item;
    return a->item_count > 1 && replica_compare_items(a->items[a->item_count - 2], item) >= 0 ? REPLICA_MALFORMED : 0;
}

static int read_removals(struct reader *in, size_t count, struct answer *a)
{
    if (count > in->rest.len / (2 * REPLICA_DOT_BYTES))
        return REPLICA_MALFORMED;
    int e = replica_grow(&a->removals, &a->removal_cap, count, sizeof(*a->removals));
    for (size_t i = 0; e == 0 && i < count; i++) {
        struct replica_removal *m = &a->removals[i];
        if (!read_dot(in, &m->event) || !read_dot(in, &m->removed) || !covers(&a->theirs, &m->event) ||
            !covers(&a->theirs, &m->removed))
            return REPLICA_MALFORMED;
        a->removal_count = i + 1;
    }
    return e;
}

/* The items' dots join the live ones; each is there once. */
static int gather_live(struct answer *a)
{
    struct dots *live = &a->live;
    int e = replica_grow(&live->list, &live->cap, live->count + a->item_count, sizeof(*live->list));
    if (e != 0)
        return e;
    for (size_t i = 0; i < a->item_count; i++)
        live->list[live->count++] = a->items[i]->dot;
    if (live->count > 0)
        qsort(live->list, live->count, sizeof(*live->list), replica_compare_dots);
    for (size_t i = 1; i < live->count; i++)
        if (dot_equal(&live->list[i - 1], &live->list[i]))
            return REPLICA_MALFORMED;
    return 0;
}

static int read_answer(struct slice bytes, struct answer *a, bool (*is_valid)(uint8_t, struct slice, struct slice))
{
    struct reader in = reader(bytes);
    a->kind = reader_u8(&in);
    if (a->kind != ANSWER_DIFFERENCE && a->kind != ANSWER_WHOLE)
        return REPLICA_MALFORMED;
    size_t count = reader_u32(&in);
    int e = count > REPLICA_IDS_MAX ? REPLICA_MALFORMED : read_dots(&in, count, true, &a->theirs);
    count = reader_u32(&in);
    if (e == 0 && count > REPLICA_ITEMS_MAX)
        e = REPLICA_MALFORMED;
    for (size_t i = 0; e == 0 && i < count; i++)
        e = read_item(&in, a, is_valid);
    count = reader_u32(&in);
    if (e == 0 && a->kind == ANSWER_DIFFERENCE)
        e = count > 2 * REPLICA_LOG_MAX ? REPLICA_MALFORMED : read_removals(&in, count, a);
    else if (e == 0)
        e = count > REPLICA_ITEMS_MAX ? REPLICA_MALFORMED : read_dots(&in, count, false, &a->live);
    for (size_t i = 0; e == 0 && i < a->live.count; i++)
        if (!covers(&a->theirs, &a->live.list[i]))
            e = REPLICA_MALFORMED;
    if (e == 0 && !reader_done(&in))
        e = REPLICA_MALFORMED;
    return e == 0 ? gather_live(a) : e;
}

static bool is_live(const struct answer *a, const struct dot *d)
{
    return a->live.count > 0 && bsearch(d, a->live.list, a->live.count, sizeof(*d), replica_compare_dots) != NULL;
}

static int plan_removals(const struct replica *r, const struct answer *a, struct replica_change *c)
{
    static const struct dot unknown = { { 0 }, 0 };
    int e = 0;
    /* What an event that was seen here has removed is removed here. */
    for (size_t i = 0; e == 0 && i < a->removal_count; i++)
        if (!covers(&r->seen, &a->removals[i].event))
            e = replica_change_remove(c, &a->removals[i].event, &a->removals[i].removed);
    for (size_t i = 0; e == 0 && a->kind == ANSWER_WHOLE && i < r->count; i++) {
        const struct dot *d = &r->items[i]->dot;
        if (covers(&a->theirs, d) && !is_live(a, d))
            e = replica_change_remove(c, &unknown, d);
    }
    return e;
}

static int plan(const struct replica *r, const struct answer *a, struct replica_change *c)
{
    int e = plan_removals(r, a, c);
    for (size_t i = 0; e == 0 && i < a->item_count; i++) {
        const struct replica_item *item = a->items[i];
        if (!covers(&r->seen, &item->dot)) /* one that was seen is here, or was deleted */
            e = replica_change_add(c, item->kind, replica_key(item), replica_value(item), &item->dot);
    }
    for (size_t i = 0; e == 0 && i < a->theirs.count; i++)
        if (!covers(&r->seen, &a->theirs.list[i]))
            e = dots_set(&c->seen, &a->theirs.list[i]);
    c->whole = a->kind == ANSWER_WHOLE && !replica_change_is_empty(c);
    return e;
}

int replica_read(const struct replica *r, struct slice answer,
                 bool (*is_valid)(uint8_t kind, struct slice key, struct slice value), struct replica_change *c)
{
    struct answer a CLEANUP(answer_free) = { 0 };
    *c = replica_change(r);
    int e = answer.len > REPLICA_ANSWER_BYTES_MAX ? REPLICA_MALFORMED : read_answer(answer, &a, is_valid);
    if (e == 0 && dots_of(&a.theirs, r->self.replica) > r->self.counter)
        e = REPLICA_BEHIND;
    if (e == 0)
        e = plan(r, &a, c);
    if (e != 0)
        replica_change_free(c);
    return e;
}

/* ---- a new ID ------------------------------------------------------------------------------------------------ */

int replica_rename(const struct replica *r, const uint8_t id[REPLICA_ID_BYTES], uint64_t told, struct replica_change *c)
{
    struct dot old = { .counter = u64_min(told, r->self.counter) };
    *c = replica_change(r);
    memcpy(old.replica, r->self.replica, REPLICA_ID_BYTES);
    memcpy(c->self.replica, id, REPLICA_ID_BYTES);
    c->self.counter = 0;
    c->whole = true;
    int e = 0;
    for (size_t i = 0; e == 0 && i < r->count; i++) {
        const struct replica_item *item = r->items[i];
        if (memcmp(item->dot.replica, old.replica, REPLICA_ID_BYTES) != 0 || item->dot.counter <= old.counter)
            continue;
        c->self.counter++;
        e = replica_change_remove(c, &c->self, &item->dot);
        if (e == 0)
            e = replica_change_add(c, item->kind, replica_key(item), replica_value(item), &c->self);
    }
    /* What others have under the old ID beyond that was never seen here: it has to be asked for again. */
    if (e == 0 && dots_of(&r->seen, old.replica) != 0)
        e = replica_append(&c->seen, &old);
    if (e == 0)
        e = replica_own_event(c);
    if (e != 0)
        replica_change_free(c);
    return e;
}
