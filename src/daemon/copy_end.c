/* How copies and moves end: reports to the issuer, the surrender of a moved license, taking a move back.
 *
 * Callbacks, in order: on_released (vault); on_receipt_stored (database); on_surrendered (vault), remove_work (pool), on_removed,
 * on_reported (database); or on_awake (vault), on_taken_back (database). */
#include <stdlib.h>

#include "daemon/account.h"
#include "daemon/bodies.h"
#include "daemon/copy_internal.h"
#include "daemon/events.h"
#include "daemon/library.h"
#include "daemon/transact.h"
#include "vault.pb.h"

#define LOG_MODULE "copy"
#include "base/log.h"

static void ended(struct copy *c, enum transfer_state state)
{
    struct daemon *d = c->t.daemon;
    struct id destination = c->t.with;
    c->t.done_bytes = state == TRANSFER_DONE ? c->t.total_bytes : c->t.done_bytes;
    copy_let_go(c);
    transfer_hold(&c->t);
    transfer_set_state(&c->t, state, REASON_NONE, NULL);
    copies_kick(d, &destination);
    transfer_release(&c->t);
}

/* Its row says DONE already, or is gone because another says so. */
static void done(struct copy *c)
{
    struct daemon *d = c->t.daemon;
    if (!copies_done(d, &c->t.content, &c->t.with, c->move) &&
        copies_remember(d, &c->t.content, &c->t.with, c->move) != 0)
        log_warn("a finished copy is remembered after the next start only");
    ended(c, TRANSFER_DONE);
}

/* The change that ends a copy or move for good; one row of each kind is kept. */
static struct copy_change change_done(const struct copy *c)
{
    return (struct copy_change){ .state = COPY_DONE,
                                 .remove = copies_done(c->t.daemon, &c->t.content, &c->t.with, c->move) };
}

/* ---- delivered ----------------------------------------------------------------------------------------------- */

static void on_receipt_stored(struct copy *c, int outcome)
{
    copy_reply(c, reason_of_error(outcome), NULL);
    if (outcome != 0) {
        copy_later(c, reason_of_error(outcome));
        return;
    }
    c->retry_ms = 0;
    if (c->move) {
        copy_step(c);
        return;
    }
    event(c->t.daemon, "copied", "%s was copied to %s", c->t.title, c->t.peer);
    done(c);
}

void copy_delivered(struct copy *c, struct slice receipt)
{
    struct copy_change change = { .state = COPY_DELIVERED, .done = on_receipt_stored };
    buf_clear(&c->receipt);
    int r = buf_append(&c->receipt, receipt);
    if (r == 0 && !c->move) { /* S153: reported and gone, in one transaction */
        msg_Redeem m = msg_Redeem_init_zero;
        change = change_done(c);
        change.done = on_receipt_stored;
        change.report_type = msg_Type_REDEEM;
        change.report = buf(msg_Redeem_size);
        r = CODEC_SET_BYTES(m.receipt, receipt);
        if (r == 0)
            r = CODEC_ENCODE(msg_Redeem, &change.report, &m);
    }
    if (r != 0) {
        buf_free(&change.report);
        copy_reply(c, REASON_INTERNAL, NULL);
        copy_later(c, REASON_INTERNAL);
        return;
    }
    copy_store(c, &change);
}

/* ---- a move, delivered: surrender, delete, report ------------------------------------------------------------- */

struct finishing {
    uv_work_t work;
    struct copy *copy;
    struct buf report; /* MOVE_DONE, encoded */
    char dir[BODIES_PATH_BYTES];
    struct id content;
    int outcome;
};

static void on_reported(struct copy *c, int outcome)
{
    if (outcome != 0) {
        copy_later(c, reason_of_error(outcome));
        return;
    }
    event(c->t.daemon, "moved", "%s was moved to %s", c->t.title, c->t.peer);
    done(c);
}

static void report_move(struct copy *c, struct buf *report)
{
    struct copy_change change = change_done(c);
    change.report_type = msg_Type_MOVE_DONE;
    change.report = *report;
    change.done = on_reported;
    *report = buf(0);
    copy_store(c, &change);
}

static void remove_work(uv_work_t *work)
{
    struct finishing *f = work->data;
    f->outcome = bodies_remove(f->dir, &f->content);
}

static void on_removed(uv_work_t *work, int status)
{
    struct finishing *f = work->data;
    struct copy *c = f->copy;
    (void)status;
    c->busy = false;
    if (!c->t.gone && f->outcome != 0) {
        log_warn("a moved body could not be removed: %s", strerror(-f->outcome));
        copy_later(c, reason_of_error(f->outcome));
    } else if (!c->t.gone) {
        report_move(c, &f->report);
    }
    buf_free(&f->report);
    free(f);
    transfer_release(&c->t);
}

