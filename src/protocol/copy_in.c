/* Copies as their destination: states, what is next, and what became of it. */
#include "protocol/copy_in.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

enum { STATE_RESERVED = 1, STATE_STORED = 2, STATE_REFUSED = 3 }; /* vlt.CertificateState.state */

/* ---- names --------------------------------------------------------------------------------------------------- */

int certificate_name_read(struct slice envelope, struct certificate_name *out)
{
    doc_CopyCertificate certificate;
    doc_License license;
    /* The vault verifies it, before anything comes of it. */
    int r = document_peek(DOCUMENT_COPY_CERTIFICATE, envelope, &certificate, sizeof(certificate));
    if (r == 0)
        r = document_peek(DOCUMENT_LICENSE, CODEC_BYTES(certificate.license), &license, sizeof(license));
    if (r != 0)
        return r;
    struct certificate_name n = {
        .issuer = id_from(certificate.issuer),
        .content = id_from(certificate.content),
        .source = id_from(certificate.source),
        .destination = id_from(certificate.destination),
        .own = id_from(license.leaf.distributor),
        .move = certificate.move,
        .ends_ms = certificate.ends_ms,
        .license = buf(sizeof(certificate.license.bytes)),
    };
    memcpy(n.serial, certificate.serial, sizeof(n.serial));
    r = buf_append(&n.license, CODEC_BYTES(certificate.license));
    if (r == 0)
        *out = n;
    return r;
}

void certificate_name_deinit(struct certificate_name *n) { buf_free(&n->license); }

/* ---- states -------------------------------------------------------------------------------------------------- */

static bool may_become(enum copy_in_state from, enum copy_in_state to)
{
#define TO(state) (1u << (state))
    static const uint32_t table[COPY_IN_STATE_COUNT] = {
        [COPY_IN_JUDGING] = TO(COPY_IN_RECEIVING) | TO(COPY_IN_DONE) | TO(COPY_IN_FAILED),
        [COPY_IN_REFUSING] = TO(COPY_IN_DELIVERING) | TO(COPY_IN_DONE) | TO(COPY_IN_FAILED) | TO(COPY_IN_DROPPED),
        [COPY_IN_RECEIVING] = TO(COPY_IN_REFUSING) | TO(COPY_IN_COMMITTING) | TO(COPY_IN_FAILED) | TO(COPY_IN_DROPPED),
        [COPY_IN_COMMITTING] = TO(COPY_IN_DELIVERING) | TO(COPY_IN_FAILED) | TO(COPY_IN_DROPPED),
        [COPY_IN_DELIVERING] = TO(COPY_IN_DONE) | TO(COPY_IN_DROPPED),
    };
#undef TO
    return (table[from] >> to & 1u) != 0;
}

static void set_state(struct copy_in *m, enum copy_in_state to)
{
    assert(may_become(m->state, to));
    m->state = to;
}

bool copy_in_has_ended(const struct copy_in *m) { return m->state >= COPY_IN_DONE; }

static void set_why(struct copy_in *m, enum reason why, const char *detail)
{
    m->why = why;
    CODEC_SET_TEXT(m->detail, detail != NULL ? detail : "");
}

static void fail(struct copy_in *m, enum reason why, const char *detail)
{
    set_why(m, why, detail);
    set_state(m, COPY_IN_FAILED);
}

/* ---- reading ------------------------------------------------------------------------------------------------- */

static int take_offer(struct copy_in *m, const msg_Offer *offer)
{
    m->certificate = buf(sizeof(offer->certificate.bytes));
    m->delegation = buf(sizeof(offer->delegation.bytes));
    m->info = buf(sizeof(offer->info.bytes));
    memcpy(m->list_root, offer->list_root, sizeof(m->list_root));
    int r = buf_append(&m->certificate, CODEC_BYTES(offer->certificate));
    if (r == 0 && offer->has_delegation)
        r = buf_append(&m->delegation, CODEC_BYTES(offer->delegation));
    return r == 0 ? buf_append(&m->info, CODEC_BYTES(offer->info)) : r;
}

static int take_withdraw(struct copy_in *m, const msg_Withdraw *withdraw)
{
    m->certificate = buf(sizeof(withdraw->certificate.bytes));
    m->delegation = buf(sizeof(withdraw->delegation.bytes));
    int r = buf_append(&m->certificate, CODEC_BYTES(withdraw->certificate));
    return r == 0 && withdraw->has_delegation ? buf_append(&m->delegation, CODEC_BYTES(withdraw->delegation)) : r;
}

