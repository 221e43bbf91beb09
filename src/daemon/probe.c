/* Finding out who answers at an address: the keyset that comes first, judged against the root key that signed it. Nothing is sent.
 *
 * Callbacks, in order: on_open, on_frame, on_closed (which answers). */
#include <stdlib.h>

#include "base/util.h"
#include "crypto/dsse.h"
#include "daemon/session.h"

#define PROBE_TIMEOUT_MS 10000

struct probe {
    struct daemon *daemon;
    uv_timer_t timer;
    struct peer *peer;
    doc_Keyset keyset;
    bool judged;
    enum reason why;
    probe_fn on_probed;
    void *ctx;
};

static void on_timer_closed(uv_handle_t *handle)
{
    struct probe *p = handle->data;
    p->on_probed(p->judged ? &p->keyset : NULL, p->why, p->ctx);
    free(p);
}

static void on_closed(struct peer *peer, enum reason why, void *ctx)
{
    struct probe *p = ctx;
    (void)peer;
    p->peer = NULL;
    if (!p->judged && p->why == REASON_NONE)
        p->why = why == REASON_NONE || why == REASON_INTERNAL ? REASON_OFFLINE : why;
    uv_close((uv_handle_t *)&p->timer, on_timer_closed);
}

static int judge(struct probe *p, struct slice envelope)
{
    doc_Keyset *keyset CLEANUP(freep) = malloc(sizeof(*keyset));
    struct id root;
    if (keyset == NULL)
        return -ENOMEM;
    int r = document_open_keyset(envelope, keyset, &root);
    /* Who it is, and no more: whether its keyset has ended the vault says, by a signed time rather than by a clock that may be wrong. */
    return r != 0 ? r
                  : keyset_judge(envelope, &root, 0, peer_key(p->peer), (int64_t)u64_min(keyset->issued_ms, INT64_MAX),
                                 &p->keyset);
}

static void on_frame(struct peer *peer, const struct frame *f, void *ctx)
{
    struct probe *p = ctx;
    if (p->judged || p->why != REASON_NONE)
        return;
    int r = f->type == msg_Type_KEYSET && f->message.len == 0 ? judge(p, f->tail) : REASON_MALFORMED;
    p->judged = r == 0;
    p->why = reason_of_error(r);
    peer_close(peer, REASON_NONE);
}

static void on_open(struct peer *peer, void *ctx)
{
    (void)peer;
    (void)ctx;
}

static void on_late(uv_timer_t *timer)
{
    struct probe *p = timer->data;
    p->why = REASON_TIMED_OUT;
    peer_close(p->peer, REASON_TIMED_OUT);
}

int session_probe(struct daemon *d, const char *address, probe_fn on_probed, void *ctx)
{
    static const struct peer_callbacks callbacks = { .on_open = on_open, .on_frame = on_frame, .on_closed = on_closed };
    struct probe *p CLEANUP(freep) = calloc(1, sizeof(*p));
    if (p == NULL)
        return -ENOMEM;
    p->daemon = d;
    p->on_probed = on_probed;
    p->ctx = ctx;
    int r = peer_dial(&p->peer, d->loop, d->identity, address, NULL, PROBE_TIMEOUT_MS, &callbacks, p);
    if (r != 0)
        return r;
    (void)uv_timer_init(d->loop, &p->timer); /* cannot fail */
    p->timer.data = p;
    (void)uv_timer_start(&p->timer, on_late, 2 * PROBE_TIMEOUT_MS, 0);
    p = NULL;
    return 0;
}
