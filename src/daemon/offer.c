/* Offers and withdrawals: read, judged by the vault, answered. Nothing of a content is accepted before that.
 *
 * Callbacks, in order: on_checked or on_refused (vault). */
#include <stdlib.h>

#include "daemon/accept_internal.h"
#include "daemon/fetch.h"
#include "daemon/vault_client.h"

#define LOG_MODULE "accept"
#include "base/log.h"

enum { STATE_RESERVED = 1, STATE_STORED = 2 }; /* vlt.CertificateState.state */

struct question { /* an OFFER or WITHDRAW before the vault */
    struct daemon *daemon;
    struct link_user link;
    uint32_t request;
    msg_Offer offer;
    struct certificate_name name;
};

static void on_closed(struct link_user *u, enum reason why)
{
    (void)u; /* nobody to answer any more; the vault's answer still comes */
    (void)why;
}

static struct question *question_new(struct link *l, const struct frame *f)
{
    struct question *q = calloc(1, sizeof(*q));
    if (q == NULL)
        return NULL;
    q->daemon = link_daemon(l);
    q->request = f->request;
    q->name.license = buf(0);
    q->link.on_closed = on_closed;
    link_join(l, &q->link);
    return q;
}

static void question_free(struct question *q)
{
    link_leave(&q->link);
    certificate_name_deinit(&q->name);
    free(q);
}

static void refuse(struct question *q, enum reason why, const char *detail)
{
    if (q->link.link != NULL)
        link_refuse(q->link.link, q->request, why, detail);
}

/* A stranger may ask the vault one thing at a time. */
static bool is_too_much(const struct link *l) { return !link_is_trusted(l) && link_is_used(l); }

/* Who may say this here: the source that the certificate names, to the destination that it names. 0 or an enum reason. */
static int judge_ends(const struct question *q, const struct link *l)
{
    if (!id_equal(q->name.destination.bytes, q->daemon->self.bytes))
        return REASON_WRONG_DESTINATION;
    return id_equal(q->name.source.bytes, link_client(l)->bytes) ? 0 : REASON_NOT_PERMITTED;
}

/* ---- offers -------------------------------------------------------------------------------------------------- */

static void take(struct question *q, const struct slice *receipt)
{
    msg_OfferTaken m = msg_OfferTaken_init_zero;
    struct peer *p = q->link.link == NULL ? NULL : link_peer(q->link.link);
    m.has_receipt = receipt != NULL;
    if (p == NULL || (receipt != NULL && CODEC_SET_BYTES(m.receipt, *receipt) != 0))
        return;
    if (peer_send(p, msg_Type_OFFER_TAKEN, q->request, msg_OfferTaken_fields, &m, slice(NULL, 0)) != 0)
        log_debug("an offer could not be answered");
}

static void begin(struct question *q)
{
    struct link *l = q->link.link;
    struct accept *a = accept_find(q->daemon, &q->name);
    bool fresh = a == NULL;
    int r = 0;
    if (l == NULL || link_peer(l) == NULL)
        return; /* the source offers again */
    if (fresh)
        r = accept_begin(l, &q->offer, &q->name, &a);
    if (r != 0) {
        refuse(q, reason_of_error(r), NULL);
        return;
    }
    take(q, NULL);
    accept_attach(a, l);
    if (fresh)
        fetches_begun(q->daemon, &a->t);
}

static void on_checked(const struct answer *answer, void *ctx)
{
    struct question *q = ctx;
    vlt_CertificateState state;
    bool wanted = q->daemon->transfers != NULL && !q->daemon->transfers->stopping;
    if (!wanted) {
        /* the source offers again after the next start */
    } else if (answer->why != REASON_NONE) {
        log_info("an offer was refused reason=%s", answer->refusal->code);
        refuse(q, answer->why, answer->refusal->text);
    } else if (CODEC_DECODE(vlt_CertificateState, answer->frame->message, &state) != 0) {
        refuse(q, REASON_INTERNAL, NULL);
    } else if (state.state == STATE_RESERVED) {
        begin(q);
    } else if (state.state == STATE_STORED && state.has_receipt) {
        struct slice receipt = CODEC_BYTES(state.receipt);
        if (commit_report(q->daemon, &q->name, receipt) != 0)
            log_warn("a receipt could not be reported again");
        take(q, &receipt);
    } else {
        refuse(q, REASON_SERIAL_ALREADY_USED, NULL);
    }
    question_free(q);
}

