/* Copies as their source: states, what is next, what people want. */
#include "protocol/copy_out_internal.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "crypto/body.h"

#define GONE_TEXT "The destination was removed from the household."
#define CERTIFICATE_MAX sizeof(((msg_Offer *)0)->certificate.bytes)

/* ---- states -------------------------------------------------------------------------------------------------- */

static bool may_become(enum copy_out_state from, enum copy_out_state to)
{
#define TO(state) (1u << (state))
    static const uint32_t table[COPY_OUT_STATE_COUNT] = {
        [COPY_OUT_ASKING] = TO(COPY_OUT_HELD) | TO(COPY_OUT_GONE),
        [COPY_OUT_HELD] = TO(COPY_OUT_WITHDRAWING) | TO(COPY_OUT_DELIVERED) | TO(COPY_OUT_REFUSED) | TO(COPY_OUT_DONE) |
                          TO(COPY_OUT_GONE),
        [COPY_OUT_WITHDRAWING] =
            TO(COPY_OUT_HELD) | TO(COPY_OUT_DELIVERED) | TO(COPY_OUT_REFUSED) | TO(COPY_OUT_DONE) | TO(COPY_OUT_GONE),
        [COPY_OUT_DELIVERED] = TO(COPY_OUT_DONE),
        [COPY_OUT_REFUSED] = TO(COPY_OUT_GONE),
    };
#undef TO
    return (table[from] >> to & 1u) != 0;
}

void copy_out_set_state(struct copy_out *m, enum copy_out_state to)
{
    assert(may_become(m->state, to));
    m->state = to;
}

bool copy_out_has_ended(const struct copy_out *m) { return m->state == COPY_OUT_DONE || m->state == COPY_OUT_GONE; }

void copy_out_init(struct copy_out *m, const struct copy_out_subject *about)
{
    *m = (struct copy_out){
        .state = COPY_OUT_ASKING,
        .about = *about,
        .certificate = buf(CERTIFICATE_MAX),
        .released = buf(CERTIFICATE_MAX),
        .delegation = buf(sizeof(((msg_Offer *)0)->delegation.bytes)),
        .receipt = buf(sizeof(((msg_Delivered *)0)->receipt.bytes)),
        .surrender = buf(sizeof(((msg_MoveDone *)0)->surrender.bytes)),
        .info = buf(BODY_INFO_MAX),
        .message = buf(msg_Offer_size),
        .report = buf(msg_MoveDone_size),
    };
}

void copy_out_deinit(struct copy_out *m)
{
    struct buf *const all[] = { &m->certificate, &m->released, &m->delegation, &m->receipt,
                                &m->surrender,   &m->info,     &m->message,    &m->report };
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
        buf_free(all[i]);
}

void copy_out_resume_from(struct copy_out *m, enum copy_out_state state, bool asleep, bool unsure)
{
    assert(state >= COPY_OUT_ASKING && state < COPY_OUT_GONE);
    m->state = state;
    m->asleep = asleep;
    m->unsure = unsure && state == COPY_OUT_ASKING;
    if (state == COPY_OUT_WITHDRAWING || state == COPY_OUT_REFUSED)
        m->why = REASON_CANCELLED;
    if (state != COPY_OUT_ASKING && !m->about.move)
        copy_out_note_serial(m);
}

/* ---- small steps --------------------------------------------------------------------------------------------- */

struct slice copy_out_certificate(const struct copy_out *m)
{
    return m->state == COPY_OUT_ASKING ? slice(NULL, 0) : buf_slice(m->about.move ? &m->released : &m->certificate);
}

void copy_out_note_serial(struct copy_out *m)
{
    doc_CopyCertificate certificate; /* its issuer gave it on its own connection; the destination judges it */
    m->has_serial =
        document_peek(DOCUMENT_COPY_CERTIFICATE, copy_out_certificate(m), &certificate, sizeof(certificate)) == 0;
    if (!m->has_serial)
        return;
    memcpy(m->serial, certificate.serial, sizeof(m->serial));
    m->issued_ms = certificate.issued_ms;
    m->ends_ms = certificate.ends_ms;
}

