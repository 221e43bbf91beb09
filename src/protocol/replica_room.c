/* Whether there is room for a change: bounds, what each author may use of them, and which replica IDs are forgotten to make room. */
#include <stdlib.h>

#include "base/util.h"
#include "protocol/replica.h"
#include "protocol/replica_internal.h"

#define MEMBERS_TO_COME 2

struct use { /* of what is bounded */
    size_t items, bytes, ids;
};
struct part { /* an item, as it counts */
    const uint8_t *replica;
    size_t bytes;
    bool spared;
};
struct parts { /* sorted by replica */
    struct part *list;
    size_t count;
};
struct planned {
    struct replica *r;
    struct replica_change *c;
    struct dots removed; /* sorted */
    size_t here, freed;  /* of what is removed: how many are here, and their bytes */
    struct parts after;
};

static void planned_free(struct planned *p)
{
    dots_free(&p->removed);
    free(p->after.list);
}

static size_t item_bytes(const struct replica_item *i) { return (size_t)i->key_len + i->value_len; }

static bool has_dot(const struct dots *sorted, const struct dot *d)
{
    return sorted->count > 0 && bsearch(d, sorted->list, sorted->count, sizeof(*d), replica_compare_dots) != NULL;
}

static int removed_dots(const struct replica_change *c, struct dots *out)
{
    int e = 0;
    for (size_t i = 0; e == 0 && i < c->removed_count; i++)
        e = replica_append(out, &c->removed[i].removed);
    if (e == 0 && out->count > 0)
        qsort(out->list, out->count, sizeof(*out->list), replica_compare_dots);
    return e;
}

static int compare_places(const void *a, const void *b)
{
    return replica_compare_items(*(struct replica_item *const *)a, *(struct replica_item *const *)b);
}

int replica_after(const struct replica *r, const struct replica_change *c, struct replica_item ***out, size_t *count)
{
    struct dots removed CLEANUP(dots_free) = { 0 };
    struct replica_item **list = calloc(r->count + c->added_count + 1, sizeof(struct replica_item *));
    int e = list == NULL ? -ENOMEM : removed_dots(c, &removed);
    if (e != 0) {
        free(list);
        return e;
    }
    *count = 0;
    for (size_t i = 0; i < r->count; i++)
        if (!has_dot(&removed, &r->items[i]->dot))
            list[(*count)++] = r->items[i];
    for (size_t i = 0; i < c->added_count; i++)
        list[(*count)++] = c->added[i];
    if (c->added_count > 0)
        qsort(list, *count, sizeof(struct replica_item *), compare_places);
    *out = list;
    return 0;
}

/* ---- who uses what ------------------------------------------------------------------------------------------- */

static int compare_parts(const void *a, const void *b)
{
    return memcmp(((const struct part *)a)->replica, ((const struct part *)b)->replica, REPLICA_ID_BYTES);
}

static void add_part(const struct replica *r, struct parts *parts, const struct replica_item *i)
{
    parts->list[parts->count++] =
        (struct part){ i->dot.replica, item_bytes(i), r->spared != 0 && i->kind == r->spared };
}

/* What there is, without what is removed; c NULL: as it is now. */
static int gather(const struct planned *p, const struct replica_change *c, struct parts *out)
{
    const struct replica *r = p->r;
    *out = (struct parts){ .list = calloc(r->count + (c == NULL ? 0 : c->added_count) + 1, sizeof(struct part)) };
    if (out->list == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < r->count; i++)
        if (c == NULL || !has_dot(&p->removed, &r->items[i]->dot))
            add_part(r, out, r->items[i]);
    for (size_t i = 0; c != NULL && i < c->added_count; i++)
        add_part(r, out, c->added[i]);
    qsort(out->list, out->count, sizeof(*out->list), compare_parts);
    return 0;
}

static bool is_member(const struct replica *r, const uint8_t *author)
{
    return r->members.has != NULL && r->members.has(author, r->members.ctx);
}

/* Of a bound: what each member has for itself, and as much for two more to come. At most half of it is given away so; the rest is for whoever comes first. */
static size_t share_of(const struct replica *r, size_t bound)
{
    size_t members = r->members.has == NULL ? 0 : r->members.count(r->members.ctx);
    return members == 0 ? 0 : size_min(bound / 16, bound / 2 / (members + MEMBERS_TO_COME));
}

/* One that has nothing yet takes what the others have, also what somebody wrote who was a member then. */
static size_t pool_of(const struct replica *r, size_t bound, size_t spare)
{
    size_t members = r->members.has == NULL ? 0 : r->members.count(r->members.ctx);
    size_t pool = bound - share_of(r, bound) * (members + (r->count == 0 ? 0 : MEMBERS_TO_COME));
    return r->spared == 0 ? pool : pool - spare;
}

static size_t beyond(size_t used, size_t share) { return used > share ? used - share : 0; }

