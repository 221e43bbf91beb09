/* The world of the copy tests. */
#include "copy_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"

#define SHORTLY_MS 1000

/* ---- the wire ------------------------------------------------------------------------------------------------ */

static void put(struct world *w, struct queue *q, uint16_t type, uint32_t request, struct slice bytes)
{
    if (!w->connected)
        return;
    assert_true(q->count < WORLD_QUEUE);
    struct message *m = &q->items[q->count++];
    *m = (struct message){ type, request, buf(FRAME_MESSAGE_MAX) };
    assert_int_equal(buf_append(&m->bytes, bytes), 0);
}

static void put_refusal(struct world *w, struct queue *q, uint32_t request, enum reason why)
{
    msg_Refusal refusal;
    struct buf bytes = buf(msg_Refusal_size);
    reason_refusal(&refusal, why, NULL);
    assert_int_equal(CODEC_ENCODE(msg_Refusal, &bytes, &refusal), 0);
    put(w, q, msg_Type_REFUSAL, request, buf_slice(&bytes));
    buf_free(&bytes);
}

static void clear(struct queue *q)
{
    for (unsigned i = 0; i < q->count; i++)
        buf_free(&q->items[i].bytes);
    q->count = 0;
}

static struct message take(struct queue *q)
{
    struct message m = q->items[0];
    memmove(q->items, q->items + 1, --q->count * sizeof(*q->items));
    return m;
}

static void destination_lost(struct world *w)
{
    if (w->judge_there)
        copy_in_lost(&w->judge);
    if (w->in_there)
        copy_in_lost(&w->in);
    w->pulling = false;
}

static void lose(struct world *w)
{
    clear(&w->to_destination);
    clear(&w->to_source);
    w->question = w->answer_to = w->delivering = 0;
    if (!w->connected)
        return;
    w->connected = false;
    copy_out_unheard(&w->out);
    if (w->out_runs)
        copy_out_lost(&w->out, REASON_OFFLINE, w->now_ms);
    destination_lost(w);
}

/* ---- the source ---------------------------------------------------------------------------------------------- */

static void source_start(struct world *w, bool move)
{
    struct copy_out_subject about = {
        .issuer = w->f->partner,
        .source = w->f->source_id,
        .destination = w->f->destination_id,
        .content = id_from(w->f->certificate.content),
        .move = move,
    };
    copy_out_init(&w->out, &about);
    w->out_runs = true;
    if (w->row == 0)
        return;
    assert_int_equal(buf_append(&w->out.certificate, buf_slice(&w->row_certificate)), 0);
    assert_int_equal(buf_append(&w->out.delegation, buf_slice(&w->row_delegation)), 0);
    assert_int_equal(buf_append(&w->out.receipt, buf_slice(&w->row_receipt)), 0);
    copy_out_resume_from(&w->out, w->row, w->license == LICENSE_ASLEEP, w->asked && !w->answered);
}

static void source_crash(struct world *w)
{
    bool move = w->out.about.move;
    lose(w);
    if (w->row == COPY_OUT_DONE || w->row == COPY_OUT_GONE)
        return; /* it would not be started again */
    copy_out_deinit(&w->out);
    w->out_action.kind = COPY_OUT_WAIT;
    w->out_effect_done = false;
    source_start(w, move);
}

static void keep(struct buf *to, const struct buf *from)
{
    buf_clear(to);
    assert_int_equal(buf_append(to, buf_slice(from)), 0);
}

static void store_row(struct world *w)
{
    const struct copy_out_action *a = &w->out_action;
    if (w->store_fails) {
        w->store_fails = false;
        w->out_outcome = REASON_INTERNAL;
        return;
    }
    w->row = a->to;
    keep(&w->row_certificate, &w->out.certificate);
    keep(&w->row_delegation, &w->out.delegation);
    keep(&w->row_receipt, &w->out.receipt);
    w->answered |= a->to == COPY_OUT_HELD;
    w->redeemed += a->type == msg_Type_REDEEM;
    w->move_done += a->type == msg_Type_MOVE_DONE;
    w->given_back += a->type == msg_Type_MOVE_CANCEL;
}

static bool is_vault(enum copy_out_action_kind kind)
{
    return kind == COPY_OUT_RELEASE || kind == COPY_OUT_SURRENDER || kind == COPY_OUT_AWAKEN;
}

