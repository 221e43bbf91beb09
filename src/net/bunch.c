/* One trip at a time.
 *
 * Callbacks, in order: trip_work (pool): run of each job; on_trip, then after of each. */
#include "net/bunch.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

struct bunch {
    uv_loop_t *loop;
    uv_work_t work;
    struct bunch_job *waiting, **last;
    struct bunch_job *trip; /* the pool's while it runs */
    bool running, closing;
};

int bunch_new(struct bunch **out, uv_loop_t *loop)
{
    struct bunch *b = calloc(1, sizeof(*b));
    if (b == NULL)
        return -ENOMEM;
    b->loop = loop;
    b->last = &b->waiting;
    b->work.data = b;
    *out = b;
    return 0;
}

static void end_if_closing(struct bunch *b)
{
    if (b->closing && !b->running)
        free(b);
}

void bunch_free(struct bunch *b)
{
    if (b == NULL)
        return;
    b->closing = true;
    end_if_closing(b);
}

static void trip_work(uv_work_t *work)
{
    const struct bunch *b = work->data;
    for (struct bunch_job *j = b->trip; j != NULL; j = j->next)
        j->run(&j->work);
}

static void start(struct bunch *b);

static void on_trip(uv_work_t *work, int status)
{
    struct bunch *b = work->data;
    struct bunch_job *j = b->trip;
    b->trip = NULL;
    while (j != NULL) {
        struct bunch_job *next = j->next;
        j->after(&j->work, status); /* j may be gone */
        j = next;
    }
    b->running = false;
    start(b);
    end_if_closing(b);
}

static void start(struct bunch *b)
{
    if (b->running || b->waiting == NULL)
        return;
    b->trip = b->waiting;
    b->waiting = NULL;
    b->last = &b->waiting;
    b->running = true;
    (void)uv_queue_work(b->loop, &b->work, trip_work, on_trip); /* fails only without a function */
}

void bunch_add(struct bunch *b, struct bunch_job *j, uv_work_cb run, uv_after_work_cb after)
{
    assert(!b->closing || b->running);
    j->run = run;
    j->after = after;
    j->next = NULL;
    *b->last = j;
    b->last = &j->next;
    start(b);
}

void bunch_alone(uv_loop_t *loop, struct bunch_job *j, uv_work_cb run, uv_after_work_cb after)
{
    (void)uv_queue_work(loop, &j->work, run, after); /* fails only without a function */
}
