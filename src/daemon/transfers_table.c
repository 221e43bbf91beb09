/* The table of transfers: in order of number, by content, and those that have ended by when. A queue may be as long as a library, and each command, block and
 * receipt asks for the transfers of its content: none of that walks the queue. Loop thread. */
#include <stdlib.h>

#include "base/util.h"
#include "daemon/transfers_internal.h"

#define PLACES_MIN 64

static struct transfer **place(const struct transfer_table *table, const struct id *content)
{
    return &table->places[get_be64(content->bytes) & (table->place_count - 1)]; /* of a hash */
}

/* Behind those of the same place: they stay in order of number. */
static void put(struct transfer_table *table, struct transfer *t)
{
    struct transfer **at = place(table, &t->content);
    while (*at != NULL)
        at = &(*at)->beside;
    t->beside = NULL;
    *at = t;
}

int transfer_table_init(struct transfer_table *table)
{
    *table = (struct transfer_table){ .place_count = PLACES_MIN, .last = &table->first, .ended_last = &table->ended };
    table->places = calloc(table->place_count, sizeof(struct transfer *));
    return table->places != NULL ? 0 : -ENOMEM;
}

void transfer_table_deinit(struct transfer_table *table) { free(table->places); }

/* Without memory for more places, those that there are serve. */
static void grow(struct transfer_table *table)
{
    struct transfer **more = calloc(2 * table->place_count, sizeof(struct transfer *));
    if (more == NULL)
        return;
    free(table->places);
    table->places = more;
    table->place_count *= 2;
    for (struct transfer *t = table->first; t != NULL; t = t->next)
        put(table, t);
}

void transfer_table_add(struct transfer_table *table, struct transfer *t)
{
    t->before = table->last;
    *table->last = t;
    table->last = &t->next;
    put(table, t);
    if (++table->count > table->place_count)
        grow(table);
}

void transfer_table_end(struct transfer_table *table, struct transfer *t)
{
    *table->ended_last = t;
    table->ended_last = &t->ended_next;
    table->ended_count++;
}

static void leave_ended(struct transfer_table *table, struct transfer *t)
{
    struct transfer **at = &table->ended;
    while (*at != NULL && *at != t)
        at = &(*at)->ended_next;
    if (*at == NULL)
        return;
    *at = t->ended_next;
    if (table->ended_last == &t->ended_next)
        table->ended_last = at;
    table->ended_count--;
}

void transfer_table_remove(struct transfer_table *table, struct transfer *t)
{
    *t->before = t->next;
    if (t->next != NULL)
        t->next->before = t->before;
    else
        table->last = t->before;
    struct transfer **at = place(table, &t->content);
    while (*at != NULL && *at != t)
        at = &(*at)->beside;
    if (*at != NULL)
        *at = t->beside;
    table->count--;
    leave_ended(table, t);
}

static struct transfer *of(struct transfer *t, const struct id *content)
{
    while (t != NULL && !id_equal(t->content.bytes, content->bytes))
        t = t->beside;
    return t;
}

struct transfer *transfers_of(const struct daemon *d, const struct id *content)
{
    return d->transfers == NULL ? NULL : of(*place(&d->transfers->table, content), content);
}

struct transfer *transfer_next_of(const struct transfer *t) { return of(t->beside, &t->content); }
