/* The state in memory, changes of our own, and how a change is taken. Not here: what is told to others and heard from them (replica_talk.c). */
#include "protocol/replica.h"

#include <assert.h>
#include <stdlib.h>

#include "base/util.h"
#include "protocol/replica_internal.h"

/* ---- dots ---------------------------------------------------------------------------------------------------- */

int dot_compare(const struct dot *a, const struct dot *b)
{
    int order = memcmp(a->replica, b->replica, REPLICA_ID_BYTES);
    return order != 0 ? order : (a->counter > b->counter) - (a->counter < b->counter);
}

bool dot_equal(const struct dot *a, const struct dot *b) { return dot_compare(a, b) == 0; }

int replica_compare_dots(const void *a, const void *b) { return dot_compare(a, b); }

static size_t dots_place(const struct dots *version, const uint8_t *replica)
{
    size_t low = 0, high = version->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (memcmp(version->list[middle].replica, replica, REPLICA_ID_BYTES) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool dots_has(const struct dots *version, size_t i, const uint8_t *replica)
{
    return i < version->count && memcmp(version->list[i].replica, replica, REPLICA_ID_BYTES) == 0;
}

uint64_t dots_of(const struct dots *version, const uint8_t replica[REPLICA_ID_BYTES])
{
    size_t i = dots_place(version, replica);
    return dots_has(version, i, replica) ? version->list[i].counter : 0;
}

int replica_grow(void *list, size_t *cap, size_t needed, size_t size)
{
    void *old;
    if (needed <= *cap)
        return 0;
    memcpy(&old, list, sizeof(old));
    size_t next = size_max(needed, *cap * 2);
    void *grown = reallocarray(old, next, size);
    if (grown == NULL)
        return -ENOMEM;
    memcpy(list, &grown, sizeof(grown));
    *cap = next;
    return 0;
}

int dots_set(struct dots *version, const struct dot *d)
{
    size_t i = dots_place(version, d->replica);
    bool there = dots_has(version, i, d->replica);
    if (there && d->counter != 0) {
        version->list[i].counter = d->counter;
    } else if (there) {
        version->count--;
        memmove(&version->list[i], &version->list[i + 1], (version->count - i) * sizeof(*d));
    } else if (d->counter != 0) {
        int r = replica_grow(&version->list, &version->cap, version->count + 1, sizeof(*d));
        if (r != 0)
            return r;
        memmove(&version->list[i + 1], &version->list[i], (version->count - i) * sizeof(*d));
        version->list[i] = *d;
        version->count++;
    }
    return 0;
}

void dots_free(struct dots *version)
{
    free(version->list);
    *version = (struct dots){ 0 };
}

int replica_append(struct dots *list, const struct dot *d)
{
    int r = replica_grow(&list->list, &list->cap, list->count + 1, sizeof(*d));
    if (r == 0)
        list->list[list->count++] = *d;
    return r;
}

/* ---- items --------------------------------------------------------------------------------------------------- */

int replica_compare_keys(uint8_t kind, struct slice key, const struct replica_item *i)
{
    if (kind != i->kind)
        return kind < i->kind ? -1 : 1;
    size_t len = size_min(key.len, i->key_len);
    int order = len == 0 ? 0 : memcmp(key.data, i->bytes, len);
    return order != 0 ? order : (key.len > i->key_len) - (key.len < i->key_len);
}

int replica_compare_items(const struct replica_item *a, const struct replica_item *b)
{
    int order = replica_compare_keys(a->kind, replica_key(a), b);
    return order != 0 ? order : dot_compare(&a->dot, &b->dot);
}

static int compare_places(const void *a, const void *b)
{
    return replica_compare_items(*(struct replica_item *const *)a, *(struct replica_item *const *)b);
}

struct replica_item *replica_item_new(uint8_t kind, struct slice key, struct slice value, const struct dot *d)
{
    struct replica_item *i = malloc(sizeof(*i) + key.len + value.len);
    if (i == NULL)
        return NULL;
    *i = (struct replica_item){ *d, kind, (uint8_t)key.len, (uint16_t)value.len };
    if (key.len > 0)
        memcpy(i->bytes, key.data, key.len);
    if (value.len > 0)
        memcpy(i->bytes + key.len, value.data, value.len);
    return i;
}

size_t replica_find(const struct replica *r, uint8_t kind, struct slice key, size_t *count)
{
    size_t low = 0, high = r->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (replica_compare_keys(kind, key, r->items[middle]) > 0)
            low = middle + 1;
        else
            high = middle;
    }
    *count = 0;
    while (low + *count < r->count && replica_compare_keys(kind, key, r->items[low + *count]) == 0)
        ++*count;
    return low;
}

static void insert(struct replica *r, struct replica_item *item)
{
    size_t low = 0, high = r->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (replica_compare_items(item, r->items[middle]) > 0)
            low = middle + 1;
        else
            high = middle;
    }
    memmove(&r->items[low + 1], &r->items[low], (r->count - low) * sizeof(*r->items));
    r->items[low] = item;
    r->count++;
}

