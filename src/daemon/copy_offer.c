/* Offering: the head of the body, a link to the destination, OFFER (or WITHDRAW), and the receipt.
 *
 * Callbacks, in order: head_work (pool), on_head; on_ready or on_closed (link); on_taken or on_withdrawn (replies); then, when the
 * destination has everything, copy_on_delivered. */
#include <stdlib.h>

#include "daemon/bodies.h"
#include "daemon/copy_internal.h"
#include "daemon/library.h"
#include "daemon/outbox.h"

#define LOG_MODULE "copy"
#include "base/log.h"

#define OFFER_MS 60000
#define OFFERS_MAX 8 /* to one destination at a time */

/* ---- the head of the body ------------------------------------------------------------------------------------ */

struct head {
    uv_work_t work;
    struct copy *copy;
    char dir[BODIES_PATH_BYTES];
    struct id content;
    struct serve_file file;
    int outcome;
};

static void head_work(uv_work_t *work)
{
    struct head *h = work->data;
    h->outcome = bodies_complete(h->dir, &h->content, &h->file);
}

static void on_head(uv_work_t *work, int status)
{
    struct head *h = work->data;
    struct copy *c = h->copy;
    int outcome = h->outcome;
    (void)status;
    c->busy = false;
    if (outcome == 0) {
        buf_clear(&c->info);
        outcome = buf_append(&c->info, buf_slice(&h->file.info));
        memcpy(c->list_root, h->file.list_root, sizeof(c->list_root));
        c->t.total_bytes = body_file_bytes(&h->file.shape) - body_block_offset(&h->file.shape, 0);
    }
    serve_file_deinit(&h->file);
    free(h);
    if (!c->t.gone && outcome > 0 && library_body_changed(c->t.daemon, &c->t.content, false) != 0)
        log_debug("a body that is gone stays listed");
    if (!c->t.gone && outcome == 0)
        copy_step(c);
    else if (!c->t.gone && c->move) /* the license sleeps: take it back rather than forget it */
        copy_withdraw(c);
    else if (!c->t.gone)
        copy_failed(c, outcome == REASON_NOT_FOUND ? REASON_NOT_FOUND : reason_of_error(outcome),
                    outcome == REASON_NOT_FOUND ? "Its content is not on this device any more." : NULL);
    transfer_release(&c->t);
}

static void read_head(struct copy *c)
{
    struct head *h = calloc(1, sizeof(*h));
    if (h == NULL) {
        copy_later(c, REASON_INTERNAL);
        return;
    }
    h->work.data = h;
    h->copy = c;
    h->content = c->t.content;
    CODEC_SET_TEXT(h->dir, c->t.daemon->config.bodies_dir);
    c->busy = true;
    transfer_hold(&c->t);
    (void)uv_queue_work(c->t.daemon->loop, &h->work, head_work, on_head); /* fails only without a function */
}

/* ---- answers ------------------------------------------------------------------------------------------------- */

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

static void refused(struct copy *c, enum reason why, const char *detail)
{
    struct daemon *d = c->t.daemon;
    struct id destination = c->t.with;
    copy_let_go(c);
    if (is_final(why) && !c->move && c->durable != COPY_HELD) { /* not even its signed word: then nothing comes back */
        copy_failed(c, why, detail);
    } else if (is_final(why) && c->durable == COPY_HELD) {
        c->why_withdrawn = why;
        transfer_tell(&c->t, why, detail);
        copy_withdraw(c);
    } else {
        /* The person who waits hears what to do about it; being away is no reason to stop waiting. */
        if (why != REASON_OFFLINE && why != REASON_TIMED_OUT && why != REASON_IN_USE)
            transfer_tell(&c->t, why, detail);
        copy_later(c, why);
    }
    copies_kick(d, &destination);
}

/* 0: *reply has what was asked for. */
static enum reason judge_reply(const struct frame *reply, uint16_t type, enum reason why, msg_Refusal *refusal)
{
    *refusal = (msg_Refusal)msg_Refusal_init_zero;
    if (reply == NULL)
        return why == REASON_NONE ? REASON_OFFLINE : why;
    return peer_refusal(reply, type, refusal);
}

