/* One answer: rows, then heads of others, then heads of its own. On the connection's thread. */
#include "distributor/origin_rows.h"

#include "base/util.h"
#include "distributor/findings.h"
#include "distributor/share.h"
#include "distributor/share_again.h"
#include "distributor/share_chain.h"

struct answer {
    struct operations *o;
    int64_t number; /* whose */
    msg_Rows *rows;
    struct slice list;
    int64_t now_ms;
    uint64_t after;
};

int origin_rows_after(struct operations *o, int64_t number, uint64_t *after)
{
    struct share_progress p;
    int r = share_progress(o, number, &p);
    *after = r == 0 ? p.taken : 0;
    return r;
}

/* One row or head that is not good harms no other. */
static int take_one(struct answer *a, struct slice envelope, bool is_head)
{
    struct savepoint p CLEANUP(savepoint_end) = { 0 };
    share_Head head;
    int64_t number;
    int r = savepoint_begin(&p, a->o->store);
    if (r != 0)
        return r < 0 ? r : -EIO;
    r = is_head ? share_head_take(a->o, envelope, &number, &head)
                : share_take(a->o, envelope, SHARE_VIA_ORIGIN, a->now_ms, NULL);
    return r == 0 ? savepoint_release(&p) : r;
}

/* A head of the partner's own. */
static int take_head(struct answer *a, struct slice envelope, share_Head *head)
{
    int64_t number = 0;
    int r = share_head_take(a->o, envelope, &number, head);
    return r == 0 && number != a->number ? REASON_SIGNATURE_INVALID : r;
}

static void note_refused(struct answer *a, int outcome)
{
    findings_note(a->o, FINDING_ROW_REFUSED, a->number, "A row that it gave us as its own was not taken: %s",
                  outcome == SHARE_GAP ? "the one before is missing." : reason_text((enum reason)outcome));
}

/* It has to know what it gave: fewer rows than were taken from it mean that it was put back from an old copy. */
static int judge_heads(struct answer *a)
{
    share_Head at, last;
    int r = a->rows->has_at ? take_head(a, CODEC_BYTES(a->rows->at), &at) : 0;
    if (r == 0 && a->rows->has_at && at.at != a->after)
        r = REASON_MALFORMED;
    if (r == 0)
        r = take_head(a, CODEC_BYTES(a->rows->last), &last);
    if (r != 0)
        return r;
    if (last.at < a->after)
        findings_note(
            a->o, FINDING_ORIGIN_WENT_BACK, a->number,
            "It knows %llu rows of its own, and %llu were taken from it: it was put back from an old copy. What is "
            "known here stays; tell its operator.",
            (unsigned long long)last.at, (unsigned long long)a->after);
    else
        findings_settle(a->o, FINDING_ORIGIN_WENT_BACK, a->number);
    return 0;
}

static int take_rows(struct answer *a)
{
    struct reader list = reader(a->list);
    uint64_t wanted = (uint64_t)a->rows->count + a->rows->head_count;
    for (uint64_t i = 0; i < wanted; i++) {
        struct slice envelope;
        if (codec_list_next(&list, SHARE_ENVELOPE_MAX, &envelope) != 0)
            return REASON_MALFORMED;
        bool is_head = i >= a->rows->count;
        int r = take_one(a, envelope, is_head);
        if (r < 0)
            return r;
        if (r > 0 && !is_head) {
            note_refused(a, r);
            a->rows->count = 0; /* no more from there now */
            return 0;
        }
    }
    findings_settle(a->o, FINDING_ROW_REFUSED, a->number); /* one that was comes here again, as it is the next one */
    return 0;
}

int origin_rows_take(struct operations *o, int64_t number, msg_Rows *rows, struct slice list, int64_t now_ms,
                     uint64_t *after)
{
    struct answer a = { .o = o, .number = number, .rows = rows, .list = list, .now_ms = now_ms, .after = *after };
    int r = take_rows(&a);
    if (r == 0)
        r = judge_heads(&a);
    if (r == 0)
        r = share_again_heard(o, number);
    if (r == 0)
        r = origin_rows_after(o, number, after);
    if (r == 0 && rows->count > 0 && *after == a.after) /* the same again would never end */
        r = REASON_OUT_OF_STEP;
    return r;
}
