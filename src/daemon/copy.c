/* Copies: rows, and which step is next.
 *
 * Callbacks, in order: on_stored (database) before every step that something else depends on; then whatever the step waits for. */
#include "daemon/copy.h"

#include <stdio.h>
#include <stdlib.h>

#include "daemon/copy_internal.h"
#include "daemon/library.h"
#include "daemon/outbox.h"
#include "daemon/siblings.h"
#include "daemon/vault_client.h"

#define LOG_MODULE "copy"
#include "base/log.h"

#define RETRY_FIRST_MS 2000
#define RETRY_LAST_MS 60000
#define SILENCE_MS 60000 /* a destination that took the offer and does nothing is offered again */
#define CERTIFICATE_MAX 2176

/* ---- the row ------------------------------------------------------------------------------------------------- */

struct store_job {
    struct db_job job;
    struct copy *copy; /* held, and busy: its buffers do not change */
    struct copy_change change;
    int64_t row, report_number;
};

static void bind_or_null(struct query *q, int parameter, const struct buf *b)
{
    if (b->len > 0)
        query_bind_blob(q, parameter, buf_slice(b));
    else
        query_bind_null(q, parameter);
}

static int add_row(struct store *store, struct store_job *j)
{
    const struct copy *c = j->copy;
    struct query q CLEANUP(query_end) = query(store, DB_COPY_ADD);
    query_bind_blob(&q, 1, SLICE_ARRAY(c->issuer.bytes));
    query_bind_blob(&q, 2, SLICE_ARRAY(c->t.content.bytes));
    query_bind_blob(&q, 3, SLICE_ARRAY(c->license_id));
    query_bind_blob(&q, 4, SLICE_ARRAY(c->t.with.bytes));
    query_bind_i64(&q, 5, c->move);
    query_bind_i64(&q, 6, c->removable);
    query_bind_i64(&q, 7, j->change.state);
    bind_or_null(&q, 8, &c->certificate);
    bind_or_null(&q, 9, &c->delegation);
    int r = query_run(&q);
    if (r == 0)
        j->row = store_last_id(store);
    return r;
}

static int set_row(struct store *store, struct store_job *j)
{
    const struct copy *c = j->copy;
    struct query q CLEANUP(query_end) = query(store, j->change.remove ? DB_COPY_DELETE : DB_COPY_SET);
    query_bind_i64(&q, 1, j->row);
    if (!j->change.remove && j->change.state == COPY_DONE) { /* S153: the certificate is deleted */
        query_bind_i64(&q, 2, j->change.state);
        for (int i = 3; i <= 5; i++)
            query_bind_null(&q, i);
    } else if (!j->change.remove) {
        query_bind_i64(&q, 2, j->change.state);
        bind_or_null(&q, 3, &c->certificate);
        bind_or_null(&q, 4, &c->delegation);
        bind_or_null(&q, 5, &c->receipt);
    }
    return query_run(&q);
}

static int store_work(struct store *store, struct db_job *job)
{
    struct store_job *j = container_of(job, struct store_job, job);
    int r = j->row != 0 ? set_row(store, j) : j->change.remove ? 0 : add_row(store, j);
    if (r == 0 && j->change.report_type != 0)
        r = outbox_add(store, &j->copy->issuer, j->change.report_type, buf_slice(&j->change.report), &j->report_number);
    return r;
}

static void on_stored(struct db_job *job, int outcome)
{
    struct store_job *j = container_of(job, struct store_job, job);
    struct copy *c = j->copy;
    void (*done)(struct copy *, int) = j->change.done;
    c->busy = false;
    if (outcome == 0) {
        c->row = j->change.remove ? 0 : j->row;
        c->durable = j->change.state;
    }
    if (outcome == 0 && j->change.report_type != 0 && !c->t.gone &&
        outbox_added(c->t.daemon, j->report_number, &c->issuer, j->change.report_type, buf_slice(&j->change.report)) !=
            0)
        log_warn("a report goes out after the next start only");
    buf_free(&j->change.report);
    free(j);
    if (!c->t.gone)
        done(c, outcome);
    transfer_release(&c->t);
}