/* What all use beyond their shares. */
static struct use excess_of(const struct replica *r, const struct parts *parts)
{
    struct use all = { 0, 0, 0 };
    for (size_t i = 0; i < parts->count;) {
        const uint8_t *author = parts->list[i].replica, *last = NULL;
        struct use one = { 0, 0, 0 };
        for (; i < parts->count && memcmp(parts->list[i].replica, author, REPLICA_AUTHOR_BYTES) == 0; i++) {
            one.items += !parts->list[i].spared;
            one.bytes += parts->list[i].spared ? 0 : parts->list[i].bytes;
            one.ids += last == NULL || memcmp(last, parts->list[i].replica, REPLICA_ID_BYTES) != 0;
            last = parts->list[i].replica;
        }
        bool known = is_member(r, author);
        all.items += beyond(one.items, known ? share_of(r, REPLICA_ITEMS_MAX) : 0);
        all.bytes += beyond(one.bytes, known ? share_of(r, REPLICA_BYTES_MAX) : 0);
        all.ids += beyond(one.ids, known ? share_of(r, REPLICA_IDS_MAX) : 0);
    }
    return all;
}

static bool is_too_much(const struct replica *r, size_t before, size_t after, size_t bound, size_t spare)
{
    return after > before && after > pool_of(r, bound, spare); /* what gets smaller is never refused */
}

static int judge_shares(const struct planned *p)
{
    struct parts now;
    int e = gather(p, NULL, &now);
    if (e != 0)
        return e;
    struct use before = excess_of(p->r, &now), after = excess_of(p->r, &p->after);
    free(now.list);
    return is_too_much(p->r, before.items, after.items, REPLICA_ITEMS_MAX, REPLICA_SPARE_ITEMS) ||
                   is_too_much(p->r, before.bytes, after.bytes, REPLICA_BYTES_MAX, REPLICA_SPARE_BYTES) ||
                   is_too_much(p->r, before.ids, after.ids, REPLICA_IDS_MAX, 0)
               ? REPLICA_FULL
               : 0;
}

const uint8_t *replica_largest_author(const struct replica *r, size_t *items)
{
    struct planned p = { .r = (struct replica *)r };
    struct parts now;
    const uint8_t *largest = NULL;
    *items = 0;
    if (gather(&p, NULL, &now) != 0)
        return NULL;
    for (size_t i = 0, from = 0; i < now.count; i++) {
        if (memcmp(now.list[i].replica, now.list[from].replica, REPLICA_AUTHOR_BYTES) != 0)
            from = i;
        if (i - from + 1 > *items) {
            *items = i - from + 1;
            largest = now.list[i].replica;
        }
    }
    free(now.list);
    return largest;
}

/* ---- replica IDs --------------------------------------------------------------------------------------------- */

/* Has it an item when all is done, or is it our own? Any other is there for what was deleted alone. */
static bool is_needed(const struct planned *p, const uint8_t *id)
{
    struct part wanted = { .replica = id };
    return memcmp(id, p->c->self.replica, REPLICA_ID_BYTES) == 0 ||
           (p->after.count > 0 &&
            bsearch(&wanted, p->after.list, p->after.count, sizeof(wanted), compare_parts) != NULL);
}

static bool is_new(const struct replica *r, const struct dot *d)
{
    return d->counter != 0 && dots_of(&r->seen, d->replica) == 0;
}

static size_t count_new(const struct replica *r, const struct replica_change *c)
{
    size_t count = 0;
    for (size_t i = 0; i < c->seen.count; i++)
        count += is_new(r, &c->seen.list[i]);
    return count;
}

/* New ones that are not needed are left out beyond the bound. */
static size_t leave_out(const struct planned *p, bool members, size_t excess)
{
    struct dots *seen = &p->c->seen;
    size_t kept = 0, left = 0;
    for (size_t i = 0; i < seen->count; i++) {
        const struct dot *d = &seen->list[i];
        if (left < excess && is_new(p->r, d) && !is_needed(p, d->replica) && is_member(p->r, d->replica) == members)
            left++;
        else
            seen->list[kept++] = *d;
    }
    seen->count = kept;
    return left;
}

static int forget(const struct planned *p, bool members, size_t excess, size_t *forgotten)
{
    int e = 0;
    for (size_t i = 0; e == 0 && *forgotten < excess && i < p->r->seen.count; i++) {
        struct dot none = p->r->seen.list[i];
        none.counter = 0;
        if (is_needed(p, none.replica) || is_member(p->r, none.replica) != members)
            continue;
        e = replica_append(&p->c->seen, &none);
        ++*forgotten;
    }
    return e;
}

