/* A copy on its way here: receiving, committing, and the receipt to the source.
 *
 * Callbacks, in order: those of receive_run (on_progress, on_lost, on_end), on_link_closed at any time, on_committed, on_acknowledged. */
#include <stdlib.h>
#include <sys/statvfs.h>

#include "daemon/accept_internal.h"
#include "daemon/bodies.h"
#include "daemon/events.h"
#include "daemon/fetch.h"
#include "daemon/library.h"
#include "daemon/vault_client.h"

#define LOG_MODULE "accept"
#include "base/log.h"

#define DELIVERED_MS 30000

/* ---- the source ---------------------------------------------------------------------------------------------- */

static void wait_for_source(struct accept *a, enum reason why)
{
    if (a->run != NULL)
        receive_run_detach(a->run);
    link_leave(&a->link);
    if (!a->committing && a->t.state != TRANSFER_PAUSED)
        transfer_set_state(&a->t, TRANSFER_WAITING, why, NULL); /* the source offers again */
    transfer_say(&a->t, "waiting for %s", a->t.peer);
}

static void on_link_closed(struct link_user *u, enum reason why)
{
    struct accept *a = container_of(u, struct accept, link);
    (void)why;
    if (!transfer_has_ended(&a->t))
        wait_for_source(a, REASON_OFFLINE);
}

void accept_attach(struct accept *a, struct link *l)
{
    if (a->run != NULL)
        receive_run_detach(a->run);
    link_leave(&a->link);
    link_join(l, &a->link);
    if (a->run == NULL || a->t.state == TRANSFER_PAUSED)
        return;
    transfer_set_state(&a->t, TRANSFER_RUNNING, REASON_NONE, NULL);
    receive_run_attach(a->run, link_peer(l));
}

static bool on_acknowledged(struct peer *p, const struct frame *reply, enum reason why, void *ctx)
{
    struct accept *a = ctx;
    (void)p;
    if (reply == NULL || peer_refusal(reply, msg_Type_OK, NULL) != REASON_NONE)
        log_debug("%s has not taken the receipt (%s); it will ask", a->t.peer, reason_code(why));
    link_leave(&a->link);
    transfer_release(&a->t);
    return false;
}

/* The receipt to the source (S153). If it does not arrive, the source offers again and gets the same one. */
static void deliver(struct accept *a, struct slice receipt)
{
    msg_Delivered m = msg_Delivered_init_zero;
    struct link *l = a->link.link;
    if (l == NULL || link_peer(l) == NULL || CODEC_SET_BYTES(m.receipt, receipt) != 0)
        return;
    transfer_hold(&a->t);
    if (peer_request(link_peer(l), msg_Type_DELIVERED, msg_Delivered_fields, &m, slice(NULL, 0), DELIVERED_MS,
                     on_acknowledged, a, NULL) == 0)
        return;
    link_leave(&a->link);
    transfer_release(&a->t);
}

/* ---- the end ------------------------------------------------------------------------------------------------- */

static void let_go(struct accept *a)
{
    receive_run_free(steal(&a->run));
    link_leave(&a->link);
}

static void fail(struct accept *a, enum reason why, const char *detail)
{
    struct link *l = a->link.link;
    struct peer *p = l == NULL ? NULL : link_peer(l);
    let_go(a);
    if (p != NULL) { /* nothing else tells the source that the body stays incomplete; it offers again later */
        if (peer_refuse(p, 0, why, detail) != 0)
            log_debug("the source was not told");
        peer_close(p, why);
    }
    transfer_set_state(&a->t, TRANSFER_FAILED, why, detail);
}

static void on_committed(enum reason why, const char *detail, struct slice receipt, void *ctx)
{
    struct accept *a = ctx;
    a->committing = false;
    bool wanted = !a->t.gone && !transfer_has_ended(&a->t);
    if (wanted && why == REASON_NONE) {
        const struct track *t = library_find(a->t.daemon, a->t.content.bytes);
        if (t != NULL && t->has_info)
            CODEC_SET_TEXT(a->t.title, t->title);
        event(a->t.daemon, "received", "%s has arrived from %s", a->t.title, a->t.peer);
        a->t.done_bytes = a->t.total_bytes;
        deliver(a, receipt);
        transfer_set_state(&a->t, TRANSFER_DONE, REASON_NONE, NULL);
    } else if (wanted && why == REASON_CANCELLED) {
        let_go(a);
        transfer_set_state(&a->t, TRANSFER_CANCELLED, why, detail);
    } else if (wanted) {
        fail(a, why, detail);
    }
    transfer_release(&a->t);
}

