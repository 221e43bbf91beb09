/* Where one sibling answers: every address where it may be is dialed, all at once. What doctor says of it is said there. Loop thread.
 *
 * Callbacks, in order: on_open, on_closed of each; then the asker's. */
#include <stdlib.h>

#include "base/util.h"
#include "daemon/status.h"
#include "net/peer.h"

#define DIAL_MS 5000

struct question {
    struct daemon *daemon;
    struct doctor_device result;
    struct dialed {
        struct question *of;
        bool open;
    } dialed[SIBLING_PLACES_MAX];
    size_t waiting;
    void (*on_done)(const struct doctor_device *result, void *ctx);
    void *ctx;
};

static void on_open(struct peer *p, void *ctx)
{
    ((struct dialed *)ctx)->open = true;
    peer_close(p, REASON_NONE);
}

static void on_frame(struct peer *p, const struct frame *f, void *ctx)
{
    (void)p;
    (void)f;
    (void)ctx;
}

static void on_closed(struct peer *p, enum reason why, void *ctx)
{
    struct dialed *one = ctx;
    struct question *q = one->of;
    (void)p;
    q->result.why[one - q->dialed] = one->open ? REASON_NONE : why == REASON_NONE ? REASON_OFFLINE : why;
    if (--q->waiting > 0)
        return;
    q->on_done(&q->result, q->ctx);
    free(q);
}

int doctor_ask_device(struct daemon *d, const struct sibling *s,
                      void (*on_done)(const struct doctor_device *result, void *ctx), void *ctx)
{
    static const struct peer_callbacks callbacks = { .on_open = on_open, .on_frame = on_frame, .on_closed = on_closed };
    struct question *q = calloc(1, sizeof(*q));
    if (q == NULL)
        return -ENOMEM;
    q->daemon = d;
    q->on_done = on_done;
    q->ctx = ctx;
    q->result.found = s->found;
    q->result.linked = sibling_is_online(s);
    CODEC_SET_TEXT(q->result.name, s->name);
    struct doctor_device *r = &q->result;
    r->count = siblings_places(d, &s->client, false, r->places);
    for (size_t i = 0; i < r->count; i++) {
        struct peer *peer;
        q->dialed[i].of = q;
        if (peer_dial(&peer, d->loop, d->identity, r->places[i], &s->client, DIAL_MS, &callbacks, &q->dialed[i]) == 0)
            q->waiting++;
        else
            r->why[i] = REASON_INTERNAL;
    }
    if (q->waiting > 0)
        return 0;
    free(q);
    return DOCTOR_NOWHERE;
}