static void source_effect(struct world *w)
{
    w->out_outcome = REASON_NONE;
    if (is_vault(w->out_action.kind) && w->vault_fails) {
        w->vault_fails = false;
        w->out_outcome = REASON_TIMED_OUT;
        return;
    }
    switch (w->out_action.kind) {
    case COPY_OUT_ASK:
        w->asked = true;
        break;
    case COPY_OUT_RELEASE:
        if (w->license == LICENSE_AWAKE)
            w->license = LICENSE_ASLEEP;
        break;
    case COPY_OUT_SURRENDER:
        w->license = LICENSE_GIVEN_UP;
        break;
    case COPY_OUT_AWAKEN:
        assert_int_equal(w->serial, SERIAL_REFUSED); /* the vault judges the refusal */
        w->license = LICENSE_AWAKE;
        break;
    case COPY_OUT_REMOVE_BODY:
        w->body = false;
        break;
    case COPY_OUT_STORE:
        store_row(w);
        break;
    default:
        break;
    }
}

static int grant(struct world *w)
{
    return copy_out_granted(&w->out, buf_slice(&w->f->certificate_bytes), buf_slice(&w->f->delegation_bytes));
}

static void source_outcome(struct world *w)
{
    enum copy_out_action_kind kind = w->out_action.kind;
    w->out_action.kind = COPY_OUT_WAIT;
    switch (kind) {
    case COPY_OUT_ASK:
        if (w->given_already)
            copy_out_given_already(&w->out, w->now_ms);
        else
            assert_int_equal(grant(w), 0);
        w->asked &= !w->given_already; /* nothing of this one's */
        w->given_already = false;
        break;
    case COPY_OUT_RELEASE:
        copy_out_released(&w->out, w->out_outcome, NULL, buf_slice(&w->f->certificate_bytes), w->now_ms);
        break;
    case COPY_OUT_READ_HEAD:
        copy_out_head(&w->out, w->body ? REASON_NONE : REASON_NOT_FOUND, buf_slice(&w->f->info_bytes), w->f->list_root,
                      w->now_ms);
        break;
    case COPY_OUT_SURRENDER:
        copy_out_surrendered(&w->out, w->out_outcome, slice_str("surrender"), w->now_ms);
        break;
    case COPY_OUT_REMOVE_BODY:
        copy_out_removed(&w->out, REASON_NONE, w->now_ms);
        break;
    case COPY_OUT_AWAKEN:
        copy_out_awake(&w->out, w->out_outcome, w->now_ms);
        break;
    case COPY_OUT_STORE:
        copy_out_stored(&w->out, w->out_outcome, w->now_ms);
        break;
    default:
        fail();
    }
}

static void send_question(struct world *w, const struct copy_out_action *a)
{
    w->question = ++w->next_request;
    w->question_count++;
    buf_clear(&w->last_question);
    assert_int_equal(buf_append(&w->last_question, a->message), 0);
    w->last_question_type = a->type;
    put(w, &w->to_destination, a->type, w->question, a->message);
}

/* One action: true when something happened. */
static bool source_act(struct world *w)
{
    struct copy_out_action a = copy_out_next(&w->out, w->now_ms, FIXTURE_NOW);
    switch (a.kind) {
    case COPY_OUT_WAIT:
        return false;
    case COPY_OUT_CONNECT:
        w->connected = true;
        copy_out_connected(&w->out);
        break;
    case COPY_OUT_SEND:
        send_question(w, &a);
        break;
    case COPY_OUT_LET_GO: /* the connection stays: others may use it */
        w->question = 0;
        break;
    case COPY_OUT_ANSWER:
        if (w->answer_to != 0 && a.why == REASON_NONE)
            put(w, &w->to_destination, msg_Type_OK, w->answer_to, slice(NULL, 0));
        else if (w->answer_to != 0)
            put_refusal(w, &w->to_destination, w->answer_to, a.why);
        w->answer_to = 0;
        break;
    case COPY_OUT_TELL:
    case COPY_OUT_LATER:
        break;
    default:
        w->out_action = a;
        w->out_effect_done = false;
        break;
    }
    return true;
}