static void start_commit(struct accept *a)
{
    a->committing = true;
    transfer_hold(&a->t);
    int r = commit_start(a->t.daemon, &a->name, buf_slice(&a->info), a->list_root, on_committed, a);
    if (r == 0)
        return;
    a->committing = false;
    fail(a, reason_of_error(r), NULL);
    transfer_release(&a->t);
}

/* ---- receiving ----------------------------------------------------------------------------------------------- */

static void on_progress(uint64_t done_bytes, uint64_t total_bytes, void *ctx)
{
    struct accept *a = ctx;
    transfer_progress(&a->t, done_bytes, total_bytes);
}

static void on_lost(enum reason why, const char *detail, void *ctx)
{
    struct accept *a = ctx;
    struct link *l = a->link.link;
    log_info("%s does not send any more number=%u reason=%s %s", a->t.peer, a->t.number, reason_code(why),
             detail != NULL ? detail : "");
    wait_for_source(a, why == REASON_IN_USE ? REASON_IN_USE : REASON_OFFLINE);
    /* A source that stopped answering, or answered what was not asked, is to connect anew. One that paused is not. */
    if (l != NULL && link_peer(l) != NULL && why != REASON_IN_USE)
        peer_close(link_peer(l), why);
}

static void on_end(enum reason why, const char *detail, void *ctx)
{
    struct accept *a = ctx;
    if (why != REASON_NONE) {
        fail(a, why, detail);
        return;
    }
    receive_run_free(steal(&a->run));
    start_commit(a);
}

/* ---- as a transfer ------------------------------------------------------------------------------------------- */

static void pause_transfer(struct transfer *t)
{
    struct accept *a = accept_of(t);
    if (a->committing || a->run == NULL)
        return; /* it is as good as done */
    receive_run_detach(a->run);
    transfer_set_state(t, TRANSFER_PAUSED, REASON_NONE, NULL);
}

static void resume_transfer(struct transfer *t)
{
    struct accept *a = accept_of(t);
    struct link *l = a->link.link;
    transfer_set_state(t, TRANSFER_WAITING, l == NULL ? REASON_OFFLINE : REASON_NONE, NULL);
    if (l != NULL)
        accept_attach(a, l);
}

static void on_refused(const struct answer *answer, void *ctx)
{
    struct accept *a = ctx;
    if (answer->why != REASON_NONE)
        log_warn("a certificate could not be refused: %s", reason_code(answer->why));
    transfer_release(&a->t);
}

/* This serial is never accepted here any more: the source learns it with its next offer, and can take a move back. */
static void cancel_transfer(struct transfer *t)
{
    struct accept *a = accept_of(t);
    vlt_CertificateRefuse m = vlt_CertificateRefuse_init_zero;
    if (a->committing)
        return;
    int r = CODEC_SET_BYTES(m.certificate, buf_slice(&a->certificate));
    m.has_delegation = a->delegation.len > 0;
    if (r == 0 && m.has_delegation)
        r = CODEC_SET_BYTES(m.delegation, buf_slice(&a->delegation));
    transfer_hold(t);
    if (r == 0)
        r = vault_call(t->daemon->vault,
                       &ASK(vlt_Type_CERTIFICATE_REFUSE, vlt_Type_CERTIFICATE_STATE, vlt_CertificateRefuse, &m),
                       on_refused, a);
    if (r != 0)
        transfer_release(t);
    struct peer *p = a->link.link == NULL ? NULL : link_peer(a->link.link);
    accept_drop(a, REASON_CANCELLED);
    if (p != NULL)
        peer_close(p, REASON_CANCELLED); /* the source comes back, offers again, and hears it */
}

void accept_drop(struct accept *a, enum reason why)
{
    download_discard(a->t.daemon, a->run, &a->t.content);
    let_go(a);
    transfer_set_state(&a->t, TRANSFER_CANCELLED, why, NULL);
}

static void stop_transfer(struct transfer *t) { let_go(accept_of(t)); }

