/* hearthd's end of the opener: one request at a time, whichever thread asks. */
#include "daemon/opener.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/helper.h"
#include "base/util.h"
#include "daemon/opener_internal.h"

#define LOG_MODULE "opener"
#include "base/log.h"

struct opener {
    struct helper helper; /* whose turn it is uses it */
    unsigned patience_ms; /* for an answer */
    uv_mutex_t lock;
    uv_cond_t turn;
    bool busy; /* under the lock */
    uv_signal_t ends;
    void (*on_lost)(void *ctx);
    void *ctx;
    bool watched, lost;
};

int opener_new(struct opener **out, unsigned patience_ms)
{
    int theirs = -1;
    struct opener *o = calloc(1, sizeof(*o));
    if (o == NULL)
        return -ENOMEM;
    int r = helper_fork(&o->helper, sizeof(struct opener_answer), &theirs);
    if (r != 0) {
        free(o);
        return r;
    }
    if (o->helper.pid == 0)
        opener_serve(theirs);
    (void)uv_mutex_init(&o->lock); /* fail never, as the C library has them */
    (void)uv_cond_init(&o->turn);
    o->patience_ms = patience_ms;
    *out = o;
    return 0;
}

static void discard(struct opener *o)
{
    uv_mutex_destroy(&o->lock);
    uv_cond_destroy(&o->turn);
    free(o);
}

static void on_signal_closed(uv_handle_t *handle) { discard(handle->data); }

void opener_free(struct opener *o)
{
    if (o == NULL)
        return;
    helper_end(&o->helper);
    if (o->watched)
        uv_close((uv_handle_t *)&o->ends, on_signal_closed);
    else
        discard(o);
}

static void on_ends(uv_signal_t *handle, int signal)
{
    struct opener *o = handle->data;
    (void)signal;
    if (o->lost || !helper_has_ended(&o->helper))
        return;
    o->lost = true;
    log_error("the opener has ended: no file that a command names can be opened any more");
    o->on_lost(o->ctx);
}

int opener_watch(struct opener *o, uv_loop_t *loop, void (*on_lost)(void *ctx), void *ctx)
{
    int r = uv_signal_init(loop, &o->ends);
    if (r != 0)
        return r;
    o->watched = true;
    o->ends.data = o;
    o->on_lost = on_lost;
    o->ctx = ctx;
    r = uv_signal_start(&o->ends, on_ends, SIGCHLD);
    uv_unref((uv_handle_t *)&o->ends);
    return r == 0 && helper_has_ended(&o->helper) ? -EPIPE : r;
}

/* One asks after the other. 0 or -ETIMEDOUT. */
static int begin_turn(struct opener *o, unsigned patience_ms)
{
    int64_t deadline_ms = clock_mono_ms(clock_system()) + patience_ms, left_ms = patience_ms;
    uv_mutex_lock(&o->lock);
    while (o->busy && left_ms > 0) {
        (void)uv_cond_timedwait(&o->turn, &o->lock, (uint64_t)left_ms * 1000000);
        left_ms = deadline_ms - clock_mono_ms(clock_system());
    }
    bool mine = !o->busy;
    o->busy = true;
    uv_mutex_unlock(&o->lock);
    return mine ? 0 : -ETIMEDOUT;
}

static void end_turn(struct opener *o)
{
    uv_mutex_lock(&o->lock);
    o->busy = false;
    uv_cond_signal(&o->turn);
    uv_mutex_unlock(&o->lock);
}

/* *fd: what came beside the answer, or -1. 0, positive, -errno. */
static int ask_within(struct opener *o, unsigned patience_ms, enum opener_kind kind, uint32_t flags, const char *path,
                      const char *other, int *fd)
{
    struct opener_request q = { .kind = (uint32_t)kind, .flags = flags };
    struct opener_answer answer;
    *fd = -1;
    if (strlen(path) >= sizeof(q.path) || strlen(other) >= sizeof(q.other))
        return -ENAMETOOLONG;
    memcpy(q.path, path, strlen(path));
    memcpy(q.other, other, strlen(other));
    int r = begin_turn(o, patience_ms);
    if (r != 0)
        return r;
    bool was_behind = helper_is_behind(&o->helper);
    r = helper_ask(&o->helper, patience_ms, &q, sizeof(q), NULL, 0, &answer, fd);
    end_turn(o);
    if (r == -ETIMEDOUT && !was_behind)
        log_error("the opener stands still: it is not waited for any longer");
    return r == 0 ? answer.outcome : r;
}

static int ask(struct opener *o, enum opener_kind kind, uint32_t flags, const char *path, const char *other, int *fd)
{
    return ask_within(o, o->patience_ms, kind, flags, path, other, fd);
}

int opener_look(struct opener *o, unsigned patience_ms)
{
    int fd CLEANUP(closep) = -1;
    return ask_within(o, patience_ms, OPENER_LIST, 0, "/", "", &fd);
}

int opener_read(struct opener *o, const char *path, int flags, int *fd)
{
    int got;
    int r = ask(o, OPENER_READ, (uint32_t)flags, path, "", &got);
    if (r == 0)
        *fd = got;
    return r;
}

int opener_list(struct opener *o, const char *path)
{
    int got;
    int r = ask(o, OPENER_LIST, 0, path, "", &got);
    return r == 0 ? got : r;
}

int opener_create(struct opener *o, const char *path, unsigned mode)
{
    int got;
    int r = ask(o, OPENER_CREATE, mode, path, "", &got);
    return r == 0 ? got : r;
}

int opener_rename(struct opener *o, const char *from, const char *to)
{
    int none;
    return ask(o, OPENER_RENAME, 0, from, to, &none);
}

int opener_remove(struct opener *o, const char *path)
{
    int none;
    return ask(o, OPENER_REMOVE, 0, path, "", &none);
}
