/* Table damaged (read at start by library_read.c), and the job that reads a body.
 *
 * Callbacks, in order: look_work (pool), on_looked, then the caller's. */
#include "daemon/damage.h"

#include <stdlib.h>

#include "base/util.h"
#include "daemon/db.h"
#include "daemon/events.h"
#include "daemon/library.h"
#include "net/bodies.h"

/* ---- what is remembered ---------------------------------------------------------------------------------------- */

struct note {
    struct db_job job;
    struct id content;
    bool damaged;
};

static int write_note(struct store *store, struct db_job *job)
{
    const struct note *n = container_of(job, struct note, job);
    struct query q CLEANUP(query_end) = query(store, n->damaged ? DB_DAMAGED_PUT : DB_DAMAGED_DELETE);
    query_bind_blob(&q, 1, SLICE_ARRAY(n->content.bytes));
    return query_run(&q);
}

static void on_written(struct db_job *job, int outcome)
{
    (void)outcome; /* said by the database; the next play finds it again */
    free(container_of(job, struct note, job));
}

void damage_note(struct daemon *d, const struct id *content, bool damaged)
{
    struct track *t = library_find(d, content->bytes);
    if (t == NULL || t->damaged == damaged)
        return;
    t->damaged = damaged;
    const char *title = t->has_info ? t->title : "a track";
    if (damaged)
        event(d, "damaged", "%s is damaged", title);
    else if (t->has_body)
        event(d, "mended", "%s is whole again", title);
    struct note *n = malloc(sizeof(*n));
    if (n == NULL)
        return;
    *n = (struct note){ { .work = write_note, .done = on_written }, *content, damaged };
    db_run(d->db, &n->job);
}

/* ---- finding out ----------------------------------------------------------------------------------------------- */

struct look {
    uv_work_t work;
    struct daemon *daemon;
    struct id content;
    int outcome;
    damage_fn on_done;
    void *ctx;
};

static void look_work(uv_work_t *work)
{
    struct look *l = work->data;
    l->outcome = bodies_verify(l->daemon->config.bodies_dir, &l->content);
}

static void on_looked(uv_work_t *work, int status)
{
    struct look l = *(struct look *)work->data;
    free(work->data);
    (void)status; /* never cancelled */
    if (!l.daemon->stopping && (l.outcome == 0 || l.outcome == REASON_BLOCK_CORRUPT))
        damage_note(l.daemon, &l.content, l.outcome != 0);
    if (l.on_done != NULL)
        l.on_done(l.daemon->stopping ? REASON_CANCELLED : reason_of_error(l.outcome), l.ctx);
}

int damage_look(struct daemon *d, const struct id *content, damage_fn on_done, void *ctx)
{
    struct look *l = malloc(sizeof(*l));
    if (l == NULL)
        return -ENOMEM;
    *l = (struct look){ .daemon = d, .content = *content, .on_done = on_done, .ctx = ctx };
    l->work.data = l;
    return uv_queue_work(d->loop, &l->work, look_work, on_looked); /* fails only without a function */
}