static bool source_step(struct world *w)
{
    if (w->out_action.kind != COPY_OUT_WAIT && !w->out_effect_done) {
        source_effect(w);
        w->out_effect_done = true;
        return true;
    }
    if (w->out_action.kind != COPY_OUT_WAIT) {
        source_outcome(w);
        return true;
    }
    if (w->out.unsure && w->asked && copy_out_wants_grant(&w->out)) { /* the transaction is answered again */
        assert_int_equal(grant(w), 0);
        return true;
    }
    if (!w->asked)
        copy_out_settled(&w->out);
    return source_act(w);
}

static void source_hears(struct world *w, struct message *m)
{
    msg_Delivered delivered;
    doc_Receipt receipt;
    if (m->type != msg_Type_DELIVERED) {
        struct frame f = { m->type, m->request, buf_slice(&m->bytes), slice(NULL, 0) };
        if (m->request == w->question && w->question != 0) {
            w->question = 0;
            copy_out_reply(&w->out, &f, REASON_NONE, w->now_ms);
        }
        return;
    }
    if (copy_out_read_delivered(buf_slice(&m->bytes), &delivered, &receipt) != 0) {
        lose(w);
        return;
    }
    if (!copy_out_is_about(&w->out, &receipt) && !copy_out_has_ended(&w->out)) {
        put(w, &w->to_destination, msg_Type_OK, m->request, slice(NULL, 0));
        return;
    }
    if (copy_out_delivered(&w->out, CODEC_BYTES(delivered.receipt), &receipt, w->now_ms) == 0)
        w->answer_to = m->request;
    else
        put_refusal(w, &w->to_destination, m->request, REASON_IN_USE);
}

/* ---- the destination ----------------------------------------------------------------------------------------- */

static void drop(struct copy_in *m, bool *there)
{
    if (*there)
        copy_in_deinit(m);
    *there = false;
}

static void destination_crash(struct world *w)
{
    lose(w);
    drop(&w->judge, &w->judge_there);
    drop(&w->in, &w->in_there);
    w->judge_action.kind = w->in_action.kind = COPY_IN_WAIT;
}

static void sign_receipt(struct world *w, enum receipt_outcome outcome)
{
    doc_Receipt r = { .outcome = outcome, .signed_ms = FIXTURE_NOW };
    memcpy(r.issuer, w->f->partner.bytes, sizeof(r.issuer));
    memcpy(r.serial, w->f->certificate.serial, sizeof(r.serial));
    memcpy(r.content, w->f->certificate.content, sizeof(r.content));
    memcpy(r.source, w->f->source_id.bytes, sizeof(r.source));
    memcpy(r.destination, w->f->destination_id.bytes, sizeof(r.destination));
    fixture_sign(&w->receipt, DOCUMENT_RECEIPT, &r, &w->f->destination);
}

static void vault_effect(struct world *w, enum copy_in_action_kind kind)
{
    if (kind == COPY_IN_CHECK && w->serial == SERIAL_NEW) {
        w->serial = SERIAL_RESERVED;
    } else if (kind == COPY_IN_REFUSE && w->serial != SERIAL_STORED && w->serial != SERIAL_REFUSED) {
        w->serial = SERIAL_REFUSED;
        sign_receipt(w, RECEIPT_REFUSED);
    } else if (kind == COPY_IN_COMMIT && w->serial == SERIAL_RESERVED) {
        assert_int_equal(w->blocks, WORLD_BLOCKS);
        w->serial = SERIAL_STORED;
        w->licenses++;
        sign_receipt(w, RECEIPT_STORED);
    }
    w->reported += kind == COPY_IN_REPORT || (kind == COPY_IN_COMMIT && w->serial == SERIAL_STORED);
}

static vlt_CertificateState vault_state(const struct world *w)
{
    vlt_CertificateState s = { .state = w->serial, .has_receipt = w->serial >= SERIAL_STORED };
    if (s.has_receipt)
        assert_int_equal(CODEC_SET_BYTES(s.receipt, buf_slice(&w->receipt)), 0);
    return s;
}

static void begin_copy(struct world *w)
{
    if (w->in_there && !copy_in_has_ended(&w->in)) {
        if (w->judge.connected)
            copy_in_again(&w->in);
        copy_in_begun(&w->judge, REASON_ALREADY);
        return;
    }
    drop(&w->in, &w->in_there);
    copy_in_begun(&w->judge, REASON_NONE);
    w->in = w->judge;
    w->in_there = true;
    w->judge_there = false;
    w->in_action.kind = COPY_IN_WAIT;
}

