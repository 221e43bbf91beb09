/* The calls, what is fetched in the background, start and stop. Errands (errands.c) go over lines (lines.c). */
#define LOG_MODULE "partners"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/util.h"
#include "distributor/outgoing.h"
#include "distributor/partners_internal.h"

#define TICK_MS 100
#define REFRESH_MS 20000 /* time for one partner in the background */
#define ENTRIES_MAX_BYTES ((size_t)EKB_UNITS_MAX * EKB_ENTRY_BYTES)

void partners_stopped_when_idle(struct partners *p)
{
    if (!p->stopping || p->errands != NULL || p->refreshing || p->rounds > 0 || p->tick_open || p->on_stopped == NULL)
        return;
    for (struct line *l = p->lines; l != NULL; l = l->next)
        if (l->outgoing != NULL)
            return;
    struct server *server = p->server;
    void (*on_stopped)(struct server *) = steal(&p->on_stopped);
    while (p->lines != NULL) {
        struct line *l = p->lines;
        p->lines = l->next;
        free(l);
    }
    server->partners = NULL;
    free(p);
    on_stopped(server);
}

/* Ends every errand that is due at at_ms, one after the other: ending one calls others' code. */
static void end_due(struct partners *p, int64_t at_ms, int outcome)
{
    struct errand *e = p->errands;
    while (e != NULL) {
        if (e->state == ERRAND_OVER || at_ms < e->deadline_ms) {
            e = e->next;
            continue;
        }
        errand_end(e, outcome, NULL, NULL);
        e = p->errands;
    }
}

static void on_tick(uv_timer_t *t)
{
    struct partners *p = container_of(t, struct partners, tick);
    if (p->errands == NULL)
        uv_timer_stop(t);
    else
        end_due(p, partners_now_ms(p), -ETIMEDOUT);
}

/* --- Calls ---------------------------------------------------------------------------------------------------------- */

static int errand_new(struct errand **out, struct partners *p, const struct id *partner, uint64_t timeout_ms)
{
    if (p == NULL || p->stopping)
        return -ESHUTDOWN;
    if (line_is_resting(p, partner))
        return -ENOTCONN;
    struct errand *e = calloc(1, sizeof(*e));
    if (e == NULL)
        return -ENOMEM;
    e->partners = p;
    e->partner = *partner;
    e->deadline_ms = partners_now_ms(p) + (int64_t)timeout_ms;
    e->entries = buf(ENTRIES_MAX_BYTES);
    e->next = p->errands;
    p->errands = e;
    if (!uv_is_active((uv_handle_t *)&p->tick))
        uv_timer_start(&p->tick, on_tick, TICK_MS, TICK_MS);
    *out = e;
    return 0;
}

static struct errand *find_asking(struct partners *p, const struct id *partner, bool is_rows)
{
    for (struct errand *e = p->errands; e != NULL; e = e->next)
        if (!e->is_link && !e->is_unlink && e->is_rows == is_rows && e->state != ERRAND_OVER &&
            id_equal(e->partner.bytes, partner->bytes))
            return e;
    return NULL;
}

/* Many requests may need the same of one partner at once. */
static int ask(struct partners *p, const struct id *partner, bool is_rows, uint64_t timeout_ms,
               partners_done_fn on_done, void *ctx)
{
    if (p == NULL || p->stopping)
        return -ESHUTDOWN;
    struct waiter *w = calloc(1, sizeof(*w));
    if (w == NULL)
        return -ENOMEM;
    w->on_done = on_done;
    w->ctx = ctx;
    struct errand *e = find_asking(p, partner, is_rows);
    if (e == NULL) {
        int r = errand_new(&e, p, partner, timeout_ms);
        if (r != 0) {
            free(w);
            return r;
        }
        e->is_rows = is_rows;
        errand_start(e);
    }
    int64_t deadline_ms = partners_now_ms(p) + (int64_t)timeout_ms;
    if (deadline_ms < e->deadline_ms) /* a household waits: what began in the background has no more time either */
        e->deadline_ms = deadline_ms;
    w->next = e->waiters;
    e->waiters = w;
    return 0;
}

int partners_fetch(struct partners *p, const struct id *partner, uint64_t timeout_ms, partners_done_fn on_done,
                   void *ctx)
{
    return ask(p, partner, false, timeout_ms, on_done, ctx);
}

int partners_rows(struct partners *p, const struct id *partner, uint64_t timeout_ms, partners_done_fn on_done,
                  void *ctx)
{
    return ask(p, partner, true, timeout_ms, on_done, ctx);
}

