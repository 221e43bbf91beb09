/* Pushes, then pages. On the connection's thread. */
#include "distributor/directory_member.h"

#include <string.h>

#include "base/util.h"
#include "distributor/directory_rows.h"
#include "distributor/findings.h"
#include "distributor/share.h"
#include "distributor/share_own.h"
#include "protocol/codec.h"
#include "protocol/reason.h"

#define PUSH_BYTES (256u << 10)

/* --- Ours to the directory --------------------------------------------------------------------------------------------- */

int directory_member_read(struct operations *o, struct directory_push *p)
{
    buf_free(&p->rows); /* of a run before */
    p->rows = buf(PUSH_BYTES + SHARE_ENVELOPE_MAX + sizeof(uint32_t));
    int r = share_outbox_confirmed(o, &p->after);
    if (r == 0)
        r = share_outbox_last(o, &p->newest);
    return r == 0 ? share_outbox_read(o, p->after, DIRECTORY_PUSH_PAGE, PUSH_BYTES, &p->rows, &p->count, &p->last) : r;
}

/* Stored up to here, or (a directory restored from a backup) only up to an earlier row: from there it goes on. */
enum directory_pushed directory_member_judge(struct directory_push *p, uint64_t sequence)
{
    p->stored = sequence;
    if (sequence > p->newest)
        return DIRECTORY_PUSHED_AHEAD;
    if (sequence == p->after && p->count > 0)
        return DIRECTORY_PUSHED_NONE;
    /* It may have later ones, when rows are pushed again because they were emptied (share_forget.h). */
    p->stored = u64_min(sequence, p->count > 0 ? p->last : p->after);
    return DIRECTORY_PUSHED;
}

int directory_member_confirm(struct operations *o, const struct directory_push *p)
{
    if (p->stored < p->after)
        findings_note(
            o, FINDING_DIRECTORY_LOST, OPERATIONS_SELF,
            "The directory had confirmed our rows up to %llu and has them up to %llu now: it was put back from an old copy, or "
            "lost them. They are pushed again.",
            (unsigned long long)p->after, (unsigned long long)p->stored);
    else if (p->stored == p->newest)
        findings_settle(o, FINDING_DIRECTORY_LOST, OPERATIONS_SELF);
    if (p->stored <= p->newest)
        findings_settle(o, FINDING_OWN_ROWS_AHEAD, OPERATIONS_SELF);
    return share_outbox_confirm(o, p->stored);
}

int directory_member_ahead(struct operations *o, const struct directory_push *p)
{
    bool catches_up;
    uint64_t last = 0;
    int r = share_own_is_catching_up(o, &catches_up);
    if (r != 0 || catches_up) /* they are on their way here */
        return r;
    r = share_outbox_last(o, &last);
    if (r != 0 || last >= p->stored) /* another server over this database pushed them since we looked */
        return r;
    findings_note(
        o, FINDING_OWN_ROWS_AHEAD, OPERATIONS_SELF,
        "The directory has %llu rows that we signed, and our database knows %llu: it was put back from an old copy. What was "
        "sold since is unknown here, and numbers would be used twice. Stop the server and run: hearth-distributor restore --here",
        (unsigned long long)p->stored, (unsigned long long)p->newest);
    return 0;
}

/* --- Everybody's to us ------------------------------------------------------------------------------------------------- */

static void count_row(struct directory_page *p, const struct id *origin)
{
    size_t i = 0;
    while (i < p->origin_count && !id_equal(p->origins[i].id.bytes, origin->bytes))
        i++;
    if (i == DIRECTORY_PAGE_ORIGINS) /* of so many none floods this page */
        return;
    if (i == p->origin_count)
        p->origins[p->origin_count++] = (struct directory_page_origin){ .id = *origin };
    p->origins[i].rows++;
}

/* One row that is not good harms nobody else's. */
static int apply_row(struct directory_page *p, struct operations *o, struct slice envelope, int64_t now_ms)
{
    struct savepoint row CLEANUP(savepoint_end) = { 0 };
    struct share_taken taken;
    int r = savepoint_begin(&row, o->store);
    if (r != 0)
        return r < 0 ? r : -EIO;
    r = share_take(o, envelope, SHARE_VIA_DIRECTORY, now_ms, &taken);
    int kept = r == 0 || (r == SHARE_GAP && taken.learned) ? savepoint_release(&row) : 0;
    if (kept != 0)
        return kept < 0 ? kept : -EIO;
    p->learned = p->learned || (r == SHARE_GAP && taken.learned);
    p->repeated += r == 0 && taken.known;
    if (r == 0 && !taken.known && !id_equal(taken.origin.bytes, o->keys->self.bytes))
        count_row(p, &taken.origin);
    if (r == SHARE_AHEAD)
        return r;
    if (r == SHARE_GAP)
        p->gap = true;
    p->refused = p->refused || (r > 0 && r != SHARE_GAP);
    if (r > 0 && r != SHARE_GAP)
        findings_note(o, FINDING_ROW_REFUSED, OPERATIONS_SELF, "A row that the directory gave was not taken: %s",
                      r < REASON_COUNT ? reason_text((enum reason)r) : "its origin is not known.");
    return r < 0 ? r : 0;
}

