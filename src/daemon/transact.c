/* Exactly once, from the device's side.
 *
 *   IDLE -> CONNECTING -> STORING -> SENDING <-> KEEPING -> FINISHING -> IDLE
 *
 * Callbacks, in order: on_connected, on_stored (database), on_answer (distributor), on_license_stored (vault) or
 * transact_item_stored (copies), on_finished (database), then the outcome of each item. on_timer sends again. */
#include "daemon/transact.h"

#include <stdlib.h>

#include "base/util.h"
#include "daemon/db.h"
#include "daemon/events.h"
#include "daemon/library.h"
#include "daemon/session.h"
#include "daemon/vault_client.h"
#include "protocol/txn.h"

#define LOG_MODULE "transact"
#include "base/log.h"

#define ANSWER_TIMEOUT_MS 60000
#define RETRY_MS 5000
#define ITEMS_BYTES_MAX (TRANSACT_ITEMS_MAX * 640)

enum stage { IDLE, CONNECTING, STORING, SENDING, KEEPING, FINISHING };

struct transact_item {
    struct transact *transact;
    struct transact_item *next;
    msg_Item item;
    struct buf encoded;
    transact_fn on_outcome; /* NULL: nobody waits (any more) */
    void *ctx;
    msg_Result *result;
    enum reason why; /* of a refusal, by the distributor or the vault */
    msg_Refusal refusal;
    bool kept;
};

struct transact {
    struct account *account;
    struct daemon *daemon;
    enum stage stage;
    struct txn_client client;
    struct transact_item *queue, **queue_last;
    struct transact_item *batch;
    uint32_t batch_count, to_keep;
    bool keep_failed, in_flight, dropping, timer_open, closing;
    struct buf items; /* the tail, as stored and sent */
    struct db_job job;
    uint8_t stored_id[TXN_ID_BYTES];
    uv_timer_t timer;
    uint32_t holds; /* timer, job, asks */
};

static void start_next(struct transact *t);
static void send_batch(struct transact *t);
static void on_timer(uv_timer_t *timer);

static void item_free(struct transact_item *i)
{
    buf_free(&i->encoded);
    free(i->result);
    free(i);
}

static void items_free(struct transact_item *i)
{
    while (i != NULL) {
        struct transact_item *next = i->next;
        item_free(i);
        i = next;
    }
}

static void release(struct transact *t)
{
    if (--t->holds > 0 || !t->closing)
        return;
    items_free(t->queue);
    items_free(t->batch);
    buf_free(&t->items);
    free(t);
}

static void fire(struct transact_item *i, enum reason why, const msg_Refusal *refusal)
{
    transact_fn on_outcome = steal(&i->on_outcome);
    struct transact_outcome outcome = { why, refusal, why == REASON_NONE ? i->result : NULL };
    if (on_outcome != NULL)
        on_outcome(&outcome, i->ctx);
}

static void fire_all(struct transact_item *first, enum reason why, const char *detail)
{
    msg_Refusal refusal;
    reason_refusal(&refusal, why, detail);
    for (struct transact_item *i = first; i != NULL; i = i->next)
        fire(i, why, &refusal);
}

/* Tells everybody who waits, and forgets the items. */
static void refuse_items(struct transact *t, struct transact_item *first, const msg_Refusal *refusal, enum reason why)
{
    (void)t;
    for (struct transact_item *i = first; i != NULL; i = i->next)
        fire(i, why, refusal);
    items_free(first);
}

/* --- Storing the row --- */

static int store_row(struct store *store, struct db_job *job)
{
    struct transact *t = container_of(job, struct transact, job);
    struct query q CLEANUP(query_end) = query(store, DB_TRANSACTION_SET);
    query_bind_blob(&q, 1, SLICE_ARRAY(t->account->distributor.bytes));
    query_bind_i64(&q, 2, t->client.bit);
    if (t->client.outstanding) {
        query_bind_blob(&q, 3, SLICE_ARRAY(t->client.id));
        query_bind_blob(&q, 4, buf_slice(&t->items));
    } else {
        query_bind_null(&q, 3);
        query_bind_null(&q, 4);
    }
    return query_run(&q);
}

static void run_job(struct transact *t, void (*done)(struct db_job *job, int outcome))
{
    t->job.work = store_row;
    t->job.done = done;
    t->holds++;
    (void)account_ref(t->account);
    db_run(t->daemon->db, &t->job);
}

static struct transact *job_done(struct db_job *job)
{
    struct transact *t = container_of(job, struct transact, job);
    struct account *a = t->account;
    bool gone = t->closing;
    release(t);
    account_unref(a);
    return gone ? NULL : t;
}

