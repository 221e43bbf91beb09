/* A copy on its way here: receiving, committing, and the receipt to the source.
 *
 * Callbacks, in order: those of receive_run (on_progress, on_lost, on_end), on_no_holder and on_link_closed at any time, on_committed, on_acknowledged; or
 * on_refused (vault) when its owner does not want it. */
#include <stdlib.h>

#include "daemon/accept_internal.h"
#include "daemon/download.h"
#include "daemon/events.h"
#include "daemon/fetch.h"
#include "daemon/fetch_body.h"
#include "daemon/library.h"
#include "daemon/vault_client.h"

#define LOG_MODULE "accept"
#include "base/log.h"

#define DELIVERED_MS 30000

static void accept_step(struct accept *a);

static struct peer *peer_of(const struct accept *a) { return a->link.link == NULL ? NULL : link_peer(a->link.link); }

/* ---- the source ---------------------------------------------------------------------------------------------- */

static void on_link_closed(struct link_user *u, enum reason why)
{
    struct accept *a = container_of(u, struct accept, link);
    (void)why;
    copy_in_lost(&a->m);
    accept_step(a);
}

void accept_again(struct accept *a, struct link *l)
{
    link_leave(&a->link);
    link_join(l, &a->link);
    copy_in_again(&a->m);
    accept_step(a);
}

static bool on_acknowledged(struct peer *p, const struct frame *reply, enum reason why, void *ctx)
{
    struct accept *a = ctx;
    bool taken = reply != NULL && peer_refusal(reply, msg_Type_OK, NULL) == REASON_NONE;
    (void)p;
    if (!taken)
        log_debug("%s has not taken the receipt (%s); it will ask", a->t.peer, reason_code(why));
    copy_in_delivered(&a->m, taken);
    accept_step(a);
    transfer_release(&a->t);
    return false;
}

/* The receipt to the source (S153). */
static void deliver(struct accept *a, uint16_t type, struct slice message)
{
    struct peer *p = peer_of(a);
    transfer_hold(&a->t);
    if (p != NULL && peer_request(p, type, NULL, &message, slice(NULL, 0), DELIVERED_MS, on_acknowledged, a, NULL) == 0)
        return;
    copy_in_delivered(&a->m, false);
    transfer_release(&a->t);
}

/* ---- committing and refusing --------------------------------------------------------------------------------- */

static void on_committed(enum reason why, const char *detail, struct slice receipt, void *ctx)
{
    struct accept *a = ctx;
    if (!a->t.gone) {
        copy_in_committed(&a->m, why, detail, receipt);
        accept_step(a);
    }
    transfer_release(&a->t);
}

static void commit(struct accept *a)
{
    transfer_hold(&a->t);
    int r = commit_start(a->t.daemon, &a->m.name, buf_slice(&a->m.info), a->m.list_root, on_committed, a);
    if (r == 0)
        return;
    copy_in_committed(&a->m, reason_of_error(r), NULL, slice(NULL, 0));
    transfer_release(&a->t);
}

static void on_refused(const struct answer *answer, void *ctx)
{
    struct accept *a = ctx;
    vlt_CertificateState state;
    enum reason why = answer->why;
    if (why == REASON_NONE && CODEC_DECODE(vlt_CertificateState, answer->frame->message, &state) != 0)
        why = REASON_INTERNAL;
    if (why != REASON_NONE)
        log_warn("a certificate could not be refused: %s", reason_code(why));
    if (!a->t.gone) {
        copy_in_judged(&a->m, why, NULL, &state);
        accept_step(a);
    }
    transfer_release(&a->t);
}

static void refuse(struct accept *a)
{
    transfer_hold(&a->t);
    if (accept_ask_refuse(a->t.daemon, &a->m, on_refused, a) == 0)
        return;
    copy_in_judged(&a->m, REASON_INTERNAL, NULL, NULL);
    transfer_release(&a->t);
}

/* ---- receiving ----------------------------------------------------------------------------------------------- */

static void on_progress(uint64_t done_bytes, uint64_t total_bytes, void *ctx)
{
    struct accept *a = ctx;
    transfer_progress(&a->t, done_bytes, total_bytes);
}