/* 0: the row at our cursor is where it was; OPERATIONS_ABSENT: it is not, or the order has become shorter. */
static int judge_order(struct directory_page *p, struct operations *o, struct reader *rows)
{
    struct share_place was, is;
    struct slice envelope;
    int r = share_mark(o, &was);
    if (r == OPERATIONS_ABSENT || (r == 0 && was.position != p->after + 1)) /* nothing to compare with */
        return p->count > 0 && codec_list_next(rows, SHARE_ENVELOPE_MAX, &envelope) != 0 ? REASON_MALFORMED : 0;
    if (r != 0 || p->count == 0)
        return r != 0 ? r : OPERATIONS_ABSENT;
    if (codec_list_next(rows, SHARE_ENVELOPE_MAX, &envelope) != 0)
        return REASON_MALFORMED;
    r = share_place_of(envelope, &is);
    if (r != 0)
        return r < 0 ? r : OPERATIONS_ABSENT;
    return id_equal(was.origin.bytes, &is.origin) && was.sequence == is.sequence ? 0 : OPERATIONS_ABSENT;
}

static int read_again(struct directory_page *p, struct operations *o, int64_t now_ms)
{
    p->reads_again = true;
    return share_read_again(o, now_ms);
}

/* The cursor goes on only from where it is: an answer to an older question comes too late. */
static int move_cursor(struct directory_page *p, struct operations *o, uint64_t cursor, struct slice last)
{
    struct share_place at;
    if (p->after > cursor || p->next <= cursor || last.len == 0)
        return 0;
    int r = share_cursor_set(o, p->next);
    if (r != 0 || share_place_of(last, &at) != 0)
        return r;
    at.position = p->next;
    return share_mark_set(o, &at);
}

int directory_member_take(struct operations *o, struct directory_page *p, int64_t now_ms)
{
    p->origin_count = 0; /* a job may run again */
    p->repeated = 0;
    p->gap = p->learned = p->refused = p->reads_again = p->nothing_new = false;
    struct reader rows = reader(p->rows);
    struct slice envelope = slice(NULL, 0);
    uint32_t i = 0;
    uint64_t cursor = 0;
    int r = share_cursor(o, &cursor);
    if (r == 0 && p->is_probe)
        r = judge_order(p, o, &rows);
    if (r == OPERATIONS_ABSENT) {
        findings_note(
            o, FINDING_DIRECTORY_CHANGED, OPERATIONS_SELF,
            "The directory's order is another one than before: it was put back from an old copy, or tells members different "
            "things. What was verified here stays; everything is read again, and what it lacks of ours is pushed again.");
        return read_again(p, o, now_ms);
    }
    if (r == 0 && p->is_probe) {
        findings_settle(o, FINDING_DIRECTORY_CHANGED, OPERATIONS_SELF);
        i = p->count > 0; /* the row at the cursor itself */
    }
    for (; r == 0 && i < p->count; i++) {
        if (codec_list_next(&rows, SHARE_ENVELOPE_MAX, &envelope) != 0)
            return REASON_MALFORMED;
        r = apply_row(p, o, envelope, now_ms);
    }
    bool repeats = p->repeated > 0 && p->after + p->is_probe >= cursor; /* not an answer to an older question */
    p->nothing_new = repeats && p->repeated + p->is_probe >= p->count;
    if (repeats)
        findings_note(o, FINDING_DIRECTORY_REPEATS, OPERATIONS_SELF,
                      "The directory gave rows again that it had given before. Nothing changes by them.");
    if (r == 0 && p->gap && p->may_read_again)
        return read_again(p, o, now_ms);
    return r == 0 ? move_cursor(p, o, cursor, envelope) : r;
}

int directory_member_end(struct operations *o, bool learned, bool whole, int64_t now_ms, bool *reads_again)
{
    *reads_again = learned;
    if (learned)
        return share_read_again(o, now_ms);
    if (whole)
        findings_settle(o, FINDING_ROW_REFUSED, OPERATIONS_SELF);
    return 0;
}

int directory_member_is_older(struct operations *o, int64_t now_ms)
{
    findings_note(
        o, FINDING_OWN_ROWS_AHEAD, OPERATIONS_SELF,
        "The directory has a row that we signed and do not know: this database is an older copy of itself. The server has "
        "stopped. Run: hearth-distributor restore --here");
    return findings_flush(o, now_ms);
}
