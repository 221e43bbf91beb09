/* Tasks go to the thread in the order in which they are given; whoever waits for one takes part in the work meanwhile. */
#define LOG_MODULE "late"
#include "distributor/late.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/util.h"
#include "distributor/reply.h"
#include "distributor/sessions.h"
#include "distributor/share_own.h"
#include "distributor/share_rows.h"
#include "distributor/tally.h"

struct task {
    struct task *next;
    struct pending *of;
    int (*run)(struct pending *p);
    bool done;
    int outcome;
};

struct pending {
    struct pending *next;
    struct late_copy copy; /* first: what late_begin() gave */
    struct id client;
    struct reply *reply; /* NULL: the request has not come so far */
    msg_Transacted answer;
    const struct keys *keys;
    struct {
        bool there, removed;
        uint32_t table;
        uint64_t sequence;
        struct buf row, envelope;
    } shared;
    struct buf document, tail;
    struct task papers, row;
};

struct late {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t work, done;
    struct task *first, **last; /* under lock, as the next one */
    bool stopping;
    struct pending *open; /* from here on the connection's thread's */
    struct pending *pending, **pending_last;
    bool allowed, off; /* off: the last try failed */
};

static void pending_free(struct pending *p)
{
    if (p == NULL)
        return;
    copy_papers_wipe(&p->copy.papers);
    buf_free(&p->copy.delegation);
    buf_free(&p->shared.row);
    buf_free(&p->shared.envelope);
    buf_free(&p->document);
    buf_free(&p->tail);
    free(p);
}

/* --- The thread -------------------------------------------------------------------------------------------------- */

/* Under lock; gives it back while it works. */
static void run_first(struct late *l)
{
    struct task *t = l->first;
    l->first = t->next;
    if (l->first == NULL)
        l->last = &l->first;
    pthread_mutex_unlock(&l->lock);
    int outcome = t->run(t->of);
    pthread_mutex_lock(&l->lock);
    t->outcome = outcome;
    t->done = true;
    pthread_cond_broadcast(&l->done);
}

