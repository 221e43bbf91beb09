/* The row of a copy: what is durable of it before it is acted on.
 *
 * Callbacks, in order: on_stored (database) after every copy_store. */
#include <stdlib.h>

#include "daemon/copy_internal.h"
#include "daemon/outbox.h"
#include "daemon/transact.h"

#define LOG_MODULE "copy"
#include "base/log.h"

struct store_job {
    struct db_job job;
    struct copy *copy; /* held; its machine waits, so that its buffers do not change */
    enum copy_out_state to;
    bool remove, anew; /* anew: the row stays, as one that is to be asked for */
    uint16_t report_type;
    struct slice report;
    int64_t row, report_number;
};

static void bind_or_null(struct query *q, int parameter, const struct buf *b)
{
    if (b->len > 0)
        query_bind_blob(q, parameter, buf_slice(b));
    else
        query_bind_null(q, parameter);
}

static int add_row(struct store *store, struct store_job *j)
{
    const struct copy_out *m = &j->copy->m;
    struct query q CLEANUP(query_end) = query(store, DB_COPY_ADD);
    query_bind_blob(&q, 1, SLICE_ARRAY(m->about.issuer.bytes));
    query_bind_blob(&q, 2, SLICE_ARRAY(m->about.content.bytes));
    query_bind_blob(&q, 3, SLICE_ARRAY(m->about.license_id));
    query_bind_blob(&q, 4, SLICE_ARRAY(m->about.destination.bytes));
    query_bind_i64(&q, 5, m->about.checkout ? COPY_ROW_CHECKOUT : m->about.move ? COPY_ROW_MOVE : COPY_ROW_COPY);
    query_bind_i64(&q, 6, m->about.removable);
    query_bind_i64(&q, 7, j->to);
    bind_or_null(&q, 8, &m->certificate);
    bind_or_null(&q, 9, &m->delegation);
    int r = query_run(&q);
    if (r == 0)
        j->row = store_last_id(store);
    return r;
}

static int set_row(struct store *store, const struct store_job *j)
{
    const struct copy_out *m = &j->copy->m;
    struct query q CLEANUP(query_end) = query(store, j->remove ? DB_COPY_DELETE : DB_COPY_SET);
    query_bind_i64(&q, 1, j->row);
    if (!j->remove && (j->anew || j->to == COPY_OUT_DONE)) { /* S153: the certificate is deleted */
        query_bind_i64(&q, 2, j->anew ? COPY_OUT_ASKING : j->to);
        for (int i = 3; i <= 5; i++)
            query_bind_null(&q, i);
    } else if (!j->remove) {
        query_bind_i64(&q, 2, j->to);
        bind_or_null(&q, 3, &m->certificate);
        bind_or_null(&q, 4, &m->delegation);
        bind_or_null(&q, 5, &m->receipt);
    }
    return query_run(&q);
}

static int store_work(struct store *store, struct db_job *job)
{
    struct store_job *j = container_of(job, struct store_job, job);
    int r = j->row != 0 ? set_row(store, j) : j->remove ? 0 : add_row(store, j);
    if (r == 0 && j->report_type != 0)
        r = outbox_add(store, &j->copy->m.about.issuer, j->report_type, j->report, &j->report_number);
    return r;
}

/* Its destination refused the certificate of before, and it is wanted again: the report of that is on its way, another is asked for. */
static void begin_anew(struct copy *c)
{
    const struct copy_out_subject about = c->m.about;
    bool paused = c->m.paused;
    copy_let_go(c);
    copy_reply(c, REASON_NONE, NULL);
    copy_out_deinit(&c->m);
    copy_out_init(&c->m, &about);
    c->m.paused = paused;
    c->t.done_bytes = 0;
}

static void after_store(struct copy *c, enum reason why)
{
    struct transact_item *item = steal(&c->item);
    bool added = c->adding;
    c->adding = false;
    if (!added)
        copy_out_stored(&c->m, why, copy_now_ms(c));
    if (item != NULL)
        transact_item_stored(item, why == REASON_NONE ? 0 : -EIO);
    if (added && why != REASON_NONE) {
        char full[DAEMON_FULL_BYTES];
        c->ended = true;
        transfer_set_state(&c->t, TRANSFER_FAILED, why,
                           why == REASON_STORAGE_FULL ? daemon_full_text(c->t.daemon, full) : NULL);
        return;
    }
    if (why == REASON_NONE && c->m.state == COPY_OUT_GONE && c->m.anew)
        begin_anew(c);
    if (why == REASON_NONE && c->m.state == COPY_OUT_HELD && c->m.about.removable)
        export_held(c->t.daemon, &c->t);
    copy_step(c);
}

static void on_stored(struct db_job *job, int outcome)
{
    struct store_job *j = container_of(job, struct store_job, job);
    struct copy *c = j->copy;
    if (outcome == 0)
        c->row = j->remove ? 0 : j->row;
    if (outcome == 0 && j->report_type != 0 && !c->t.gone &&
        outbox_added(c->t.daemon, j->report_number, &c->m.about.issuer, j->report_type, j->report) != 0)
        log_warn("a report goes out after the next start only");
    free(j);
    if (!c->t.gone)
        after_store(c, reason_of_error(outcome));
    transfer_release(&c->t);
}

/* One row of each kind is kept of what is DONE. */
void copy_store(struct copy *c, const struct copy_out_action *a)
{
    struct store_job *j = calloc(1, sizeof(*j));
    if (j == NULL) {
        after_store(c, REASON_INTERNAL);
        return;
    }
    *j = (struct store_job){
        .job = { .work = store_work, .done = on_stored },
        .copy = c,
        .to = a->to,
        .anew = a->to == COPY_OUT_GONE && c->m.anew,
        .remove = (a->to == COPY_OUT_GONE && !c->m.anew) ||
                  (a->to == COPY_OUT_DONE && copies_done(c->t.daemon, &c->t.content, &c->t.with, c->m.about.move)),
        .report_type = a->type,
        .report = a->message,
        .row = c->row,
    };
    transfer_hold(&c->t);
    db_run(c->t.daemon->db, &j->job);
}

void copy_add(struct copy *c)
{
    c->adding = true;
    copy_store(c, &(struct copy_out_action){ .to = COPY_OUT_ASKING });
}
