/* What the pool does for a receive_run: looking, preparing, verifying and writing blocks, syncing, finishing.
 *
 * Callbacks, in order: peek_work (pool), on_peeked, and when something is there look_work; on_looked; prepare_work, on_prepared; store_work, on_stored and
 * sync_work, on_synced, side by side; finish_work, on_finished. Of small bodies on_shared (syncer, after name_part on the pool) stands for both of the last
 * pairs. Removing: discard_work, on_discarded; remove_work, on_removed. */
#include <stdlib.h>

#include "base/util.h"
#include "net/receive_run_internal.h"

#define LOG_MODULE "receive"
#include "base/log.h"

void receive_pool_queue(struct receive_run *r, uv_work_t *work, uv_work_cb run, uv_after_work_cb after)
{
    r->busy++;
    (void)uv_queue_work(r->loop, work, run, after); /* fails only without a function */
}

/* Together with those of other runs, unless it is large. */
static void queue_small(struct receive_run *r, struct bunch_job *j, uint64_t bytes, uv_work_cb run,
                        uv_after_work_cb after)
{
    r->busy++;
    if (r->shared.bunch != NULL && bytes <= BUNCH_BYTES_MAX)
        bunch_add(r->shared.bunch, j, run, after);
    else
        bunch_alone(r->loop, j, run, after);
}

bool receive_pool_done(struct receive_run *r)
{
    r->busy--;
    if (!r->freed)
        return false;
    receive_run_release(r);
    return true;
}

/* ---- blocks ---------------------------------------------------------------------------------------------------- */

struct store_job { /* one block on the pool */
    struct bunch_job job;
    struct receive_run *run;
    uint32_t serial; /* of the source that brought it */
    void *frame;     /* owned; block lies inside it */
    struct slice block;
    uint32_t index;
    bool right;
    int outcome;
};

static void store_work(uv_work_t *work)
{
    struct store_job *j = work->data;
    j->right = receive_block_is_right(&j->run->exchange, j->index, j->block);
    if (j->right)
        j->outcome = body_part_write(&j->run->part, j->index, j->block);
    free(steal(&j->frame));
}

static void on_stored(uv_work_t *work, int status)
{
    struct store_job *j = work->data;
    struct receive_run *r = j->run;
    uint32_t index = j->index, serial = j->serial;
    bool right = j->right;
    int outcome = j->outcome;
    (void)status; /* never cancelled */
    free(j);
    if (receive_pool_done(r))
        return;
    if (outcome != 0) {
        log_error("a block could not be written: %s", strerror(-outcome));
        receive_fail(&r->exchange, reason_of_error(outcome));
    }
    r->verified_count++;
    receive_stored(&r->exchange, index, right);
    if (!right) {
        log_warn("a block does not fit its hash index=%u", index);
        struct receive_source *from = receive_run_source(r, serial);
        if (from) { /* whoever brings one wrong block may bring more */
            receive_run_lose(from, REASON_BLOCK_CORRUPT, NULL);
            return;
        }
    }
    receive_run_tell(r, false);
    receive_run_pump(r);
}

int receive_pool_store(struct receive_source *s, void *memory, uint32_t index, struct slice block)
{
    struct store_job *j = memory ? calloc(1, sizeof(*j)) : NULL;
    if (!j) {
        free(memory);
        return -ENOMEM;
    }
    *j = (struct store_job){ .run = s->run, .serial = s->serial, .frame = memory, .block = block, .index = index };
    j->job.work.data = j;
    queue_small(s->run, &j->job, body_file_bytes(&s->run->exchange.shape), store_work, on_stored);
    return 0;
}

/* ---- the file -------------------------------------------------------------------------------------------------- */

/* Nearly always there is nothing; looking through what is there takes its time. */
static void peek_work(uv_work_t *work)
{
    struct receive_run *r = work->data;
    r->something = bodies_any(r->dir, &r->exchange.content);
}

static void on_looked(uv_work_t *work, int status);
static void look_work(uv_work_t *work);

static void on_peeked(uv_work_t *work, int status)
{
    struct receive_run *r = work->data;
    if (r->something && !r->freed) {
        bunch_alone(r->loop, &r->look, look_work, on_looked);
        return;
    }
    r->look_outcome = REASON_NOT_FOUND;
    on_looked(work, status);
}

