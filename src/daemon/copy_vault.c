/* License and body of a move, and copies to media.
 *
 * Callbacks, in order: on_vault; on_removed. */
#include <stdlib.h>

#include "daemon/copy_internal.h"
#include "daemon/library.h"
#include "daemon/session.h"
#include "daemon/vault_client.h"
#include "net/receive_run.h"
#include "vault.pb.h"

#define LOG_MODULE "copy"
#include "base/log.h"

/* ---- the license --------------------------------------------------------------------------------------------- */

struct question {
    struct copy *copy; /* held */
    void (*on_answer)(struct copy *c, const struct answer *answer);
};

static void on_vault(const struct answer *answer, void *ctx)
{
    struct question q = *(struct question *)ctx;
    free(ctx);
    if (!q.copy->t.gone) {
        q.on_answer(q.copy, answer);
        copy_step(q.copy);
    }
    transfer_release(&q.copy->t);
}

static int ask_vault(struct copy *c, const struct ask *ask,
                     void (*on_answer)(struct copy *c, const struct answer *answer))
{
    struct question *q = malloc(sizeof(*q));
    if (q == NULL)
        return -ENOMEM;
    *q = (struct question){ c, on_answer };
    int r = vault_call(c->t.daemon->vault, ask, on_vault, q);
    if (r == 0)
        transfer_hold(&c->t);
    else
        free(q);
    return r;
}

static void note_license(struct copy *c, enum license_state state)
{
    struct track *t;
    struct track_license *l =
        library_license(c->t.daemon, c->t.content.bytes, c->m.about.issuer.bytes, c->m.about.license_id, &t);
    if (l == NULL)
        return;
    l->state = state;
    library_changed(c->t.daemon, t);
}

static void on_released(struct copy *c, const struct answer *answer)
{
    vlt_MoveReleased released = vlt_MoveReleased_init_zero;
    enum reason why = answer->why;
    if (why == REASON_NONE && CODEC_DECODE(vlt_MoveReleased, answer->frame->message, &released) != 0)
        why = REASON_INTERNAL;
    if (why == REASON_NONE) {
        struct account *issuer = account_find(c->t.daemon, c->m.about.issuer.bytes);
        note_license(c, LICENSE_SUSPENDED);
        if (issuer != NULL)
            session_present(issuer->session);
    }
    copy_out_released(&c->m, why, answer->refusal != NULL ? answer->refusal->text : NULL,
                      CODEC_BYTES(released.certificate), copy_now_ms(c));
}

void copy_ask_release(struct copy *c, struct slice sealed)
{
    vlt_MoveRelease m = vlt_MoveRelease_init_zero;
    int r = CODEC_SET_BYTES(m.sealed, sealed);
    if (r == 0)
        r = ask_vault(c, &ASK(vlt_Type_MOVE_RELEASE, vlt_Type_MOVE_RELEASED, vlt_MoveRelease, &m), on_released);
    if (r != 0)
        copy_out_released(&c->m, REASON_INTERNAL, NULL, slice(NULL, 0), copy_now_ms(c));
}

/* Where it went. A loan comes back, unless this is its way back. */
static void note_way(struct copy *c)
{
    struct track_license *l =
        library_license(c->t.daemon, c->t.content.bytes, c->m.about.issuer.bytes, c->m.about.license_id, NULL);
    if (l == NULL)
        return;
    bool lent = c->m.about.checkout && !l->has_lender;
    l->has_borrower = lent;
    l->has_moved_to = !lent;
    l->borrower = l->moved_to = c->m.about.destination;
}

static void on_surrendered(struct copy *c, const struct answer *answer)
{
    vlt_MoveFinished finished = vlt_MoveFinished_init_zero;
    enum reason why = answer->why;
    if (why == REASON_NONE && CODEC_DECODE(vlt_MoveFinished, answer->frame->message, &finished) != 0)
        why = REASON_INTERNAL;
    if (why == REASON_NONE) {
        note_license(c, LICENSE_SURRENDERED);
        note_way(c);
    }
    copy_out_surrendered(&c->m, why, CODEC_BYTES(finished.surrender), copy_now_ms(c));
}

void copy_ask_surrender(struct copy *c, struct slice receipt)
{
    vlt_MoveFinish m = vlt_MoveFinish_init_zero;
    int r = CODEC_SET_BYTES(m.receipt, receipt);
    if (r == 0)
        r = ask_vault(c, &ASK(vlt_Type_MOVE_FINISH, vlt_Type_MOVE_FINISHED, vlt_MoveFinish, &m), on_surrendered);
    if (r != 0)
        copy_out_surrendered(&c->m, REASON_INTERNAL, slice(NULL, 0), copy_now_ms(c));
}

static void on_awake(struct copy *c, const struct answer *answer)
{
    if (answer->why == REASON_NONE)
        note_license(c, LICENSE_VALID);
    copy_out_awake(&c->m, answer->why, copy_now_ms(c));
}

void copy_ask_awaken(struct copy *c, struct slice refusal)
{
    vlt_MoveCancel m = vlt_MoveCancel_init_zero;
    int r = CODEC_SET_BYTES(m.receipt, refusal);
    if (r == 0)
        r = ask_vault(c, &ASK(vlt_Type_MOVE_CANCEL, vlt_Type_DONE, vlt_MoveCancel, &m), on_awake);
    if (r != 0)
        copy_out_awake(&c->m, REASON_INTERNAL, copy_now_ms(c));
}

/* ---- the body ------------------------------------------------------------------------------------------------ */

static void on_removed(int outcome, void *ctx)
{
    struct copy *c = ctx;
    if (!c->t.gone) {
        copy_out_removed(&c->m, reason_of_error(outcome), copy_now_ms(c));
        copy_step(c);
    }
    transfer_release(&c->t);
}

/* The content goes with its last license. */
void copy_remove_body(struct copy *c)
{
    struct daemon *d = c->t.daemon;
    const struct track *t = library_find(d, c->t.content.bytes);
    const struct track_license *other = t == NULL ? NULL : track_license(t);
    if (c->m.about.checkout ||
        (other != NULL && other->state != LICENSE_SURRENDERED)) { /* it comes back, or is used again */
        copy_out_removed(&c->m, REASON_NONE, copy_now_ms(c));
        return;
    }
    if (library_body_changed(d, &c->t.content, false) != 0)
        log_debug("a moved track stays listed");
    serve_forget(d->transfers->serve, &c->t.content);
    transfer_hold(&c->t);
    int r = receive_run_remove(d->loop, &d->transfers->shared, d->config.bodies_dir, &c->t.content, on_removed, c);
    if (r == 0)
        return;
    copy_out_removed(&c->m, reason_of_error(r), copy_now_ms(c));
    transfer_release(&c->t);
}

/* ---- media --------------------------------------------------------------------------------------------------- */

bool copy_certificate(struct transfer *t, struct slice *certificate, struct slice *delegation)
{
    const struct copy *c = copy_of(t);
    if (c->m.state != COPY_OUT_HELD || transfer_has_ended(t))
        return false;
    *certificate = copy_out_certificate(&c->m);
    *delegation = buf_slice(&c->m.delegation);
    return certificate->len > 0;
}

void copy_written(struct transfer *t, enum reason why, const char *detail)
{
    struct copy *c = copy_of(t);
    if (why != REASON_NONE) {
        transfer_set_state(t, TRANSFER_WAITING, why, NULL);
        transfer_tell(t, why, detail);
        return;
    }
    copy_out_written(&c->m);
    copy_step(c);
}