/* Is it the destination's word on this certificate? */
static bool is_about(const struct copy *c, const doc_Receipt *r)
{
    return c->has_serial && memcmp(r->serial, c->serial, sizeof(c->serial)) == 0 &&
           id_equal(r->issuer, c->issuer.bytes) && id_equal(r->destination, c->t.with.bytes) &&
           id_equal(r->content, c->t.content.bytes) && id_equal(r->source, c->t.daemon->self.bytes);
}

static void take_receipt(struct copy *c, struct slice envelope)
{
    doc_Receipt receipt;
    int r = receipt_judge(envelope, &receipt);
    if (r == 0 && !is_about(c, &receipt))
        r = REASON_MALFORMED;
    if (r != 0)
        refused(c, REASON_INTERNAL, NULL); /* it will be asked again */
    else if (receipt.outcome == RECEIPT_STORED)
        copy_delivered(c, envelope);
    else if (c->move)
        copy_refused(c, envelope);
    else
        copy_given_back(c, envelope);
}

static bool on_taken(struct peer *p, const struct frame *reply, enum reason why, void *ctx)
{
    struct copy *c = ctx;
    msg_Refusal refusal;
    msg_OfferTaken m;
    (void)p;
    c->request = 0;
    why = judge_reply(reply, msg_Type_OFFER_TAKEN, why, &refusal);
    if (why == REASON_NONE && CODEC_DECODE(msg_OfferTaken, reply->message, &m) != 0)
        why = REASON_INTERNAL;
    if (why != REASON_NONE) {
        refused(c, why, refusal.text[0] != '\0' ? refusal.text : NULL);
    } else if (m.has_receipt) {
        take_receipt(c, CODEC_BYTES(m.receipt));
    } else {
        c->offered = true;
        c->retry_ms = 0;
        c->active_ms = transfers_now_ms(c->t.daemon);
        transfer_set_state(&c->t, TRANSFER_RUNNING, REASON_NONE, NULL);
        transfer_say(&c->t, "%s", c->t.title);
    }
    return false;
}

static bool on_withdrawn(struct peer *p, const struct frame *reply, enum reason why, void *ctx)
{
    struct copy *c = ctx;
    msg_Refusal refusal;
    msg_Withdrawn m;
    (void)p;
    c->request = 0;
    why = judge_reply(reply, msg_Type_WITHDRAWN, why, &refusal);
    if (why == REASON_NONE && CODEC_DECODE(msg_Withdrawn, reply->message, &m) != 0)
        why = REASON_INTERNAL;
    if (why != REASON_NONE)
        refused(c, why, refusal.text[0] != '\0' ? refusal.text : NULL);
    else
        take_receipt(c, CODEC_BYTES(m.receipt));
    return false;
}

/* ---- questions ----------------------------------------------------------------------------------------------- */

static int send_offer(struct copy *c)
{
    msg_Offer m = msg_Offer_init_zero;
    int r = CODEC_SET_BYTES(m.certificate, copy_plain(c));
    m.has_delegation = c->delegation.len > 0;
    if (r == 0 && m.has_delegation)
        r = CODEC_SET_BYTES(m.delegation, buf_slice(&c->delegation));
    if (r == 0)
        r = CODEC_SET_BYTES(m.info, buf_slice(&c->info));
    memcpy(m.list_root, c->list_root, sizeof(m.list_root));
    return r != 0 ? -EMSGSIZE
                  : peer_request(link_peer(c->link.link), msg_Type_OFFER, msg_Offer_fields, &m, slice(NULL, 0),
                                 OFFER_MS, on_taken, c, &c->request);
}

static int send_withdraw(struct copy *c, peer_reply_fn on_reply, void *ctx)
{
    msg_Withdraw m = msg_Withdraw_init_zero;
    int r = CODEC_SET_BYTES(m.certificate, copy_plain(c));
    m.has_delegation = c->delegation.len > 0;
    if (r == 0 && m.has_delegation)
        r = CODEC_SET_BYTES(m.delegation, buf_slice(&c->delegation));
    memcpy(m.issuer, c->issuer.bytes, sizeof(m.issuer));
    memcpy(m.serial, c->serial, sizeof(m.serial));
    return r != 0 ? -EMSGSIZE
                  : peer_request(link_peer(c->link.link), msg_Type_WITHDRAW, msg_Withdraw_fields, &m, slice(NULL, 0),
                                 OFFER_MS, on_reply, ctx, &c->request);
}