void copy_out_store(struct copy_out *m, enum copy_out_state to)
{
    assert(may_become(m->state, to));
    m->to = to;
}

static void set_detail(struct copy_out *m, const char *detail)
{
    if (detail != m->detail)
        CODEC_SET_TEXT(m->detail, detail != NULL ? detail : "");
}

void copy_out_tell(struct copy_out *m, enum reason why, const char *detail)
{
    m->tell_now = true;
    m->tell_why = why;
    set_detail(m, detail);
}

void copy_out_end(struct copy_out *m, enum reason why, const char *detail)
{
    copy_out_let_go(m);
    m->why = why;
    set_detail(m, detail);
    copy_out_store(m, COPY_OUT_GONE);
}

void copy_out_answer(struct copy_out *m, enum reason why)
{
    m->answer_now = m->answer_due;
    m->answer_due = false;
    m->answer_why = why;
}

void copy_out_later(struct copy_out *m, enum reason why, int64_t now_ms)
{
    m->retry_ms = m->retry_ms == 0                           ? COPY_OUT_RETRY_FIRST_MS
                  : m->retry_ms * 2 > COPY_OUT_RETRY_LAST_MS ? COPY_OUT_RETRY_LAST_MS
                                                             : m->retry_ms * 2;
    m->next_try_ms = now_ms + m->retry_ms;
    m->later_now = true;
    m->later_why = why;
}

void copy_out_let_go(struct copy_out *m)
{
    m->let_go_now |= m->connected || m->connecting;
    m->connected = m->connecting = m->offered = false;
    m->asked_type = 0;
}

/* ---- what is next -------------------------------------------------------------------------------------------- */

static struct copy_out_action act(struct copy_out *m, enum copy_out_action_kind kind, struct slice message)
{
    m->doing = kind;
    return (struct copy_out_action){ .kind = kind, .message = message };
}

/* What only tells: true with *a when there is one. */
static bool next_notice(struct copy_out *m, struct copy_out_action *a)
{
    const char *detail = m->detail[0] != '\0' ? m->detail : NULL;
    if (m->answer_now) {
        m->answer_now = false;
        *a = (struct copy_out_action){ .kind = COPY_OUT_ANSWER, .why = m->answer_why, .detail = detail };
    } else if (m->tell_now) {
        m->tell_now = false;
        *a = (struct copy_out_action){ .kind = COPY_OUT_TELL, .why = m->tell_why, .detail = detail };
    } else if (m->let_go_now) {
        m->let_go_now = false;
        *a = (struct copy_out_action){ .kind = COPY_OUT_LET_GO };
    } else if (m->later_now) {
        m->later_now = false;
        *a = (struct copy_out_action){ .kind = COPY_OUT_LATER, .why = m->later_why };
    } else {
        return false;
    }
    return true;
}

static struct copy_out_action next_store(struct copy_out *m)
{
    struct copy_out_action a = act(m, COPY_OUT_STORE, buf_slice(&m->report));
    a.to = m->to;
    a.type = m->report_type;
    return a;
}

/* What somebody wants back. Its count and price come back only by the word of the destination, which may have it already. */
static void take_back(struct copy_out *m, int64_t now_ms)
{
    bool held = m->state == COPY_OUT_HELD;
    if (m->state == COPY_OUT_ASKING && m->unsure) { /* perhaps granted: known when the transaction is answered */
        copy_out_later(m, REASON_OFFLINE, now_ms);
        return;
    }
    m->cancelled = false;
    if (m->state == COPY_OUT_ASKING || (held && m->about.removable)) {
        copy_out_end(m, REASON_CANCELLED, NULL);
    } else if (held) {
        m->why = REASON_CANCELLED;
        copy_out_tell(m, REASON_CANCELLED, "It is taken back as soon as the destination answers: hearth transfers");
        copy_out_let_go(m);
        copy_out_store(m, COPY_OUT_WITHDRAWING);
    }
}

static bool has_ended_by(const struct copy_out *m, int64_t wall_ms, int64_t grace_ms)
{
    return m->has_serial && wall_ms > 0 && (uint64_t)wall_ms > m->ends_ms &&
           (uint64_t)wall_ms - m->ends_ms > (uint64_t)grace_ms;
}

