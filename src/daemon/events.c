/* A ring of events and those who follow it; the numbers, reserved ahead.
 *
 * Callbacks, in order: on_stored (database); on_follower_gone. */
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
struct
    cut { /* a run was cut off: `given` is the last number that it is known to have given, `first` the first one after it */
    uint64_t given, first;
};
struct events {
    struct kept ring[EVENTS_KEPT];
    struct cut cuts[EVENTS_CUTS]; /* the newest first */
    size_t cut_count;
    uint64_t next_number;
    uint64_t first_number;    /* of this run */
    uint64_t reserved, given; /* stored: the first that is not reserved; the last that was given */
    bool storing;
    struct follower *followers;
};

/* --- Numbers --- */

struct number_job {
    struct db_job job;
    struct daemon *daemon;
    uint64_t next, given;
};

static int put_number(struct store *store, uint64_t next, uint64_t given)
{
    struct query q CLEANUP(query_end) = query(store, DB_EVENT_NUMBER_PUT);
    query_bind_i64(&q, 1, (int64_t)next);
    query_bind_i64(&q, 2, (int64_t)given);
    return query_run(&q);
}

static int store_number(struct store *store, struct db_job *job)
{
    const struct number_job *j = container_of(job, struct number_job, job);
    return put_number(store, j->next, j->given);
}

static void note_number(struct daemon *d);

static void on_stored(struct db_job *job, int outcome)
{
    struct number_job *j = container_of(job, struct number_job, job);
    struct daemon *d = j->daemon;
    struct events *e = d->events;
    if (e != NULL) {
        e->storing = false;
        e->reserved = outcome == 0 ? j->next : e->reserved;
        e->given = outcome == 0 ? j->given : e->given;
    }
    free(j);
    if (e != NULL && outcome == 0) /* else the next event tries again */
        note_number(d);
}

static void run_store(struct daemon *d, uint64_t next, uint64_t given)
{
    struct number_job *j = calloc(1, sizeof(*j));
    if (j == NULL)
        return;
    *j = (struct number_job){
        .job = { .work = store_number, .done = on_stored }, .daemon = d, .next = next, .given = given
    };
    if (d->events != NULL)
        d->events->storing = true;
    db_run(d->db, &j->job);
}

/* What was given meanwhile, and more numbers in time. */
static void note_number(struct daemon *d)
{
    struct events *e = d->events;
    uint64_t next = e->reserved < e->next_number + EVENTS_RESERVED / 2 ? e->next_number + EVENTS_RESERVED : e->reserved;
    if (!e->storing && (next != e->reserved || e->given + 1 < e->next_number))
        run_store(d, next, e->next_number - 1);
}

static int read_number(struct daemon *d, uint64_t *next, uint64_t *given)
{
    struct query q CLEANUP(query_end) = query(db_store(d->db), DB_EVENT_NUMBER);
    int r = query_step(&q);
    *next = r == STORE_ROW ? (uint64_t)query_i64(&q, 0) : 1;
    *given = r == STORE_ROW ? (uint64_t)query_i64(&q, 1) : 0;
    return r == STORE_ROW ? query_check(&q) : r;
}

static void add_cut(struct events *e, struct cut cut)
{
    if (e->cut_count < EVENTS_CUTS)
        e->cuts[e->cut_count++] = cut;
}

static int read_cuts(struct daemon *d, struct events *e)
{
    int r;
    struct query q CLEANUP(query_end) = query(db_store(d->db), DB_EVENT_CUTS);
    while ((r = query_step(&q)) == STORE_ROW)
        add_cut(e, (struct cut){ .given = (uint64_t)query_i64(&q, 1), .first = (uint64_t)query_i64(&q, 0) });
    return r != 0 ? r : query_check(&q);
}

static int put_cut(struct store *store, const struct cut *cut)
{
    struct query q CLEANUP(query_end) = query(store, DB_EVENT_CUT_ADD);
    query_bind_i64(&q, 1, (int64_t)cut->first);
    query_bind_i64(&q, 2, (int64_t)cut->given);
    int r = query_run(&q);
    struct query trim CLEANUP(query_end) = query(store, DB_EVENT_CUTS_TRIM);
    query_bind_i64(&trim, 1, EVENTS_CUTS);
    return r == 0 ? query_run(&trim) : r;
}

/* A run begins: at which number, and whether the one before was cut off. */
static int begin(struct daemon *d, struct events *e)
{
    struct transaction t CLEANUP(transaction_end) = { 0 };
    const struct cut cut = { .given = e->given, .first = e->next_number };
    bool is_cut = e->given + 1 < e->next_number;
    if (is_cut)
        add_cut(e, cut);
    e->given = e->next_number - 1;
    int r = transaction_begin(&t, db_store(d->db));
    if (r == 0 && is_cut)
        r = put_cut(db_store(d->db), &cut);
    if (r == 0)
        r = put_number(db_store(d->db), e->next_number + EVENTS_RESERVED, e->given);
    return r == 0 ? transaction_commit(&t) : r;
}

int events_start(struct daemon *d)
{
    struct events *e = calloc(1, sizeof(*e));
    if (e == NULL)
        return -ENOMEM;
    d->events = e;
    int r = read_number(d, &e->next_number, &e->given);
    if (r == 0)
        r = read_cuts(d, e);
    if (r != 0)
        return r > 0 ? -EUCLEAN : r;
    e->first_number = e->reserved = e->next_number;
    r = begin(d, e);
    if (r == 0)
        e->reserved += EVENTS_RESERVED;
    else /* a full disk is no reason not to start */
        log_warn("the numbers of events could not be reserved outcome=%d", r);
    return 0;
}

/* --- Events --- */

static ctl_Event row_of(const struct kept *k)
{
    ctl_Event row = { .number = k->number, .time_ms = (uint64_t)k->time_ms };
    CODEC_SET_TEXT(row.kind, k->kind);
    CODEC_SET_TEXT(row.text, k->text == NULL ? "" : k->text);
    return row;
}

static void send_row(struct call *c, const struct kept *k)
{
    ctl_Event row = row_of(k);
    CALL_ROW(c, EVENT, Event, &row);
}

/* Numbers between the two that no event has, as far as is known. */
static uint64_t wasted(const struct cut *cut, uint64_t after, uint64_t before)
{
    uint64_t from = u64_max(cut->given, after), to = u64_min(cut->first, before);
    return to > from ? to - from - 1 : 0;
}

/* The first one of an answer: what lies between it and the one that was seen last. */
static void send_first(struct call *c, const struct events *e, uint64_t after, uint64_t number)
{
    ctl_Event row = row_of(&e->ring[number % EVENTS_KEPT]);
    row.has_missing = row.has_cut_off = true;
    row.missing = number - after - 1;
    for (size_t i = 0; i < e->cut_count; i++) {
        const struct cut *cut = &e->cuts[i];
        row.missing -= wasted(cut, after, number);
        row.cut_off += after < cut->first && cut->first <= number;
    }
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
    note_number(d);
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
        if (n == first && ask->has_after && ask->after < n)
            send_first(c, e, ask->after, n);
        else
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
    run_store(d, e->next_number, e->next_number - 1); /* ended in order: the next run goes on without a gap */
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
