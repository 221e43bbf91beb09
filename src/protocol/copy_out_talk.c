/* Copies as their source: what is said to the destination, and what its signed word means. */
#include <errno.h>
#include <string.h>

#include "protocol/copy_out_internal.h"

/* ---- questions ----------------------------------------------------------------------------------------------- */

static int encode(struct buf *out, const pb_msgdesc_t *fields, const void *message)
{
    buf_clear(out);
    int r = codec_encode(out, fields, message);
    return r > 0 ? -EMSGSIZE : r;
}

static int encode_offer(struct copy_out *m)
{
    msg_Offer offer = msg_Offer_init_zero;
    int r = CODEC_SET_BYTES(offer.certificate, copy_out_certificate(m));
    offer.has_delegation = m->delegation.len > 0;
    if (r == 0 && offer.has_delegation)
        r = CODEC_SET_BYTES(offer.delegation, buf_slice(&m->delegation));
    if (r == 0)
        r = CODEC_SET_BYTES(offer.info, buf_slice(&m->info));
    memcpy(offer.list_root, m->list_root, sizeof(offer.list_root));
    return r != 0 ? -EMSGSIZE : encode(&m->message, msg_Offer_fields, &offer);
}

static int encode_withdraw(struct copy_out *m)
{
    msg_Withdraw withdraw = msg_Withdraw_init_zero;
    int r = CODEC_SET_BYTES(withdraw.certificate, copy_out_certificate(m));
    withdraw.has_delegation = m->delegation.len > 0;
    if (r == 0 && withdraw.has_delegation)
        r = CODEC_SET_BYTES(withdraw.delegation, buf_slice(&m->delegation));
    memcpy(withdraw.issuer, m->about.issuer.bytes, sizeof(withdraw.issuer));
    memcpy(withdraw.serial, m->serial, sizeof(withdraw.serial));
    return r != 0 ? -EMSGSIZE : encode(&m->message, msg_Withdraw_fields, &withdraw);
}

int copy_out_question(struct copy_out *m, uint16_t *type)
{
    if (!m->has_serial)
        copy_out_note_serial(m);
    *type = m->state == COPY_OUT_WITHDRAWING ? msg_Type_WITHDRAW : msg_Type_OFFER;
    return *type == msg_Type_WITHDRAW ? encode_withdraw(m) : encode_offer(m);
}

/* ---- reports ------------------------------------------------------------------------------------------------- */

int copy_out_report(struct copy_out *m, uint16_t type)
{
    struct slice receipt = buf_slice(&m->receipt);
    msg_MoveDone done = msg_MoveDone_init_zero;
    msg_Redeem redeem = msg_Redeem_init_zero; /* the same shape as a MoveCancel */
    msg_MoveCancel cancel = msg_MoveCancel_init_zero;
    int r;
    m->report_type = type;
    if (type == msg_Type_MOVE_DONE) {
        r = CODEC_SET_BYTES(done.receipt, receipt);
        if (r == 0)
            r = CODEC_SET_BYTES(done.surrender, buf_slice(&m->surrender));
        return r != 0 ? -EMSGSIZE : encode(&m->report, msg_MoveDone_fields, &done);
    }
    if (type == msg_Type_REDEEM) {
        r = CODEC_SET_BYTES(redeem.receipt, receipt);
        return r != 0 ? -EMSGSIZE : encode(&m->report, msg_Redeem_fields, &redeem);
    }
    r = CODEC_SET_BYTES(cancel.receipt, receipt);
    return r != 0 ? -EMSGSIZE : encode(&m->report, msg_MoveCancel_fields, &cancel);
}

/* ---- the destination's word ---------------------------------------------------------------------------------- */