/* Before DELIVERED and REFUSED. What the issuer may have granted is known when the transaction is answered. */
static bool ends_with_destination(const struct copy_out *m)
{
    bool sent = m->state == COPY_OUT_HELD || m->state == COPY_OUT_WITHDRAWING;
    return m->gone && ((m->state == COPY_OUT_ASKING && !m->unsure) || (sent && (!m->about.move || !m->asleep)));
}

static struct copy_out_action wait_action(void) { return (struct copy_out_action){ .kind = COPY_OUT_WAIT }; }

/* HELD and WITHDRAWING: towards the destination. */
static struct copy_out_action next_talk(struct copy_out *m, int64_t now_ms, int64_t wall_ms)
{
    struct copy_out_action a = { .kind = COPY_OUT_SEND };
    if (m->about.removable || m->blocked)
        return wait_action(); /* copy_out_written, copy_out_kick */
    if (m->about.move && m->released.len == 0)
        return act(m, COPY_OUT_RELEASE, buf_slice(&m->certificate));
    if (m->state == COPY_OUT_WITHDRAWING && !m->about.move && has_ended_by(m, wall_ms, COPY_OUT_GIVE_UP_MS)) {
        copy_out_end(m, m->why != REASON_NONE ? m->why : REASON_CANCELLED, NULL);
        return next_store(m);
    }
    if (m->state == COPY_OUT_HELD && has_ended_by(m, wall_ms, DOCUMENTS_SKEW_MS)) {
        copy_out_refused(m, REASON_CERTIFICATE_EXPIRED, NULL, now_ms);
        return copy_out_next(m, now_ms, wall_ms);
    }
    if (m->state == COPY_OUT_HELD && m->info.len == 0)
        return act(m, COPY_OUT_READ_HEAD, slice(NULL, 0));
    if (m->offered && now_ms - m->active_ms > COPY_OUT_SILENCE_MS)
        m->offered = false; /* the same offer again is harmless */
    if (m->connecting || m->offered || m->asked_type != 0)
        return wait_action();
    if (!m->connected) {
        m->connecting = true;
        return (struct copy_out_action){ .kind = COPY_OUT_CONNECT };
    }
    if (copy_out_question(m, &a.type) != 0) {
        copy_out_let_go(m);
        copy_out_later(m, REASON_INTERNAL, now_ms);
        return copy_out_next(m, now_ms, wall_ms);
    }
    m->asked_type = a.type;
    a.message = buf_slice(&m->message);
    return a;
}

/* DELIVERED and REFUSED: what is left to do of a move. */
static struct copy_out_action next_end(struct copy_out *m, int64_t now_ms)
{
    bool refused = m->state == COPY_OUT_REFUSED;
    if (refused && !m->awake)
        return act(m, COPY_OUT_AWAKEN, buf_slice(&m->receipt));
    if (!refused && m->surrender.len == 0)
        return act(m, COPY_OUT_SURRENDER, buf_slice(&m->receipt));
    if (!refused && !m->body_removed) /* not before the move is certain */
        return act(m, COPY_OUT_REMOVE_BODY, slice(NULL, 0));
    if (copy_out_report(m, refused ? msg_Type_MOVE_CANCEL : msg_Type_MOVE_DONE) != 0) {
        copy_out_later(m, REASON_INTERNAL, now_ms);
        return wait_action();
    }
    m->why = refused ? (m->why != REASON_NONE ? m->why : REASON_CANCELLED) : REASON_NONE;
    copy_out_store(m, refused ? COPY_OUT_GONE : COPY_OUT_DONE);
    return next_store(m);
}