static void on_stored(struct db_job *job, int outcome)
{
    struct transact *t = job_done(job);
    msg_Refusal refusal;
    if (t == NULL)
        return;
    if (outcome == 0) {
        t->stage = SENDING;
        send_batch(t);
        return;
    }
    /* Nothing was sent: the bit stays where it was. */
    struct transact_item *batch = steal(&t->batch);
    t->client.outstanding = false;
    t->stage = IDLE;
    reason_refusal(&refusal, reason_of_error(outcome), NULL);
    refuse_items(t, batch, &refusal, reason_of_error(outcome));
    start_next(t);
}

static int begin(struct transact *t)
{
    uint32_t bit;
    buf_clear(&t->items);
    t->batch_count = 0;
    struct transact_item **end = &t->batch;
    while (t->queue != NULL && t->batch_count < TRANSACT_ITEMS_MAX) {
        int r = codec_list_put(&t->items, buf_slice(&t->queue->encoded));
        if (r == BUF_FULL)
            break;
        if (r != 0)
            return r;
        *end = t->queue;
        t->queue = t->queue->next;
        end = &(*end)->next;
        *end = NULL;
        t->batch_count++;
    }
    if (t->queue == NULL)
        t->queue_last = &t->queue;
    txn_client_begin(&t->client, t->daemon->rng, &bit);
    t->stage = STORING;
    run_job(t, on_stored);
    return 0;
}

static void on_connected(const struct answer *answer, void *ctx)
{
    struct transact *t = ctx;
    bool gone = t->closing;
    release(t);
    if (gone)
        return;
    if (answer->why == REASON_NONE && session_knows_us(t->account->session) && begin(t) == 0)
        return;
    /* Nothing was stored, nothing was sent. */
    struct transact_item *queue = steal(&t->queue);
    msg_Refusal refusal;
    enum reason why = answer->why;
    t->queue_last = &t->queue;
    t->stage = IDLE;
    if (why == REASON_NONE) {
        why = session_is_ready(t->account->session) ? REASON_NOT_REGISTERED : REASON_INTERNAL;
        reason_refusal(&refusal, why, NULL);
    } else {
        refusal = *answer->refusal;
    }
    refuse_items(t, queue, &refusal, why);
    start_next(t);
}

static void start_next(struct transact *t)
{
    if (t->stage != IDLE || t->queue == NULL || t->closing)
        return;
    t->stage = CONNECTING;
    t->holds++;
    if (session_when_ready(t->account, on_connected, t) == 0)
        return;
    t->holds--;
    t->stage = IDLE;
    struct transact_item *queue = steal(&t->queue);
    msg_Refusal refusal;
    t->queue_last = &t->queue;
    reason_refusal(&refusal, REASON_INTERNAL, NULL);
    refuse_items(t, queue, &refusal, REASON_INTERNAL);
}

/* --- Finishing --- */

static void send_commit(struct transact *t)
{
    struct peer *p = session_peer(t->account);
    if (p == NULL)
        return; /* the next transaction's bit commits this one */
    msg_Commit commit = { .session = session_number(t->account->session), .bit = t->client.bit };
    memcpy(commit.transaction, t->stored_id, TXN_ID_BYTES);
    if (peer_send(p, msg_Type_COMMIT, 0, msg_Commit_fields, &commit, slice(NULL, 0)) != 0)
        log_debug("%s: the commit was not sent", t->account->name);
}

static void on_finished(struct db_job *job, int outcome)
{
    struct transact *t = job_done(job);
    if (t == NULL)
        return;
    if (outcome != 0) { /* the row is still outstanding: sent again, answered the same */
        t->client.outstanding = true;
        t->client.bit ^= 1u;
        t->stage = SENDING;
        (void)uv_timer_start(&t->timer, on_timer, RETRY_MS, 0);
        fire_all(t->batch, reason_of_error(outcome), NULL);
        return;
    }
    struct transact_item *batch = steal(&t->batch);
    struct account *a = account_ref(t->account);
    t->stage = IDLE;
    if (t->queue == NULL)
        send_commit(t);
    for (struct transact_item *i = batch; i != NULL; i = i->next)
        fire(i, i->why, &i->refusal);
    items_free(batch);
    start_next(t);
    account_unref(a);
}

static void finish(struct transact *t)
{
    t->stage = FINISHING;
    memcpy(t->stored_id, t->client.id, TXN_ID_BYTES);
    if (!txn_client_finish(&t->client, txn_client_bit(&t->client), t->stored_id))
        abort(); /* only ever called with the outstanding one */
    run_job(t, on_finished);
}

/* --- Keeping what was granted --- */