/* The word of a destination on a copy that was cancelled: reported, whatever has become of the transfer. */
struct taking_back {
    struct db_job job;
    struct daemon *daemon;
    struct id issuer, destination;
    uint8_t serial[16];
    struct buf report; /* MOVE_CANCEL, encoded */
    int64_t number;
};

static void taking_back_free(struct taking_back *b)
{
    buf_free(&b->report);
    free(b);
}

static int report_work(struct store *store, struct db_job *job)
{
    struct taking_back *b = container_of(job, struct taking_back, job);
    return outbox_add(store, &b->issuer, msg_Type_MOVE_CANCEL, buf_slice(&b->report), &b->number);
}

static void on_report_stored(struct db_job *job, int outcome)
{
    struct taking_back *b = container_of(job, struct taking_back, job);
    if (outcome != 0 ||
        outbox_added(b->daemon, b->number, &b->issuer, msg_Type_MOVE_CANCEL, buf_slice(&b->report)) != 0)
        log_warn("the refusal of a cancelled copy is not reported now");
    taking_back_free(b);
}

static bool on_taken_back(struct peer *p, const struct frame *reply, enum reason why, void *ctx)
{
    struct taking_back *b = ctx;
    msg_Refusal refusal;
    msg_Withdrawn m;
    msg_MoveCancel cancel = msg_MoveCancel_init_zero;
    doc_Receipt r;
    (void)p;
    if (judge_reply(reply, msg_Type_WITHDRAWN, why, &refusal) != REASON_NONE ||
        CODEC_DECODE(msg_Withdrawn, reply->message, &m) != 0 || receipt_judge(CODEC_BYTES(m.receipt), &r) != 0 ||
        r.outcome == RECEIPT_STORED || memcmp(r.serial, b->serial, sizeof(b->serial)) != 0 ||
        !id_equal(r.issuer, b->issuer.bytes) || !id_equal(r.destination, b->destination.bytes) ||
        CODEC_SET_BYTES(cancel.receipt, CODEC_BYTES(m.receipt)) != 0 ||
        CODEC_ENCODE(msg_MoveCancel, &b->report, &cancel) != 0) {
        taking_back_free(b);
        return false;
    }
    b->job = (struct db_job){ .work = report_work, .done = on_report_stored };
    db_run(b->daemon->db, &b->job);
    return false;
}

void copy_take_back(struct copy *c)
{
    struct taking_back *b = c->link.link != NULL ? calloc(1, sizeof(*b)) : NULL;
    if (b == NULL)
        return;
    b->daemon = c->t.daemon;
    b->issuer = c->issuer;
    b->destination = c->t.with;
    memcpy(b->serial, c->serial, sizeof(b->serial));
    b->report = buf(msg_MoveCancel_size);
    if (send_withdraw(c, on_taken_back, b) != 0) {
        taking_back_free(b);
        log_debug("%s was not told", c->t.peer);
    }
    c->request = 0;
}

static void send_question(struct copy *c)
{
    if (c->offered || c->request != 0)
        return;
    if (!c->has_serial)
        copy_note_serial(c);
    int r = c->durable == COPY_WITHDRAWING ? send_withdraw(c, on_withdrawn, c) : send_offer(c);
    if (r == 0)
        return;
    copy_let_go(c);
    copy_later(c, r == -EPIPE ? REASON_OFFLINE : reason_of_error(r));
}

static void on_ready(struct link_user *u)
{
    struct copy *c = container_of(u, struct copy, link);
    if (!c->busy)
        send_question(c);
}

static void on_closed(struct link_user *u, enum reason why)
{
    struct copy *c = container_of(u, struct copy, link);
    c->request = 0;
    c->offered = false;
    copy_later(c, why == REASON_STORAGE_FULL ? why : REASON_OFFLINE);
}

static uint32_t offers_to(struct daemon *d, const struct id *destination)
{
    uint32_t count = 0;
    for (struct transfer *t = d->transfers->first; t != NULL && count < OFFERS_MAX; t = t->next)
        count += copy_is_out(t) && copy_of(t)->link.link != NULL && id_equal(t->with.bytes, destination->bytes);
    return count;
}

