/* Copies that are done, in a table: a library that was copied has as many as it has tracks, and each new copy asks. Loop thread. */
#include <stdlib.h>

#include "base/util.h"
#include "daemon/copy_internal.h"

#define PLACES_MIN 64

static struct copy_done **place(const struct copies_done *c, const struct id *content, const struct id *destination)
{
    uint64_t hash = get_be64(content->bytes) ^ get_be64(destination->bytes); /* of hashes */
    return &c->places[hash & (c->place_count - 1)];
}

/* Twice as many places, of which there are always as many as copies. */
static int grow(struct copies_done *c)
{
    if (c->count < c->place_count)
        return 0;
    struct copies_done more = { .place_count = c->place_count == 0 ? PLACES_MIN : c->place_count * 2,
                                .count = c->count };
    more.places = calloc(more.place_count, sizeof(struct copy_done *));
    if (more.places == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < c->place_count; i++)
        for (struct copy_done *done = c->places[i], *next; done != NULL; done = next) {
            struct copy_done **to = place(&more, &done->content, &done->destination);
            next = done->next;
            done->next = *to;
            *to = done;
        }
    free(c->places);
    *c = more;
    return 0;
}

bool copies_done(const struct daemon *d, const struct id *content, const struct id *destination, bool move)
{
    const struct copies_done *c = &d->transfers->copies_done;
    if (c->count == 0)
        return false;
    for (const struct copy_done *done = *place(c, content, destination); done != NULL; done = done->next)
        if (done->move == move && id_equal(done->content.bytes, content->bytes) &&
            id_equal(done->destination.bytes, destination->bytes))
            return true;
    return false;
}

int copies_remember(struct daemon *d, const struct id *content, const struct id *destination, bool move)
{
    struct copies_done *c = &d->transfers->copies_done;
    struct copy_done *done = grow(c) == 0 ? calloc(1, sizeof(*done)) : NULL;
    if (done == NULL)
        return -ENOMEM;
    struct copy_done **to = place(c, content, destination);
    *done = (struct copy_done){ *to, *content, *destination, move };
    *to = done;
    c->count++;
    return 0;
}

void copies_done_free(struct copies_done *c)
{
    for (size_t i = 0; i < c->place_count; i++)
        for (struct copy_done *done = c->places[i], *next; done != NULL; done = next) {
            next = done->next;
            free(done);
        }
    free(c->places);
    *c = (struct copies_done){ 0 };
}