static void look_work(uv_work_t *work)
{
    struct receive_run *r = work->data;
    r->look_outcome = bodies_complete(r->dir, &r->exchange.content, &r->found);
    if (r->look_outcome == 0) { /* one that is damaged is as good as a part */
        int verified = bodies_verify(r->dir, &r->exchange.content);
        r->found_complete = verified == 0;
        r->look_outcome = verified < 0 ? verified : 0;
    } else if (r->look_outcome > 0) {
        r->look_outcome = body_part_load(r->dir, &r->exchange.content, &r->found);
    }
}

static void on_looked(uv_work_t *work, int status)
{
    struct receive_run *r = work->data;
    (void)status;
    if (receive_pool_done(r))
        return;
    r->looked = true;
    int outcome = r->look_outcome;
    /* As if a source had said it; an offer may have said the same already. */
    if (outcome == 0 && r->exchange.state == RECEIVE_INFO)
        outcome = receive_info(&r->exchange, buf_slice(&r->found.info), r->found.list_root);
    if (outcome == 0 && !r->found_complete && r->exchange.state == RECEIVE_LIST)
        outcome = receive_list(&r->exchange, 0, slice(r->found.list, (size_t)r->found.shape.block_count * 32));
    serve_file_deinit(&r->found);
    if (outcome < 0)
        receive_run_end(r, reason_of_error(outcome), NULL);
    else if (r->found_complete)
        receive_run_end(r, REASON_NONE, NULL);
    else
        receive_run_pump(r);
}

static void prepare_work(uv_work_t *work)
{
    struct receive_run *r = work->data;
    struct receive *x = &r->exchange;
    if (!receive_list_is_right(x)) {
        r->prepare_outcome = REASON_CONTENT_ID_MISMATCH;
        return;
    }
    body_part_deinit(&r->part);
    r->prepare_outcome =
        body_part_prepare(&r->part, r->dir, &x->content, &x->shape, slice(x->info, x->info_len), x->list, r->have);
}

static void on_prepared(uv_work_t *work, int status)
{
    struct receive_run *r = work->data;
    (void)status;
    if (receive_pool_done(r))
        return;
    if (r->prepare_outcome == REASON_CONTENT_ID_MISMATCH && r->exchange.state == RECEIVE_PREPARING) {
        struct receive_source *from = receive_run_numbered(r, receive_list_is_wrong(&r->exchange));
        if (from) {
            receive_run_lose(from, REASON_CONTENT_ID_MISMATCH, NULL);
            return;
        }
    } else if (r->prepare_outcome != 0) {
        if (r->prepare_outcome < 0)
            log_error("no file for a body: %s", strerror(-r->prepare_outcome));
        receive_fail(&r->exchange, reason_of_error(r->prepare_outcome));
    } else {
        receive_prepared(&r->exchange, r->have);
        receive_run_tell(r, true);
    }
    receive_run_pump(r);
}

void receive_pool_prepare(struct receive_run *r)
{
    free(r->have);
    r->have = calloc(r->exchange.shape.block_count, 1);
    if (!r->have) {
        receive_fail(&r->exchange, REASON_INTERNAL);
        return;
    }
    queue_small(r, &r->prepare, body_file_bytes(&r->exchange.shape), prepare_work, on_prepared);
}

/* Small bodies, side by side with others on the disk: their marks need no map, and they are synced once, when all of it is written. */
static bool is_shared(const struct receive_run *r)
{
    return r->shared.syncer != NULL && body_part_is_small(&r->part) && r->exchange.state == RECEIVE_SYNCING;
}

static void finished(struct receive_run *r, int outcome)
{
    log_debug("a body is complete blocks=%u verified_now=%u", r->exchange.shape.block_count, r->verified_count);
    receive_run_tell(r, true);
    receive_run_end(r, reason_of_error(outcome), NULL);
}

static void synced(struct receive_run *r, int outcome)
{
    if (outcome != 0)
        receive_fail(&r->exchange, reason_of_error(outcome));
    receive_synced(&r->exchange);
    receive_run_pump(r);
}

static int name_part(struct sync_wait *w) { return body_part_rename(&container_of(w, struct receive_run, wait)->part); }