/* Then only its refusal, signed by the destination, is left to get. */
static bool has_ended(const struct copy *c)
{
    int64_t now_ms = clock_wall_ms(c->t.daemon->clock);
    return c->has_serial && now_ms > 0 && (uint64_t)now_ms > c->ends_ms &&
           (uint64_t)now_ms - c->ends_ms > DOCUMENTS_SKEW_MS;
}

void copy_offer(struct copy *c)
{
    if (c->durable == COPY_HELD && has_ended(c)) {
        refused(c, REASON_CERTIFICATE_EXPIRED, NULL);
        return;
    }
    if (c->durable == COPY_HELD && c->info.len == 0) {
        read_head(c);
        return;
    }
    if (c->link.link != NULL) {
        if (!c->link.waiting)
            send_question(c);
        return;
    }
    if (offers_to(c->t.daemon, &c->t.with) >= OFFERS_MAX)
        return; /* copies_kick comes when one has ended */
    c->link.on_ready = on_ready;
    c->link.on_closed = on_closed;
    int r = link_open(c->t.daemon, &c->t.with, &c->link);
    if (r == LINK_READY)
        send_question(c);
    else if (r == 0)
        transfer_say(&c->t, "connecting to %s", c->t.peer);
    else
        copy_later(c, r == LINK_NOWHERE ? REASON_OFFLINE : reason_of_error(r));
}

/* ---- what the destination does ------------------------------------------------------------------------------- */

void copy_on_delivered(struct link *l, const struct frame *f)
{
    struct daemon *d = link_daemon(l);
    msg_Delivered m;
    doc_Receipt receipt;
    if (CODEC_DECODE(msg_Delivered, f->message, &m) != 0 || receipt_judge(CODEC_BYTES(m.receipt), &receipt) != 0 ||
        receipt.outcome != RECEIPT_STORED) {
        peer_close(link_peer(l), REASON_MALFORMED);
        return;
    }
    for (struct transfer *t = d->transfers->first; t != NULL; t = t->next) {
        if (!copy_is_out(t) || transfer_has_ended(t) || !is_about(copy_of(t), &receipt))
            continue;
        struct copy *c = copy_of(t);
        if (c->durable == COPY_DELIVERED)
            break; /* known already */
        if (c->busy || c->reply_request != 0) {
            link_refuse(l, f->request, REASON_IN_USE, NULL); /* it will be said again */
            return;
        }
        link_leave(&c->reply_link);
        link_join(l, &c->reply_link);
        c->reply_request = f->request;
        copy_delivered(c, CODEC_BYTES(m.receipt));
        return;
    }
    /* Ended before, and the answer was lost: the same answer again. */
    if (peer_send(link_peer(l), msg_Type_OK, f->request, NULL, NULL, slice(NULL, 0)) != 0)
        log_debug("an answer could not be sent to %s", link_name(l));
}

enum reason copies_may_read(struct daemon *d, const struct id *client, const struct id *content, bool trusted)
{
    for (struct transfer *t = d->transfers->first; t != NULL; t = t->next) {
        if (!copy_is_out(t) || !id_equal(t->content.bytes, content->bytes) || !id_equal(t->with.bytes, client->bytes))
            continue;
        if (t->state == TRANSFER_PAUSED)
            return REASON_IN_USE;
        if (copy_of(t)->offered)
            return REASON_NONE;
    }
    return trusted ? REASON_NONE : REASON_NOT_OWNED;
}

void copies_sent(struct daemon *d, const struct id *client, const struct id *content, uint32_t index,
                 uint32_t block_count, uint64_t bytes)
{
    (void)bytes;
    for (struct transfer *t = d->transfers->first; t != NULL; t = t->next)
        if (copy_is_out(t) && copy_of(t)->offered && id_equal(t->content.bytes, content->bytes) &&
            id_equal(t->with.bytes, client->bytes)) {
            copy_of(t)->active_ms = transfers_now_ms(d);
            transfer_progress(t, t->total_bytes / block_count * (index + 1), t->total_bytes);
            return;
        }
}