struct copy_out_action copy_out_next(struct copy_out *m, int64_t now_ms, int64_t wall_ms)
{
    struct copy_out_action a;
    if (next_notice(m, &a))
        return a;
    if (m->doing != COPY_OUT_WAIT || copy_out_has_ended(m))
        return wait_action();
    if (m->to != 0)
        return next_store(m);
    if (m->next_try_ms != 0 && now_ms < m->next_try_ms)
        return wait_action();
    m->next_try_ms = 0;
    if (m->wanted_again && m->state == COPY_OUT_WITHDRAWING) {
        m->wanted_again = false;
        copy_out_let_go(m); /* an answer to the withdrawal is not waited for */
        copy_out_store(m, COPY_OUT_HELD);
        return copy_out_next(m, now_ms, wall_ms);
    }
    if (m->overtaken && (m->state == COPY_OUT_HELD || m->state == COPY_OUT_WITHDRAWING)) {
        copy_out_end(m, REASON_CANCELLED, "Its license was given to this device again.");
        return copy_out_next(m, now_ms, wall_ms);
    }
    if (ends_with_destination(m)) {
        copy_out_end(m, REASON_DEVICE_REVOKED, GONE_TEXT);
        return copy_out_next(m, now_ms, wall_ms);
    }
    if (m->cancelled) {
        take_back(m, now_ms);
        return m->cancelled && !m->later_now ? wait_action() : copy_out_next(m, now_ms, wall_ms);
    }
    if (m->state == COPY_OUT_DELIVERED || m->state == COPY_OUT_REFUSED)
        return next_end(m, now_ms);
    if (m->paused || (m->gone && m->state != COPY_OUT_ASKING))
        return wait_action();
    if (m->state != COPY_OUT_ASKING)
        return next_talk(m, now_ms, wall_ms);
    if (!m->unsure)
        return act(m, COPY_OUT_ASK, slice(NULL, 0));
    copy_out_later(m, REASON_OFFLINE, now_ms);
    return copy_out_next(m, now_ms, wall_ms);
}

int64_t copy_out_deadline_ms(const struct copy_out *m)
{
    if (m->doing != COPY_OUT_WAIT || copy_out_has_ended(m))
        return INT64_MAX;
    if (m->next_try_ms != 0)
        return m->next_try_ms;
    return m->offered ? m->active_ms + COPY_OUT_SILENCE_MS + 1 : INT64_MAX;
}

/* ---- people and media ---------------------------------------------------------------------------------------- */

void copy_out_pause(struct copy_out *m)
{
    copy_out_let_go(m);
    m->paused = true;
    m->next_try_ms = 0;
}

void copy_out_resume(struct copy_out *m)
{
    m->paused = false;
    m->next_try_ms = 0;
}

void copy_out_cancel(struct copy_out *m)
{
    m->cancelled = m->state == COPY_OUT_ASKING || m->state == COPY_OUT_HELD;
    m->wanted_again = m->renew = false;
    copy_out_resume(m);
}

void copy_out_overtaken(struct copy_out *m)
{
    m->overtaken = m->about.move;
    copy_out_resume(m);
}

void copy_out_destination_gone(struct copy_out *m, bool gone)
{
    if (m->gone == gone || m->about.removable)
        return;
    m->gone = gone;
    copy_out_let_go(m);
    copy_out_resume(m);
}

bool copy_out_again(struct copy_out *m)
{
    if (m->gone)
        return false;
    bool cancelled = m->why == REASON_CANCELLED || m->why == REASON_NONE;
    bool back = m->state == COPY_OUT_WITHDRAWING || m->to == COPY_OUT_WITHDRAWING || m->state == COPY_OUT_REFUSED;
    if (back && (m->about.move || !cancelled || (m->to != 0 && m->to != COPY_OUT_WITHDRAWING)))
        return false;
    m->wanted_again = back; /* HELD again, as soon as nothing is under way */
    m->renew = !m->about.move && (back || !m->offered);
    m->cancelled = m->declined = false;
    m->retry_ms = 0;
    copy_out_resume(m);
    return true;
}

void copy_out_kick(struct copy_out *m, bool at_once)
{
    m->blocked = false;
    if (at_once) {
        m->retry_ms = 0;
        m->next_try_ms = 0;
    }
}

void copy_out_written(struct copy_out *m)
{
    if (m->about.removable && m->state == COPY_OUT_HELD && m->doing == COPY_OUT_WAIT && m->to == 0)
        copy_out_end(m, REASON_NONE, NULL);
}