static void *work(void *arg)
{
    struct late *l = arg;
    pthread_mutex_lock(&l->lock);
    while (!l->stopping) {
        if (l->first != NULL)
            run_first(l);
        else
            pthread_cond_wait(&l->work, &l->lock);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

static void give(struct late *l, struct task *t, struct pending *of, int (*run)(struct pending *p))
{
    *t = (struct task){ .of = of, .run = run };
    pthread_mutex_lock(&l->lock);
    *l->last = t;
    l->last = &t->next;
    pthread_cond_signal(&l->work);
    pthread_mutex_unlock(&l->lock);
}

/* Of one that was never given: 0. */
static int wait_for(struct late *l, struct task *t)
{
    if (t->run == NULL)
        return 0;
    pthread_mutex_lock(&l->lock);
    while (!t->done) {
        if (l->first != NULL)
            run_first(l);
        else
            pthread_cond_wait(&l->done, &l->lock);
    }
    pthread_mutex_unlock(&l->lock);
    return t->outcome;
}

int late_new(struct late **out)
{
    struct late *l = calloc(1, sizeof(*l));
    if (l == NULL)
        return -ENOMEM;
    l->last = &l->first;
    l->pending_last = &l->pending;
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->work, NULL);
    pthread_cond_init(&l->done, NULL);
    int r = pthread_create(&l->thread, NULL, work, l);
    if (r != 0) {
        free(l);
        return -r;
    }
    *out = l;
    return 0;
}

static void forget(struct late *l)
{
    pending_free(steal(&l->open));
    for (struct pending *p; (p = l->pending) != NULL;) {
        l->pending = p->next;
        int r = wait_for(l, &p->papers); /* the thread may be at it */
        r = wait_for(l, &p->row);
        (void)r;
        pending_free(p);
    }
    l->pending_last = &l->pending;
}

void late_free(struct late *l)
{
    if (l == NULL)
        return;
    forget(l);
    pthread_mutex_lock(&l->lock);
    l->stopping = true;
    pthread_cond_signal(&l->work);
    pthread_mutex_unlock(&l->lock);
    pthread_join(l->thread, NULL);
    pthread_cond_destroy(&l->done);
    pthread_cond_destroy(&l->work);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

/* --- Inside the savepoint ---------------------------------------------------------------------------------------- */

void late_allow(struct operations *o, bool allowed)
{
    if (o->late != NULL)
        o->late->allowed = allowed;
}

struct late_copy *late_begin(struct operations *o)
{
    struct late *l = o->late;
    if (l == NULL || !l->allowed || l->off || l->open != NULL)
        return NULL;
    struct pending *p = calloc(1, sizeof(*p));
    if (p == NULL)
        return NULL; /* at once needs less */
    p->keys = o->keys;
    p->copy.delegation = buf(1024);
    p->shared.row = buf(sizeof(((doc_Share *)NULL)->row.bytes));
    p->shared.envelope = buf(SHARE_ENVELOPE_MAX);
    p->document = buf(4096);
    p->tail = buf(2 * msg_Result_size);
    l->open = p;
    return &p->copy;
}

void late_cancel(struct operations *o)
{
    if (o->late != NULL)
        pending_free(steal(&o->late->open));
}

int late_answer(struct operations *o, const struct id *client, const msg_Transacted *answer, struct reply *reply)
{
    if (o->late == NULL || o->late->open == NULL)
        return OPERATIONS_ABSENT;
    struct pending *p = o->late->open;
    p->client = *client;
    p->answer = *answer;
    p->reply = reply;
    return 0;
}

bool late_takes_row(struct operations *o, uint32_t table, bool removed, struct slice row)
{
    struct pending *p = o->late != NULL ? o->late->open : NULL;
    if (p == NULL || p->shared.there || buf_append(&p->shared.row, row) != 0)
        return false;
    p->shared.there = true;
    p->shared.table = table;
    p->shared.removed = removed;
    return true;
}

bool late_is_pending(const struct operations *o) { return o->late != NULL && o->late->pending != NULL; }

bool late_is_of(const struct operations *o, const struct id *client)
{
    for (const struct pending *p = o->late != NULL ? o->late->pending : NULL; p != NULL; p = p->next)
        if (id_equal(&p->client, client))
            return true;
    return false;
}

/* --- On the thread ------------------------------------------------------------------------------------------------ */

static int make_papers(struct pending *p)
{
    msg_Result *result CLEANUP(freep) = calloc(1, sizeof(*result));
    struct buf encoded CLEANUP(buf_free) = buf(msg_Result_size);
    struct slice delegation = buf_slice(&p->copy.delegation);
    int r = result != NULL ? copy_papers_make(&p->copy.papers, &p->document) : -ENOMEM;
    if (r != 0)
        return r;
    result->has_certificate = true;
    result->has_delegation = delegation.len > 0;
    if (CODEC_SET_BYTES(result->certificate, buf_slice(&p->document)) != 0 ||
        CODEC_SET_BYTES(result->delegation, delegation) != 0)
        return -EMSGSIZE;
    copies_tell_charged(p->copy.copy.price, p->copy.currency, result);
    r = CODEC_ENCODE(msg_Result, &encoded, result);
    if (r == 0)
        r = codec_list_put(&p->tail, buf_slice(&encoded));
    return r > 0 ? -EMSGSIZE : r;
}

static int sign_row(struct pending *p)
{
    return share_row_sign(p->keys, p->shared.table, p->shared.removed, buf_slice(&p->shared.row), p->shared.sequence,
                          &p->shared.envelope);
}

/* --- Between savepoints ------------------------------------------------------------------------------------------- */

void late_ended(void *database, int outcome)
{
    struct operations *o = database;
    struct pending *p = o->late->open;
    o->late->allowed = false;
    if (outcome != 0 || p == NULL) {
        late_cancel(o);
        return;
    }
    assert(p->reply != NULL); /* transact.c answers what it began */
    o->late->open = NULL;
    *o->late->pending_last = p;
    o->late->pending_last = &p->next;
    give(o->late, &p->papers, p, make_papers);
}

/* Rows get their numbers here, all at once: what others put meanwhile has its place in the chain already. */
static int number_rows(struct operations *o)
{
    bool held;
    int r = share_own_is_catching_up(o, &held);
    for (struct pending *p = o->late->pending; r == 0 && p != NULL; p = p->next) {
        if (!p->shared.there)
            continue;
        if (held) {
            r = share_put_encoded(o, p->shared.table, p->shared.removed, buf_slice(&p->shared.row));
            continue;
        }
        r = operations_count(o, "outbox", &p->shared.sequence);
        if (r == 0)
            give(o->late, &p->row, p, sign_row);
    }
    return r;
}

static int write_copy(struct operations *o, struct pending *p)
{
    struct reply *out = p->reply;
    int r = wait_for(o->late, &p->papers);
    if (r == 0)
        r = copies_add_certificate(o, &p->copy.copy, buf_slice(&p->document), buf_slice(&p->copy.delegation));
    if (r != 0)
        return r;
    buf_clear(&out->tail);
    r = buf_append(&out->tail, buf_slice(&p->tail));
    if (r == 0)
        r = REPLY(out, TRANSACTED, msg_Transacted, &p->answer);
    return r == 0 ? sessions_keep_answer(o, &p->client, buf_slice(&out->message), buf_slice(&out->tail)) : r;
}

static int write_all(struct operations *o)
{
    int r = number_rows(o);
    for (struct pending *p = o->late->pending; r == 0 && p != NULL; p = p->next)
        r = write_copy(o, p);
    for (struct pending *p = o->late->pending; r == 0 && p != NULL; p = p->next) {
        if (p->row.run == NULL)
            continue;
        r = wait_for(o->late, &p->row);
        if (r == 0)
            r = share_outbox_keep(o, p->shared.sequence, NULL, buf_slice(&p->shared.envelope));
    }
    return r;
}

void late_begun(void *database) { tally_begin(database); }

int late_finish(void *database)
{
    struct operations *o = database;
    int r = late_is_pending(o) ? write_all(o) : 0;
    if (r == 0)
        r = tally_write(o);
    if (r == 0) {
        forget(o->late);
        return 0;
    }
    /* Whose fault it is comes out when each is done at once, inside its own savepoint. */
    if (r != -EAGAIN) {
        log_warn("signed copies could not be written, and are tried one by one outcome=%d", r);
        o->late->off = true;
    }
    return -EAGAIN;
}

void late_over(void *database, bool kept)
{
    struct operations *o = database;
    forget(o->late);
    tally_end(o);
    if (kept)
        o->late->off = false;
}
