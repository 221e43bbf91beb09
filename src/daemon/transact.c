/* Exactly once, from the device's side: what waits, the row of what is outstanding, and its end. How it is sent, and what becomes of the answer, is
 * transact_send.c's.
 *
 *   IDLE -> CONNECTING -> STORING -> SENDING <-> KEEPING -> FINISHING -> IDLE
 *
 * Callbacks, in order: on_connected, on_stored (database); on_answer and on_timer (transact_send.c); on_license_stored (vault) or
 * transact_item_stored (copies); on_finished (database), then the outcome of each item. on_joined: a purchase that is under way is waited for. */
#include "daemon/transact.h"

#include <stdlib.h>

#include "base/util.h"
#include "daemon/events.h"
#include "daemon/library.h"
#include "daemon/session.h"
#include "daemon/transact_internal.h"

#define LOG_MODULE "transact"
#include "base/log.h"

#define ITEMS_BYTES_MAX (TRANSACT_ITEMS_MAX * 736)

static void start_next(struct transact *t);

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

void transact_release(struct transact *t)
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

void transact_fire_all(struct transact_item *first, enum reason why, const char *detail)
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

void transact_run_job(struct transact *t, void (*done)(struct db_job *job, int outcome))
{
    t->job.work = store_row;
    t->job.done = done;
    t->holds++;
    (void)account_ref(t->account);
    db_run(t->daemon->db, &t->job);
}

struct transact *transact_job_done(struct db_job *job)
{
    struct transact *t = container_of(job, struct transact, job);
    struct account *a = t->account;
    bool gone = t->closing;
    transact_release(t);
    account_unref(a);
    return gone ? NULL : t;
}

/* Of what our own database could not do. */
static const char *own_detail(const struct transact *t, enum reason why, char out[DAEMON_FULL_BYTES])
{
    return why == REASON_STORAGE_FULL ? daemon_full_text(t->daemon, out) : NULL;
}

static void on_stored(struct db_job *job, int outcome)
{
    struct transact *t = transact_job_done(job);
    msg_Refusal refusal;
    char full[DAEMON_FULL_BYTES];
    if (t == NULL)
        return;
    if (outcome == 0) {
        t->stage = SENDING;
        transact_send(t);
        return;
    }
    /* Nothing was sent: the bit stays where it was. */
    struct transact_item *batch = steal(&t->batch);
    t->client.outstanding = false;
    t->stage = IDLE;
    reason_refusal(&refusal, reason_of_error(outcome), own_detail(t, reason_of_error(outcome), full));
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
    t->resumed = false;
    t->stage = STORING;
    transact_run_job(t, on_stored);
    return 0;
}

static void on_connected(const struct answer *answer, void *ctx)
{
    struct transact *t = ctx;
    bool gone = t->closing;
    transact_release(t);
    if (gone)
        return;
    if (answer->why == REASON_NONE && session_may_transact(t->account->session) && begin(t) == 0)
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

void transact_end(struct transact *t)
{
    struct transact_item *batch = steal(&t->batch);
    struct account *a = account_ref(t->account);
    t->stage = IDLE;
    for (struct transact_item *i = batch; i != NULL; i = i->next)
        fire(i, i->why, &i->refusal);
    items_free(batch);
    start_next(t);
    account_unref(a);
}

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
    struct transact *t = transact_job_done(job);
    char full[DAEMON_FULL_BYTES];
    if (t == NULL)
        return;
    if (outcome != 0) { /* the row is still outstanding: sent again, answered the same */
        t->client.outstanding = true;
        t->client.bit ^= 1u;
        t->stage = SENDING;
        transact_send_later(t);
        transact_fire_all(t->batch, reason_of_error(outcome), own_detail(t, reason_of_error(outcome), full));
        return;
    }
    if (t->queue == NULL)
        send_commit(t);
    transact_end(t);
}

static void finish(struct transact *t)
{
    t->stage = FINISHING;
    memcpy(t->stored_id, t->client.id, TXN_ID_BYTES);
    if (!txn_client_finish(&t->client, txn_client_bit(&t->client), t->stored_id))
        abort(); /* only ever called with the outstanding one */
    transact_run_job(t, on_finished);
}

