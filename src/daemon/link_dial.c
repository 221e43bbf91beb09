/* From the addresses where a sibling may be to a connection with it: each is dialed a little after the one before, whether or not that one has failed, and the first
 * where the sibling proves its key is the link's. Whoever answers elsewhere, or lets us wait, holds nothing up. Which addresses, and in which order: siblings_where.c.
 *
 * Callbacks, in order: on_next; on_open of one attempt, on_frame, on_drain; on_closed of each. */
#include <stdlib.h>

#include "base/util.h"
#include "daemon/link_internal.h"
#include "daemon/siblings.h"

#define LOG_MODULE "link"
#include "base/log.h"

#define DIAL_MS 5000
#define NEXT_MS 700 /* a device in the same network has answered by then */

struct attempt {
    struct link *link; /* NULL: another one was first, or nobody waits */
    struct attempt *next;
    struct peer *peer;
    char address[128];
};
struct dialing {
    sibling_places places;
    size_t count, at;
    struct attempt *attempts;
};

static void go_on(struct link *l, enum reason why);

static void on_next(uv_timer_t *timer) { go_on(timer->data, REASON_OFFLINE); }

static void forget(struct link *l, struct attempt *one)
{
    for (struct attempt **at = &l->dialing->attempts; *at != NULL; at = &(*at)->next)
        if (*at == one) {
            *at = one->next;
            break;
        }
    one->link = NULL;
}

/* All but one are given up. */
static void give_up(struct link *l, struct attempt *but)
{
    struct dialing *dialing = steal(&l->dialing);
    (void)uv_timer_stop(&l->timer);
    for (struct attempt *a = dialing->attempts, *next; a != NULL; a = next) {
        next = a->next;
        if (a == but)
            continue;
        a->link = NULL;
        peer_close(a->peer, REASON_CANCELLED);
    }
    free(dialing);
}

static void on_open(struct peer *p, void *ctx)
{
    struct attempt *a = ctx;
    struct link *l = a->link;
    if (l == NULL)
        return;
    give_up(l, a);
    l->peer = p;
    memcpy(l->address, a->address, sizeof(l->address));
    link_callbacks.on_open(p, l);
}

static void on_frame(struct peer *p, const struct frame *f, void *ctx)
{
    const struct attempt *a = ctx;
    if (a->link != NULL)
        link_callbacks.on_frame(p, f, a->link);
}

static void on_drain(struct peer *p, void *ctx)
{
    const struct attempt *a = ctx;
    if (a->link != NULL)
        link_callbacks.on_drain(p, a->link);
}

static void on_closed(struct peer *p, enum reason why, void *ctx)
{
    struct attempt *a = ctx;
    struct link *l = a->link;
    if (l != NULL && l->peer == p) {
        link_callbacks.on_closed(p, why, l);
    } else if (l != NULL) {
        if (why == REASON_UNKNOWN_DEVICE)
            log_info("another device answers at %s than %s", a->address, l->name);
        forget(l, a);
        go_on(l, why);
    }
    free(a);
}

static int attempt(struct link *l, const char *address)
{
    static const struct peer_callbacks callbacks = { on_open, on_frame, on_drain, on_closed };
    const struct daemon *d = l->owner->daemon;
    struct attempt *a = calloc(1, sizeof(*a));
    if (a == NULL)
        return -ENOMEM;
    a->link = l;
    CODEC_SET_TEXT(a->address, address);
    int r = peer_dial(&a->peer, d->loop, d->identity, a->address, &l->client, DIAL_MS, &callbacks, a);
    if (r != 0) {
        free(a);
        return r;
    }
    a->next = l->dialing->attempts;
    l->dialing->attempts = a;
    return 0;
}

/* What cannot be dialed now is for the next time. */
static void try_next(struct link *l)
{
    struct dialing *dialing = l->dialing;
    while (dialing->at < dialing->count && attempt(l, dialing->places[dialing->at++]) != 0)
        log_warn("an address could not be dialed");
    if (dialing->at < dialing->count)
        (void)uv_timer_start(&l->timer, on_next, NEXT_MS, 0);
    else
        (void)uv_timer_stop(&l->timer);
}

/* why: what the last one failed of. */
static void go_on(struct link *l, enum reason why)
{
    if (l->dialing->at < l->dialing->count)
        try_next(l);
    if (l->dialing->attempts != NULL)
        return;
    give_up(l, NULL);
    link_ended(l, why);
}

int link_dial(struct link *l)
{
    l->dialing = calloc(1, sizeof(*l->dialing));
    if (l->dialing == NULL)
        return -ENOMEM;
    l->dialing->count = siblings_places(l->owner->daemon, &l->client, true, l->dialing->places);
    try_next(l);
    if (l->dialing->attempts != NULL)
        return 0;
    int r = l->dialing->count == 0 ? LINK_NOWHERE : -ENOMEM;
    free(steal(&l->dialing));
    return r;
}

void link_dial_stop(struct link *l)
{
    if (l->dialing == NULL)
        return;
    give_up(l, NULL);
    link_ended(l, REASON_CANCELLED);
}