static void destination_outcome(struct world *w, struct copy_in *m, enum copy_in_action_kind kind)
{
    vlt_CertificateState state = vault_state(w);
    bool stored = w->serial == SERIAL_STORED;
    switch (kind) {
    case COPY_IN_CHECK:
    case COPY_IN_REFUSE:
        copy_in_judged(m, REASON_NONE, NULL, &state);
        break;
    case COPY_IN_REPORT:
        copy_in_reported(m, REASON_NONE);
        break;
    case COPY_IN_COMMIT:
        copy_in_committed(m, stored ? REASON_NONE : REASON_CANCELLED, NULL, buf_slice(&w->receipt));
        break;
    default:
        fail();
    }
}

static bool is_durable(enum copy_in_action_kind kind)
{
    return kind == COPY_IN_CHECK || kind == COPY_IN_REFUSE || kind == COPY_IN_REPORT || kind == COPY_IN_COMMIT;
}

static void do_drop(struct world *w, const struct copy_in *by)
{
    w->blocks = 0;
    w->pulling = false;
    if (by == &w->judge && w->in_there)
        copy_in_withdrawn(&w->in);
}

/* One action of one of the destination's machines. */
static bool destination_act(struct world *w, struct copy_in *m, struct copy_in_action *kept, bool *effect_done)
{
    struct copy_in_action a = copy_in_next(m);
    uint32_t request = w->judge_request;
    switch (a.kind) {
    case COPY_IN_WAIT:
        return false;
    case COPY_IN_BEGIN:
        begin_copy(w);
        break;
    case COPY_IN_REPLY:
        put(w, &w->to_source, a.type, request, a.message);
        break;
    case COPY_IN_DENY:
        put_refusal(w, &w->to_source, request, a.why);
        break;
    case COPY_IN_PULL:
        assert_true(w->connected);
        w->pulling = true;
        break;
    case COPY_IN_HALT:
        w->pulling = false;
        break;
    case COPY_IN_DELIVER:
        w->delivering = ++w->next_request;
        put(w, &w->to_source, a.type, w->delivering, a.message);
        break;
    case COPY_IN_DROP:
        do_drop(w, m);
        break;
    case COPY_IN_HANG_UP:
        lose(w);
        break;
    default:
        assert_true(is_durable(a.kind));
        *kept = a;
        *effect_done = false;
        break;
    }
    return true;
}

static bool machine_step(struct world *w, struct copy_in *m, struct copy_in_action *kept, bool *effect_done)
{
    enum copy_in_action_kind kind = kept->kind;
    if (kind == COPY_IN_WAIT)
        return destination_act(w, m, kept, effect_done);
    if (!*effect_done) {
        vault_effect(w, kind);
        *effect_done = true;
        return true;
    }
    kept->kind = COPY_IN_WAIT;
    destination_outcome(w, m, kind);
    return true;
}

static bool destination_step(struct world *w)
{
    if (w->judge_there) {
        if (machine_step(w, &w->judge, &w->judge_action, &w->judge_effect_done))
            return true;
        if (copy_in_has_ended(&w->judge))
            drop(&w->judge, &w->judge_there);
    }
    if (!w->in_there)
        return false;
    if (machine_step(w, &w->in, &w->in_action, &w->in_effect_done))
        return true;
    if (!w->pulling || !w->connected || w->in.state != COPY_IN_RECEIVING)
        return false;
    if (w->blocks < WORLD_BLOCKS && w->out.paused) {
        w->pulling = false;
        copy_in_lost(&w->in);
        return true;
    }
    copy_out_active(&w->out, w->now_ms);
    if (w->blocks < WORLD_BLOCKS)
        w->blocks++;
    else
        copy_in_received(&w->in, REASON_NONE, NULL);
    return true;
}

static void destination_hears(struct world *w, struct message *m)
{
    struct frame f = { m->type, m->request, buf_slice(&m->bytes), slice(NULL, 0) };
    if (m->type == msg_Type_OK || m->type == msg_Type_REFUSAL) {
        if (m->request == w->delivering && w->in_there)
            copy_in_delivered(&w->in, m->type == msg_Type_OK);
        w->delivering = 0;
        return;
    }
    if (w->judge_there) { /* one question at a time */
        put_refusal(w, &w->to_source, m->request, REASON_RATE_LIMITED);
        return;
    }
    if (copy_in_read(&w->judge, &f, &w->f->destination_id, &w->f->source_id) != 0) {
        lose(w);
        return;
    }
    w->judge_there = true;
    w->judge_action.kind = COPY_IN_WAIT;
    w->judge_request = m->request;
}