void copy_store(struct copy *c, const struct copy_change *change)
{
    struct store_job *j = calloc(1, sizeof(*j));
    if (j == NULL) {
        struct buf report = change->report;
        buf_free(&report);
        change->done(c, -ENOMEM);
        return;
    }
    *j = (struct store_job){
        .job = { .work = store_work, .done = on_stored }, .copy = c, .change = *change, .row = c->row
    };
    c->busy = true;
    transfer_hold(&c->t);
    db_run(c->t.daemon->db, &j->job);
}

/* ---- what was done --------------------------------------------------------------------------------------------- */

bool copies_done(const struct daemon *d, const struct id *content, const struct id *destination, bool move)
{
    for (const struct copy_done *done = d->transfers->copies_done; done != NULL; done = done->next)
        if (done->move == move && id_equal(done->content.bytes, content->bytes) &&
            id_equal(done->destination.bytes, destination->bytes))
            return true;
    return false;
}

int copies_remember(struct daemon *d, const struct id *content, const struct id *destination, bool move)
{
    struct copy_done *done = calloc(1, sizeof(*done));
    if (done == NULL)
        return -ENOMEM;
    *done = (struct copy_done){ d->transfers->copies_done, *content, *destination, move };
    d->transfers->copies_done = done;
    return 0;
}

/* ---- the vault ----------------------------------------------------------------------------------------------- */

struct question {
    struct copy *copy;
    void (*on_answer)(struct copy *c, const struct answer *answer);
};

static void on_vault(const struct answer *answer, void *ctx)
{
    struct question q = *(struct question *)ctx;
    free(ctx);
    q.copy->busy = false;
    if (!q.copy->t.gone)
        q.on_answer(q.copy, answer);
    transfer_release(&q.copy->t);
}

int copy_ask_vault(struct copy *c, const struct ask *ask,
                   void (*on_answer)(struct copy *c, const struct answer *answer))
{
    struct question *q = malloc(sizeof(*q));
    if (q == NULL)
        return -ENOMEM;
    *q = (struct question){ c, on_answer };
    int r = vault_call(c->t.daemon->vault, ask, on_vault, q);
    if (r != 0) {
        free(q);
        return r;
    }
    c->busy = true;
    transfer_hold(&c->t);
    return 0;
}

/* ---- steps --------------------------------------------------------------------------------------------------- */

struct slice copy_plain(const struct copy *c) { return buf_slice(c->move ? &c->released : &c->certificate); }

void copy_note_serial(struct copy *c)
{
    doc_CopyCertificate certificate;
    uint8_t signer[32];
    c->has_serial =
        document_open(DOCUMENT_COPY_CERTIFICATE, copy_plain(c), &certificate, sizeof(certificate), signer) == 0;
    if (!c->has_serial)
        return;
    memcpy(c->serial, certificate.serial, sizeof(c->serial));
    c->ends_ms = certificate.ends_ms;
}

void copy_let_go(struct copy *c)
{
    if (c->request != 0 && c->link.link != NULL)
        peer_forget(link_peer(c->link.link), c->request);
    c->request = 0;
    c->offered = false;
    link_leave(&c->link);
}

void copy_reply(struct copy *c, enum reason why, const char *detail)
{
    struct link *l = c->reply_link.link;
    uint32_t request = c->reply_request;
    c->reply_request = 0;
    if (l == NULL)
        return;
    link_leave(&c->reply_link);
    if (request == 0 || link_peer(l) == NULL)
        return;
    if (why != REASON_NONE)
        link_refuse(l, request, why, detail);
    else if (peer_send(link_peer(l), msg_Type_OK, request, NULL, NULL, slice(NULL, 0)) != 0)
        log_debug("an answer could not be sent to %s", link_name(l));
}

void copy_later(struct copy *c, enum reason why)
{
    c->retry_ms = c->retry_ms == 0 ? RETRY_FIRST_MS : c->retry_ms * 2 > RETRY_LAST_MS ? RETRY_LAST_MS : c->retry_ms * 2;
    c->next_try_ms = transfers_now_ms(c->t.daemon) + c->retry_ms;
    if (c->t.state == TRANSFER_PAUSED)
        return;
    transfer_set_state(&c->t, TRANSFER_WAITING, why, NULL);
    if (c->durable != COPY_ASKING)
        transfer_say(&c->t,
                     why == REASON_OFFLINE ? "waiting for %s, which is offline; hearth transfers lists it"
                                           : "waiting for %s",
                     c->t.peer);
}

