/* Reports on their way to a distributor, oldest first, a window of them at a time.
 *
 * Callbacks, in order: on_answer (distributor), on_deleted (database). on_timer tries again what was put off. */
#include "daemon/outbox.h"

#include <stdlib.h>

#include "base/util.h"
#include "daemon/ask.h"
#include "daemon/events.h"
#include "daemon/session.h"

#define LOG_MODULE "outbox"
#include "base/log.h"

#define WINDOW 64
#define RETRY_MS 30000

struct report {
    struct outbox *outbox;
    struct report *next;
    int64_t number;
    struct id distributor;
    uint16_t type;
    struct buf encoded;
    struct account *account; /* while in flight; a reference */
    bool done;               /* acknowledged, being deleted */
    struct db_job job;
};
struct outbox {
    struct daemon *daemon;
    struct report *first, **last;
    uint32_t count, in_flight, deleting;
    uv_timer_t timer;
    bool stopping, timer_closed;
};

static const struct {
    uint16_t type;
    const pb_msgdesc_t *fields;
    size_t size, max_bytes;
} kinds[] = {
    { msg_Type_REDEEM, msg_Redeem_fields, sizeof(msg_Redeem), msg_Redeem_size },
    { msg_Type_MOVE_DONE, msg_MoveDone_fields, sizeof(msg_MoveDone), msg_MoveDone_size },
    { msg_Type_MOVE_CANCEL, msg_MoveCancel_fields, sizeof(msg_MoveCancel), msg_MoveCancel_size },
};
union report_message {
    msg_Redeem redeem;
    msg_MoveDone move_done;
    msg_MoveCancel move_cancel;
};

static void deliver_all(struct outbox *o);
static void on_timer(uv_timer_t *timer);

static void free_when_done(struct outbox *o)
{
    if (!o->stopping || !o->timer_closed || o->in_flight > 0 || o->deleting > 0)
        return;
    while (o->first != NULL) {
        struct report *next = o->first->next;
        buf_free(&o->first->encoded);
        free(o->first);
        o->first = next;
    }
    free(o);
}

static void forget(struct report *r)
{
    struct outbox *o = r->outbox;
    for (struct report **at = &o->first; *at != NULL; at = &(*at)->next)
        if (*at == r) {
            *at = r->next;
            if (r->next == NULL)
                o->last = at;
            break;
        }
    o->count--;
    buf_free(&r->encoded);
    free(r);
}

static int delete_row(struct store *store, struct db_job *job)
{
    struct report *r = container_of(job, struct report, job);
    struct query q CLEANUP(query_end) = query(store, DB_OUTBOX_DELETE);
    query_bind_i64(&q, 1, r->number);
    return query_run(&q);
}

static void on_deleted(struct db_job *job, int outcome)
{
    struct report *r = container_of(job, struct report, job);
    struct outbox *o = r->outbox;
    o->deleting--;
    if (outcome == 0)
        forget(r);
    else
        r->done = false; /* reported again later: reports are idempotent */
    if (o->stopping)
        free_when_done(o);
    else
        deliver_all(o);
}

/* A refusal that says nothing about the report itself: it will be tried again. */
static bool is_passing(enum reason why)
{
    switch (why) {
    case REASON_OFFLINE:
    case REASON_TIMED_OUT:
    case REASON_CANCELLED:
    case REASON_INTERNAL:
    case REASON_RATE_LIMITED:
    case REASON_STORAGE_FULL:
    case REASON_SESSION_REPLACED:
    case REASON_NOT_REGISTERED:
    case REASON_UNKNOWN_DEVICE:
        return true;
    default:
        return false;
    }
}

static void on_answer(const struct answer *answer, void *ctx)
{
    struct report *r = ctx;
    struct outbox *o = r->outbox;
    if (answer->why == REASON_NONE && !o->stopping)
        session_present(r->account->session);
    account_unref(steal(&r->account));
    o->in_flight--;
    if (o->stopping) {
        free_when_done(o);
        return;
    }
    if (answer->why != REASON_NONE && is_passing(answer->why)) {
        (void)uv_timer_start(&o->timer, on_timer, RETRY_MS, 0);
        return;
    }
    if (answer->why != REASON_NONE)
        event(o->daemon, "report-refused", "a report to a distributor was refused for good: %s", answer->refusal->text);
    r->done = true;
    r->job.work = delete_row;
    r->job.done = on_deleted;
    o->deleting++;
    db_run(o->daemon->db, &r->job);
}

static bool send_report(struct report *r, struct account *a)
{
    union report_message message;
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        if (kinds[i].type != r->type)
            continue;
        if (codec_decode(kinds[i].fields, kinds[i].max_bytes, buf_slice(&r->encoded), &message, kinds[i].size) != 0)
            return false;
        struct ask ask = { .type = r->type,
                           .reply_type = msg_Type_OK,
                           .fields = kinds[i].fields,
                           .message = &message,
                           .message_size = kinds[i].size };
        return session_call_now(a, &ask, on_answer, r) == 0;
    }
    return false;
}

