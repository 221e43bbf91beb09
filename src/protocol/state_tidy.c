/* What of the household's state is deleted by whoever has it: what no person can see or delete, so that it cannot fill the bounds. */
#include <stdlib.h>

#include "base/util.h"
#include "protocol/replica_internal.h"
#include "protocol/state_values.h"

struct tidy {
    struct replica after; /* borrows its items: the state as it will be */
    struct dots gone;
    const struct replica_members *members;
};
struct place { /* of a position */
    const struct replica_item *item;
    bool stranger; /* by no member */
    size_t rank;   /* among its author's, the newest first */
};

/* ---- entries, settings, keys --------------------------------------------------------------------------------- */

static int drop(struct tidy *t, const struct replica_item *i) { return replica_append(&t->gone, &i->dot); }

static int drop_orphans(struct tidy *t)
{
    const uint8_t *playlist = NULL;
    size_t count = 0;
    int e = 0;
    for (size_t i = 0; e == 0 && i < t->after.count; i++) {
        const struct replica_item *item = t->after.items[i];
        if (item->kind != STATE_ENTRY)
            continue;
        if (playlist == NULL || memcmp(playlist, item->bytes, PLAYLIST_ID_BYTES) != 0)
            (void)replica_find(&t->after, STATE_PLAYLIST, slice(item->bytes, PLAYLIST_ID_BYTES), &count);
        playlist = item->bytes;
        if (count == 0)
            e = drop(t, item);
    }
    return e;
}

static int drop_settings(struct tidy *t)
{
    size_t unknown = 0;
    int e = 0;
    for (size_t i = 0; e == 0 && i < t->after.count && t->after.items[i]->kind <= STATE_SETTING; i++) {
        const struct replica_item *item = t->after.items[i];
        char name[STATE_SETTING_NAME_BYTES] = "";
        memcpy(name, item->bytes, size_min(item->key_len, sizeof(name) - 1));
        if (item->kind == STATE_SETTING && !state_setting_is_known(name) && ++unknown > STATE_UNKNOWN_SETTINGS_MAX)
            e = drop(t, item);
    }
    return e;
}

/* The highest counters first: what is taken of several is among these (state_values.c). */
static int compare_newest(const void *a, const void *b)
{
    const struct dot *x = &(*(struct replica_item *const *)a)->dot, *y = &(*(struct replica_item *const *)b)->dot;
    return x->counter != y->counter ? (x->counter < y->counter) - (x->counter > y->counter) : dot_compare(y, x);
}

static int drop_of_key(struct tidy *t, size_t first, size_t count)
{
    struct replica_item **list = calloc(count, sizeof(struct replica_item *));
    if (list == NULL)
        return -ENOMEM;
    memcpy(list, t->after.items + first, count * sizeof(struct replica_item *));
    qsort(list, count, sizeof(struct replica_item *), compare_newest);
    int e = 0;
    for (size_t i = STATE_OF_A_KEY_MAX; e == 0 && i < count; i++)
        e = drop(t, list[i]);
    free(list);
    return e;
}

static int drop_of_keys(struct tidy *t)
{
    int e = 0;
    for (size_t first = 0, i = 1; e == 0 && i <= t->after.count; i++) {
        const struct replica_item *item = t->after.items[first];
        if (i < t->after.count && replica_compare_keys(item->kind, replica_key(item), t->after.items[i]) == 0)
            continue;
        if (i - first > STATE_OF_A_KEY_MAX)
            e = drop_of_key(t, first, i - first);
        first = i;
    }
    return e;
}

/* ---- positions ----------------------------------------------------------------------------------------------- */

static int compare_authors(const void *a, const void *b)
{
    const struct dot *x = &((const struct place *)a)->item->dot, *y = &((const struct place *)b)->item->dot;
    int order = memcmp(x->replica, y->replica, REPLICA_AUTHOR_BYTES);
    if (order != 0)
        return order;
    return x->counter != y->counter ? (x->counter < y->counter) - (x->counter > y->counter) : dot_compare(y, x);
}

static int compare_ranks(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    if (x->stranger != y->stranger)
        return x->stranger ? 1 : -1;
    return x->rank != y->rank ? (x->rank > y->rank) - (x->rank < y->rank) : dot_compare(&x->item->dot, &y->item->dot);
}

/* Each author's last one before anybody's last but one; those of no member after all others. */
static int drop_positions(struct tidy *t)
{
    struct place *list = calloc(t->after.count + 1, sizeof(*list));
    size_t count = 0;
    int e = 0;
    if (list == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < t->after.count; i++)
        if (t->after.items[i]->kind == STATE_POSITION)
            list[count++] = (struct place){ .item = t->after.items[i] };
    if (count > STATE_POSITIONS_MAX) {
        qsort(list, count, sizeof(*list), compare_authors);
        for (size_t i = 0; i < count; i++) {
            const uint8_t *author = list[i].item->dot.replica;
            bool first = i == 0 || memcmp(list[i - 1].item->dot.replica, author, REPLICA_AUTHOR_BYTES) != 0;
            list[i].rank = first ? 0 : list[i - 1].rank + 1;
            list[i].stranger =
                !first ? list[i - 1].stranger : t->members->has == NULL || !t->members->has(author, t->members->ctx);
        }
        qsort(list, count, sizeof(*list), compare_ranks);
    }
    for (size_t i = STATE_POSITIONS_MAX; e == 0 && i < count; i++)
        e = drop(t, list[i].item);
    free(list);
    return e;
}

/* ---- all ----------------------------------------------------------------------------------------------------- */

static bool is_gone(const struct tidy *t, const struct dot *d)
{
    return bsearch(d, t->gone.list, t->gone.count, sizeof(*d), replica_compare_dots) != NULL;
}

/* What was about to come does not; others that have it hear that it is deleted. */
static int plan(struct tidy *t, struct replica_change *c, size_t *dropped)
{
    size_t kept = 0;
    int e = replica_own_event(c);
    qsort(t->gone.list, t->gone.count, sizeof(*t->gone.list), replica_compare_dots);
    for (size_t i = 0; e == 0 && i < c->added_count; i++) {
        struct replica_item *item = c->added[i];
        if (is_gone(t, &item->dot)) {
            c->bytes -= (size_t)item->key_len + item->value_len;
            free(item);
        } else {
            c->added[kept++] = item;
        }
    }
    if (e != 0)
        return e;
    c->added_count = kept;
    *dropped = 0;
    for (size_t i = 0; e == 0 && i < t->gone.count; i++) {
        if (i > 0 && dot_equal(&t->gone.list[i - 1], &t->gone.list[i]))
            continue; /* for two reasons */
        e = replica_change_remove(c, &c->self, &t->gone.list[i]);
        ++*dropped;
    }
    return e;
}

int state_tidy(const struct replica *r, struct replica_change *c, size_t *dropped)
{
    struct tidy t = { .members = &r->members };
    *dropped = 0;
    int e = replica_after(r, c, &t.after.items, &t.after.count);
    if (e == 0)
        e = drop_orphans(&t);
    if (e == 0)
        e = drop_settings(&t);
    if (e == 0)
        e = drop_of_keys(&t);
    if (e == 0)
        e = drop_positions(&t);
    if (e == 0 && t.gone.count > 0)
        e = plan(&t, c, dropped);
    free(t.after.items);
    dots_free(&t.gone);
    return e;
}