/* Nobody brings anything now. */
static void on_no_holder(void *ctx)
{
    struct accept *a = ctx;
    if (a->t.gone || a->run == NULL || receive_run_attached(a->run))
        return;
    if (a->own_is_wrong)
        copy_in_received(&a->m, REASON_BLOCK_CORRUPT, NULL);
    accept_step(a);
}

/* What it sends is not the content. It may still give the license: the content others may have. */
static void own_was_wrong(struct accept *a, const struct receive_lost *lost)
{
    a->own_is_wrong = true;
    if (!holders_look(&a->holders))
        copy_in_received(&a->m, lost->why, lost->detail);
    accept_step(a);
}

static void on_lost(const struct receive_lost *lost, void *ctx)
{
    struct accept *a = ctx;
    struct peer *p = peer_of(a);
    source_blame(a->t.daemon, &a->t.content, lost);
    if (holders_lost(&a->holders, lost))
        return;
    a->own = 0;
    if (lost->why == REASON_BLOCK_CORRUPT || lost->why == REASON_CONTENT_ID_MISMATCH) {
        own_was_wrong(a, lost);
        return;
    }
    log_info("%s does not send any more number=%u reason=%s %s", a->t.peer, a->t.number, reason_code(lost->why),
             lost->detail != NULL ? lost->detail : "");
    link_leave(&a->link);
    copy_in_lost(&a->m);
    a->own_waits = lost->why == REASON_IN_USE;
    if (a->own_waits)
        holders_leave(&a->holders);
    accept_step(a);
    /* A source that stopped answering, or answered what was not asked, is to connect anew. One that paused is not. */
    if (p != NULL && lost->why != REASON_IN_USE)
        peer_close(p, lost->why);
}

static void on_end(enum reason why, const char *detail, void *ctx)
{
    struct accept *a = ctx;
    if (why == REASON_NONE) {
        holders_deinit(&a->holders);
        receive_run_free(steal(&a->run));
    }
    copy_in_received(&a->m, why, detail);
    accept_step(a);
}

static void pull(struct accept *a)
{
    struct peer *p = peer_of(a);
    a->own_waits = false;
    if (p != NULL && a->run != NULL && !a->own_is_wrong && receive_run_attach(a->run, p, a->t.peer, &a->own) != 0)
        peer_close(p, REASON_INTERNAL);
}

/* The source is gone; siblings go on, unless nothing more is wanted. */
static void halt(struct accept *a)
{
    if (a->run == NULL)
        return;
    receive_run_drop(a->run, a->own);
    a->own = 0;
    if (a->m.paused || a->m.state != COPY_IN_RECEIVING)
        holders_leave(&a->holders);
}

/* ---- steps --------------------------------------------------------------------------------------------------- */

static void reply(const struct accept *a, const struct copy_in_action *action)
{
    struct peer *p = peer_of(a);
    if (p != NULL && peer_send(p, action->type, a->request, NULL, &action->message, slice(NULL, 0)) != 0)
        log_debug("an offer could not be answered");
}

static void hang_up(struct accept *a, enum reason why, const char *detail)
{
    struct peer *p = peer_of(a);
    link_leave(&a->link);
    if (p == NULL)
        return;
    if (peer_refuse(p, 0, why, detail) != 0)
        log_debug("the source was not told");
    peer_close(p, why);
}

static void act(struct accept *a, const struct copy_in_action *action)
{
    switch (action->kind) {
    case COPY_IN_REPLY:
        reply(a, action);
        break;
    case COPY_IN_DENY:
        if (a->link.link != NULL)
            link_refuse(a->link.link, a->request, action->why, action->detail);
        break;
    case COPY_IN_PULL:
        pull(a);
        break;
    case COPY_IN_HALT:
        halt(a);
        break;
    case COPY_IN_COMMIT:
        commit(a);
        break;
    case COPY_IN_REFUSE:
        refuse(a);
        break;
    case COPY_IN_DELIVER:
        deliver(a, action->type, action->message);
        break;
    case COPY_IN_DROP:
        download_discard(a->t.daemon, a->run, &a->t.content);
        break;
    case COPY_IN_HANG_UP:
        hang_up(a, action->why, action->detail);
        break;
    default:
        break;
    }
}