/* The content goes with its last license, and not before the move is certain. */
static void delete_body(struct copy *c, struct buf *report)
{
    struct daemon *d = c->t.daemon;
    const struct track *t = library_find(d, c->t.content.bytes);
    const struct track_license *other = t == NULL ? NULL : track_license(t);
    struct finishing *f = other != NULL && other->state != LICENSE_SURRENDERED ? NULL : calloc(1, sizeof(*f));
    if (f == NULL) {
        report_move(c, report);
        return;
    }
    f->work.data = f;
    f->copy = c;
    f->report = *report;
    *report = buf(0);
    f->content = c->t.content;
    CODEC_SET_TEXT(f->dir, d->config.bodies_dir);
    if (library_body_changed(d, &c->t.content, false) != 0)
        log_debug("a moved track stays listed");
    serve_forget(d->transfers->serve, &c->t.content);
    c->busy = true;
    transfer_hold(&c->t);
    (void)uv_queue_work(d->loop, &f->work, remove_work, on_removed); /* fails only without a function */
}

static void on_surrendered(struct copy *c, const struct answer *answer)
{
    vlt_MoveFinished finished;
    msg_MoveDone done = msg_MoveDone_init_zero;
    struct buf report = buf(msg_MoveDone_size);
    if (answer->why != REASON_NONE || CODEC_DECODE(vlt_MoveFinished, answer->frame->message, &finished) != 0) {
        copy_later(c, answer->why != REASON_NONE ? answer->why : REASON_INTERNAL);
        return;
    }
    library_license_state(c->t.daemon, c->issuer.bytes, c->license_id, LICENSE_SURRENDERED);
    int r = CODEC_SET_BYTES(done.receipt, buf_slice(&c->receipt));
    if (r == 0)
        r = CODEC_SET_BYTES(done.surrender, CODEC_BYTES(finished.surrender));
    if (r == 0)
        r = CODEC_ENCODE(msg_MoveDone, &report, &done);
    if (r == 0)
        delete_body(c, &report);
    else
        copy_later(c, REASON_INTERNAL);
    buf_free(&report);
}

void copy_finish(struct copy *c)
{
    vlt_MoveFinish m = vlt_MoveFinish_init_zero;
    int r = CODEC_SET_BYTES(m.receipt, buf_slice(&c->receipt));
    if (r == 0)
        r = copy_ask_vault(c, &ASK(vlt_Type_MOVE_FINISH, vlt_Type_MOVE_FINISHED, vlt_MoveFinish, &m), on_surrendered);
    if (r != 0)
        copy_later(c, REASON_INTERNAL);
}

/* ---- a move, before: the license sleeps, then the certificate is free ------------------------------------------ */

static void on_released(struct copy *c, const struct answer *answer)
{
    vlt_MoveReleased released;
    enum reason why = answer->why;
    if (why == REASON_NONE && CODEC_DECODE(vlt_MoveReleased, answer->frame->message, &released) != 0)
        why = REASON_INTERNAL;
    buf_clear(&c->released);
    if (why == REASON_NONE && buf_append(&c->released, CODEC_BYTES(released.certificate)) != 0)
        why = REASON_INTERNAL;
    if (why == REASON_INTERNAL || why == REASON_TIMED_OUT || why == REASON_CANCELLED || why == REASON_IN_USE) {
        copy_later(c, why);
    } else if (why != REASON_NONE) { /* the vault's judgement: no move comes of it, the license stays awake */
        copy_failed(c, why, answer->refusal->text);
    } else {
        library_license_state(c->t.daemon, c->issuer.bytes, c->license_id, LICENSE_SUSPENDED);
        copy_note_serial(c);
        copy_step(c);
    }
}

void copy_release_license(struct copy *c)
{
    vlt_MoveRelease m = vlt_MoveRelease_init_zero;
    int r = CODEC_SET_BYTES(m.sealed, buf_slice(&c->certificate));
    if (r == 0)
        r = copy_ask_vault(c, &ASK(vlt_Type_MOVE_RELEASE, vlt_Type_MOVE_RELEASED, vlt_MoveRelease, &m), on_released);
    if (r != 0)
        copy_later(c, REASON_INTERNAL);
}

/* ---- taking back --------------------------------------------------------------------------------------------- */

static void on_refusal_stored(struct copy *c, int outcome)
{
    if (outcome != 0)
        copy_later(c, reason_of_error(outcome));
    else
        copy_step(c);
}

void copy_refused(struct copy *c, struct slice receipt)
{
    buf_clear(&c->receipt);
    if (buf_append(&c->receipt, receipt) != 0) {
        copy_later(c, REASON_INTERNAL);
        return;
    }
    copy_let_go(c);
    copy_store(c, &(struct copy_change){ .state = COPY_REFUSED, .done = on_refusal_stored });
}

