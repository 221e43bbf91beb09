/* A ring of events and those who follow it. */
#include "daemon/events.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "base/util.h"
#include "daemon/control.h"

#define LOG_MODULE "event"
#include "base/log.h"

struct follower {
    struct call *call;
    struct events *events;
    struct follower *next;
};
struct kept { /* shorter than ctl_Event, whose text has its bound */
    uint64_t number;
    int64_t time_ms;
    const char *kind;
    char *text;
};
struct events {
    struct kept ring[EVENTS_KEPT];
    uint64_t next_number;
    struct follower *followers;
};

int events_start(struct daemon *d)
{
    d->events = calloc(1, sizeof(*d->events));
    if (d->events == NULL)
        return -ENOMEM;
    d->events->next_number = 1;
    return 0;
}

static void send_row(struct call *c, const struct kept *k)
{
    ctl_Event row = { .number = k->number, .time_ms = (uint64_t)k->time_ms };
    CODEC_SET_TEXT(row.kind, k->kind);
    CODEC_SET_TEXT(row.text, k->text == NULL ? "" : k->text);
    CALL_ROW(c, EVENT, Event, &row);
}

void event(struct daemon *d, const char *kind, const char *format, ...)
{
    struct events *e = d->events;
    char text[256], safe[256];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    (void)text_safe(text, safe, sizeof(safe));
    log_info("%s kind=%s", safe, kind);
    if (e == NULL)
        return;

    struct kept *k = &e->ring[e->next_number % EVENTS_KEPT];
    free(k->text);
    *k = (struct kept){ e->next_number++, clock_wall_ms(d->clock), kind, strdup(safe) };
    for (struct follower *f = e->followers; f != NULL; f = f->next)
        send_row(f->call, k);
}

static void on_follower_gone(struct call *c, void *ctx)
{
    struct follower *gone = ctx;
    for (struct follower **f = &gone->events->followers; *f != NULL; f = &(*f)->next)
        if (*f == gone) {
            *f = gone->next;
            break;
        }
    free(gone);
    call_finish(c);
}

void events_get(struct daemon *d, struct call *c, const void *message)
{
    const ctl_EventsGet *ask = message;
    struct events *e = d->events;
    uint64_t count = u64_min(ask->has_last ? ask->last : EVENTS_KEPT, EVENTS_KEPT);
    uint64_t first = e->next_number > count ? e->next_number - count : 1;
    for (uint64_t n = first; n < e->next_number; n++)
        send_row(c, &e->ring[n % EVENTS_KEPT]);
    if (!ask->follow) {
        call_finish(c);
        return;
    }
    struct follower *f = calloc(1, sizeof(*f));
    if (f == NULL) {
        call_refuse(c, REASON_INTERNAL, NULL);
        return;
    }
    *f = (struct follower){ c, e, e->followers };
    e->followers = f;
    call_on_gone(c, on_follower_gone, f);
}

void events_stop(struct daemon *d)
{
    struct events *e = steal(&d->events);
    if (e == NULL)
        return;
    while (e->followers != NULL) {
        struct follower *f = e->followers;
        e->followers = f->next;
        call_finish(f->call);
        free(f);
    }
    for (size_t i = 0; i < EVENTS_KEPT; i++)
        free(e->ring[i].text);
    free(e);
}