static void let_go(struct accept *a)
{
    holders_deinit(&a->holders);
    receive_run_free(steal(&a->run));
    link_leave(&a->link);
}

static void arrived(struct accept *a)
{
    const struct track *t = library_find(a->t.daemon, a->t.content.bytes);
    if (t != NULL && t->has_info)
        CODEC_SET_TEXT(a->t.title, t->title);
    event(a->t.daemon, "received", "%s has arrived from %s%s", a->t.title, a->t.peer,
          a->merges ? ", in place of the copy that was here: it is one license now" : "");
    a->t.done_bytes = a->t.total_bytes;
    transfer_set_state(&a->t, TRANSFER_DONE, REASON_NONE, NULL);
}

/* The source offers again, when it went away. */
static void show_receiving(struct accept *a)
{
    bool comes = a->m.connected || receive_run_attached(a->run);
    if (a->m.paused || a->t.state == TRANSFER_PAUSED)
        return;
    if (!comes && a->t.state == TRANSFER_RUNNING)
        transfer_say(&a->t, "waiting for %s", a->t.peer);
    transfer_set_state(&a->t, comes ? TRANSFER_RUNNING : TRANSFER_WAITING, comes ? REASON_NONE : REASON_OFFLINE, NULL);
}

/* reason: the source took it back; none: it was this device's wish. */
static void dropped(struct accept *a)
{
    transfer_set_state(&a->t, TRANSFER_CANCELLED, a->m.declined ? REASON_NONE : a->m.why,
                       a->m.detail[0] != '\0' ? a->m.detail : NULL);
}

/* What people see of it. */
static void show(struct accept *a)
{
    const char *detail = a->m.detail[0] != '\0' ? a->m.detail : NULL;
    switch (a->m.state) {
    case COPY_IN_RECEIVING:
        show_receiving(a);
        break;
    case COPY_IN_DELIVERING:
        if (a->m.declined)
            dropped(a);
        else if (!transfer_has_ended(&a->t))
            arrived(a);
        break;
    case COPY_IN_DONE:
        if (!transfer_has_ended(&a->t))
            arrived(a);
        let_go(a);
        break;
    case COPY_IN_FAILED:
        let_go(a);
        transfer_set_state(&a->t, TRANSFER_FAILED, a->m.why, detail);
        break;
    case COPY_IN_DROPPED:
        let_go(a);
        dropped(a);
        break;
    default:
        break;
    }
}

static void accept_step(struct accept *a)
{
    struct copy_in_action action;
    if (a->stepping || a->t.gone)
        return;
    a->stepping = true;
    transfer_hold(&a->t);
    while (!a->t.gone && (action = copy_in_next(&a->m)).kind != COPY_IN_WAIT)
        act(a, &action);
    a->stepping = false;
    if (!a->t.gone)
        show(a);
    transfer_release(&a->t);
}

void accept_withdrawn(struct accept *a)
{
    copy_in_withdrawn(&a->m);
    accept_step(a);
}

/* ---- as a transfer ------------------------------------------------------------------------------------------- */

static void pause_transfer(struct transfer *t)
{
    struct accept *a = accept_of(t);
    copy_in_pause(&a->m);
    if (a->m.paused)
        transfer_set_state(t, TRANSFER_PAUSED, REASON_NONE, NULL);
    accept_step(a);
}

static void resume_transfer(struct transfer *t)
{
    struct accept *a = accept_of(t);
    copy_in_resume(&a->m);
    transfer_set_state(t, TRANSFER_WAITING, a->m.connected ? REASON_NONE : REASON_OFFLINE, NULL);
    accept_step(a);
}

static void cancel_transfer(struct transfer *t)
{
    copy_in_cancel(&accept_of(t)->m);
    accept_step(accept_of(t));
}

static void tick_transfer(struct transfer *t, int64_t now_ms)
{
    struct accept *a = accept_of(t);
    (void)now_ms;
    if (a->run == NULL || a->m.state != COPY_IN_RECEIVING || a->m.paused || a->own_waits)
        return;
    bool attached = receive_run_attached(a->run);
    (void)holders_look(&a->holders);
    if (attached != receive_run_attached(a->run))
        accept_step(a);
}

