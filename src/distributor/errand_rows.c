/* Rows asked of their origin itself (ROWS_GET), page by page, and heads compared with it. Callbacks: on_rows (loop), run_take (writer thread),
 * errand_rows_taken (loop, called by errands.c). Everything is judged again here: a partner's answer is worth what its signatures are. */
#define LOG_MODULE "partners"
#include <stdlib.h>

#include "base/log.h"
#include "base/util.h"
#include "distributor/announce.h"
#include "distributor/origin_rows.h"
#include "distributor/partners_internal.h"
#include "distributor/row_pace.h"

int errand_rows_find(struct errand *e, struct operations *o)
{
    return origin_rows_after(o, e->facts.number, &e->after);
}

static int run_take(struct writer_job *job, void *database)
{
    struct errand *e = container_of(job, struct errand, job);
    struct operations *o = database;
    int r = origin_rows_take(o, e->facts.number, &e->rows, buf_slice(&e->entries),
                             clock_wall_ms(e->partners->server->clock), &e->after);
    int collected = announce_collect(o, &e->touched, &e->touched_count);
    return r == 0 ? collected : r;
}

/* --- Asking: the loop -------------------------------------------------------------------------------------------------- */

static bool on_rows(struct peer *p, const struct frame *reply, enum reason why, void *ctx)
{
    struct errand *e = ctx;
    (void)p;
    if (!errand_reply_is(e, reply, why, msg_Type_ROWS, msg_Rows_fields, msg_Rows_size, &e->rows, sizeof(e->rows)))
        return false;
    buf_clear(&e->entries);
    if (buf_append(&e->entries, reply->tail) != 0)
        errand_end(e, REASON_TOO_LARGE, NULL, NULL);
    else
        errand_submit(e, ERRAND_TAKING, e->partners->server->writer, run_take);
    return false;
}

void errand_rows_ask(struct errand *e)
{
    if (row_pace_take(e->partners->server, &e->partner, 0) > 0) { /* later: what it has waits there */
        errand_end(e, 0, NULL, NULL);
        return;
    }
    msg_RowsGet get = { .after = e->after };
    errand_ask(e, ERRAND_ROWS, msg_Type_ROWS_GET, msg_RowsGet_fields, &get, on_rows);
}

void errand_rows_taken(struct errand *e)
{
    announce_users(e->partners->server->announce, e->touched, e->touched_count);
    e->touched_count = 0;
    uint64_t wait_ms = row_pace_take(e->partners->server, &e->partner, e->rows.count);
    if (e->rows.count == 0)
        row_pace_ended(e->partners->server, &e->partner);
    if (e->rows.count == 0 || wait_ms > 0)
        errand_end(e, 0, NULL, NULL);
    else if (e->line == NULL || !e->line->ready)
        errand_end(e, -ENOTCONN, NULL, NULL);
    else
        errand_rows_ask(e);
}