/* Who may say this here: the source that the certificate names, to the destination that it names. 0 or an enum reason. */
static int judge_ends(const struct copy_in *m, const struct id *self, const struct id *source)
{
    if (!id_equal(m->name.destination.bytes, self->bytes))
        return REASON_WRONG_DESTINATION;
    return id_equal(m->name.source.bytes, source->bytes) ? 0 : REASON_NOT_PERMITTED;
}

/* What a WITHDRAW says beside the certificate must be what the certificate says. */
struct claim {
    bool there;
    struct id issuer;
    uint8_t serial[16];
};

static int read_offer(struct copy_in *m, struct slice message)
{
    msg_Offer *offer CLEANUP(freep) = malloc(sizeof(*offer)); /* 5 KiB */
    if (offer == NULL)
        return -ENOMEM;
    int r = CODEC_DECODE(msg_Offer, message, offer);
    return r == 0 ? take_offer(m, offer) : r < 0 ? r : REASON_MALFORMED;
}

static int read_withdraw(struct copy_in *m, struct slice message, struct claim *claim)
{
    msg_Withdraw withdraw;
    int r = CODEC_DECODE(msg_Withdraw, message, &withdraw);
    if (r != 0)
        return r < 0 ? r : REASON_MALFORMED;
    *claim = (struct claim){ .there = true, .issuer = id_from(withdraw.issuer) };
    memcpy(claim->serial, withdraw.serial, sizeof(claim->serial));
    return take_withdraw(m, &withdraw);
}

static bool is_claimed(const struct certificate_name *n, const struct claim *claim)
{
    return !claim->there ||
           (id_equal(n->issuer.bytes, claim->issuer.bytes) && memcmp(n->serial, claim->serial, sizeof(n->serial)) == 0);
}

int copy_in_read(struct copy_in *m, const struct frame *f, const struct id *self, const struct id *source)
{
    struct claim claim = { false };
    assert(f->type == msg_Type_OFFER || f->type == msg_Type_WITHDRAW);
    *m = (struct copy_in){
        .state = f->type == msg_Type_OFFER ? COPY_IN_JUDGING : COPY_IN_REFUSING,
        .name.license = buf(0),
        .receipt = buf(sizeof(((msg_Delivered *)0)->receipt.bytes)),
        .message = buf(msg_Delivered_size),
        .asked_type = f->type,
        .connected = true,
    };
    int r = f->type == msg_Type_OFFER ? read_offer(m, f->message) : read_withdraw(m, f->message, &claim);
    if (r != 0) {
        copy_in_deinit(m);
        return r;
    }
    r = certificate_name_read(buf_slice(&m->certificate), &m->name);
    if (r == 0 && !is_claimed(&m->name, &claim))
        r = REASON_MALFORMED;
    if (r == 0)
        r = judge_ends(m, self, source);
    if (r < 0) {
        copy_in_deinit(m);
        return r;
    }
    if (r != 0)
        fail(m, (enum reason)r, NULL);
    return 0;
}

void copy_in_deinit(struct copy_in *m)
{
    certificate_name_deinit(&m->name);
    buf_free(&m->certificate);
    buf_free(&m->delegation);
    buf_free(&m->info);
    buf_free(&m->receipt);
    buf_free(&m->message);
}

static void delivered(struct copy_in *m) { set_state(m, m->declined ? COPY_IN_DROPPED : COPY_IN_DONE); }

/* ---- what is next -------------------------------------------------------------------------------------------- */

static struct copy_in_action simple(enum copy_in_action_kind kind) { return (struct copy_in_action){ .kind = kind }; }

static struct copy_in_action act(struct copy_in *m, enum copy_in_action_kind kind)
{
    m->doing = kind;
    return simple(kind);
}

static struct copy_in_action with_reason(const struct copy_in *m, enum copy_in_action_kind kind)
{
    return (struct copy_in_action){ .kind = kind, .why = m->why, .detail = m->detail[0] != '\0' ? m->detail : NULL };
}

static int encode_receipt(struct copy_in *m, uint16_t type)
{
    struct slice receipt = buf_slice(&m->receipt);
    msg_OfferTaken taken = { .has_receipt = receipt.len > 0 };
    msg_Withdrawn withdrawn;
    msg_Delivered delivered;
    int r;
    buf_clear(&m->message);
    switch (type) {
    case msg_Type_OFFER_TAKEN:
        r = CODEC_SET_BYTES(taken.receipt, receipt);
        return r != 0 ? r : CODEC_ENCODE(msg_OfferTaken, &m->message, &taken);
    case msg_Type_WITHDRAWN:
        r = CODEC_SET_BYTES(withdrawn.receipt, receipt);
        return r != 0 ? r : CODEC_ENCODE(msg_Withdrawn, &m->message, &withdrawn);
    default:
        r = CODEC_SET_BYTES(delivered.receipt, receipt);
        return r != 0 ? r : CODEC_ENCODE(msg_Delivered, &m->message, &delivered);
    }
}

