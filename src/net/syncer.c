/* One batch at a time.
 *
 * Callbacks, in order: sync_work (pool), on_synced, then done of each that waited. */
#include "net/syncer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/util.h"

struct syncer {
    uv_loop_t *loop;
    uv_work_t work;
    int dir_fd; /* opened before anything is written: its syncs hear of every write that failed */
    struct sync_wait *waiting, **last;
    struct sync_wait *batch; /* the pool's while it runs */
    bool running, closing;
};

int syncer_new(struct syncer **out, uv_loop_t *loop, const char *dir)
{
    struct syncer *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return -ENOMEM;
    s->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->dir_fd < 0) {
        int error = errno;
        free(s);
        return -error;
    }
    s->loop = loop;
    s->last = &s->waiting;
    s->work.data = s;
    *out = s;
    return 0;
}

static void end_if_closing(struct syncer *s)
{
    if (!s->closing || s->running || s->waiting != NULL)
        return;
    closep(&s->dir_fd);
    free(s);
}

void syncer_free(struct syncer *s)
{
    if (s == NULL)
        return;
    s->closing = true;
    end_if_closing(s);
}

/* S172: a name says that all of it is there, so it comes after the bytes, and is durable before anybody hears of it. */
static void name_all(struct syncer *s)
{
    bool named = false;
    for (struct sync_wait *w = s->batch; w != NULL; w = w->next)
        if (w->name != NULL && w->outcome == 0) {
            w->outcome = w->name(w);
            named = true;
        }
    int r = named ? file_sync(s->dir_fd) : 0;
    for (struct sync_wait *w = s->batch; w != NULL; w = w->next)
        if (w->name != NULL && w->outcome == 0)
            w->outcome = r;
}

static void sync_work(uv_work_t *work)
{
    struct syncer *s = work->data;
    unsigned count = 0;
    for (const struct sync_wait *w = s->batch; w != NULL; w = w->next)
        count++;
    bool together = count >= SYNCER_TOGETHER;
    int r = together ? file_sync_all(s->dir_fd) : 0;
    for (struct sync_wait *w = s->batch; w != NULL; w = w->next)
        w->outcome = together ? r : file_sync(w->fd < 0 ? s->dir_fd : w->fd);
    name_all(s);
}

static void start(struct syncer *s);

static void on_synced(uv_work_t *work, int status)
{
    struct syncer *s = work->data;
    struct sync_wait *w = s->batch;
    (void)status; /* never cancelled */
    s->batch = NULL;
    while (w != NULL) {
        struct sync_wait *next = w->next;
        w->done(w); /* w may be gone */
        w = next;
    }
    s->running = false;
    start(s);
    end_if_closing(s);
}

static void start(struct syncer *s)
{
    if (s->running || s->waiting == NULL)
        return;
    s->batch = s->waiting;
    s->waiting = NULL;
    s->last = &s->waiting;
    s->running = true;
    (void)uv_queue_work(s->loop, &s->work, sync_work, on_synced); /* fails only without a function */
}

void syncer_wait(struct syncer *s, struct sync_wait *w)
{
    w->next = NULL;
    w->outcome = 0;
    *s->last = w;
    s->last = &w->next;
    start(s);
}