/* What another try at the same destination with the same certificate cannot change. */
static bool is_final(enum reason why)
{
    switch (why) {
    case REASON_SIGNATURE_INVALID:
    case REASON_DELEGATION_INVALID:
    case REASON_WRONG_DESTINATION:
    case REASON_SERIAL_ALREADY_USED:
    case REASON_CONTENT_ID_MISMATCH:
    case REASON_CERTIFICATE_EXPIRED:
    case REASON_KEY_BLOCK_OUTDATED:
    case REASON_NOT_PERMITTED:
    case REASON_MALFORMED:
    case REASON_TOO_LARGE:
    case REASON_CANCELLED:
        return true;
    default:
        return false;
    }
}

void copy_out_refused(struct copy_out *m, enum reason why, const char *detail, int64_t now_ms)
{
    /* What has no room there is not begun; what was begun is kept, and goes on when there is some. */
    bool no_room = why == REASON_STORAGE_FULL && m->state == COPY_OUT_HELD && m->fresh;
    copy_out_let_go(m);
    if (is_final(why) && m->state == COPY_OUT_WITHDRAWING && !m->about.move) {
        /* not even its signed word: then nothing comes back */
        copy_out_end(m, m->why != REASON_NONE ? m->why : why, detail);
    } else if ((is_final(why) || no_room) && m->state == COPY_OUT_HELD) {
        m->why = why;
        copy_out_tell(m, why, detail);
        copy_out_store(m, COPY_OUT_WITHDRAWING);
    } else {
        /* The person who waits hears what to do about it; being away is no reason to stop waiting. */
        if (why != REASON_OFFLINE && why != REASON_TIMED_OUT && why != REASON_IN_USE)
            copy_out_tell(m, why, detail);
        copy_out_later(m, why, now_ms);
    }
}

bool copy_out_is_about(const struct copy_out *m, const doc_Receipt *r)
{
    return m->has_serial && memcmp(r->serial, m->serial, sizeof(m->serial)) == 0 &&
           id_equal(r->issuer, m->about.issuer.bytes) && id_equal(r->destination, m->about.destination.bytes) &&
           id_equal(r->content, m->about.content.bytes) && id_equal(r->source, m->about.source.bytes);
}

/* A verified receipt of this certificate: what it leads to is stored next. */
static void take_receipt(struct copy_out *m, const doc_Receipt *receipt, struct slice envelope, int64_t now_ms)
{
    bool stored = receipt->outcome == RECEIPT_STORED;
    buf_clear(&m->receipt);
    int r = buf_append(&m->receipt, envelope);
    if (r == 0 && !m->about.move) /* reported, and the certificate gone, in one transaction (S153) */
        r = copy_out_report(m, stored ? msg_Type_REDEEM : msg_Type_MOVE_CANCEL);
    if (r != 0) {
        copy_out_refused(m, REASON_INTERNAL, NULL, now_ms); /* it will be asked again */
        return;
    }
    if (stored) {
        m->why = REASON_NONE;
        copy_out_store(m, m->about.move ? COPY_OUT_DELIVERED : COPY_OUT_DONE);
        return;
    }
    m->why = m->why != REASON_NONE ? m->why : REASON_CANCELLED;
    m->anew = m->renew && m->why == REASON_CANCELLED;
    m->declined |= m->state == COPY_OUT_HELD && !m->anew;
    copy_out_let_go(m);
    copy_out_store(m, m->about.move ? COPY_OUT_REFUSED : COPY_OUT_GONE);
}

static void take_answer(struct copy_out *m, struct slice envelope, int64_t now_ms)
{
    doc_Receipt receipt;
    if (receipt_judge(envelope, &receipt) != 0 || !copy_out_is_about(m, &receipt))
        copy_out_refused(m, REASON_INTERNAL, NULL, now_ms);
    else
        take_receipt(m, &receipt, envelope, now_ms);
}