static int ask_check(struct question *q)
{
    vlt_CertificateCheck *m CLEANUP(freep) = calloc(1, sizeof(*m)); /* 5 KiB */
    if (m == NULL)
        return -ENOMEM;
    m->has_delegation = q->offer.has_delegation;
    m->has_presenter = true;
    memcpy(m->list_root, q->offer.list_root, sizeof(m->list_root));
    memcpy(m->presenter, q->name.source.bytes, sizeof(m->presenter)); /* proved by the connection: judge_ends */
    int r = CODEC_SET_BYTES(m->certificate, CODEC_BYTES(q->offer.certificate));
    if (r == 0 && m->has_delegation)
        r = CODEC_SET_BYTES(m->delegation, CODEC_BYTES(q->offer.delegation));
    if (r == 0)
        r = CODEC_SET_BYTES(m->info, CODEC_BYTES(q->offer.info));
    if (r == 0)
        r = vault_call(q->daemon->vault,
                       &ASK(vlt_Type_CERTIFICATE_CHECK, vlt_Type_CERTIFICATE_STATE, vlt_CertificateCheck, m),
                       on_checked, q);
    return r;
}

void accept_on_offer(struct link *l, const struct frame *f)
{
    if (is_too_much(l)) {
        link_refuse(l, f->request, REASON_RATE_LIMITED, NULL);
        return;
    }
    struct question *q = question_new(l, f);
    if (q == NULL) {
        link_refuse(l, f->request, REASON_INTERNAL, NULL);
        return;
    }
    if (CODEC_DECODE(msg_Offer, f->message, &q->offer) != 0) {
        question_free(q);
        peer_close(link_peer(l), REASON_MALFORMED);
        return;
    }
    int r = certificate_name_read(CODEC_BYTES(q->offer.certificate), &q->name);
    if (r == 0)
        r = judge_ends(q, l);
    if (r == 0)
        r = ask_check(q);
    if (r == 0)
        return;
    refuse(q, reason_of_error(r), NULL);
    question_free(q);
}

/* ---- withdrawals --------------------------------------------------------------------------------------------- */

static void on_refused(const struct answer *answer, void *ctx)
{
    struct question *q = ctx;
    vlt_CertificateState state;
    msg_Withdrawn m = msg_Withdrawn_init_zero;
    struct peer *p = q->link.link == NULL ? NULL : link_peer(q->link.link);
    if (answer->why != REASON_NONE) {
        refuse(q, answer->why, answer->refusal->text);
    } else if (CODEC_DECODE(vlt_CertificateState, answer->frame->message, &state) != 0 || !state.has_receipt ||
               CODEC_SET_BYTES(m.receipt, CODEC_BYTES(state.receipt)) != 0) {
        refuse(q, REASON_INTERNAL, NULL);
    } else {
        struct accept *a =
            q->daemon->transfers == NULL || state.state == STATE_STORED ? NULL : accept_find(q->daemon, &q->name);
        if (p != NULL && peer_send(p, msg_Type_WITHDRAWN, q->request, msg_Withdrawn_fields, &m, slice(NULL, 0)) != 0)
            log_debug("a withdrawal could not be answered");
        if (a != NULL && !a->committing)
            accept_drop(a, REASON_CANCELLED);
    }
    question_free(q);
}

static int ask_refuse(struct question *q, const msg_Withdraw *w)
{
    vlt_CertificateRefuse m = vlt_CertificateRefuse_init_zero;
    int r = CODEC_SET_BYTES(m.certificate, CODEC_BYTES(w->certificate));
    m.has_delegation = w->has_delegation;
    if (r == 0 && m.has_delegation)
        r = CODEC_SET_BYTES(m.delegation, CODEC_BYTES(w->delegation));
    if (r == 0)
        r = vault_call(q->daemon->vault,
                       &ASK(vlt_Type_CERTIFICATE_REFUSE, vlt_Type_CERTIFICATE_STATE, vlt_CertificateRefuse, &m),
                       on_refused, q);
    return r;
}

void accept_on_withdraw(struct link *l, const struct frame *f)
{
    msg_Withdraw m;
    if (is_too_much(l)) {
        link_refuse(l, f->request, REASON_RATE_LIMITED, NULL);
        return;
    }
    if (CODEC_DECODE(msg_Withdraw, f->message, &m) != 0) {
        peer_close(link_peer(l), REASON_MALFORMED);
        return;
    }
    struct question *q = question_new(l, f);
    if (q == NULL) {
        link_refuse(l, f->request, REASON_INTERNAL, NULL);
        return;
    }
    int r = certificate_name_read(CODEC_BYTES(m.certificate), &q->name);
    if (r == 0 &&
        (!id_equal(q->name.issuer.bytes, m.issuer) || memcmp(q->name.serial, m.serial, sizeof(m.serial)) != 0))
        r = REASON_MALFORMED;
    if (r == 0)
        r = judge_ends(q, l);
    if (r == 0)
        r = ask_refuse(q, &m);
    if (r == 0)
        return;
    refuse(q, reason_of_error(r), NULL);
    question_free(q);
}
