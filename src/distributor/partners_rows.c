/* Rounds: every partner asked for its rows, side by side. Callbacks: run_partners (reader thread), on_partners_read, on_asked (of each), then the
 * round's own on_done. */
#define LOG_MODULE "partners"
#include <stdlib.h>

#include "base/log.h"
#include "base/util.h"
#include "distributor/partners_internal.h"
#include "distributor/share_chain.h"

#define ROUND_PARTNERS 64
#define BACKGROUND_MS 20000
#define ALONE_MS 5000 /* without a directory partners hear of each other's changes by this alone */

struct round {
    struct writer_job job;
    struct partners *partners;
    struct id ids[ROUND_PARTNERS];
    size_t count, pending;
    uint64_t timeout_ms;
    bool only_when_due, has_directory;
    int64_t since_ms; /* the last one in the background, or our start */
    int64_t patience_ms;
    void (*on_done)(void *ctx);
    void *ctx;
};

static void round_free(struct round *r)
{
    struct partners *p = r->partners;
    free(r);
    p->rounds--;
    partners_stopped_when_idle(p);
}

static int run_judge(struct writer_job *job, void *database)
{
    struct round *r = container_of(job, struct round, job);
    return share_progress_judge(database, r->has_directory, r->patience_ms, clock_wall_ms(r->partners->server->clock));
}

static void tell(struct round *r)
{
    r->on_done(r->ctx);
    round_free(r); /* last: the partners may go with it */
}

static void on_judged(struct writer_job *job, int outcome)
{
    struct round *r = container_of(job, struct round, job);
    if (outcome != 0 && outcome != -ECANCELED && outcome != -EKEYREVOKED) /* of that watch.c speaks */
        log_warn("what came of it could not be judged errno=%d", -outcome);
    tell(r);
}

static void round_end(struct round *r)
{
    r->job = (struct writer_job){ .run = run_judge, .on_done = on_judged };
    writer_submit(r->partners->server->writer, &r->job);
}

static void on_asked(void *ctx, int outcome)
{
    struct round *r = ctx;
    if (outcome != 0)
        log_debug("a partner's rows did not come outcome=%d", outcome);
    if (--r->pending == 0)
        round_end(r);
}

static int read_setting(struct operations *o, const char *name, int64_t *ms)
{
    int r = operations_setting_i64(o, name, ms);
    if (r == 0)
        *ms = *ms < 0 || *ms > INT64_C(1000000000) ? 0 : *ms * 1000;
    return r;
}

static int run_partners(struct writer_job *job, void *database)
{
    struct round *r = container_of(job, struct round, job);
    struct partner p = { 0 };
    int64_t every_ms;
    int outcome = read_setting(database, "compare-every", &every_ms);
    if (outcome == 0)
        outcome = read_setting(database, "directory-patience", &r->patience_ms);
    if (outcome != 0)
        return outcome;
    if (r->only_when_due && r->has_directory && (every_ms == 0 || (r->since_ms >= 0 && r->since_ms < every_ms)))
        return OPERATIONS_ABSENT;
    while (r->count < ROUND_PARTNERS && (outcome = delegations_partner_next(database, p.number, &p)) == 0)
        if (!p.withdrawn && p.address[0] != '\0')
            r->ids[r->count++] = p.id;
    return outcome == OPERATIONS_ABSENT ? 0 : outcome;
}

static void on_partners_read(struct writer_job *job, int outcome)
{
    struct round *r = container_of(job, struct round, job);
    struct partners *p = r->partners;
    if (outcome == OPERATIONS_ABSENT) { /* not due */
        tell(r);
        return;
    }
    if (outcome == 0 && r->only_when_due)
        p->compared_ms = partners_now_ms(p);
    r->pending = 1; /* this function */
    for (size_t i = 0; outcome == 0 && !p->stopping && i < r->count; i++) {
        r->pending++;
        if (partners_rows(p, &r->ids[i], r->timeout_ms, on_asked, r) != 0)
            r->pending--;
    }
    if (--r->pending == 0)
        round_end(r);
}

static int round_start(struct partners *p, bool only_when_due, uint64_t timeout_ms, void (*on_done)(void *ctx),
                       void *ctx)
{
    if (p == NULL || p->stopping || p->server->directory != NULL) /* a directory's members are no partners */
        return -ESHUTDOWN;
    struct round *r = calloc(1, sizeof(*r));
    if (r == NULL)
        return -ENOMEM;
    r->partners = p;
    r->only_when_due = only_when_due;
    r->has_directory = directory_client_keeps_up(p->server->directory_client);
    r->since_ms = partners_now_ms(p) - p->compared_ms;
    r->timeout_ms = timeout_ms;
    r->on_done = on_done;
    r->ctx = ctx;
    p->rounds++;
    r->job = (struct writer_job){ .run = run_partners, .on_done = on_partners_read };
    writer_submit(p->server->reader, &r->job);
    return 0;
}

int partners_ask_everyone(struct partners *p, uint64_t timeout_ms, void (*on_done)(void *ctx), void *ctx)
{
    return round_start(p, false, timeout_ms, on_done, ctx);
}

static void on_compared(void *ctx)
{
    struct partners *p = ctx;
    p->comparing = false;
}

void partners_compare(struct partners *p)
{
    /* What is due with a directory is read from the settings; looking is not asking. */
    if (p == NULL || p->comparing ||
        (!directory_client_keeps_up(p->server->directory_client) && partners_now_ms(p) - p->compared_ms < ALONE_MS &&
         p->compared_ms != p->started_ms))
        return;
    p->comparing = round_start(p, true, BACKGROUND_MS, on_compared, p) == 0;
}
