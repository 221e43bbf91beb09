/* Offers and withdrawals: read, judged by the vault, answered. Nothing of a content is accepted before that.
 *
 * Callbacks, in order: on_judged (vault), on_reported (database); on_closed (link) at any time. */
#include <stdlib.h>

#include "daemon/accept_internal.h"
#include "daemon/papers.h"

#define LOG_MODULE "accept"
#include "base/log.h"

struct question { /* an OFFER or WITHDRAW before the vault */
    struct daemon *daemon;
    struct copy_in m;
    struct link_user link;
    uint32_t request;
};

static void question_free(struct question *q)
{
    link_leave(&q->link);
    copy_in_deinit(&q->m);
    free(q);
}

static void on_closed(struct link_user *u, enum reason why)
{
    (void)why;
    copy_in_lost(&container_of(u, struct question, link)->m); /* the outcome that is waited for still comes */
}

static void question_step(struct question *q);

/* ---- the vault ----------------------------------------------------------------------------------------------- */

static void on_judged(const struct answer *answer, void *ctx)
{
    struct question *q = ctx;
    vlt_CertificateState state;
    enum reason why = answer->why;
    if (q->daemon->transfers == NULL || q->daemon->transfers->stopping) {
        question_free(q); /* the source offers again after the next start */
        return;
    }
    if (why == REASON_NONE && CODEC_DECODE(vlt_CertificateState, answer->frame->message, &state) != 0)
        why = REASON_INTERNAL;
    if (answer->why != REASON_NONE)
        log_info("an offer or withdrawal was refused reason=%s", answer->refusal->code);
    copy_in_judged(&q->m, why, answer->refusal != NULL ? answer->refusal->text : NULL, &state);
    question_step(q);
}

static struct papers papers_of(const struct copy_in *m)
{
    return (struct papers){
        .certificate = buf_slice(&m->certificate),
        .delegation = buf_slice(&m->delegation),
        .info = buf_slice(&m->info),
        .list_root = m->list_root,
        .presenter = &m->name.source, /* proved by the connection: copy_in_read */
    };
}

int accept_ask_refuse(struct daemon *d, const struct copy_in *in, answer_fn on_answer, void *ctx)
{
    struct papers papers = papers_of(in);
    return papers_refuse(d, &papers, on_answer, ctx);
}

static int ask_vault(struct question *q, enum copy_in_action_kind kind)
{
    struct papers papers = papers_of(&q->m);
    return kind == COPY_IN_CHECK ? papers_check(q->daemon, &papers, on_judged, q)
                                 : papers_refuse(q->daemon, &papers, on_judged, q);
}

/* ---- steps --------------------------------------------------------------------------------------------------- */

static void on_reported(enum reason why, const char *detail, struct slice receipt, void *ctx)
{
    struct question *q = ctx;
    (void)detail;
    (void)receipt;
    copy_in_reported(&q->m, why);
    question_step(q);
}

/* true: the machine has moved to an accept. */
static bool begin(struct question *q)
{
    struct accept *a = accept_find(q->daemon, &q->m.name);
    struct link *l = q->link.link;
    int r = REASON_OFFLINE; /* the source offers again */
    if (l != NULL && link_peer(l) != NULL)
        r = a != NULL ? REASON_ALREADY : accept_begin(l, q->request, &q->m);
    if (r == 0)
        return true;
    copy_in_begun(&q->m, reason_of_error(r));
    return false;
}

static void reply(const struct question *q, uint16_t type, struct slice message)
{
    struct peer *p = q->link.link == NULL ? NULL : link_peer(q->link.link);
    if (p != NULL && peer_send(p, type, q->request, NULL, &message, slice(NULL, 0)) != 0)
        log_debug("an offer or withdrawal could not be answered");
}

/* What came in an earlier run, or has failed since, is nobody's now. */
static void drop_other(const struct question *q)
{
    struct accept *a = accept_find(q->daemon, &q->m.name);
    if (a != NULL)
        accept_withdrawn(a);
    else if (transfers_incoming(q->daemon, &q->m.name.content) == NULL)
        download_discard(q->daemon, NULL, &q->m.name.content);
}

/* true: an outcome is to come, or the question is no more. */
static bool act(struct question *q, const struct copy_in_action *a)
{
    switch (a->kind) {
    case COPY_IN_CHECK:
    case COPY_IN_REFUSE: {
        int r = ask_vault(q, a->kind);
        if (r != 0)
            copy_in_judged(&q->m, REASON_INTERNAL, NULL, NULL);
        return r == 0;
    }
    case COPY_IN_REPORT: {
        int r = commit_report(q->daemon, &q->m.name, buf_slice(&q->m.receipt), on_reported, q);
        if (r != 0)
            copy_in_reported(&q->m, reason_of_error(r));
        return r == 0;
    }
    case COPY_IN_BEGIN:
        if (!begin(q))
            return false;
        link_leave(&q->link);
        free(q);
        return true;
    case COPY_IN_REPLY:
        reply(q, a->type, a->message);
        return false;
    case COPY_IN_DROP:
        drop_other(q);
        return false;
    case COPY_IN_DENY:
        if (q->link.link != NULL)
            link_refuse(q->link.link, q->request, a->why, a->detail);
        return false;
    default:
        return false;
    }
}

static void question_step(struct question *q)
{
    struct copy_in_action a;
    while ((a = copy_in_next(&q->m)).kind != COPY_IN_WAIT)
        if (act(q, &a))
            return;
    struct link *l = q->link.link;
    struct accept *again = q->m.why == REASON_NONE && q->m.begun ? accept_find(q->daemon, &q->m.name) : NULL;
    if (again != NULL && l != NULL)
        accept_again(again, l);
    question_free(q);
}

/* A stranger may ask the vault one thing at a time. */
static bool is_too_much(const struct link *l) { return !link_is_trusted(l) && link_is_used(l); }

static void read_question(struct link *l, const struct frame *f)
{
    struct question *q = is_too_much(l) ? NULL : calloc(1, sizeof(*q));
    if (q == NULL) {
        link_refuse(l, f->request, is_too_much(l) ? REASON_RATE_LIMITED : REASON_INTERNAL, NULL);
        return;
    }
    int r = copy_in_read(&q->m, f, &link_daemon(l)->self, link_client(l));
    if (r != 0) {
        free(q);
        if (r > 0)
            peer_close(link_peer(l), (enum reason)r);
        else
            link_refuse(l, f->request, REASON_INTERNAL, NULL);
        return;
    }
    q->daemon = link_daemon(l);
    q->request = f->request;
    q->link.on_closed = on_closed;
    link_join(l, &q->link);
    question_step(q);
}

void accept_on_offer(struct link *l, const struct frame *f) { read_question(l, f); }

void accept_on_withdraw(struct link *l, const struct frame *f) { read_question(l, f); }
