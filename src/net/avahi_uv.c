/* Avahi's watches and timeouts as libuv handles. Not here: what Avahi is asked (discovery*.c). On the loop thread.
 *
 * Callbacks, in the order in which they fire: on_ready and on_due; on_watch_closed and on_timeout_closed; on_last_closed. */
#include "net/avahi_uv.h"

#include <avahi-common/timeval.h>
#include <stdbool.h>
#include <stdlib.h>

#define USEC_PER_MS 1000

struct avahi_uv {
    AvahiPoll api;
    uv_loop_t *loop;
    unsigned handles;
    uv_idle_t last; /* its closed callback is the end, also when there was no other handle */
    void (*on_freed)(void *ctx);
    void *ctx;
    bool freeing;
};

struct AvahiWatch {
    struct avahi_uv *owner;
    uv_poll_t poll;
    AvahiWatchCallback callback;
    void *userdata;
    int fd;
    AvahiWatchEvent happened;
    bool freed;
};

struct AvahiTimeout {
    struct avahi_uv *owner;
    uv_timer_t timer;
    AvahiTimeoutCallback callback;
    void *userdata;
    bool freed;
};

/* --- Watches --- */

static int events_to_uv(AvahiWatchEvent events)
{
    return (events & AVAHI_WATCH_IN ? UV_READABLE : 0) | (events & AVAHI_WATCH_OUT ? UV_WRITABLE : 0) |
           (events & AVAHI_WATCH_HUP ? UV_DISCONNECT : 0);
}

static AvahiWatchEvent events_from_uv(int status, int events)
{
    AvahiWatchEvent happened = status < 0 ? AVAHI_WATCH_ERR : 0;
    if (events & UV_READABLE)
        happened |= AVAHI_WATCH_IN;
    if (events & UV_WRITABLE)
        happened |= AVAHI_WATCH_OUT;
    if (events & UV_DISCONNECT)
        happened |= AVAHI_WATCH_HUP;
    return happened;
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    AvahiWatch *w = poll->data;
    if (w->freed)
        return;
    w->happened = events_from_uv(status, events);
    w->callback(w, w->fd, w->happened, w->userdata);
    w->happened = 0; /* w lives at least until its closed callback */
}

static void release(struct avahi_uv *a);

static void on_watch_closed(uv_handle_t *handle)
{
    AvahiWatch *w = handle->data;
    release(w->owner);
    free(w);
}

static AvahiWatch *watch_new(const AvahiPoll *api, int fd, AvahiWatchEvent events, AvahiWatchCallback callback,
                             void *userdata)
{
    struct avahi_uv *a = api->userdata;
    AvahiWatch *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    *w = (AvahiWatch){ .owner = a, .callback = callback, .userdata = userdata, .fd = fd };
    if (uv_poll_init(a->loop, &w->poll, fd) != 0) {
        free(w);
        return NULL;
    }
    w->poll.data = w;
    a->handles++;
    uv_poll_start(&w->poll, events_to_uv(events), on_ready);
    return w;
}

static void watch_update(AvahiWatch *w, AvahiWatchEvent events)
{
    int wanted = events_to_uv(events);
    if (wanted)
        uv_poll_start(&w->poll, wanted, on_ready);
    else
        uv_poll_stop(&w->poll);
}

static AvahiWatchEvent watch_get_events(AvahiWatch *w) { return w->happened; }

static void watch_free(AvahiWatch *w)
{
    w->freed = true;
    uv_close((uv_handle_t *)&w->poll, on_watch_closed);
}

/* --- Timeouts --- */

static void on_due(uv_timer_t *timer)
{
    AvahiTimeout *t = timer->data;
    if (!t->freed)
        t->callback(t, t->userdata);
}

static void on_timeout_closed(uv_handle_t *handle)
{
    AvahiTimeout *t = handle->data;
    release(t->owner);
    free(t);
}

/* Rounded up, and one more: libuv counts from a time that may be almost a millisecond old, and Avahi, woken too early,
 * asks again for the rest at once, over and over. */
static void timeout_update(AvahiTimeout *t, const struct timeval *due)
{
    if (!due) {
        uv_timer_stop(&t->timer);
        return;
    }
    AvahiUsec wait = -avahi_age(due);
    uint64_t ms = wait > 0 ? (uint64_t)(wait + USEC_PER_MS - 1) / USEC_PER_MS + 1 : 0;
    uv_timer_start(&t->timer, on_due, ms, 0);
}

static AvahiTimeout *timeout_new(const AvahiPoll *api, const struct timeval *due, AvahiTimeoutCallback callback,
                                 void *userdata)
{
    struct avahi_uv *a = api->userdata;
    AvahiTimeout *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    *t = (AvahiTimeout){ .owner = a, .callback = callback, .userdata = userdata };
    uv_timer_init(a->loop, &t->timer);
    t->timer.data = t;
    a->handles++;
    timeout_update(t, due);
    return t;
}

static void timeout_free(AvahiTimeout *t)
{
    t->freed = true;
    uv_close((uv_handle_t *)&t->timer, on_timeout_closed);
}

/* --- Lifetime --- */

static void on_last_closed(uv_handle_t *handle)
{
    struct avahi_uv *a = handle->data;
    void (*on_freed)(void *ctx) = a->on_freed;
    void *ctx = a->ctx;
    free(a);
    if (on_freed)
        on_freed(ctx);
}

static void release(struct avahi_uv *a)
{
    a->handles--;
    if (a->freeing && a->handles == 0)
        uv_close((uv_handle_t *)&a->last, on_last_closed);
}

int avahi_uv_new(struct avahi_uv **out, uv_loop_t *loop)
{
    struct avahi_uv *a = calloc(1, sizeof *a);
    if (!a)
        return -ENOMEM;
    a->loop = loop;
    a->handles = 1; /* our own reference */
    a->api = (AvahiPoll){ a,          watch_new,   watch_update,   watch_get_events,
                          watch_free, timeout_new, timeout_update, timeout_free };
    uv_idle_init(loop, &a->last);
    a->last.data = a;
    *out = a;
    return 0;
}

const AvahiPoll *avahi_uv_poll(struct avahi_uv *a) { return &a->api; }

void avahi_uv_free(struct avahi_uv *a, void (*on_freed)(void *ctx), void *ctx)
{
    a->on_freed = on_freed;
    a->ctx = ctx;
    a->freeing = true;
    release(a);
}
