/* A ring of events and those who follow it; the numbers, reserved ahead.
 *
 * Callbacks, in order: on_reserved (database); on_follower_gone. */
#include "daemon/events.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "base/util.h"
#include "daemon/control.h"
#include "daemon/db.h"

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
    uint64_t first_number; /* of this run */
    uint64_t reserved;     /* the first that is not */
    bool reserving;
    struct follower *followers;
};

/* --- Numbers --- */

struct reserve_job {
    struct db_job job;
    struct daemon *daemon;
    uint64_t next;
};

static int put_next(struct store *store, uint64_t next)
{
    struct query q CLEANUP(query_end) = query(store, DB_EVENT_NUMBER_PUT);
    query_bind_i64(&q, 1, (int64_t)next);
    return query_run(&q);
}

static int reserve(struct store *store, struct db_job *job)
{
    return put_next(store, container_of(job, struct reserve_job, job)->next);
}

static void on_reserved(struct db_job *job, int outcome)
{
    struct reserve_job *j = container_of(job, struct reserve_job, job);
    struct events *e = j->daemon->events;
    if (e != NULL && outcome == 0)
        e->reserved = j->next;
    if (e != NULL)
        e->reserving = false; /* else the next event tries again */
    free(j);
}

static void run_reserve(struct daemon *d, uint64_t next)
{
    struct reserve_job *j = calloc(1, sizeof(*j));
    if (j == NULL)
        return;
    *j = (struct reserve_job){ .job = { .work = reserve, .done = on_reserved }, .daemon = d, .next = next };
    if (d->events != NULL)
        d->events->reserving = true;
    db_run(d->db, &j->job);
}

static int read_next(struct daemon *d, uint64_t *next)
{
    struct query q CLEANUP(query_end) = query(db_store(d->db), DB_EVENT_NUMBER);
    int r = query_step(&q);
    *next = r == STORE_ROW ? (uint64_t)query_i64(&q, 0) : 1;
    return r == STORE_ROW ? query_check(&q) : r;
}

int events_start(struct daemon *d)
{
    struct events *e = calloc(1, sizeof(*e));
    if (e == NULL)
        return -ENOMEM;
    d->events = e;
    int r = read_next(d, &e->next_number);
    if (r != 0)
        return r > 0 ? -EUCLEAN : r;
    e->first_number = e->reserved = e->next_number;
    r = put_next(db_store(d->db), e->next_number + EVENTS_RESERVED);
    if (r == 0)
        e->reserved += EVENTS_RESERVED;
    else /* a full disk is no reason not to start */
        log_warn("the numbers of events could not be reserved outcome=%d", r);
    return 0;
}

/* --- Events --- */

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
    if (e->reserved < e->next_number + EVENTS_RESERVED / 2 && !e->reserving)
        run_reserve(d, e->next_number + EVENTS_RESERVED);
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
    uint64_t first = e->next_number - u64_min(count, e->next_number - e->first_number);
    if (ask->has_after && ask->after < e->next_number && ask->after >= first)
        first = ask->after + 1;
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
    run_reserve(d, e->next_number); /* ended in order: the next run goes on without a gap */
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