/* Its own distributor, or when this device is not registered there any one: it relays. */
static struct account *account_for(struct daemon *d, const struct report *r)
{
    struct account *a = account_find(d, r->distributor.bytes);
    if (a != NULL)
        return session_knows_us(a->session) ? a : NULL;
    for (a = d->accounts; a != NULL; a = a->next)
        if (session_knows_us(a->session))
            return a;
    return NULL;
}

static void deliver_all(struct outbox *o)
{
    for (struct report *r = o->first; r != NULL && o->in_flight < WINDOW; r = r->next) {
        struct account *a = r->done || r->account != NULL ? NULL : account_for(o->daemon, r);
        if (a == NULL)
            continue;
        r->account = account_ref(a);
        o->in_flight++;
        if (send_report(r, a))
            continue;
        account_unref(steal(&r->account));
        o->in_flight--;
    }
}

static void on_timer(uv_timer_t *timer) { deliver_all(timer->data); }

void outbox_ready(struct account *a)
{
    if (a->daemon->outbox != NULL)
        deliver_all(a->daemon->outbox);
}

static int append(struct outbox *o, int64_t number, const struct id *distributor, uint16_t type, struct slice encoded)
{
    struct report *r = calloc(1, sizeof(*r));
    if (r == NULL)
        return -ENOMEM;
    r->encoded = buf(sizeof(union report_message) + 64);
    int e = buf_append(&r->encoded, encoded);
    if (e != 0) {
        free(r);
        return e < 0 ? e : -EINVAL;
    }
    r->outbox = o;
    r->number = number;
    r->distributor = *distributor;
    r->type = type;
    *o->last = r;
    o->last = &r->next;
    o->count++;
    return 0;
}

int outbox_add(struct store *store, const struct id *distributor, uint16_t type, struct slice encoded, int64_t *number)
{
    struct query q CLEANUP(query_end) = query(store, DB_OUTBOX_ADD);
    query_bind_blob(&q, 1, SLICE_ARRAY(distributor->bytes));
    query_bind_i64(&q, 2, type);
    query_bind_blob(&q, 3, encoded);
    int r = query_run(&q);
    if (r == 0)
        *number = store_last_id(store);
    return r;
}

int outbox_added(struct daemon *d, int64_t number, const struct id *distributor, uint16_t type, struct slice encoded)
{
    int r = append(d->outbox, number, distributor, type, encoded);
    if (r == 0)
        deliver_all(d->outbox);
    return r;
}

static int load(struct outbox *o)
{
    struct query q CLEANUP(query_end) = query(db_store(o->daemon->db), DB_OUTBOX);
    int r;
    while ((r = query_step(&q)) == STORE_ROW) {
        struct id distributor;
        int64_t number = query_i64(&q, 0);
        query_fixed(&q, 1, distributor.bytes, ID_BYTES);
        uint32_t type = query_u32(&q, 2);
        struct slice message = query_blob(&q, 3);
        r = query_check(&q);
        if (r == 0)
            r = append(o, number, &distributor, (uint16_t)type, message);
        if (r != 0)
            return r;
    }
    return r;
}

int outbox_start(struct daemon *d)
{
    struct outbox *o = calloc(1, sizeof(*o));
    if (o == NULL)
        return -ENOMEM;
    o->daemon = d;
    o->last = &o->first;
    (void)uv_timer_init(d->loop, &o->timer); /* cannot fail */
    o->timer.data = o;
    d->outbox = o;
    int r = load(o);
    return r > 0 ? -EUCLEAN : r;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct outbox *o = handle->data;
    o->timer_closed = true;
    free_when_done(o);
}

void outbox_stop(struct daemon *d)
{
    struct outbox *o = steal(&d->outbox);
    if (o == NULL)
        return;
    o->stopping = true;
    uv_close((uv_handle_t *)&o->timer, on_timer_closed);
}

bool outbox_gives_back(const struct daemon *d, const struct copy_out_subject *about)
{
    msg_MoveCancel m;
    doc_Receipt receipt;
    for (const struct report *r = d->outbox == NULL ? NULL : d->outbox->first; r != NULL; r = r->next)
        if (r->type == msg_Type_MOVE_CANCEL && !r->done && id_equal(r->distributor.bytes, about->issuer.bytes) &&
            CODEC_DECODE(msg_MoveCancel, buf_slice(&r->encoded), &m) == 0 &&
            document_peek(DOCUMENT_RECEIPT, CODEC_BYTES(m.receipt), &receipt, sizeof(receipt)) == 0 &&
            id_equal(about->content.bytes, receipt.content) && id_equal(about->destination.bytes, receipt.destination))
            return true;
    return false;
}

uint32_t outbox_waiting(const struct daemon *d) { return d->outbox == NULL ? 0 : d->outbox->count; }