/* Synced and named at once: nothing is left to be finished. */
static void on_shared(struct sync_wait *w)
{
    struct receive_run *r = container_of(w, struct receive_run, wait);
    if (receive_pool_done(r))
        return;
    r->part.unsynced = w->outcome != 0;
    r->finish_outcome = w->outcome;
    if (w->outcome != 0)
        receive_fail(&r->exchange, reason_of_error(w->outcome));
    receive_synced(&r->exchange);
    if (w->outcome == 0)
        finished(r, 0);
    else
        receive_run_pump(r);
}

static void sync_work(uv_work_t *work)
{
    struct receive_run *r = work->data;
    r->sync_outcome = body_part_sync(&r->part, r->sync_marks, RECEIVE_AT_SYNC);
}

static void on_synced(uv_work_t *work, int status)
{
    struct receive_run *r = work->data;
    (void)status;
    if (receive_pool_done(r))
        return;
    synced(r, r->sync_outcome);
}

void receive_pool_sync(struct receive_run *r)
{
    uint32_t count = r->exchange.shape.block_count;
    if (is_shared(r)) {
        r->busy++;
        r->wait = (struct sync_wait){ .fd = r->part.fd, .name = name_part, .done = on_shared };
        syncer_wait(r->shared.syncer, &r->wait);
        return;
    }
    if (!r->sync_marks)
        r->sync_marks = malloc(count);
    if (!r->sync_marks) {
        receive_fail(&r->exchange, REASON_INTERNAL);
        return;
    }
    memcpy(r->sync_marks, r->exchange.marks, count);
    receive_pool_queue(r, &r->sync, sync_work, on_synced);
}

static void finish_work(uv_work_t *work)
{
    struct receive_run *r = work->data;
    r->finish_outcome = body_part_finish(&r->part);
}

static void on_finished(uv_work_t *work, int status)
{
    struct receive_run *r = work->data;
    (void)status;
    if (!receive_pool_done(r))
        finished(r, r->finish_outcome);
}

void receive_pool_look(struct receive_run *r) { queue_small(r, &r->look, 0, peek_work, on_peeked); }

void receive_pool_finish(struct receive_run *r) { receive_pool_queue(r, &r->finish, finish_work, on_finished); }

/* ---- removing ------------------------------------------------------------------------------------------------ */

static void discard_work(uv_work_t *work)
{
    const struct receive_run *r = work->data;
    if (bodies_remove(r->dir, &r->exchange.content) != 0)
        log_warn("what was there of a cancelled transfer stays");
}

static void on_discarded(uv_work_t *work, int status)
{
    struct receive_run *r = work->data;
    (void)status;
    r->busy--;
    receive_run_release(r); /* it was freed before */
}

void receive_pool_discard(struct receive_run *r) { receive_pool_queue(r, &r->finish, discard_work, on_discarded); }

struct removal { /* of what no run has */
    uv_loop_t *loop;
    uv_work_t work;
    struct turns *turns;
    struct turn turn;
    char dir[BODIES_PATH_BYTES];
    int outcome;
    void (*on_done)(int outcome, void *ctx); /* or NULL */
    void *ctx;
};

static void remove_work(uv_work_t *work)
{
    struct removal *m = work->data;
    m->outcome = bodies_remove(m->dir, &m->turn.content);
}

static void on_removed(uv_work_t *work, int status)
{
    struct removal *m = work->data;
    (void)status;
    if (m->outcome != 0)
        log_warn("a body could not be removed: %s", strerror(-m->outcome));
    turns_give(m->turns, &m->turn);
    if (m->on_done != NULL)
        m->on_done(m->outcome, m->ctx);
    free(m);
}

static void on_removal_turn(struct turn *t)
{
    struct removal *m = container_of(t, struct removal, turn);
    (void)uv_queue_work(m->loop, &m->work, remove_work, on_removed); /* fails only without a function */
}

int receive_run_remove(uv_loop_t *loop, const struct receive_shared *shared, const char *dir, const struct id *content,
                       void (*on_done)(int outcome, void *ctx), void *ctx)
{
    struct removal *m = calloc(1, sizeof(*m));
    if (m == NULL)
        return -ENOMEM;
    m->loop = loop;
    m->work.data = m;
    m->turns = shared->turns;
    m->turn = (struct turn){ .content = *content, .on_turn = on_removal_turn };
    m->on_done = on_done;
    m->ctx = ctx;
    CODEC_SET_TEXT(m->dir, dir);
    bool now = turns_take(m->turns, &m->turn);
    turns_leave(m->turns, &m->turn);
    if (now)
        on_removal_turn(&m->turn);
    return 0;
}