static void stop_transfer(struct transfer *t) { let_go(accept_of(t)); }

static void free_transfer(struct transfer *t)
{
    copy_in_deinit(&accept_of(t)->m);
    free(accept_of(t));
}

static const struct receive_run *run_of(const struct transfer *t)
{
    return container_of(t, const struct accept, t)->run;
}

static const struct transfer_actions actions = { pause_transfer, resume_transfer, cancel_transfer, tick_transfer,
                                                 stop_transfer,  free_transfer,   run_of };

/* ---- beginning ----------------------------------------------------------------------------------------------- */

struct accept *accept_find(struct daemon *d, const struct certificate_name *name)
{
    for (struct transfer *t = d->transfers->table.first; t != NULL; t = t->next)
        if (accept_is_in(t) && !transfer_has_ended(t) &&
            id_equal(accept_of(t)->m.name.issuer.bytes, name->issuer.bytes) &&
            memcmp(accept_of(t)->m.name.serial, name->serial, sizeof(name->serial)) == 0)
            return accept_of(t);
    return NULL;
}

/* Is it on its way already? A copy whose source went away gives way to a source that is here; what it has brought stays, and its
 * certificate too, should that source offer again. */
static bool is_coming(struct daemon *d, const struct id *content)
{
    struct transfer *t = transfers_incoming(d, content);
    if (fetch_body_give_way(t))
        return false;
    if (t == NULL || !accept_is_in(t) || t->state != TRANSFER_WAITING || accept_of(t)->m.connected ||
        accept_of(t)->m.state != COPY_IN_RECEIVING)
        return t != NULL;
    copy_in_received(&accept_of(t)->m, REASON_OFFLINE, "Another device brings it now.");
    accept_step(accept_of(t));
    return false;
}

static bool merges(const struct track *t, const struct certificate_name *n)
{
    bool there = false;
    for (size_t i = 0; i < t->license_count; i++)
        there |= t->licenses[i].state == LICENSE_VALID && id_equal(t->licenses[i].issuer.bytes, n->issuer.bytes);
    return n->move && there;
}

int accept_begin(struct link *l, uint32_t request, struct copy_in *m)
{
    static const struct receive_run_callbacks callbacks = { on_progress, on_lost, on_end };
    struct daemon *d = link_daemon(l);
    doc_ContentInfo info;
    struct id content;
    int r = info_judge(buf_slice(&m->info), m->list_root, &info, &content);
    if (r != 0)
        return r;
    if (is_coming(d, &content))
        return REASON_IN_USE; /* by another certificate, or a download: one at a time */
    const struct track *track = library_find(d, content.bytes);
    if ((track == NULL || !track->has_body) &&
        !download_fits(d, &content, info.plain_bytes, m->detail, sizeof(m->detail)))
        return REASON_STORAGE_FULL; /* said before anything moves; preparing the file asks again */
    struct accept *a = calloc(1, sizeof(*a));
    if (a == NULL)
        return -ENOMEM;
    a->link.on_closed = on_link_closed;
    a->request = request;
    r = receive_run_new(&a->run, d->loop, d->clock, d->config.bodies_dir, &d->transfers->shared, &content, &callbacks,
                        a);
    if (r != 0) {
        free(a);
        return r;
    }
    receive_run_set_pace(a->run, &d->receiving);
    holders_init(&a->holders, d, a->run, link_client(l), on_no_holder, a);
    receive_run_offer_info(a->run, buf_slice(&m->info), m->list_root);
    a->m = *m;
    a->merges = track != NULL && merges(track, &a->m.name);
    copy_in_begun(&a->m, REASON_NONE);
    transfer_add(d, &a->t, a->m.name.move ? TRANSFER_MOVE_IN : TRANSFER_COPY_IN, &content, link_client(l), link_name(l),
                 &actions);
    CODEC_SET_TEXT(a->t.title, info.title);
    link_join(l, &a->link);
    accept_step(a);
    fetches_begun(d, &a->t);
    return 0;
}
