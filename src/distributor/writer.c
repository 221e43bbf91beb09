/* Jobs pass through two lists under one lock: waiting (loop -> thread) and done (thread -> loop, announced by an async handle).
 * The thread takes all that wait, works through them in batches, and hands each batch back after its commit. */
#define LOG_MODULE "writer"
#include "distributor/writer.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/util.h"

#define BEGIN_TRIES 3         /* the admin's commands write to the same database now and then */
#define AGAIN_NS 20000000000u /* so long the jobs of a transaction that others undid are run again */

struct list {
    struct writer_job *first, **last;
};
struct writer {
    struct writer_database d;
    uv_async_t on_batch;
    uv_thread_t thread;
    uv_mutex_t lock;
    uv_cond_t wake;
    struct list waiting, done; /* under lock, as the next four */
    bool stopping, checkpoint;
    struct writer_figures figures;
    uint64_t again; /* the thread's, until it has the lock */
    void (*on_stopped)(void *ctx);
    void *stopped_ctx;
};

static void list_init(struct list *l)
{
    l->first = NULL;
    l->last = &l->first;
}

static void list_push(struct list *l, struct writer_job *job)
{
    job->next = NULL;
    *l->last = job;
    l->last = &job->next;
}

static struct writer_job *list_pop(struct list *l)
{
    struct writer_job *job = l->first;
    if (job == NULL)
        return NULL;
    l->first = job->next;
    if (l->first == NULL)
        l->last = &l->first;
    return job;
}

static void list_move(struct list *to, struct list *from)
{
    if (from->first == NULL)
        return;
    *to->last = from->first;
    to->last = from->last;
    list_init(from);
}

/* --- The thread -------------------------------------------------------------------------------------------------- */

static int run_logged(struct writer *w, struct writer_job *job)
{
    struct log_request request CLEANUP(log_request_end) = log_request(job->request);
    return job->run(job, w->d.database);
}

static int run_in_savepoint(struct writer *w, struct writer_job *job)
{
    struct savepoint p CLEANUP(savepoint_end) = { 0 };
    int r = savepoint_begin(&p, w->d.store);
    if (r != 0)
        return r < 0 ? r : -EIO;
    job->outcome = run_logged(w, job);
    if (job->outcome != 0)
        return 0; /* undone by savepoint_end */
    r = savepoint_release(&p);
    return r > 0 ? -EIO : r;
}

static int run_once(struct writer *w, struct writer_job *job)
{
    int r = run_in_savepoint(w, job);
    if (r == 0 && w->d.unfinished != NULL)
        w->d.unfinished->ended(w->d.database, job->outcome);
    return r;
}

static int finish(struct writer *w)
{
    int r = w->d.unfinished != NULL ? w->d.unfinished->finish(w->d.database) : 0;
    return r > 0 ? -EIO : r;
}

/* One job in its savepoint. Returns 0, or -errno when the transaction itself is beyond use. */
static int run_saved(struct writer *w, struct writer_job *job)
{
    int r = job->beside ? 0 : finish(w);
    if (r == 0)
        r = run_once(w, job);
    if (r != 0 || w->d.unfinished == NULL || job->outcome != w->d.unfinished->first)
        return r;
    r = finish(w);
    return r == 0 ? run_once(w, job) : r;
}

static int begin(struct writer *w, struct transaction *t)
{
    int r = -EBUSY;
    for (unsigned i = 0; r == -EBUSY && i < BEGIN_TRIES; i++)
        r = w->d.read_only ? transaction_begin_read(t, w->d.store) : transaction_begin_batch(t, w->d.store);
    return r;
}

#define PASSES 2

static void ask_ahead(struct writer *w, const struct list *todo)
{
    if (w->d.read_only || !store_asks_ahead(w->d.store))
        return;
    for (unsigned pass = 0; pass < PASSES; pass++) {
        unsigned n = 0;
        for (struct writer_job *job = todo->first; job != NULL && n < WRITER_BATCH_MAX; job = job->next, n++)
            if (job->ahead != NULL)
                job->ahead(job, w->d.database, pass);
    }
}

