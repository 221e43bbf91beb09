/* Room for one more copy on the way to a destination, and those that wait for it: in order of number, so that a queue as long as a library is not walked for
 * each that ends. */
#include "daemon/copy_internal.h"

#define OFFERS_MAX 64               /* to one destination at a time */
#define OFFERS_BYTES_MAX (8u << 20) /* OFFERS_MAX of so many bytes together, or of any size: */
#define OFFERS_ANY 4

static bool waits(const struct copy *c) { return c->room_before != NULL; }

static void leave(struct copy *c)
{
    struct copies_waiting *w = &c->t.daemon->transfers->waiting;
    *c->room_before = c->room_next;
    if (c->room_next != NULL)
        c->room_next->room_before = c->room_before;
    else
        w->last = c->room_before == &w->first ? NULL : container_of(c->room_before, struct copy, room_next);
    c->room_before = NULL;
    c->room_next = NULL;
}

void copy_wait_for_room(struct copy *c)
{
    struct copies_waiting *w = &c->t.daemon->transfers->waiting;
    struct copy **at = &w->first;
    copy_out_blocked(&c->m);
    if (waits(c))
        return;
    if (w->last != NULL && w->last->t.number < c->t.number) /* most come in order */
        at = &w->last->room_next;
    while (*at != NULL && (*at)->t.number < c->t.number)
        at = &(*at)->room_next;
    c->room_next = *at;
    c->room_before = at;
    *at = c;
    if (c->room_next != NULL)
        c->room_next->room_before = &c->room_next;
    else
        w->last = c;
}

void copy_forget_room(struct copy *c)
{
    if (waits(c))
        leave(c);
}

/* ---- room ---------------------------------------------------------------------------------------------------- */

struct offers {
    uint32_t count;
    uint64_t bytes;
    const struct copy *but; /* is not counted; NULL: all are */
};

static void add_offer(const struct link_user *u, void *ctx)
{
    struct offers *o = ctx;
    const struct copy *c = copy_of_link(u);
    if (c == NULL || c == o->but)
        return;
    o->count++;
    o->bytes += c->t.total_bytes;
}

static uint32_t offered_to(const struct daemon *d, const struct id *destination)
{
    struct offers o = { 0 };
    links_users(d, destination, add_offer, &o);
    return o.count;
}

/* Small ones go in bunches; large ones fill the connection. */
bool copy_has_room(const struct copy *c)
{
    struct offers o = { .bytes = c->t.total_bytes, .but = c };
    links_users(c->t.daemon, &c->t.with, add_offer, &o);
    return o.count < OFFERS_ANY || (o.count < OFFERS_MAX && o.bytes <= OFFERS_BYTES_MAX);
}

/* The first one behind this number. */
static struct copy *next_waiting(const struct daemon *d, const struct id *destination, uint32_t number)
{
    struct copy *c = d->transfers->waiting.first;
    while (c != NULL && (c->t.number <= number || !id_equal(c->t.with.bytes, destination->bytes)))
        c = c->room_next;
    return c;
}

void copies_kick(struct daemon *d, const struct id *destination)
{
    uint32_t offered = offered_to(d, destination), tried = 0;
    for (struct copy *c; offered < OFFERS_MAX && (c = next_waiting(d, destination, tried)) != NULL;) {
        tried = c->t.number;
        leave(c);
        transfer_hold(&c->t);
        offered -= c->link.link != NULL;
        copy_out_kick(&c->m, false);
        copy_step(c);
        offered += c->link.link != NULL;
        transfer_release(&c->t);
    }
}