static void item_kept(struct transact_item *i, bool safe)
{
    struct transact *t = i->transact;
    if (!safe)
        t->keep_failed = true;
    i->kept = safe;
    if (--t->to_keep > 0 || t->closing)
        return;
    if (!t->keep_failed) {
        finish(t);
        return;
    }
    log_warn("%s: what was granted could not be kept yet; asked for again", t->account->name);
    fire_all(t->batch, REASON_INTERNAL, "It was granted, but could not be stored yet; it is tried again by itself.");
    t->stage = SENDING;
    (void)uv_timer_start(&t->timer, on_timer, RETRY_MS, 0);
}

/* The vault's own failures may pass; its judgement does not. */
static bool may_pass(enum reason why)
{
    return why == REASON_INTERNAL || why == REASON_TIMED_OUT || why == REASON_CANCELLED || why == REASON_STORAGE_FULL;
}

static void on_license_stored(const struct answer *answer, void *ctx)
{
    struct transact_item *i = ctx;
    struct transact *t = i->transact;
    bool gone = t->closing, safe = true;
    if (!gone && answer->why == REASON_NONE) {
        if (library_license_stored(t->daemon, CODEC_BYTES(i->result->license)) != 0)
            log_warn("a stored license was not listed; it will be after the next start");
    } else if (!gone && may_pass(answer->why)) {
        safe = false;
    } else if (!gone) {
        log_error("%s: the vault refused a license that was bought reason=%s", t->account->name, answer->refusal->code);
        event(t->daemon, "license-refused", "a license from %s was refused: %s", t->account->name,
              answer->refusal->text);
        i->why = answer->why;
        i->refusal = *answer->refusal;
    }
    if (!gone)
        item_kept(i, safe);
    release(t);
}

void transact_item_stored(struct transact_item *item, int outcome)
{
    struct transact *t = item->transact;
    if (!t->closing)
        item_kept(item, outcome == 0);
    release(t);
}

static void keep_license(struct transact_item *i)
{
    struct transact *t = i->transact;
    vlt_LicenseStore store = { .has_header = i->result->has_header };
    int r = CODEC_SET_BYTES(store.license, CODEC_BYTES(i->result->license));
    if (r == 0 && store.has_header)
        r = CODEC_SET_BYTES(store.header, CODEC_BYTES(i->result->header));
    t->holds++;
    if (r == 0)
        r = vault_call(t->daemon->vault, &ASK(vlt_Type_LICENSE_STORE, vlt_Type_DONE, vlt_LicenseStore, &store),
                       on_license_stored, i);
    if (r != 0) {
        t->holds--;
        item_kept(i, false);
    }
}

void transact_set_copy_handler(struct daemon *d, transact_copy_fn handler) { d->on_copied = handler; }

static void keep_item(struct transact_item *i)
{
    struct transact *t = i->transact;
    if (i->result->has_refusal) {
        i->why = reason_of_code(i->result->refusal.code);
        i->refusal = i->result->refusal;
        item_kept(i, true);
    } else if (i->item.has_purchase && i->result->has_license) {
        keep_license(i);
    } else if (i->item.has_copy && i->result->has_certificate && t->daemon->on_copied != NULL) {
        t->holds++;
        t->daemon->on_copied(t->account, &i->item.copy, i->result, i);
    } else { /* an answer that grants nothing that was asked for */
        i->why = REASON_MALFORMED;
        reason_refusal(&i->refusal, REASON_MALFORMED, NULL);
        item_kept(i, true);
    }
}

static void keep_all(struct transact *t)
{
    t->stage = KEEPING;
    t->keep_failed = false;
    t->to_keep = t->batch_count + 1; /* one for this loop, so that it does not end in the middle */
    t->holds++;
    struct transact_item *next;
    for (struct transact_item *i = t->batch; i != NULL; i = next) {
        next = i->next;
        if (i->kept) /* from an earlier round */
            t->to_keep--;
        else
            keep_item(i);
    }
    if (--t->to_keep == 0 && !t->closing) {
        t->to_keep = 1;
        item_kept(t->batch, t->batch->kept);
    }
    release(t);
}

/* --- The answer --- */

static int decode_results(struct transact *t, struct slice tail)
{
    struct reader r = reader(tail);
    struct slice one;
    for (struct transact_item *i = t->batch; i != NULL; i = i->next) {
        if (codec_list_next(&r, msg_Result_size, &one) != 0)
            return CODEC_MALFORMED;
        if (i->result == NULL)
            i->result = malloc(sizeof(*i->result));
        if (i->result == NULL)
            return -ENOMEM;
        if (CODEC_DECODE(msg_Result, one, i->result) != 0)
            return CODEC_MALFORMED;
    }
    return reader_done(&r) ? 0 : CODEC_MALFORMED;
}