/* Takes jobs off todo into batch and runs them inside one transaction. 0 or -errno (nothing of the batch is kept). */
static int run_jobs(struct writer *w, struct list *todo, struct list *batch, uint64_t *commit_us)
{
    struct transaction t CLEANUP(transaction_end) = { 0 };
    int r = begin(w, &t);
    if (r == 0 && w->d.unfinished != NULL)
        w->d.unfinished->begun(w->d.database);
    if (r == 0)
        ask_ahead(w, todo);
    const int verdict = r == 0 && w->d.judge != NULL ? w->d.judge(w->d.database, w->d.judge_ctx) : 0;
    if (verdict != 0 && verdict != -EKEYREVOKED)
        r = verdict < 0 ? verdict : -EIO;
    const bool begun = r == 0; /* otherwise a whole batch is told so: each waiting anew would take for ever */
    const uint64_t began_ns = uv_hrtime(),
                   most_ns = (store_asks_ahead(w->d.store) ? WRITER_TURN_MS : WRITER_BATCH_MS) * 1000000ull;
    struct writer_job *job;
    for (unsigned n = 0; n < WRITER_BATCH_MAX && (job = list_pop(todo)) != NULL; n++) {
        job->outcome = -ECANCELED;
        list_push(batch, job);
        if (!begun)
            continue;
        if (verdict != 0 && !job->always) {
            job->outcome = verdict;
            continue;
        }
        if (w->d.read_only)
            job->outcome = run_logged(w, job);
        else
            r = run_saved(w, job);
        if (r != 0 || uv_hrtime() - began_ns >= most_ns)
            break;
    }
    if (r == 0)
        r = finish(w);
    if (r != 0)
        return r;
    uint64_t commits_ns = uv_hrtime();
    r = transaction_commit(&t);
    *commit_us = (uv_hrtime() - commits_ns) / 1000;
    return r > 0 ? -EIO : r;
}

static int run_transaction(struct writer *w, struct list *todo, struct list *batch, uint64_t *commit_us)
{
    int r = run_jobs(w, todo, batch, commit_us);
    if (w->d.unfinished != NULL)
        w->d.unfinished->over(w->d.database, r == 0);
    return r;
}

/* Under lock. */
static void count_batch(struct writer *w, const struct list *batch, int outcome, uint64_t commit_us)
{
    uint64_t jobs = 0;
    for (const struct writer_job *job = batch->first; job != NULL; job = job->next)
        jobs++;
    w->figures.jobs += jobs;
    w->figures.batches++;
    w->figures.failed_batches += outcome != 0;
    w->figures.waiting -= jobs;
    histogram_add(&w->figures.batch_jobs, &histogram_sizes, jobs);
    if (!w->d.read_only && outcome == 0)
        histogram_add(&w->figures.commit_us, &histogram_latency, commit_us);
    w->figures.again += w->again;
    w->again = 0;
}

/* What others undid, a database server's restart for one, is run once more in the same order: nobody has heard of it yet. */
static int run_until_kept(struct writer *w, struct list *todo, struct list *batch, uint64_t *commit_us)
{
    const uint64_t began_ns = uv_hrtime();
    int r;
    while ((r = run_transaction(w, todo, batch, commit_us)) == -EAGAIN && uv_hrtime() - began_ns < AGAIN_NS) {
        list_move(batch, todo); /* behind what goes first once more */
        list_move(todo, batch);
        w->again++;
    }
    return r;
}

static void run_batch(struct writer *w, struct list *todo)
{
    struct list batch;
    list_init(&batch);
    uint64_t commit_us = 0;
    int r = run_until_kept(w, todo, &batch, &commit_us);
    if (r != 0) {
        log_error(r == -ENOSPC ? "no room on the database's disk: nothing is sold until there is some errno=%d"
                               : "a transaction failed: nothing of it was kept errno=%d",
                  -r);
        for (struct writer_job *job = batch.first; job != NULL; job = job->next)
            job->outcome = r;
    }
    uv_mutex_lock(&w->lock);
    count_batch(w, &batch, r, commit_us);
    list_move(&w->done, &batch);
    uv_mutex_unlock(&w->lock);
    uv_async_send(&w->on_batch);
}

static void move_log(struct writer *w)
{
    int r = store_checkpoint(w->d.store, NULL);
    if (r != 0)
        log_warn("the write-ahead log stays errno=%d", -r);
}