/* ---- life ---------------------------------------------------------------------------------------------------- */

void replica_init(struct replica *r, const uint8_t id[REPLICA_ID_BYTES])
{
    *r = (struct replica){ .log_max = REPLICA_LOG_MAX };
    memcpy(r->self.replica, id, REPLICA_ID_BYTES);
}

void replica_free(struct replica *r)
{
    for (size_t i = 0; i < r->count; i++)
        free(r->items[i]);
    free(r->items);
    free(r->log);
    dots_free(&r->seen);
    dots_free(&r->floor);
    *r = (struct replica){ 0 };
}

int replica_load_seen(struct replica *r, const struct dot *d)
{
    if (d->counter == 0 || d->counter > REPLICA_COUNTER_MAX || r->seen.count >= REPLICA_IDS_MAX ||
        dots_of(&r->seen, d->replica) != 0)
        return REPLICA_MALFORMED;
    if (memcmp(d->replica, r->self.replica, REPLICA_ID_BYTES) == 0)
        r->self.counter = d->counter;
    int e = dots_set(&r->seen, d);
    return e == 0 ? dots_set(&r->floor, d) : e;
}

int replica_load_item(struct replica *r, uint8_t kind, struct slice key, struct slice value, const struct dot *d)
{
    if (key.len > REPLICA_KEY_MAX || value.len > REPLICA_VALUE_MAX || r->count >= REPLICA_ITEMS_MAX ||
        d->counter == 0 || d->counter > dots_of(&r->seen, d->replica))
        return REPLICA_MALFORMED;
    int e = replica_grow(&r->items, &r->cap, r->count + 1, sizeof(*r->items));
    struct replica_item *item = e == 0 ? replica_item_new(kind, key, value, d) : NULL;
    if (item == NULL)
        return -ENOMEM;
    insert(r, item);
    r->bytes += key.len + value.len;
    return 0;
}

/* ---- changes ------------------------------------------------------------------------------------------------- */

struct replica_change replica_change(const struct replica *r) { return (struct replica_change){ .self = r->self }; }

void replica_change_free(struct replica_change *c)
{
    for (size_t i = 0; i < c->added_count; i++)
        free(c->added[i]);
    free(c->added);
    free(c->removed);
    dots_free(&c->seen);
    *c = (struct replica_change){ .self = c->self };
}

bool replica_change_is_empty(const struct replica_change *c)
{
    return c->added_count == 0 && c->removed_count == 0 && c->seen.count == 0;
}

int replica_change_add(struct replica_change *c, uint8_t kind, struct slice key, struct slice value,
                       const struct dot *d)
{
    int e = replica_grow(&c->added, &c->added_cap, c->added_count + 1, sizeof(*c->added));
    struct replica_item *item = e == 0 ? replica_item_new(kind, key, value, d) : NULL;
    if (item == NULL)
        return -ENOMEM;
    c->added[c->added_count++] = item;
    c->bytes += key.len + value.len;
    return 0;
}

int replica_change_remove(struct replica_change *c, const struct dot *event, const struct dot *removed)
{
    int e = replica_grow(&c->removed, &c->removed_cap, c->removed_count + 1, sizeof(*c->removed));
    if (e == 0)
        c->removed[c->removed_count++] = (struct replica_removal){ *event, *removed };
    return e;
}

static bool is_among(const struct dots *list, const struct dot *d)
{
    for (size_t i = 0; i < list->count; i++)
        if (dot_equal(&list->list[i], d))
            return true;
    return false;
}