static bool take_answer(struct transact *t, const struct frame *f)
{
    msg_Transacted answer;
    if (CODEC_DECODE(msg_Transacted, f->message, &answer) != 0 || answer.bit != txn_client_bit(&t->client) ||
        memcmp(answer.transaction, t->client.id, TXN_ID_BYTES) != 0 || answer.count != t->batch_count)
        return false;
    return decode_results(t, f->tail) == 0;
}

static void try_later(struct transact *t, uint64_t ms, const char *detail)
{
    fire_all(t->batch, REASON_OFFLINE, detail);
    if (t->timer_open)
        (void)uv_timer_start(&t->timer, on_timer, ms, 0);
}

/* The distributor did not execute it and never will: the row goes, the bit stays. */
static void on_dropped(struct db_job *job, int outcome)
{
    struct transact *t = job_done(job);
    if (t == NULL)
        return;
    if (outcome != 0)
        log_warn("%s: a refused transaction stays in the database", t->account->name);
    struct transact_item *batch = steal(&t->batch);
    t->stage = IDLE;
    for (struct transact_item *i = batch; i != NULL; i = i->next)
        fire(i, i->why, &i->refusal);
    items_free(batch);
    start_next(t);
}

static void drop(struct transact *t, enum reason why, const msg_Refusal *refusal)
{
    for (struct transact_item *i = t->batch; i != NULL; i = i->next) {
        i->why = why;
        i->refusal = *refusal;
    }
    t->client.outstanding = false;
    t->stage = FINISHING;
    run_job(t, on_dropped);
}

/* "out-of-step": this device was restored from an older state. The distributor's bit counts, and what its pending response grants is
 * stored; our own request goes again under a new ID. */
static void on_followed(struct db_job *job, int outcome)
{
    struct transact *t = job_done(job);
    if (t == NULL)
        return;
    t->stage = SENDING;
    if (outcome == 0)
        send_batch(t);
    else
        try_later(t, RETRY_MS, NULL);
}

static void on_old_license(const struct answer *answer, void *ctx)
{
    struct transact *t = ctx;
    if (answer->why != REASON_NONE)
        log_warn("a license of an earlier purchase was not stored reason=%s", answer->refusal->code);
    release(t);
}

static void keep_old_results(struct transact *t, struct slice tail)
{
    struct reader r = reader(tail);
    struct slice one;
    msg_Result *result CLEANUP(freep) = malloc(sizeof(*result));
    while (result != NULL && codec_list_next(&r, msg_Result_size, &one) == 0) {
        vlt_LicenseStore store = { 0 };
        if (CODEC_DECODE(msg_Result, one, result) != 0 || !result->has_license)
            continue;
        store.has_header = result->has_header;
        if (CODEC_SET_BYTES(store.license, CODEC_BYTES(result->license)) != 0 ||
            (store.has_header && CODEC_SET_BYTES(store.header, CODEC_BYTES(result->header)) != 0))
            continue;
        t->holds++;
        if (vault_call(t->daemon->vault, &ASK(vlt_Type_LICENSE_STORE, vlt_Type_DONE, vlt_LicenseStore, &store),
                       on_old_license, t) != 0)
            t->holds--;
    }
}

static void follow(struct transact *t, const struct frame *f)
{
    uint32_t bit;
    log_warn("%s: out of step; following the distributor", t->account->name);
    if (f != NULL)
        keep_old_results(t, f->tail);
    txn_client_follow(&t->client, session_server_bit(t->account->session));
    txn_client_begin(&t->client, t->daemon->rng, &bit);
    t->stage = STORING;
    run_job(t, on_followed);
}

static void on_answer(const struct answer *answer, void *ctx)
{
    struct transact *t = ctx;
    bool gone = t->closing;
    t->in_flight = false;
    release(t);
    if (gone)
        return;
    switch (answer->why) {
    case REASON_NONE:
        if (take_answer(t, answer->frame)) {
            keep_all(t);
            return;
        }
        log_error("%s: the answer to a transaction does not fit it", t->account->name);
        try_later(t, RETRY_MS, NULL);
        return;
    case REASON_OUT_OF_STEP:
        follow(t, answer->frame);
        return;
    case REASON_SESSION_REPLACED:
        session_restart(t->account->session);
        return;
    case REASON_UNKNOWN_DEVICE:
    case REASON_DEVICE_REVOKED:
    case REASON_NOT_REGISTERED:
    case REASON_MALFORMED:
    case REASON_TOO_LARGE:
    case REASON_NOT_PERMITTED:
        drop(t, answer->why, answer->refusal);
        return;
    default: /* not known whether it was executed: the same again */
        try_later(t, answer->refusal->has_retry_ms ? u64_min(answer->refusal->retry_ms, 60000) : RETRY_MS,
                  "The distributor did not answer; what was asked for is kept and completed as soon as it can.");
        return;
    }
}

