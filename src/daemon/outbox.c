/* Reports on their way to a distributor, oldest first, in parcels: redemptions many together, others alone.
 *
 * Callbacks, in order: on_answer (distributor), on_deleted (database). on_retry tries again what was put off, sending or crossing off; on_soon sends what has come since. */
#include "daemon/outbox.h"

#include <stdlib.h>

#include "base/util.h"
#include "daemon/ask.h"
#include "daemon/events.h"
#include "daemon/session.h"

#define LOG_MODULE "outbox"
#include "base/log.h"

#define PARCELS_MAX 64 /* on their way */
#define PARCEL_MAX 64  /* redemptions of one */
#define RETRY_MS 30000
#define TOGETHER_MS 20 /* the first redemption after a while goes at once; what follows so soon goes together */

struct report {
    struct outbox *outbox;
    struct report *next;
    int64_t number;
    struct id distributor;
    uint16_t type;
    struct buf encoded;
    struct parcel *parcel; /* on its way, or its row is being deleted */
};
struct parcel {
    struct outbox *outbox;
    struct parcel *next;     /* of those that could not be crossed off */
    struct account *account; /* until it is answered; a reference */
    struct report *reports[PARCEL_MAX];
    unsigned count;
    struct db_job job;
};
struct outbox {
    struct daemon *daemon;
    struct report *first, **last;
    uint32_t count, cancels;  /* cancels: MOVE_CANCELs of them */
    uint32_t parcels;         /* on their way, or to be crossed off */
    struct parcel *uncrossed; /* acknowledged, and the disk would not have it */
    int64_t redeemed_ms;      /* monotonic: when redemptions were last sent */
    uv_timer_t retry, soon;
    bool stopping;
    unsigned timers; /* not closed yet */
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
static void on_retry(uv_timer_t *timer);

static void report_free(struct report *r)
{
    buf_free(&r->encoded);
    free(r);
}

static void free_when_done(struct outbox *o)
{
    if (!o->stopping || o->timers > 0 || o->parcels > 0)
        return;
    while (o->first != NULL) {
        struct report *next = o->first->next;
        report_free(o->first);
        o->first = next;
    }
    free(o);
}

/* ---- parcels ------------------------------------------------------------------------------------------------- */

static void put_in(struct parcel *p, struct report *r)
{
    p->reports[p->count++] = r;
    r->parcel = p;
}

static void parcel_free(struct parcel *p)
{
    struct outbox *o = p->outbox;
    for (unsigned i = 0; i < p->count; i++)
        p->reports[i]->parcel = NULL;
    account_unref(p->account);
    free(p);
    o->parcels--;
    free_when_done(o);
}

/* Those that have a parcel and are acknowledged are near the beginning. */
static void forget(struct report *r)
{
    struct outbox *o = r->outbox;
    struct report **at = &o->first;
    while (*at != r)
        at = &(*at)->next;
    *at = r->next;
    if (r->next == NULL)
        o->last = at;
    o->count--;
    o->cancels -= r->type == msg_Type_MOVE_CANCEL;
    report_free(r);
}

static int delete_rows(struct store *store, struct db_job *job)
{
    const struct parcel *p = container_of(job, struct parcel, job);
    int r = 0;
    for (unsigned i = 0; i < p->count && r == 0; i++) {
        struct query q CLEANUP(query_end) = query(store, DB_OUTBOX_DELETE);
        query_bind_i64(&q, 1, p->reports[i]->number);
        r = query_run(&q);
    }
    return r;
}

static void retry_later(struct outbox *o)
{
    if (!o->stopping && !uv_is_active((uv_handle_t *)&o->retry)) /* else others that fail would put it off for ever */
        (void)uv_timer_start(&o->retry, on_retry, RETRY_MS, 0);
}

static void on_deleted(struct db_job *job, int outcome)
{
    struct parcel *p = container_of(job, struct parcel, job);
    struct outbox *o = p->outbox;
    if (outcome != 0 &&
        !o->stopping) { /* a full disk, most likely. After the next start it is reported again: reports are idempotent */
        p->next = o->uncrossed;
        o->uncrossed = p;
        retry_later(o);
        return;
    }
    while (outcome == 0 && p->count > 0)
        forget(p->reports[--p->count]);
    if (!o->stopping)
        deliver_all(o);
    parcel_free(p);
}

static void cross_off(struct parcel *p)
{
    p->job = (struct db_job){ .work = delete_rows, .done = on_deleted };
    db_run(p->outbox->daemon->db, &p->job);
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

/* What was said of one report. False: it stays, and is sent again. */
static bool is_settled(struct outbox *o, enum reason why, const char *text)
{
    if (why != REASON_NONE && is_passing(why))
        return false;
    if (why != REASON_NONE)
        event(o->daemon, "report-refused", "a report to a distributor was refused for good: %s", text);
    return true;
}

/* Takes out of the parcel what stays. */
static void judge_redeemed(struct parcel *p, const struct frame *f)
{
    msg_Redeemed m;
    msg_Result *result CLEANUP(freep) = malloc(sizeof(*result));
    struct reader results = reader(f->tail);
    unsigned settled = 0, count = p->count;
    bool legible = result != NULL && CODEC_DECODE(msg_Redeemed, f->message, &m) == 0 && m.count == count;
    for (unsigned i = 0; i < count; i++) {
        struct report *r = p->reports[i];
        struct slice one;
        legible = legible && codec_list_next(&results, msg_Result_size, &one) == 0 &&
                  CODEC_DECODE(msg_Result, one, result) == 0;
        const msg_Refusal *refusal = legible && result->has_refusal ? &result->refusal : NULL;
        if (legible && is_settled(p->outbox, refusal == NULL ? REASON_NONE : reason_of_code(refusal->code),
                                  refusal == NULL ? "" : refusal->text))
            p->reports[settled++] = r;
        else
            r->parcel = NULL;
    }
    p->count = settled;
}

/* Redemptions together that are refused together: the request was, not what is in it. */
static bool is_about_the_request(const struct parcel *p, enum reason why)
{
    return p->reports[0]->type == msg_Type_REDEEM &&
           (why == REASON_MALFORMED || why == REASON_TOO_LARGE || why == REASON_NOT_PERMITTED);
}

static void on_answer(const struct answer *answer, void *ctx)
{
    struct parcel *p = ctx;
    struct outbox *o = p->outbox;
    unsigned sent = p->count;
    if (o->stopping) {
        parcel_free(p);
        return;
    }
    if (answer->why == REASON_NONE)
        session_present(p->account->session);
    account_unref(steal(&p->account));
    if (answer->why == REASON_NONE && p->reports[0]->type == msg_Type_REDEEM) {
        judge_redeemed(p, answer->frame);
    } else if (answer->why != REASON_NONE &&
               (is_about_the_request(p, answer->why) || !is_settled(o, answer->why, answer->refusal->text))) {
        retry_later(o);
        parcel_free(p);
        return;
    }
    if (p->count < sent)
        retry_later(o);
    if (p->count == 0) {
        parcel_free(p);
        return;
    }
    cross_off(p);
}

static bool send_one(struct parcel *p)
{
    const struct report *r = p->reports[0];
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
        return session_call_now(p->account, &ask, on_answer, p) == 0;
    }
    return false;
}

static bool send_redemptions(struct parcel *p)
{
    msg_Redeems m = { .count = p->count };
    struct buf tail CLEANUP(buf_free) = buf(PARCEL_MAX * (msg_Redeem_size + 4));
    for (unsigned i = 0; i < p->count; i++)
        if (codec_list_put(&tail, buf_slice(&p->reports[i]->encoded)) != 0)
            return false;
    struct ask ask = ASK(msg_Type_REDEEMS, msg_Type_REDEEMED, msg_Redeems, &m);
    ask.tail = buf_slice(&tail);
    return session_call_now(p->account, &ask, on_answer, p) == 0;
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

static bool waits_for(const struct report *r, uint16_t type, const struct account *a)
{
    return r->parcel == NULL && r->type == type && account_for(r->outbox->daemon, r) == a;
}

/* Sends this report, and redemptions that wait for the same. False: it could not be sent now. */
static bool deliver(struct report *r, struct account *a)
{
    struct outbox *o = r->outbox;
    struct parcel *p = calloc(1, sizeof(*p));
    if (p == NULL)
        return false;
    p->outbox = o;
    p->account = account_ref(a);
    o->parcels++;
    bool many = r->type == msg_Type_REDEEM;
    put_in(p, r);
    for (r = r->next; many && r != NULL && p->count < PARCEL_MAX; r = r->next)
        if (waits_for(r, msg_Type_REDEEM, a))
            put_in(p, r);
    if (many)
        o->redeemed_ms = clock_mono_ms(o->daemon->clock);
    if (many ? send_redemptions(p) : send_one(p))
        return true;
    parcel_free(p);
    return false;
}

static void on_soon(uv_timer_t *timer) { deliver_all(timer->data); }

static void deliver_all(struct outbox *o)
{
    int64_t early_ms = o->redeemed_ms == 0 ? 0 : o->redeemed_ms + TOGETHER_MS - clock_mono_ms(o->daemon->clock);
    bool soon = false, sent = true;
    for (struct report *r = o->first; r != NULL && o->parcels < PARCELS_MAX; r = r->next) {
        bool many = r->type == msg_Type_REDEEM;
        if (r->parcel != NULL || (many && soon))
            continue;
        struct account *a = account_for(o->daemon, r);
        if (a == NULL)
            continue;
        if (many && early_ms > 0) {
            soon = true;
            continue;
        }
        sent = deliver(r, a) && sent; /* else when its session is ready again */
        if (many)
            early_ms = TOGETHER_MS;
    }
    if (soon && sent && !uv_is_active((uv_handle_t *)&o->soon))
        (void)uv_timer_start(&o->soon, on_soon, (uint64_t)early_ms, 0);
}

static void on_retry(uv_timer_t *timer)
{
    struct outbox *o = timer->data;
    struct parcel *p = steal(&o->uncrossed);
    while (p != NULL) {
        struct parcel *next = p->next;
        cross_off(p);
        p = next;
    }
    deliver_all(o);
}

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
    o->cancels += type == msg_Type_MOVE_CANCEL;
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
    (void)uv_timer_init(d->loop, &o->retry); /* cannot fail */
    (void)uv_timer_init(d->loop, &o->soon);
    o->retry.data = o->soon.data = o;
    o->timers = 2;
    d->outbox = o;
    int r = load(o);
    return r > 0 ? -EUCLEAN : r;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct outbox *o = handle->data;
    o->timers--;
    free_when_done(o);
}

void outbox_stop(struct daemon *d)
{
    struct outbox *o = steal(&d->outbox);
    if (o == NULL)
        return;
    o->stopping = true;
    while (o->uncrossed != NULL) {
        struct parcel *p = o->uncrossed;
        o->uncrossed = p->next;
        parcel_free(p);
    }
    uv_close((uv_handle_t *)&o->retry, on_timer_closed);
    uv_close((uv_handle_t *)&o->soon, on_timer_closed);
}

bool outbox_gives_back(const struct daemon *d, const struct copy_out_subject *about)
{
    msg_MoveCancel m;
    doc_Receipt receipt;
    if (d->outbox == NULL || d->outbox->cancels == 0) /* as nearly always */
        return false;
    for (const struct report *r = d->outbox->first; r != NULL; r = r->next)
        if (r->type == msg_Type_MOVE_CANCEL && id_equal(r->distributor.bytes, about->issuer.bytes) &&
            CODEC_DECODE(msg_MoveCancel, buf_slice(&r->encoded), &m) == 0 &&
            document_peek(DOCUMENT_RECEIPT, CODEC_BYTES(m.receipt), &receipt, sizeof(receipt)) == 0 &&
            id_equal(about->content.bytes, receipt.content) && id_equal(about->destination.bytes, receipt.destination))
            return true;
    return false;
}

uint32_t outbox_waiting(const struct daemon *d) { return d->outbox == NULL ? 0 : d->outbox->count; }
