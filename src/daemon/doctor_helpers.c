/* Whether the processes beside hearthd answer: the opener is asked on the pool; of the spawner it is known from the last request to it.
 *
 * Callbacks, in order: look_work (pool) and on_looked. */
#include <stdlib.h>

#include "base/util.h"
#include "daemon/opener.h"
#include "daemon/spawner.h"
#include "daemon/status.h"

#define OPENER_PATIENCE_MS 3000

struct look {
    uv_work_t work;
    struct daemon *daemon;
    int outcome;
    void (*on_done)(const char *wrong, const char *remedy, void *ctx);
    void *ctx;
};

static void look_work(uv_work_t *work)
{
    struct look *l = work->data;
    l->outcome = opener_look(l->daemon->opener, OPENER_PATIENCE_MS);
}

static void on_looked(uv_work_t *work, int status)
{
    struct look *l CLEANUP(freep) = work->data;
    (void)status;
    if (l->outcome != 0)
        l->on_done("The opener does not answer: no file that a command names is opened.",
                   "Does each disk and network directory answer? Then restart hearthd.", l->ctx);
    else if (spawner_stands_still(l->daemon->spawner))
        l->on_done("The spawner does not answer: nothing can be played.", "Restart hearthd and read its log.", l->ctx);
    else
        l->on_done(NULL, NULL, l->ctx);
}

int doctor_ask_helpers(struct daemon *d, void (*on_done)(const char *wrong, const char *remedy, void *ctx), void *ctx)
{
    struct look *l = calloc(1, sizeof(*l));
    if (l == NULL)
        return -ENOMEM;
    *l = (struct look){ .work.data = l, .daemon = d, .on_done = on_done, .ctx = ctx };
    (void)uv_queue_work(d->loop, &l->work, look_work, on_looked); /* fails only without a function */
    return 0;
}