/* OFFER_TAKEN or WITHDRAWN, with the receipt if there is one. */
static struct copy_in_action reply(struct copy_in *m, uint16_t type)
{
    if (encode_receipt(m, type) == 0)
        return (struct copy_in_action){ .kind = COPY_IN_REPLY, .type = type, .message = buf_slice(&m->message) };
    set_why(m, REASON_INTERNAL, NULL);
    return with_reason(m, COPY_IN_DENY);
}

/* The answer to what was read, as soon as it is known. */
static struct copy_in_action next_answer(struct copy_in *m)
{
    uint16_t asked = m->asked_type;
    m->asked_type = 0;
    if (m->state == COPY_IN_FAILED)
        return with_reason(m, COPY_IN_DENY);
    return reply(m, asked == msg_Type_OFFER ? msg_Type_OFFER_TAKEN : msg_Type_WITHDRAWN);
}

static bool is_answerable(const struct copy_in *m)
{
    return m->asked_type != 0 && m->state != COPY_IN_JUDGING && m->state != COPY_IN_REFUSING;
}

static bool next_notice(struct copy_in *m, struct copy_in_action *a)
{
    if (is_answerable(m)) {
        *a = next_answer(m);
    } else if (m->halt_now) {
        m->halt_now = false;
        *a = simple(COPY_IN_HALT);
    } else if (m->drop_now) {
        m->drop_now = false;
        *a = simple(COPY_IN_DROP);
    } else if (m->hang_up_now) {
        m->hang_up_now = false;
        *a = with_reason(m, COPY_IN_HANG_UP);
    } else {
        return false;
    }
    return true;
}

struct copy_in_action copy_in_next(struct copy_in *m)
{
    struct copy_in_action a;
    if (next_notice(m, &a))
        return a;
    if (m->doing != COPY_IN_WAIT)
        return simple(COPY_IN_WAIT);
    switch (m->state) {
    case COPY_IN_JUDGING:
        return m->receipt.len > 0 ? act(m, COPY_IN_REPORT) : act(m, m->begun ? COPY_IN_BEGIN : COPY_IN_CHECK);
    case COPY_IN_REFUSING:
        return act(m, COPY_IN_REFUSE);
    case COPY_IN_RECEIVING:
        if (!m->connected || m->paused || m->pulling)
            break;
        m->pulling = true;
        return simple(COPY_IN_PULL);
    case COPY_IN_COMMITTING:
        return act(m, COPY_IN_COMMIT);
    case COPY_IN_DELIVERING: /* S153 is the source's, on this word */
        if (m->connected && encode_receipt(m, msg_Type_DELIVERED) == 0) {
            m->doing = COPY_IN_DELIVER;
            return (struct copy_in_action){ .kind = COPY_IN_DELIVER,
                                            .type = msg_Type_DELIVERED,
                                            .message = buf_slice(&m->message) };
        }
        delivered(m); /* the source asks again */
        break;
    default:
        break;
    }
    return simple(COPY_IN_WAIT);
}

/* ---- outcomes ------------------------------------------------------------------------------------------------ */

static bool finished(struct copy_in *m, enum copy_in_action_kind kind)
{
    bool was = m->doing == kind;
    if (was)
        m->doing = COPY_IN_WAIT;
    return was;
}

static bool take_receipt(struct copy_in *m, const vlt_CertificateState *state)
{
    buf_clear(&m->receipt);
    return state->has_receipt && state->receipt.size > 0 && buf_append(&m->receipt, CODEC_BYTES(state->receipt)) == 0;
}

static void offer_judged(struct copy_in *m, enum reason why, const char *detail, const vlt_CertificateState *state)
{
    if (why != REASON_NONE)
        fail(m, why, detail);
    else if (state->state == STATE_RESERVED)
        m->begun = true;
    else if (!take_receipt(m, state))
        fail(m, REASON_SERIAL_ALREADY_USED, NULL);
    else if (state->state == STATE_REFUSED) /* before: the same word again, so that the source need not ask for it */
        set_state(m, COPY_IN_DONE);
}

static void withdraw_judged(struct copy_in *m, enum reason why, const char *detail, const vlt_CertificateState *state)
{
    if (why != REASON_NONE) {
        fail(m, why, detail);
    } else if (!take_receipt(m, state)) {
        fail(m, REASON_INTERNAL, NULL);
    } else if (state->state == STATE_STORED) {
        set_state(m, COPY_IN_DONE); /* too late */
    } else {
        m->drop_now = true;
        set_state(m, COPY_IN_DROPPED);
    }
}