int partners_link(struct partners *p, const struct id *partner, const char *address, const char *code, const char *user,
                  uint64_t timeout_ms, partners_linked_fn on_linked_fn, void *ctx)
{
    struct errand *e;
    int r = errand_new(&e, p, partner, timeout_ms);
    if (r != 0)
        return r;
    e->is_link = true;
    snprintf(e->address, sizeof(e->address), "%s", address);
    CODEC_SET_TEXT(e->link.code, code);
    CODEC_SET_TEXT(e->link.user, user);
    e->on_linked = on_linked_fn;
    e->ctx = ctx;
    errand_start(e);
    return 0;
}

void partners_unlink(struct partners *p, const struct id *partner, const char *user, const char *partner_user)
{
    struct errand *e;
    if (errand_new(&e, p, partner, REFRESH_MS) != 0)
        return;
    e->is_unlink = true;
    CODEC_SET_TEXT(e->unlink.user, user);
    CODEC_SET_TEXT(e->unlink.partner_user, partner_user);
    errand_start(e);
}

/* --- In the background ----------------------------------------------------------------------------------------------- */

static void refresh_next(struct partners *p);

static int run_due(struct writer_job *job, void *database)
{
    struct partners *p = container_of(job, struct partners, refresh_job);
    return delegations_due(database, p->refresh_after, clock_wall_ms(p->server->clock), &p->refresh_partner);
}

static void refresh_end(struct partners *p)
{
    p->refreshing = false;
    if (p->refresh_wanted && !p->stopping)
        partners_refresh(p);
    else
        partners_stopped_when_idle(p);
}

static void on_refreshed(void *ctx, int outcome)
{
    struct partners *p = ctx;
    if (outcome != 0) {
        char text[ID_SHORT_BYTES];
        id_short(&p->refresh_partner.id, text);
        enum reason why = outcome == -ENOTCONN ? REASON_OFFLINE : reason_of_error(outcome);
        log_info("delegation and grant not renewed partner=%s reason=%s", text, reason_code(why));
    }
    refresh_next(p);
}

static void on_due(struct writer_job *job, int outcome)
{
    struct partners *p = container_of(job, struct partners, refresh_job);
    if (outcome != 0 || p->stopping) {
        if (outcome < 0 && outcome != -ECANCELED && outcome != -EKEYREVOKED) /* of that watch.c speaks */
            log_warn("cannot tell which partner is due errno=%d", -outcome);
        refresh_end(p);
        return;
    }
    p->refresh_after = p->refresh_partner.number;
    if (partners_fetch(p, &p->refresh_partner.id, REFRESH_MS, on_refreshed, p) != 0)
        refresh_next(p);
}

static void refresh_next(struct partners *p)
{
    if (p->stopping) {
        refresh_end(p);
        return;
    }
    p->refresh_job = (struct writer_job){ .run = run_due, .on_done = on_due };
    writer_submit(p->server->reader, &p->refresh_job);
}

void partners_refresh(struct partners *p)
{
    /* A directory's members are not its partners: nothing is delegated to it. */
    if (p == NULL || p->stopping || p->server->directory != NULL)
        return;
    if (p->refreshing) {
        p->refresh_wanted = true;
        return;
    }
    p->refreshing = true;
    p->refresh_wanted = false;
    p->refresh_after = 0;
    refresh_next(p);
}

void partners_is_there(struct partners *p, const struct id *partner)
{
    struct line *l = p != NULL ? line_find(p, partner) : NULL;
    if (l != NULL)
        l->rests_until_ms = 0;
    partners_refresh(p);
}

/* --- Life ----------------------------------------------------------------------------------------------------------- */

int partners_start(struct partners **out, struct server *server)
{
    struct partners *p = calloc(1, sizeof(*p));
    if (p == NULL)
        return -ENOMEM;
    p->server = server;
    uv_timer_init(&server->loop, &p->tick);
    p->tick_open = true;
    p->started_ms = p->compared_ms = partners_now_ms(p);
    *out = p;
    return 0;
}

static void on_tick_closed(uv_handle_t *h)
{
    struct partners *p = container_of((uv_timer_t *)(void *)h, struct partners, tick);
    p->tick_open = false;
    partners_stopped_when_idle(p);
}

void partners_stop(struct partners *p, void (*on_stopped)(struct server *), struct server *server)
{
    if (p == NULL) {
        on_stopped(server);
        return;
    }
    p->stopping = true;
    p->on_stopped = on_stopped;
    uv_close((uv_handle_t *)&p->tick, on_tick_closed); /* p stays until that has fired */
    for (struct line *l = p->lines; l != NULL; l = l->next)
        if (l->outgoing != NULL)
            outgoing_close(l->outgoing, REASON_CANCELLED);
    end_due(p, INT64_MAX, -ECANCELED);
}
