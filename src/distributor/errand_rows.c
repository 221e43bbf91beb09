/* Rows asked of their origin itself (ROWS_GET), page by page, and heads compared with it. Callbacks: on_rows (loop), run_take (writer thread),
 * errand_rows_taken (loop, called by errands.c). Everything is judged again here: a partner's answer is worth what its signatures are. */
#define LOG_MODULE "partners"
#include <stdlib.h>

#include "base/log.h"
#include "base/util.h"
#include "distributor/announce.h"
#include "distributor/findings.h"
#include "distributor/partners_internal.h"
#include "distributor/row_pace.h"
#include "distributor/share.h"
#include "distributor/share_again.h"
#include "distributor/share_chain.h"

int errand_rows_find(struct errand *e, struct operations *o)
{
    struct share_progress p;
    int r = share_progress(o, e->facts.number, &p);
    e->after = r == 0 ? p.taken : 0;
    return r;
}

/* --- Taking: the writer's thread -------------------------------------------------------------------------------------- */

/* One row or head that is not good harms no other. */
static int take_one(struct errand *e, struct operations *o, struct slice envelope, bool is_head)
{
    struct savepoint p CLEANUP(savepoint_end) = { 0 };
    share_Head head;
    int64_t number;
    int r = savepoint_begin(&p, o->store);
    if (r != 0)
        return r < 0 ? r : -EIO;
    r = is_head ? share_head_take(o, envelope, &number, &head)
                : share_take(o, envelope, SHARE_VIA_ORIGIN, clock_wall_ms(e->partners->server->clock), NULL);
    return r == 0 ? savepoint_release(&p) : r;
}

/* A head of the partner's own. */
static int take_head(struct errand *e, struct operations *o, struct slice envelope, share_Head *head)
{
    int64_t number = 0;
    int r = share_head_take(o, envelope, &number, head);
    return r == 0 && number != e->facts.number ? REASON_SIGNATURE_INVALID : r;
}

static void note_refused(struct errand *e, struct operations *o, int outcome)
{
    findings_note(o, FINDING_ROW_REFUSED, e->facts.number, "A row that it gave us as its own was not taken: %s",
                  outcome == SHARE_GAP ? "the one before is missing." : reason_text((enum reason)outcome));
}

/* It has to know what it gave: fewer rows than were taken from it mean that it was put back from an old copy. */
static int judge_heads(struct errand *e, struct operations *o)
{
    share_Head at, last;
    int r = e->rows.has_at ? take_head(e, o, CODEC_BYTES(e->rows.at), &at) : 0;
    if (r == 0 && e->rows.has_at && at.at != e->after)
        r = REASON_MALFORMED;
    if (r == 0)
        r = take_head(e, o, CODEC_BYTES(e->rows.last), &last);
    if (r != 0)
        return r;
    if (last.at < e->after)
        findings_note(
            o, FINDING_ORIGIN_WENT_BACK, e->facts.number,
            "It knows %llu rows of its own, and %llu were taken from it: it was put back from an old copy. What is "
            "known here stays; tell its operator.",
            (unsigned long long)last.at, (unsigned long long)e->after);
    else
        findings_settle(o, FINDING_ORIGIN_WENT_BACK, e->facts.number);
    return 0;
}

static int take_rows(struct errand *e, struct operations *o)
{
    struct reader list = reader(buf_slice(&e->entries));
    uint64_t wanted = (uint64_t)e->rows.count + e->rows.head_count;
    for (uint64_t i = 0; i < wanted; i++) {
        struct slice envelope;
        if (codec_list_next(&list, SHARE_ENVELOPE_MAX, &envelope) != 0)
            return REASON_MALFORMED;
        bool is_head = i >= e->rows.count;
        int r = take_one(e, o, envelope, is_head);
        if (r < 0)
            return r;
        if (r > 0 && !is_head) {
            note_refused(e, o, r);
            e->rows.count = 0; /* no more from there now */
            return 0;
        }
    }
    return 0;
}

static int run_take(struct writer_job *job, void *database)
{
    struct errand *e = container_of(job, struct errand, job);
    struct operations *o = database;
    int r = take_rows(e, o);
    if (r == 0)
        r = judge_heads(e, o);
    if (r == 0)
        r = share_again_heard(o, e->facts.number);
    uint64_t before = e->after;
    if (r == 0)
        r = errand_rows_find(e, o);
    if (r == 0 && e->rows.count > 0 && e->after == before) /* the same again would never end */
        r = REASON_OUT_OF_STEP;
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
