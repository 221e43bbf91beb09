/* Callbacks, in order: on_open (when it is the device), on_closed. */
#include "daemon/address_proof.h"

#include <stdlib.h>

#include "base/util.h"
#include "net/peer.h"

struct address_proof {
    struct peer *peer;
    bool proved;
    address_proof_fn *on_done;
    void *ctx;
};

static void on_open(struct peer *peer, void *ctx)
{
    struct address_proof *p = ctx;
    p->proved = true;
    peer_close(peer, REASON_NONE);
}

static void on_frame(struct peer *peer, const struct frame *f, void *ctx)
{
    (void)peer;
    (void)f;
    (void)ctx;
}

static void on_closed(struct peer *peer, enum reason why, void *ctx)
{
    struct address_proof *p = ctx;
    (void)peer;
    p->on_done(p->proved ? REASON_NONE : why == REASON_NONE ? REASON_OFFLINE : why, p->ctx);
    free(p);
}

int address_prove(struct address_proof **out, struct daemon *d, const char *address, const struct id *client,
                  address_proof_fn *on_done, void *ctx)
{
    static const struct peer_callbacks callbacks = { .on_open = on_open, .on_frame = on_frame, .on_closed = on_closed };
    struct address_proof *p = calloc(1, sizeof(*p));
    if (p == NULL)
        return -ENOMEM;
    p->on_done = on_done;
    p->ctx = ctx;
    int r = peer_dial(&p->peer, d->loop, d->identity, address, client, ADDRESS_PROOF_MS, &callbacks, p);
    if (r != 0) {
        free(p);
        return r;
    }
    *out = p;
    return 0;
}

void address_proof_cancel(struct address_proof *p) { peer_close(p->peer, REASON_CANCELLED); }