static void work(void *arg)
{
    struct writer *w = arg;
    struct list todo;
    list_init(&todo);
    for (;;) {
        uv_mutex_lock(&w->lock);
        while (todo.first == NULL && w->waiting.first == NULL && !w->stopping && !w->checkpoint)
            uv_cond_wait(&w->wake, &w->lock);
        list_move(&todo, &w->waiting);
        bool stopping = w->stopping, due = w->checkpoint;
        w->checkpoint = false;
        uv_mutex_unlock(&w->lock);
        if (due)
            move_log(w);
        if (todo.first != NULL)
            run_batch(w, &todo);
        else if (stopping)
            return; /* nothing is left */
    }
}

/* --- The loop ---------------------------------------------------------------------------------------------------- */

static void deliver(struct writer *w)
{
    struct list done;
    list_init(&done);
    uv_mutex_lock(&w->lock);
    list_move(&done, &w->done);
    uv_mutex_unlock(&w->lock);
    struct writer_job *job;
    while ((job = list_pop(&done)) != NULL) {
        struct log_request request CLEANUP(log_request_end) = log_request(job->request);
        job->on_done(job, job->outcome);
    }
}

static void on_batch(uv_async_t *a) { deliver(container_of(a, struct writer, on_batch)); }

static void on_closed(uv_handle_t *h)
{
    struct writer *w = container_of((uv_async_t *)(void *)h, struct writer, on_batch);
    void (*on_stopped)(void *) = w->on_stopped;
    void *ctx = w->stopped_ctx;
    uv_cond_destroy(&w->wake);
    uv_mutex_destroy(&w->lock);
    free(w);
    if (on_stopped != NULL)
        on_stopped(ctx);
}

int writer_start(struct writer **out, uv_loop_t *loop, const struct writer_database *d)
{
    struct writer *w = calloc(1, sizeof(*w));
    if (w == NULL)
        return -ENOMEM;
    w->d = *d;
    list_init(&w->waiting);
    list_init(&w->done);
    int r = uv_mutex_init(&w->lock);
    if (r != 0) {
        free(w);
        return r;
    }
    r = uv_cond_init(&w->wake);
    if (r != 0)
        goto no_cond;
    r = uv_async_init(loop, &w->on_batch, on_batch);
    if (r != 0)
        goto no_async;
    r = uv_thread_create(&w->thread, work, w);
    if (r != 0) {
        uv_close((uv_handle_t *)&w->on_batch, on_closed); /* frees w */
        return r;
    }
    *out = w;
    return 0;

no_async:
    uv_cond_destroy(&w->wake);
no_cond:
    uv_mutex_destroy(&w->lock);
    free(w);
    return r;
}

void writer_submit(struct writer *w, struct writer_job *job)
{
    uv_mutex_lock(&w->lock);
    if (w->stopping) {
        job->outcome = -ECANCELED;
        list_push(&w->done, job);
    } else {
        list_push(&w->waiting, job);
        w->figures.waiting++;
    }
    uv_cond_signal(&w->wake);
    bool stopping = w->stopping;
    uv_mutex_unlock(&w->lock);
    if (stopping)
        uv_async_send(&w->on_batch); /* on_done never fires inside this call */
}

void writer_checkpoint(struct writer *w)
{
    uv_mutex_lock(&w->lock);
    w->checkpoint = true;
    uv_cond_signal(&w->wake);
    uv_mutex_unlock(&w->lock);
}

void writer_stop(struct writer *w, void (*on_stopped)(void *ctx), void *ctx)
{
    if (w == NULL) {
        if (on_stopped != NULL)
            on_stopped(ctx);
        return;
    }
    uv_mutex_lock(&w->lock);
    w->stopping = true;
    uv_cond_signal(&w->wake);
    uv_mutex_unlock(&w->lock);
    uv_thread_join(&w->thread);
    w->on_stopped = on_stopped;
    w->stopped_ctx = ctx;
    while (w->done.first != NULL) /* the thread is gone: no lock needed to look */
        deliver(w);
    uv_close((uv_handle_t *)&w->on_batch, on_closed);
}

void writer_figures(struct writer *w, struct writer_figures *out)
{
    *out = (struct writer_figures){ 0 };
    if (w == NULL)
        return;
    uv_mutex_lock(&w->lock);
    *out = w->figures;
    uv_mutex_unlock(&w->lock);
}