void transact_kept(struct transact *t, bool safe)
{
    if (safe) {
        finish(t);
        return;
    }
    log_warn("%s: what was granted could not be kept yet; asked for again", t->account->name);
    transact_fire_all(t->batch, REASON_INTERNAL,
                      "It was granted, but could not be stored yet; it is tried again by itself.");
    t->stage = SENDING;
    transact_send_later(t);
}

/* --- Public --- */

void transact_set_copy_handler(struct daemon *d, transact_copy_fn handler) { d->on_copied = handler; }

/* Which content an item is about: what people know it by. */
static struct id content_of(struct daemon *d, const msg_Item *item)
{
    doc_Use use;
    struct track *t;
    doc_Quote quote;
    uint8_t signer[32];
    if (item->has_copy)
        return id_from(item->copy.content);
    if (item->has_restore)
        return id_from(item->restore.content);
    if (item->has_refresh &&
        document_open(DOCUMENT_USE, CODEC_BYTES(item->refresh.use), &use, sizeof(use), signer) == 0 &&
        library_license(d, NULL, use.issuer, use.license_id, &t) != NULL)
        return t->content;
    if (item->has_purchase &&
        document_open(DOCUMENT_QUOTE, CODEC_BYTES(item->purchase.quote), &quote, sizeof(quote), signer) == 0)
        return id_from(quote.content);
    return (struct id){ 0 };
}

static struct transact_item *find_purchase(struct transact_item *i, const struct id *content)
{
    while (i != NULL && !(i->item.has_purchase && id_equal(i->content.bytes, content->bytes)))
        i = i->next;
    return i;
}

static void on_joined(const struct answer *answer, void *ctx)
{
    struct transact *t = ctx;
    bool gone = t->closing;
    transact_release(t);
    /* When it is reachable, the answer comes to the item by itself. */
    if (!gone && answer->why != REASON_NONE && t->stage == SENDING && !t->in_flight)
        transact_fire_all(t->batch, answer->why, answer->refusal->text);
}

int transact_join(struct account *a, const struct id *content, transact_fn on_outcome, void *ctx)
{
    struct transact *t = a->transact;
    struct transact_item *i = t == NULL || t->closing ? NULL : find_purchase(t->queue, content);
    if (i == NULL && t != NULL && !t->closing)
        i = find_purchase(t->batch, content);
    if (i == NULL)
        return TRANSACT_NONE;
    if (i->on_outcome != NULL)
        return TRANSACT_BUSY;
    t->holds++;
    int r = session_when_ready(a, on_joined, t);
    if (r != 0) {
        t->holds--;
        return r;
    }
    i->on_outcome = on_outcome;
    i->ctx = ctx;
    return 0;
}

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
    i->content = content_of(t->daemon, item);
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
        i->content = content_of(t->daemon, &i->item);
    }
    if (r != CODEC_END || t->batch_count == 0 || t->batch_count > TRANSACT_ITEMS_MAX)
        return r < 0 ? r : -EUCLEAN;
    memcpy(t->client.id, id.data, TXN_ID_BYTES);
    t->client.outstanding = true;
    t->resumed = true;
    t->stage = SENDING;
    return 0;
}

static void on_timer_closed(uv_handle_t *handle) { transact_release(handle->data); }

void transact_free(struct transact *t)
{
    if (t == NULL || t->closing)
        return;
    t->closing = true;
    t->timer_open = false;
    transact_fire_all(t->queue, REASON_CANCELLED, NULL);
    transact_fire_all(t->batch, REASON_CANCELLED, NULL);
    uv_close((uv_handle_t *)&t->timer, on_timer_closed);
}

void transact_ready(struct transact *t)
{
    uv_timer_stop(&t->timer);
    transact_send(t);
}

void transact_put_back(struct transact *t)
{
    if (t == NULL || t->closing)
        return;
    t->put_back = true;
    struct transact_item *queue = steal(&t->queue);
    msg_Refusal refusal;
    t->queue_last = &t->queue;
    reason_refusal(&refusal, REASON_OUT_OF_STEP, transact_unsure);
    refuse_items(t, queue, &refusal, REASON_OUT_OF_STEP);
    if (t->resumed && t->stage == SENDING && !t->in_flight) {
        uv_timer_stop(&t->timer);
        transact_set_aside(t, session_server_bit(t->account->session));
    }
}

bool transact_was_put_back(const struct transact *t) { return t != NULL && t->put_back; }

bool transact_outstanding(const struct transact *t) { return t->client.outstanding; }