static void send_batch(struct transact *t)
{
    static const char kept[] =
        "The distributor cannot be reached now; what was asked for is kept and completed as soon as it can.";
    if (t->stage != SENDING || t->in_flight)
        return;
    if (!session_knows_us(t->account->session)) { /* transact_ready comes here again */
        fire_all(t->batch, REASON_OFFLINE, kept);
        return;
    }
    msg_Transact transact = {
        .session = session_number(t->account->session),
        .bit = txn_client_bit(&t->client),
        .count = t->batch_count,
    };
    memcpy(transact.transaction, t->client.id, TXN_ID_BYTES);
    struct ask ask = ASK(msg_Type_TRANSACT, msg_Type_TRANSACTED, msg_Transact, &transact);
    ask.tail = buf_slice(&t->items);
    ask.timeout_ms = ANSWER_TIMEOUT_MS;
    t->holds++;
    t->in_flight = true;
    if (session_call_now(t->account, &ask, on_answer, t) == 0)
        return;
    t->holds--;
    t->in_flight = false;
    try_later(t, RETRY_MS, kept);
}

static void on_timer(uv_timer_t *timer) { send_batch(timer->data); }

/* --- Public --- */

int transact_submit(struct account *a, const msg_Item *item, transact_fn on_outcome, void *ctx)
{
    struct transact *t = a->transact;
    if (t == NULL || t->closing)
        return -ECANCELED;
    struct transact_item *i = calloc(1, sizeof(*i));
    if (i == NULL)
        return -ENOMEM;
    i->transact = t;
    i->item = *item;
    i->encoded = buf(msg_Item_size);
    i->on_outcome = on_outcome;
    i->ctx = ctx;
    int r = CODEC_ENCODE(msg_Item, &i->encoded, item);
    if (r != 0) {
        item_free(i);
        return r < 0 ? r : -EINVAL;
    }
    *t->queue_last = i;
    t->queue_last = &i->next;
    start_next(t);
    return 0;
}

int transact_new(struct transact **out, struct account *a)
{
    struct transact *t = calloc(1, sizeof(*t));
    if (t == NULL)
        return -ENOMEM;
    t->account = a;
    t->daemon = a->daemon;
    t->queue_last = &t->queue;
    t->items = buf(ITEMS_BYTES_MAX);
    t->holds = 1;
    (void)uv_timer_init(t->daemon->loop, &t->timer); /* cannot fail */
    t->timer.data = t;
    t->timer_open = true;
    *out = t;
    return 0;
}

int transact_load(struct transact *t, uint32_t bit, struct slice id, struct slice items)
{
    struct transact_item **end = &t->batch;
    t->client.bit = (uint8_t)bit;
    if (id.len == 0)
        return 0;
    if (id.len != TXN_ID_BYTES)
        return -EUCLEAN;
    int r = buf_append(&t->items, items);
    struct reader rest = reader(items);
    struct slice one;
    while (r == 0 && (r = codec_list_next(&rest, msg_Item_size, &one)) == 0) {
        struct transact_item *i = calloc(1, sizeof(*i));
        if (i == NULL)
            return -ENOMEM;
        i->transact = t;
        *end = i;
        end = &i->next;
        t->batch_count++;
        r = CODEC_DECODE(msg_Item, one, &i->item);
    }
    if (r != CODEC_END || t->batch_count == 0 || t->batch_count > TRANSACT_ITEMS_MAX)
        return r < 0 ? r : -EUCLEAN;
    memcpy(t->client.id, id.data, TXN_ID_BYTES);
    t->client.outstanding = true;
    t->stage = SENDING;
    return 0;
}

static void on_timer_closed(uv_handle_t *handle) { release(handle->data); }

void transact_free(struct transact *t)
{
    if (t == NULL || t->closing)
        return;
    t->closing = true;
    t->timer_open = false;
    fire_all(t->queue, REASON_CANCELLED, NULL);
    fire_all(t->batch, REASON_CANCELLED, NULL);
    uv_close((uv_handle_t *)&t->timer, on_timer_closed);
}

void transact_ready(struct transact *t)
{
    uv_timer_stop(&t->timer);
    send_batch(t);
}

bool transact_outstanding(const struct transact *t) { return t->client.outstanding; }