static void free_transfer(struct transfer *t)
{
    struct accept *a = accept_of(t);
    certificate_name_deinit(&a->name);
    buf_free(&a->certificate);
    buf_free(&a->delegation);
    buf_free(&a->info);
    buf_free(&a->receipt);
    free(a);
}

static const struct transfer_actions actions = { pause_transfer, resume_transfer, cancel_transfer,
                                                 NULL,           stop_transfer,   free_transfer };

/* ---- beginning ----------------------------------------------------------------------------------------------- */

struct accept *accept_find(struct daemon *d, const struct certificate_name *name)
{
    for (struct transfer *t = d->transfers->first; t != NULL; t = t->next)
        if (accept_is_in(t) && !transfer_has_ended(t) &&
            id_equal(accept_of(t)->name.issuer.bytes, name->issuer.bytes) &&
            memcmp(accept_of(t)->name.serial, name->serial, sizeof(name->serial)) == 0)
            return accept_of(t);
    return NULL;
}

/* Said to the source before anything moves; preparing the file asks again. */
static bool has_room(const struct daemon *d, const doc_ContentInfo *info)
{
    struct statvfs fs;
    if (statvfs(d->config.bodies_dir, &fs) != 0)
        return true; /* then preparing says what is wrong */
    uint64_t room = (uint64_t)fs.f_bavail * fs.f_frsize;
    return info->plain_bytes < UINT64_MAX / 2 &&
           room > info->plain_bytes + info->plain_bytes / 64 + BODIES_RESERVE_BYTES;
}

static int fill(struct accept *a, const msg_Offer *offer)
{
    static const struct receive_run_callbacks callbacks = { on_progress, on_lost, on_end };
    struct daemon *d = a->t.daemon;
    a->certificate = buf(sizeof(offer->certificate.bytes));
    a->delegation = a->receipt = buf(384);
    a->info = buf(BODY_INFO_MAX);
    a->link.on_closed = on_link_closed;
    memcpy(a->list_root, offer->list_root, sizeof(a->list_root));
    int r = buf_append(&a->certificate, CODEC_BYTES(offer->certificate));
    if (r == 0 && offer->has_delegation)
        r = buf_append(&a->delegation, CODEC_BYTES(offer->delegation));
    if (r == 0)
        r = buf_append(&a->info, CODEC_BYTES(offer->info));
    if (r == 0)
        r = receive_run_new(&a->run, d->loop, d->clock, d->config.bodies_dir, &a->t.content, &callbacks, a);
    if (r == 0)
        receive_run_offer_info(a->run, CODEC_BYTES(offer->info), offer->list_root);
    return r;
}

/* Is it on its way already? A copy whose source went away gives way to a source that is here; what it has brought stays, and its
 * certificate too, should that source offer again. */
static bool is_coming(struct daemon *d, const struct id *content)
{
    struct transfer *t = transfers_incoming(d, content);
    if (t == NULL || !accept_is_in(t) || t->state != TRANSFER_WAITING || accept_of(t)->link.link != NULL ||
        accept_of(t)->committing)
        return t != NULL;
    let_go(accept_of(t));
    transfer_set_state(t, TRANSFER_FAILED, REASON_OFFLINE, "Another device brings it now.");
    return false;
}

int accept_begin(struct link *l, const msg_Offer *offer, struct certificate_name *name, struct accept **out)
{
    struct daemon *d = link_daemon(l);
    doc_ContentInfo info;
    struct id content;
    int r = info_judge(CODEC_BYTES(offer->info), offer->list_root, &info, &content);
    if (r != 0)
        return r;
    if (is_coming(d, &content))
        return REASON_IN_USE; /* by another certificate, or a download: one at a time */
    const struct track *track = library_find(d, content.bytes);
    if ((track == NULL || !track->has_body) && !has_room(d, &info))
        return REASON_STORAGE_FULL;
    struct accept *a = calloc(1, sizeof(*a));
    if (a == NULL)
        return -ENOMEM;
    a->t.daemon = d;
    a->t.content = content;
    r = fill(a, offer);
    if (r != 0) {
        free_transfer(&a->t);
        return r;
    }
    a->name = *name;
    name->license = buf(0);
    transfer_add(d, &a->t, a->name.move ? TRANSFER_MOVE_IN : TRANSFER_COPY_IN, &content, link_client(l), link_name(l),
                 &actions);
    CODEC_SET_TEXT(a->t.title, info.title);
    *out = a;
    return 0;
}