static void on_failed(struct copy *c, int outcome)
{
    if (outcome != 0)
        log_warn("the row of a failed copy stays");
    struct id destination = c->t.with;
    struct daemon *d = c->t.daemon;
    transfer_set_state(&c->t, TRANSFER_FAILED, c->t.reason, NULL);
    copies_kick(d, &destination);
}

/* refusal: the destination's, signed, for which the issuer gives count and price back; empty: there is none. */
static void fail(struct copy *c, enum reason why, const char *detail, struct slice refusal)
{
    struct copy_change change = { .state = c->durable, .remove = true, .done = on_failed };
    msg_MoveCancel m = msg_MoveCancel_init_zero;
    copy_let_go(c);
    copy_reply(c, why, detail);
    c->t.reason = why;
    transfer_tell(&c->t, why, detail);
    if (transfer_has_ended(&c->t) || c->busy)
        return;
    if (refusal.len > 0) {
        change.report_type = msg_Type_MOVE_CANCEL;
        change.report = buf(msg_MoveCancel_size);
        if (CODEC_SET_BYTES(m.receipt, refusal) != 0 || CODEC_ENCODE(msg_MoveCancel, &change.report, &m) != 0) {
            buf_free(&change.report);
            copy_later(c, REASON_INTERNAL);
            return;
        }
    }
    copy_store(c, &change);
}

void copy_failed(struct copy *c, enum reason why, const char *detail) { fail(c, why, detail, slice(NULL, 0)); }

void copy_given_back(struct copy *c, struct slice refusal)
{
    fail(c, c->durable == COPY_WITHDRAWING && c->why_withdrawn != REASON_NONE ? c->why_withdrawn : REASON_CANCELLED,
         NULL, refusal);
}

void copy_step(struct copy *c)
{
    if (c->busy || c->t.gone || transfer_has_ended(&c->t))
        return;
    c->next_try_ms = 0;
    if (c->cancel && c->durable != COPY_DELIVERED && c->durable != COPY_REFUSED && c->durable != COPY_WITHDRAWING) {
        copy_cancel(c);
        return;
    }
    if (c->t.state == TRANSFER_PAUSED && c->durable != COPY_DELIVERED && c->durable != COPY_REFUSED)
        return;
    switch (c->durable) {
    case COPY_ASKING:
        copy_ask(c);
        break;
    case COPY_HELD:
    case COPY_WITHDRAWING:
        if (c->removable)
            break; /* export.c writes it */
        if (c->move && c->released.len == 0)
            copy_release_license(c);
        else
            copy_offer(c);
        break;
    case COPY_DELIVERED:
        copy_finish(c);
        break;
    case COPY_REFUSED:
        copy_restore(c);
        break;
    case COPY_DONE:
        break;
    }
}

static void step_all(struct daemon *d, const struct id *destination, bool at_once)
{
    for (struct transfer *t = d->transfers->first, *next; t != NULL; t = next) {
        transfer_hold(t);
        if (copy_is_out(t) && id_equal(t->with.bytes, destination->bytes) && !transfer_has_ended(t) &&
            (at_once || copy_of(t)->next_try_ms == 0)) {
            if (at_once)
                copy_of(t)->retry_ms = 0;
            copy_step(copy_of(t));
        }
        next = t->next;
        transfer_release(t);
    }
}

void copies_kick(struct daemon *d, const struct id *destination) { step_all(d, destination, false); }

static void on_online(struct daemon *d, const struct id *client)
{
    if (d->transfers != NULL && !d->transfers->stopping)
        step_all(d, client, true);
}

/* ---- as a transfer ------------------------------------------------------------------------------------------- */

static void pause_transfer(struct transfer *t)
{
    struct copy *c = copy_of(t);
    copy_let_go(c);
    c->next_try_ms = 0;
    transfer_set_state(t, TRANSFER_PAUSED, REASON_NONE, NULL);
}

static void resume_transfer(struct transfer *t)
{
    transfer_set_state(t, TRANSFER_WAITING, REASON_NONE, NULL);
    copy_step(copy_of(t));
}

static void cancel_transfer(struct transfer *t)
{
    struct copy *c = copy_of(t);
    c->cancel = true;
    if (t->state == TRANSFER_PAUSED)
        transfer_set_state(t, TRANSFER_WAITING, REASON_NONE, NULL);
    copy_step(c);
}