/* The owner does not want it: the source hears it now, or when it offers again. */
static void refusal_judged(struct copy_in *m, enum reason why, const vlt_CertificateState *state)
{
    bool said = why == REASON_NONE && take_receipt(m, state) && m->connected;
    m->drop_now = true;
    m->hang_up_now = m->connected && !said;
    set_why(m, REASON_CANCELLED, NULL);
    set_state(m, said ? COPY_IN_DELIVERING : COPY_IN_DROPPED);
}

void copy_in_judged(struct copy_in *m, enum reason why, const char *detail, const vlt_CertificateState *state)
{
    if (finished(m, COPY_IN_CHECK))
        offer_judged(m, why, detail, state);
    else if (finished(m, COPY_IN_REFUSE) && m->asked_type != 0)
        withdraw_judged(m, why, detail, state);
    else if (m->state == COPY_IN_REFUSING)
        refusal_judged(m, why, state);
}

void copy_in_begun(struct copy_in *m, enum reason why)
{
    if (!finished(m, COPY_IN_BEGIN))
        return;
    if (why == REASON_NONE) {
        set_state(m, COPY_IN_RECEIVING);
    } else if (why == REASON_ALREADY) { /* another machine goes on with it: only the answer is ours */
        set_state(m, COPY_IN_DONE);
    } else {
        m->why = why; /* `detail` is there already */
        set_state(m, COPY_IN_FAILED);
    }
}

void copy_in_reported(struct copy_in *m, enum reason why)
{
    if (!finished(m, COPY_IN_REPORT))
        return;
    if (why == REASON_NONE)
        set_state(m, COPY_IN_DONE);
    else
        fail(m, why, NULL); /* offered again, reported again */
}

void copy_in_received(struct copy_in *m, enum reason why, const char *detail)
{
    if (m->state != COPY_IN_RECEIVING)
        return;
    m->pulling = false;
    if (why == REASON_NONE) {
        set_state(m, COPY_IN_COMMITTING);
        return;
    }
    m->hang_up_now = m->connected; /* nothing else tells the source that the body stays incomplete */
    fail(m, why, detail);
}

void copy_in_committed(struct copy_in *m, enum reason why, const char *detail, struct slice receipt)
{
    if (!finished(m, COPY_IN_COMMIT))
        return;
    buf_clear(&m->receipt);
    if (why == REASON_NONE && (receipt.len == 0 || buf_append(&m->receipt, receipt) != 0))
        why = REASON_INTERNAL;
    if (why == REASON_NONE) {
        set_state(m, COPY_IN_DELIVERING);
    } else if (why == REASON_CANCELLED) { /* withdrawn before the commit */
        m->drop_now = true;
        set_why(m, why, detail);
        set_state(m, COPY_IN_DROPPED);
    } else {
        m->hang_up_now = m->connected;
        fail(m, why, detail);
    }
}

void copy_in_delivered(struct copy_in *m, bool taken)
{
    (void)taken; /* if not, the source offers again and gets the same receipt */
    if (finished(m, COPY_IN_DELIVER))
        delivered(m);
}

/* ---- the source ---------------------------------------------------------------------------------------------- */

void copy_in_lost(struct copy_in *m)
{
    m->halt_now |= m->pulling;
    m->connected = m->pulling = false;
    copy_in_delivered(m, false);
}

void copy_in_again(struct copy_in *m)
{
    m->halt_now |= m->pulling; /* from the connection before */
    m->pulling = false;
    m->connected = true;
}

void copy_in_withdrawn(struct copy_in *m)
{
    if (m->state != COPY_IN_RECEIVING)
        return;
    m->halt_now |= m->pulling;
    m->drop_now = true;
    set_why(m, REASON_CANCELLED, NULL);
    set_state(m, COPY_IN_DROPPED);
}

/* ---- the owner ----------------------------------------------------------------------------------------------- */

void copy_in_pause(struct copy_in *m)
{
    if (m->state != COPY_IN_RECEIVING)
        return; /* it is as good as done */
    m->halt_now |= m->pulling;
    m->pulling = false;
    m->paused = true;
}

void copy_in_resume(struct copy_in *m) { m->paused = false; }

void copy_in_cancel(struct copy_in *m)
{
    if (m->state != COPY_IN_RECEIVING)
        return;
    m->halt_now |= m->pulling;
    m->pulling = false;
    m->declined = true;
    set_state(m, COPY_IN_REFUSING);
}
