/* Where one sibling answers: every address where it may be is dialed, all at once. What doctor says of it is said there. Loop thread.
 *
 * Callbacks, in order: on_proved of each; then the asker's. */
#include <stdlib.h>

#include "base/util.h"
#include "daemon/address_proof.h"
#include "daemon/status.h"

struct question {
    struct doctor_device result;
    struct dialed {
        struct question *of;
    } dialed[SIBLING_PLACES_MAX];
    size_t waiting;
    void (*on_done)(const struct doctor_device *result, void *ctx);
    void *ctx;
};

static void on_proved(enum reason why, void *ctx)
{
    const struct dialed *one = ctx;
    struct question *q = one->of;
    q->result.why[one - q->dialed] = why;
    if (--q->waiting > 0)
        return;
    q->on_done(&q->result, q->ctx);
    free(q);
}

int doctor_ask_device(struct daemon *d, const struct sibling *s,
                      void (*on_done)(const struct doctor_device *result, void *ctx), void *ctx)
{
    struct question *q = calloc(1, sizeof(*q));
    if (q == NULL)
        return -ENOMEM;
    q->on_done = on_done;
    q->ctx = ctx;
    q->result.found = s->found;
    q->result.linked = sibling_is_online(s);
    CODEC_SET_TEXT(q->result.name, s->name);
    struct doctor_device *r = &q->result;
    r->count = siblings_places(d, &s->client, false, r->places);
    for (size_t i = 0; i < r->count; i++) {
        struct address_proof *proof;
        q->dialed[i].of = q;
        if (address_prove(&proof, d, r->places[i], &s->client, on_proved, &q->dialed[i]) == 0)
            q->waiting++;
        else
            r->why[i] = REASON_INTERNAL;
    }
    if (q->waiting > 0)
        return 0;
    free(q);
    return DOCTOR_NOWHERE;
}