static void tick_transfer(struct transfer *t, int64_t now_ms)
{
    struct copy *c = copy_of(t);
    if (c->offered && now_ms - c->active_ms > SILENCE_MS)
        c->offered = false; /* the same offer again is harmless */
    else if (c->next_try_ms == 0 || now_ms < c->next_try_ms)
        return;
    copy_step(c);
}

static void stop_transfer(struct transfer *t)
{
    copy_let_go(copy_of(t));
    copy_reply(copy_of(t), REASON_OFFLINE, NULL);
}

static void free_transfer(struct transfer *t)
{
    struct copy *c = copy_of(t);
    buf_free(&c->certificate);
    buf_free(&c->released);
    buf_free(&c->delegation);
    buf_free(&c->receipt);
    buf_free(&c->info);
    free(c);
}

static const struct transfer_actions actions = { pause_transfer, resume_transfer, cancel_transfer,
                                                 tick_transfer,  stop_transfer,   free_transfer };

static void reply_link_closed(struct link_user *u, enum reason why)
{
    (void)why;
    container_of(u, struct copy, reply_link)->reply_request = 0;
}

struct copy *copy_new(struct daemon *d, const struct id *issuer, const struct id *content, const uint8_t license_id[16],
                      const struct id *destination, bool move, bool removable)
{
    const struct sibling *to = siblings_find(d, destination->bytes);
    char short_id[ID_SHORT_BYTES];
    struct copy *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return NULL;
    id_short(destination->bytes, short_id);
    c->issuer = *issuer;
    memcpy(c->license_id, license_id, sizeof(c->license_id));
    c->move = move;
    c->removable = removable;
    c->durable = COPY_ASKING;
    c->certificate = c->released = buf(CERTIFICATE_MAX);
    c->delegation = c->receipt = buf(384);
    c->info = buf(BODY_INFO_MAX);
    c->reply_link.on_closed = reply_link_closed;
    transfer_add(d, &c->t, move ? TRANSFER_MOVE_OUT : TRANSFER_COPY_OUT, content, destination,
                 to != NULL ? to->name : short_id, &actions);
    return c;
}

static int load_row(struct daemon *d, struct query *q)
{
    struct id issuer, content, destination;
    uint8_t license_id[16];
    int64_t row = query_i64(q, 0);
    query_fixed(q, 1, issuer.bytes, ID_BYTES);
    query_fixed(q, 2, content.bytes, ID_BYTES);
    query_fixed(q, 3, license_id, sizeof(license_id));
    query_fixed(q, 4, destination.bytes, ID_BYTES);
    bool move = query_bool(q, 5), removable = query_bool(q, 6);
    uint32_t state = query_u32(q, 7);
    int r = query_check(q);
    if (r != 0)
        return r;
    if (state == COPY_DONE)
        return copies_remember(d, &content, &destination, move);
    struct copy *c = state < COPY_ASKING || state > COPY_REFUSED
                         ? NULL
                         : copy_new(d, &issuer, &content, license_id, &destination, move, removable);
    if (c == NULL)
        return state < COPY_ASKING || state > COPY_REFUSED ? -EUCLEAN : -ENOMEM;
    struct buf *const columns[] = { &c->certificate, &c->delegation, &c->receipt };
    for (int i = 0; i < 3; i++)
        if (!query_is_null(q, 8 + i))
            query_append(q, 8 + i, columns[i]);
    c->row = row;
    c->durable = (enum copy_state)state;
    c->resumed = c->durable == COPY_ASKING;
    c->next_try_ms = 1; /* at the first tick, when everything runs */
    if (c->durable != COPY_ASKING && !c->move)
        copy_note_serial(c);
    return query_check(q);
}

int copies_start(struct daemon *d)
{
    struct query q CLEANUP(query_end) = query(db_store(d->db), DB_COPIES);
    int r;
    while ((r = query_step(&q)) == STORE_ROW) {
        r = load_row(d, &q);
        if (r != 0)
            return r;
    }
    if (r != 0)
        return r < 0 ? r : -EUCLEAN;
    copies_listen(d);
    siblings_on_online(d, on_online);
    return 0;
}