int replica_put(const struct replica *r, struct replica_change *c, uint8_t kind, struct slice key, struct slice value,
                const struct dots *seen)
{
    size_t count, first = replica_find(r, kind, key, &count);
    bool replaces = false;
    int e = 0;
    for (size_t i = first; i < first + count; i++)
        replaces |= seen == NULL || is_among(seen, &r->items[i]->dot);
    if (value.data == NULL && !replaces)
        return 0;
    if (key.len > REPLICA_KEY_MAX || value.len > REPLICA_VALUE_MAX || c->self.counter >= REPLICA_COUNTER_MAX)
        return REPLICA_FULL;
    c->self.counter++;
    for (size_t i = first; e == 0 && i < first + count; i++)
        if (seen == NULL || is_among(seen, &r->items[i]->dot))
            e = replica_change_remove(c, &c->self, &r->items[i]->dot);
    if (e == 0 && value.data != NULL)
        e = replica_change_add(c, kind, key, value, &c->self);
    return e == 0 ? dots_set(&c->seen, &c->self) : e;
}

/* ---- taking -------------------------------------------------------------------------------------------------- */

static int compare_removals(const void *a, const void *b)
{
    return dot_compare(&((const struct replica_removal *)a)->removed, &((const struct replica_removal *)b)->removed);
}

static int compare_with_removal(const void *dot, const void *removal)
{
    return dot_compare(dot, &((const struct replica_removal *)removal)->removed);
}

/* c->removed is sorted by what is removed. */
static void take_removed(struct replica *r, const struct replica_change *c)
{
    size_t kept = 0;
    for (size_t i = 0; i < r->count; i++) {
        struct replica_item *item = r->items[i];
        if (bsearch(&item->dot, c->removed, c->removed_count, sizeof(*c->removed), compare_with_removal) != NULL) {
            r->bytes -= (size_t)item->key_len + item->value_len;
            free(item);
        } else {
            r->items[kept++] = item;
        }
    }
    r->count = kept;
}

static void take_added(struct replica *r, struct replica_change *c)
{
    for (size_t i = 0; i < c->added_count; i++) {
        r->bytes += (size_t)c->added[i]->key_len + c->added[i]->value_len;
        if (c->added_count <= 32)
            insert(r, c->added[i]);
        else
            r->items[r->count++] = c->added[i];
    }
    if (c->added_count > 32)
        qsort(r->items, r->count, sizeof(*r->items), compare_places);
    c->added_count = 0;
}

/* Where replica_make_room has made room. */
static void set_entry(struct dots *version, const struct dot *d)
{
    int e = dots_set(version, d);
    assert(e == 0);
    (void)e;
}

/* Whoever has not seen an event that leaves the log gets a whole answer from now on. */
static void cut_log(struct replica *r, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (r->log[i].event.counter > dots_of(&r->floor, r->log[i].event.replica))
            set_entry(&r->floor, &r->log[i].event);
    r->log_count -= count;
    memmove(r->log, r->log + count, r->log_count * sizeof(*r->log));
}

static void take_log(struct replica *r, const struct replica_change *c)
{
    if (c->whole || c->removed_count > r->log_max) {
        r->log_count = 0;
        r->floor.count = r->seen.count;
        if (r->seen.count > 0)
            memcpy(r->floor.list, r->seen.list, r->seen.count * sizeof(struct dot));
        return;
    }
    for (size_t i = 0; i < c->removed_count; i++)
        r->log[r->log_count++] = c->removed[i];
    if (r->log_count > r->log_max)
        cut_log(r, size_max(r->log_count - r->log_max, r->log_max / 2));
}

void replica_take(struct replica *r, struct replica_change *c)
{
    for (size_t i = 0; i < c->seen.count; i++)
        set_entry(&r->seen, &c->seen.list[i]);
    take_log(r, c); /* in the order of the events, before they are sorted */
    if (c->removed_count > 0) {
        qsort(c->removed, c->removed_count, sizeof(*c->removed), compare_removals);
        take_removed(r, c);
    }
    take_added(r, c);
    if (memcmp(r->self.replica, c->self.replica, REPLICA_ID_BYTES) != 0)
        r->told = 0;
    r->self = c->self;
    replica_change_free(c);
}