static void on_taken_back(struct copy *c, int outcome)
{
    if (outcome != 0) {
        copy_later(c, reason_of_error(outcome));
        return;
    }
    event(c->t.daemon, "move-cancelled", "%s stays here: its move to %s was taken back", c->t.title, c->t.peer);
    ended(c, TRANSFER_CANCELLED);
}

static void on_awake(struct copy *c, const struct answer *answer)
{
    struct copy_change change = {
        .state = COPY_REFUSED, .remove = true, .report_type = msg_Type_MOVE_CANCEL, .done = on_taken_back
    };
    msg_MoveCancel m = msg_MoveCancel_init_zero;
    if (answer->why != REASON_NONE) {
        copy_later(c, answer->why);
        return;
    }
    library_license_state(c->t.daemon, c->issuer.bytes, c->license_id, LICENSE_VALID);
    change.report = buf(msg_MoveCancel_size);
    int r = CODEC_SET_BYTES(m.receipt, buf_slice(&c->receipt));
    if (r == 0)
        r = CODEC_ENCODE(msg_MoveCancel, &change.report, &m);
    if (r == 0) {
        copy_store(c, &change);
        return;
    }
    buf_free(&change.report);
    copy_later(c, REASON_INTERNAL);
}

void copy_restore(struct copy *c)
{
    vlt_MoveCancel m = vlt_MoveCancel_init_zero;
    int r = CODEC_SET_BYTES(m.receipt, buf_slice(&c->receipt));
    if (r == 0)
        r = copy_ask_vault(c, &ASK(vlt_Type_MOVE_CANCEL, vlt_Type_DONE, vlt_MoveCancel, &m), on_awake);
    if (r != 0)
        copy_later(c, REASON_INTERNAL);
}

void copy_withdraw(struct copy *c)
{
    copy_let_go(c);
    copy_store(c, &(struct copy_change){ .state = COPY_WITHDRAWING, .done = on_refusal_stored });
}

static void on_forgotten(struct copy *c, int outcome)
{
    if (outcome != 0)
        copy_later(c, reason_of_error(outcome));
    else
        ended(c, TRANSFER_CANCELLED);
}

static bool sleeps(const struct copy *c)
{
    const struct track *t = library_find(c->t.daemon, c->t.content.bytes);
    for (size_t i = 0; t != NULL && i < t->license_count; i++)
        if (id_equal(t->licenses[i].issuer.bytes, c->issuer.bytes) &&
            memcmp(t->licenses[i].license_id, c->license_id, sizeof(c->license_id)) == 0)
            return t->licenses[i].state == LICENSE_SUSPENDED;
    return false;
}

void copy_cancel(struct copy *c)
{
    struct account *a = account_find(c->t.daemon, c->issuer.bytes);
    if (c->offered && !c->move)
        copy_take_back(c);
    copy_let_go(c);
    if (c->durable == COPY_ASKING && a != NULL && transact_outstanding(a->transact)) {
        copy_later(c, REASON_OFFLINE); /* perhaps it is granted: known when the transaction is answered */
        return;
    }
    if (c->move && c->durable == COPY_HELD && sleeps(c)) {
        copy_withdraw(c);
        return;
    }
    /* Its issuer gives nothing back without the word of the destination, which was not asked or is asked by copy_take_back. */
    copy_reply(c, REASON_CANCELLED, NULL);
    copy_store(c, &(struct copy_change){ .state = c->durable, .remove = true, .done = on_forgotten });
}

/* ---- media --------------------------------------------------------------------------------------------------- */

bool copy_certificate(struct transfer *t, struct slice *certificate, struct slice *delegation)
{
    const struct copy *c = copy_of(t);
    if (c->durable != COPY_HELD || transfer_has_ended(t))
        return false;
    *certificate = copy_plain(c);
    *delegation = buf_slice(&c->delegation);
    return certificate->len > 0;
}

static void on_exported(struct copy *c, int outcome)
{
    if (outcome != 0) {
        transfer_set_state(&c->t, TRANSFER_WAITING, reason_of_error(outcome), NULL);
        transfer_tell(&c->t, reason_of_error(outcome), NULL);
        return;
    }
    event(c->t.daemon, "exported", "%s was exported for %s", c->t.title, c->t.peer);
    ended(c, TRANSFER_DONE);
}

void copy_written(struct transfer *t, enum reason why, const char *detail)
{
    struct copy *c = copy_of(t);
    if (why != REASON_NONE) {
        transfer_set_state(t, TRANSFER_WAITING, why, NULL);
        transfer_tell(t, why, detail);
        return;
    }
    copy_store(c, &(struct copy_change){ .state = c->durable, .remove = true, .done = on_exported });
}