static void on_taken(struct copy_out *m, struct slice message, int64_t now_ms)
{
    msg_OfferTaken taken;
    if (CODEC_DECODE(msg_OfferTaken, message, &taken) != 0) {
        copy_out_refused(m, REASON_INTERNAL, NULL, now_ms);
    } else if (taken.has_receipt) {
        take_answer(m, CODEC_BYTES(taken.receipt), now_ms);
    } else {
        m->offered = true;
        m->fresh = m->renew = false;
        m->retry_ms = 0;
        m->active_ms = now_ms;
    }
}

static void on_withdrawn(struct copy_out *m, struct slice message, int64_t now_ms)
{
    msg_Withdrawn withdrawn;
    if (CODEC_DECODE(msg_Withdrawn, message, &withdrawn) != 0)
        copy_out_refused(m, REASON_INTERNAL, NULL, now_ms);
    else
        take_answer(m, CODEC_BYTES(withdrawn.receipt), now_ms);
}

void copy_out_reply(struct copy_out *m, const struct frame *reply, enum reason why, int64_t now_ms)
{
    uint16_t asked = m->asked_type;
    msg_Refusal refusal = msg_Refusal_init_zero;
    m->asked_type = 0;
    if (asked == 0 || m->doing != COPY_OUT_WAIT || m->to != 0)
        return; /* not waited for any more: it is asked again if need be */
    if (reply == NULL)
        why = why == REASON_NONE ? REASON_OFFLINE : why;
    else
        why = reason_of_reply(reply, asked == msg_Type_OFFER ? msg_Type_OFFER_TAKEN : msg_Type_WITHDRAWN, &refusal);
    if (why != REASON_NONE)
        copy_out_refused(m, why, refusal.text[0] != '\0' ? refusal.text : NULL, now_ms);
    else if (asked == msg_Type_OFFER)
        on_taken(m, reply->message, now_ms);
    else
        on_withdrawn(m, reply->message, now_ms);
}

int copy_out_read_delivered(struct slice message, msg_Delivered *out, doc_Receipt *receipt)
{
    bool good =
        CODEC_DECODE(msg_Delivered, message, out) == 0 && receipt_judge(CODEC_BYTES(out->receipt), receipt) == 0;
    return good ? 0 : REASON_MALFORMED;
}

int copy_out_delivered(struct copy_out *m, struct slice envelope, const doc_Receipt *receipt, int64_t now_ms)
{
    if (m->state == COPY_OUT_DELIVERED || m->state == COPY_OUT_REFUSED || copy_out_has_ended(m)) { /* known already */
        m->answer_due = false;
        m->answer_now = true;
        m->answer_why = REASON_NONE;
        return 0;
    }
    if (m->doing != COPY_OUT_WAIT || m->to != 0 || m->answer_due ||
        (m->state != COPY_OUT_HELD && m->state != COPY_OUT_WITHDRAWING))
        return REASON_IN_USE;
    m->answer_due = true;
    take_receipt(m, receipt, envelope, now_ms);
    return 0;
}

int copy_out_fetched(struct copy_out *m)
{
    if (m->answer_due || m->answer_now)
        return REASON_IN_USE;
    m->answer_due = m->state == COPY_OUT_ASKING;
    m->answer_now = !m->answer_due;
    m->answer_why = REASON_NONE;
    return 0;
}

void copy_out_unheard(struct copy_out *m) { m->answer_due = m->answer_now = false; }

void copy_out_active(struct copy_out *m, int64_t now_ms) { m->active_ms = now_ms; }

/* ---- the connection ------------------------------------------------------------------------------------------ */

void copy_out_connected(struct copy_out *m)
{
    m->connected = m->connecting;
    m->connecting = false;
}

void copy_out_blocked(struct copy_out *m)
{
    m->connecting = false;
    m->blocked = true;
}

void copy_out_lost(struct copy_out *m, enum reason why, int64_t now_ms)
{
    m->connected = m->connecting = m->offered = false;
    m->asked_type = 0;
    if (m->doing == COPY_OUT_WAIT && m->to == 0 && !copy_out_has_ended(m))
        copy_out_later(m, why, now_ms);
}