int replica_own_event(struct replica_change *c)
{
    if (c->self.counter >= REPLICA_COUNTER_MAX)
        return REPLICA_FULL;
    c->self.counter++;
    for (size_t i = 0; i < c->seen.count; i++)
        if (memcmp(c->seen.list[i].replica, c->self.replica, REPLICA_ID_BYTES) == 0) {
            c->seen.list[i] = c->self;
            return 0;
        }
    size_t i = c->seen.count;
    int e = replica_append(&c->seen, &c->self);
    for (; e == 0 && i > 0 && dot_compare(&c->seen.list[i - 1], &c->self) > 0; i--)
        c->seen.list[i] = c->seen.list[i - 1];
    if (e == 0)
        c->seen.list[i] = c->self;
    return e;
}

static int keep_removals_here(const struct planned *p)
{
    struct dots here CLEANUP(dots_free) = { 0 };
    size_t kept = 0;
    int e = 0;
    for (size_t i = 0; e == 0 && p->here > 0 && i < p->r->count; i++)
        e = replica_append(&here, &p->r->items[i]->dot);
    if (here.count > 0)
        qsort(here.list, here.count, sizeof(*here.list), replica_compare_dots);
    for (size_t i = 0; e == 0 && i < p->c->removed_count; i++)
        if (has_dot(&here, &p->c->removed[i].removed))
            p->c->removed[kept++] = p->c->removed[i];
    if (e == 0)
        p->c->removed_count = kept;
    return e;
}

/* An ID that is not needed says that something was deleted. Without it others could not tell: so the deletion becomes our own, and who has not seen that gets a
 * whole answer, which says what is live. */
static int trim_ids(const struct planned *p)
{
    struct replica *r = p->r;
    size_t count = r->seen.count + count_new(r, p->c), forgotten = 0;
    size_t left = leave_out(p, false, beyond(count, REPLICA_IDS_REMEMBERED));
    left += leave_out(p, true, beyond(count - left, REPLICA_IDS_REMEMBERED));
    int e = left > 0 ? keep_removals_here(p) : 0;
    if (e == 0 && count - left >= REPLICA_IDS_MAX) { /* our own may come to it */
        e = forget(p, false, count - left - REPLICA_IDS_REMEMBERED, &forgotten);
        if (e == 0)
            e = forget(p, true, count - left - REPLICA_IDS_REMEMBERED, &forgotten);
    }
    if (e != 0 || (left == 0 && forgotten == 0) || replica_change_is_empty(p->c))
        return e;
    p->c->whole = true;
    return p->here > 0 || forgotten > 0 ? replica_own_event(p->c) : 0;
}

/* ---- room ---------------------------------------------------------------------------------------------------- */

static int judge_and_trim(struct planned *p)
{
    struct replica *r = p->r;
    struct replica_change *c = p->c;
    int e = removed_dots(c, &p->removed);
    for (size_t i = 0; e == 0 && p->removed.count > 0 && i < r->count; i++)
        if (has_dot(&p->removed, &r->items[i]->dot)) {
            p->here++;
            p->freed += item_bytes(r->items[i]);
        }
    size_t count = r->count - p->here + c->added_count, bytes = r->bytes - p->freed + c->bytes;
    if (e != 0)
        return e;
    if ((count > REPLICA_ITEMS_MAX && c->added_count > p->here) || (bytes > REPLICA_BYTES_MAX && c->bytes > p->freed))
        return REPLICA_FULL;
    /* Half of everything is free for all (share_of). */
    if (count <= REPLICA_ITEMS_MAX / 2 && bytes <= REPLICA_BYTES_MAX / 2 &&
        r->seen.count + count_new(r, c) <= REPLICA_IDS_REMEMBERED)
        return 0;
    e = gather(p, c, &p->after);
    if (e == 0)
        e = judge_shares(p);
    return e == 0 ? trim_ids(p) : e;
}

/* As many as will be there at most: what a difference removes need not be here. */
int replica_make_room(struct replica *r, struct replica_change *c)
{
    struct planned p CLEANUP(planned_free) = { .r = r, .c = c };
    int e = judge_and_trim(&p);
    size_t ids = count_new(r, c), gone = 0;
    for (size_t i = 0; i < c->seen.count; i++)
        gone += c->seen.list[i].counter == 0;
    if (e == 0 && ids > 0 && r->seen.count - gone + ids > REPLICA_IDS_MAX)
        return REPLICA_FULL;
    if (e == 0)
        e = replica_grow(&r->items, &r->cap, r->count + c->added_count, sizeof(*r->items));
    if (e == 0)
        e = replica_grow(&r->seen.list, &r->seen.cap, r->seen.count + ids, sizeof(struct dot));
    if (e == 0)
        e = replica_grow(&r->floor.list, &r->floor.cap, r->seen.count + ids, sizeof(struct dot));
    if (e == 0 && !c->whole && c->removed_count <= r->log_max)
        e = replica_grow(&r->log, &r->log_cap, size_max(r->log_max, r->log_count) + c->removed_count, sizeof(*r->log));
    return e;
}
