/* Copies as their source: what became of the actions. */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "protocol/copy_out_internal.h"

/* ---- outcomes ------------------------------------------------------------------------------------------------ */

static bool finished(struct copy_out *m, enum copy_out_action_kind kind)
{
    bool was = m->doing == kind;
    if (was)
        m->doing = COPY_OUT_WAIT;
    return was;
}

bool copy_out_wants_grant(const struct copy_out *m)
{
    return m->state == COPY_OUT_ASKING && m->to == 0 && (m->doing == COPY_OUT_WAIT || m->doing == COPY_OUT_ASK);
}

int copy_out_granted(struct copy_out *m, struct slice certificate, struct slice delegation)
{
    assert(copy_out_wants_grant(m));
    buf_clear(&m->certificate);
    buf_clear(&m->delegation);
    int r = buf_append(&m->certificate, certificate);
    if (r == 0)
        r = buf_append(&m->delegation, delegation);
    if (r != 0)
        return -ENOMEM;
    m->doing = COPY_OUT_WAIT;
    m->unsure = false;
    m->fresh = true;
    copy_out_store(m, COPY_OUT_HELD);
    return 0;
}

void copy_out_given_already(struct copy_out *m, int64_t now_ms)
{
    if (m->state == COPY_OUT_ASKING && finished(m, COPY_OUT_ASK))
        copy_out_later(m, REASON_IN_USE, now_ms);
}

void copy_out_denied(struct copy_out *m, enum reason why, const char *detail)
{
    if (m->state != COPY_OUT_ASKING || !finished(m, COPY_OUT_ASK))
        return;
    m->unsure = false;
    copy_out_end(m, why, detail);
}

void copy_out_unanswered(struct copy_out *m, enum reason why, const char *detail, int64_t now_ms)
{
    if (m->state != COPY_OUT_ASKING || !finished(m, COPY_OUT_ASK))
        return;
    m->unsure = true;
    if (m->about.removable) /* a medium does not wait in the queue */
        copy_out_tell(m, why, detail);
    copy_out_answer(m, why);
    copy_out_later(m, why, now_ms);
}

/* The vault could not say now; anything else is its judgement. */
static bool is_passing(enum reason why)
{
    return why == REASON_INTERNAL || why == REASON_TIMED_OUT || why == REASON_CANCELLED || why == REASON_IN_USE ||
           why == REASON_OFFLINE || why == REASON_CLOCK_UNTRUSTED;
}

void copy_out_released(struct copy_out *m, enum reason why, const char *detail, struct slice certificate,
                       int64_t now_ms)
{
    if (!finished(m, COPY_OUT_RELEASE))
        return;
    buf_clear(&m->released);
    if (why == REASON_NONE && buf_append(&m->released, certificate) != 0)
        why = REASON_INTERNAL;
    if (why == REASON_NONE) {
        m->asleep = true;
        copy_out_note_serial(m);
    } else if (why != REASON_ALREADY && why != REASON_SERIAL_ALREADY_USED && (is_passing(why) || m->asleep)) {
        copy_out_later(m, why, now_ms);
    } else { /* no move comes of it, the license stays awake */
        copy_out_end(m, why, detail);
    }
}

void copy_out_settled(struct copy_out *m) { m->unsure = false; }

void copy_out_head(struct copy_out *m, enum reason why, struct slice info, const uint8_t list_root[32], int64_t now_ms)
{
    if (!finished(m, COPY_OUT_READ_HEAD))
        return;
    buf_clear(&m->info);
    if (why == REASON_NONE && buf_append(&m->info, info) != 0)
        why = REASON_INTERNAL;
    if (why == REASON_NONE) {
        memcpy(m->list_root, list_root, sizeof(m->list_root));
        return;
    }
    if (is_passing(why)) {
        copy_out_later(m, why, now_ms);
        return;
    }
    const char *detail = why == REASON_NOT_FOUND ? "Its content is not on this device any more." : NULL;
    m->why = why; /* nothing can be offered: take it back rather than forget it */
    copy_out_tell(m, why, detail);
    copy_out_let_go(m);
    copy_out_store(m, COPY_OUT_WITHDRAWING);
}

void copy_out_surrendered(struct copy_out *m, enum reason why, struct slice surrender, int64_t now_ms)
{
    if (!finished(m, COPY_OUT_SURRENDER))
        return;
    buf_clear(&m->surrender);
    if (why == REASON_NONE && (surrender.len == 0 || buf_append(&m->surrender, surrender) != 0))
        why = REASON_INTERNAL;
    if (why != REASON_NONE)
        copy_out_later(m, why, now_ms);
}

void copy_out_removed(struct copy_out *m, enum reason why, int64_t now_ms)
{
    if (!finished(m, COPY_OUT_REMOVE_BODY))
        return;
    m->body_removed = why == REASON_NONE;
    if (why != REASON_NONE)
        copy_out_later(m, why, now_ms);
}

void copy_out_awake(struct copy_out *m, enum reason why, int64_t now_ms)
{
    if (!finished(m, COPY_OUT_AWAKEN))
        return;
    m->awake = why == REASON_NONE;
    if (why != REASON_NONE)
        copy_out_later(m, why, now_ms);
    else
        m->asleep = false;
}

static void entered(struct copy_out *m)
{
    m->retry_ms = 0;
    m->next_try_ms = 0;
    switch (m->state) {
    case COPY_OUT_HELD:
        if (!m->about.move)
            copy_out_note_serial(m);
        m->why = REASON_NONE;
        copy_out_answer(m, REASON_NONE);
        break;
    case COPY_OUT_WITHDRAWING:
        m->offered = false;
        break;
    default:                                                           /* nothing is left to say to the destination */
        copy_out_answer(m, m->receipt.len > 0 ? REASON_NONE : m->why); /* its own word is taken, whatever it is */
        copy_out_let_go(m);
        break;
    }
}

void copy_out_stored(struct copy_out *m, enum reason why, int64_t now_ms)
{
    if (!finished(m, COPY_OUT_STORE))
        return;
    enum copy_out_state to = m->to;
    m->to = 0;
    m->report_type = 0;
    buf_clear(&m->report);
    if (why == REASON_NONE) {
        copy_out_set_state(m, to);
        entered(m);
        return;
    }
    /* Everything that led here can be had again: the grant by the transaction, a receipt by the same question. */
    if (m->state == COPY_OUT_ASKING && to == COPY_OUT_HELD) {
        buf_clear(&m->certificate);
        buf_clear(&m->delegation);
        m->unsure = true;
    }
    bool before = m->state == COPY_OUT_ASKING || m->state == COPY_OUT_HELD;
    m->cancelled |= before && m->why == REASON_CANCELLED && !m->wanted_again;
    m->wanted_again &= !before;
    copy_out_answer(m, why);
    copy_out_let_go(m);
    copy_out_later(m, why, now_ms);
}