/* ---- all of it ----------------------------------------------------------------------------------------------- */

void world_init(struct world *w, const struct fixture *f, bool move)
{
    *w = (struct world){ .f = f, .now_ms = 1, .body = true };
    w->row_certificate = w->row_delegation = w->row_receipt = w->receipt = w->last_question = buf(64 * 1024);
    w->row = COPY_OUT_ASKING;
    source_start(w, move);
}

void world_deinit(struct world *w)
{
    lose(w);
    copy_out_deinit(&w->out);
    drop(&w->judge, &w->judge_there);
    drop(&w->in, &w->in_there);
    buf_free(&w->row_certificate);
    buf_free(&w->row_delegation);
    buf_free(&w->row_receipt);
    buf_free(&w->receipt);
    buf_free(&w->last_question);
}

void world_fault(struct world *w, enum fault_kind kind)
{
    switch (kind) {
    case FAULT_LOSE:
        lose(w);
        break;
    case FAULT_CRASH_SOURCE:
        source_crash(w);
        break;
    case FAULT_CRASH_DESTINATION:
        destination_crash(w);
        break;
    case FAULT_CUT:
        w->cut_next = true;
        break;
    case FAULT_REPEAT:
        if (w->last_question.len > 0 && w->to_destination.count < WORLD_QUEUE - 2)
            put(w, &w->to_destination, w->last_question_type, ++w->next_request, buf_slice(&w->last_question));
        break;
    case FAULT_STORE:
        w->store_fails = true;
        break;
    case FAULT_VAULT:
        w->vault_fails = true;
        break;
    case FAULT_CANCEL:
        w->cancelled = true;
        copy_out_cancel(&w->out);
        break;
    case FAULT_DECLINE:
        if (w->in_there) {
            copy_in_cancel(&w->in);
            w->declined = true;
        }
        break;
    case FAULT_PAUSE:
        copy_out_pause(&w->out);
        break;
    case FAULT_AGAIN:
        (void)copy_out_again(&w->out);
        break;
    case FAULT_GIVEN:
        w->given_already = true;
        break;
    case FAULT_COUNT:
        break;
    }
}

static bool deliver(struct world *w, struct queue *q, void (*hears)(struct world *, struct message *))
{
    if (q->count == 0)
        return false;
    struct message m = take(q);
    if (w->cut_next && m.bytes.len > 1) {
        m.bytes.len /= 2;
        w->cut_next = false;
    }
    hears(w, &m);
    buf_free(&m.bytes);
    return true;
}

bool world_step(struct world *w)
{
    return source_step(w) || deliver(w, &w->to_source, source_hears) || destination_step(w) ||
           deliver(w, &w->to_destination, destination_hears);
}

void world_sleep(struct world *w)
{
    int64_t deadline_ms = copy_out_deadline_ms(&w->out);
    if (w->out.paused)
        copy_out_resume(&w->out);
    w->now_ms = deadline_ms == INT64_MAX || deadline_ms < w->now_ms ? w->now_ms + SHORTLY_MS : deadline_ms;
}

void world_check(const struct world *w)
{
    bool move = w->out.about.move;
    assert_in_range(w->licenses, 0, 1); /* stored once */
    assert_int_equal(w->licenses, w->serial == SERIAL_STORED);
    if (w->blocks > 0)
        assert_int_not_equal(w->serial, SERIAL_NEW); /* nothing of a content before the judgement */
    if (w->license == LICENSE_GIVEN_UP || !w->body) {
        assert_true(move);
        assert_int_equal(w->serial, SERIAL_STORED); /* never both lost */
    }
    if (move && w->serial == SERIAL_STORED)
        assert_int_not_equal(w->license, LICENSE_AWAKE); /* never both usable */
    if (w->given_back > 0)
        assert_int_equal(w->serial, SERIAL_REFUSED); /* nothing comes back of what was stored */
    if (w->redeemed + w->move_done > 0)
        assert_int_equal(w->serial, SERIAL_STORED);
    assert_in_range(w->redeemed + w->move_done + w->given_back, 0, 1);
    if (w->row == COPY_OUT_DONE)
        assert_int_equal(w->redeemed + w->move_done, 1); /* gone only when it is reported (S153) */
}
