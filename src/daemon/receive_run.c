/* The driver of protocol/receive: peers on one side, part files on the other.
 *
 * Callbacks, in order: look_work (pool), on_looked; on_info, on_list, on_block (replies); prepare_work, on_prepared; store_work,
 * on_stored and sync_work, on_synced, side by side; finish_work, on_finished; on_timer at any time. */
#include "daemon/receive_run.h"

#include <assert.h>
#include <stdlib.h>

#include "base/util.h"
#include "daemon/bodies.h"
#include "protocol/receive.h"

#define LOG_MODULE "receive"
#include "base/log.h"

#define PROGRESS_MS 200
#define STALL_CHECK_MS 1000
#define VIGIL_MS (365ull * 24 * 3600 * 1000)
#define REPLY_TIMEOUT_MS (2 * RECEIVE_STALL_MS) /* the exchange's own deadline comes first */

struct range { /* one BLOCKS_GET that is not answered to the end */
    struct receive_run *run;
    struct range *next;
    uint32_t request, index, end;
};

struct store_job { /* one block on the pool */
    uv_work_t work;
    struct receive_run *run;
    void *frame; /* owned; block lies inside it */
    struct slice block;
    uint32_t index;
    bool right;
    int outcome;
};

struct receive_run {
    uv_loop_t *loop;
    const struct clock *clock;
    struct receive_run_callbacks callbacks;
    void *ctx;
    char dir[BODIES_PATH_BYTES];
    struct receive exchange;
    struct body_part part;
    struct peer *peer; /* NULL: no source */
    uint32_t question; /* the open INFO_GET or LIST_GET; 0: none */
    uint32_t vigil;    /* a request nobody answers: tells that p closes, also when nothing is asked */
    struct range *ranges;
    uv_timer_t timer;
    uv_work_t look, prepare, sync, finish;
    struct serve_file found; /* by look */
    int look_outcome, prepare_outcome, sync_outcome, finish_outcome;
    bool found_complete;
    uint8_t *have, *sync_marks; /* of prepare and sync */
    uint32_t busy;              /* pool jobs under way */
    int64_t progress_ms;
    bool looked, ended, freed, timer_open, pumping;
};

static void pump(struct receive_run *r);

/* ---- life ---------------------------------------------------------------------------------------------------- */

static void run_end(struct receive_run *r)
{
    if (!r->freed || r->busy > 0 || r->timer_open)
        return;
    receive_deinit(&r->exchange);
    body_part_deinit(&r->part);
    serve_file_deinit(&r->found);
    free(r->have);
    free(r->sync_marks);
    free(r);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct receive_run *r = handle->data;
    r->timer_open = false;
    run_end(r);
}

static void queue(struct receive_run *r, uv_work_t *work, uv_work_cb run, uv_after_work_cb after)
{
    r->busy++;
    (void)uv_queue_work(r->loop, work, run, after); /* fails only without a function */
}

/* One job less; true when nobody wants to hear of it any more. */
static bool job_done(struct receive_run *r)
{
    r->busy--;
    if (!r->freed)
        return false;
    run_end(r);
    return true;
}

static void forget_questions(struct receive_run *r)
{
    if (r->peer && r->question)
        peer_forget(r->peer, r->question);
    if (r->peer && r->vigil)
        peer_forget(r->peer, r->vigil);
    r->question = r->vigil = 0;
    while (r->ranges) {
        struct range *g = r->ranges;
        r->ranges = g->next;
        if (r->peer)
            peer_forget(r->peer, g->request);
        free(g);
    }
}

void receive_run_detach(struct receive_run *r)
{
    if (!r->peer)
        return;
    forget_questions(r);
    r->peer = NULL;
    receive_lost(&r->exchange);
    (void)uv_timer_stop(&r->timer);
}

bool receive_run_attached(const struct receive_run *r) { return r->peer != NULL; }

void receive_run_free(struct receive_run *r)
{
    if (!r || r->freed)
        return;
    receive_run_detach(r);
    r->freed = true;
    uv_close((uv_handle_t *)&r->timer, on_timer_closed);
}

static void lose(struct receive_run *r, enum reason why, const char *detail)
{
    receive_run_detach(r);
    if (!r->ended)
        r->callbacks.on_lost(why, detail, r->ctx); /* last: it may free r */
}

static void end(struct receive_run *r, enum reason why, const char *detail)
{
    if (r->ended)
        return;
    r->ended = true;
    receive_run_detach(r);
    r->callbacks.on_end(why, detail, r->ctx);
}

static int64_t now(const struct receive_run *r) { return clock_mono_ms(r->clock); }

static void tell_progress(struct receive_run *r, bool always)
{
    if (!always && now(r) - r->progress_ms < PROGRESS_MS)
        return;
    r->progress_ms = now(r);
    if (r->callbacks.on_progress && !r->ended)
        r->callbacks.on_progress(r->exchange.stored_bytes, receive_total_bytes(&r->exchange), r->ctx);
}

/* ---- replies ------------------------------------------------------------------------------------------------- */

/* NULL frame, refusal, or another type than asked: the source is lost. True when it was. */
static bool is_lost(struct receive_run *r, const struct frame *reply, uint16_t type, enum reason why)
{
    if (!reply) {
        lose(r, why, NULL);
        return true;
    }
    msg_Refusal refusal;
    why = peer_refusal(reply, type, &refusal);
    if (why == REASON_NONE)
        return false;
    lose(r, why, reply->type == msg_Type_REFUSAL ? refusal.text : NULL);
    return true;
}

/* Outcome of an input of the exchange. */
static void taken(struct receive_run *r, int outcome)
{
    if (outcome == RECEIVE_UNASKED)
        lose(r, REASON_MALFORMED, NULL);
    else if (outcome < 0)
        end(r, reason_of_error(outcome), NULL);
    else
        pump(r);
}

static bool on_info(struct peer *p, const struct frame *reply, enum reason why, void *ctx)
{
    struct receive_run *r = ctx;
    (void)p;
    r->question = 0;
    if (is_lost(r, reply, msg_Type_INFO, why))
        return false;
    msg_Info m;
    int outcome = CODEC_DECODE(msg_Info, reply->message, &m) == 0
                      ? receive_info(&r->exchange, CODEC_BYTES(m.info), m.list_root, now(r))
                      : RECEIVE_UNASKED;
    taken(r, outcome);
    return false;
}

static bool on_list(struct peer *p, const struct frame *reply, enum reason why, void *ctx)
{
    struct receive_run *r = ctx;
    (void)p;
    r->question = 0;
    if (is_lost(r, reply, msg_Type_LIST, why))
        return false;
    msg_List m;
    int outcome = CODEC_DECODE(msg_List, reply->message, &m) == 0 && id_equal(m.content, &r->exchange.content)
                      ? receive_list(&r->exchange, m.first, reply->tail, now(r))
                      : RECEIVE_UNASKED;
    taken(r, outcome);
    return false;
}

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
    uint32_t index = j->index;
    bool right = j->right;
    int outcome = j->outcome;
    (void)status; /* never cancelled */
    free(j);
    if (job_done(r))
        return;
    if (outcome != 0) {
        log_error("a block could not be written: %s", strerror(-outcome));
        receive_fail(&r->exchange, reason_of_error(outcome));
    }
    if (!right)
        log_warn("a block does not fit its hash index=%u", index);
    receive_stored(&r->exchange, index, right);
    tell_progress(r, false);
    pump(r);
}

static int start_store(struct receive_run *r, struct peer *p, uint32_t index, struct slice block)
{
    struct store_job *j = calloc(1, sizeof(*j));
    if (!j)
        return -ENOMEM;
    j->frame = peer_keep_frame(p);
    if (!j->frame) {
        free(j);
        return -ENOMEM;
    }
    j->work.data = j;
    j->run = r;
    j->block = block;
    j->index = index;
    queue(r, &j->work, store_work, on_stored);
    return 0;
}

static void range_free(struct range *g)
{
    struct range **at = &g->run->ranges;
    while (*at != g)
        at = &(*at)->next;
    *at = g->next;
    free(g);
}

static bool on_block(struct peer *p, const struct frame *reply, enum reason why, void *ctx)
{
    struct range *g = ctx;
    struct receive_run *r = g->run;
    if (!reply || peer_refusal(reply, msg_Type_BLOCK, NULL) != REASON_NONE) {
        range_free(g); /* the peer has forgotten it already */
        (void)is_lost(r, reply, msg_Type_BLOCK, why);
        return false;
    }
    msg_Block m;
    int outcome = RECEIVE_UNASKED;
    if (CODEC_DECODE(msg_Block, reply->message, &m) == 0 && m.index == g->index &&
        id_equal(m.content, &r->exchange.content))
        outcome = receive_block(&r->exchange, m.index, reply->tail.len, now(r));
    if (outcome == 0)
        outcome = start_store(r, p, m.index, reply->tail);
    bool more = outcome == 0 && ++g->index < g->end;
    if (!more)
        range_free(g);
    if (outcome != 0)
        taken(r, outcome);
    return more;
}

/* ---- pool ---------------------------------------------------------------------------------------------------- */

static void look_work(uv_work_t *work)
{
    struct receive_run *r = work->data;
    r->look_outcome = bodies_complete(r->dir, &r->exchange.content, &r->found);
    r->found_complete = r->look_outcome == 0;
    if (!r->found_complete && r->look_outcome >= 0)
        r->look_outcome = body_part_load(r->dir, &r->exchange.content, &r->found);
}

static void on_looked(uv_work_t *work, int status)
{
    struct receive_run *r = work->data;
    (void)status;
    if (job_done(r))
        return;
    r->looked = true;
    int outcome = r->look_outcome;
    /* As if a source had said it; an offer may have said the same already. */
    if (outcome == 0 && r->exchange.state == RECEIVE_INFO)
        outcome = receive_info(&r->exchange, buf_slice(&r->found.info), r->found.list_root, now(r));
    if (outcome == 0 && !r->found_complete && r->exchange.state == RECEIVE_LIST)
        outcome = receive_list(&r->exchange, 0, slice(r->found.list, (size_t)r->found.shape.block_count * 32), now(r));
    serve_file_deinit(&r->found);
    if (outcome < 0)
        end(r, reason_of_error(outcome), NULL);
    else if (r->found_complete)
        end(r, REASON_NONE, NULL);
    else
        pump(r);
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
    if (job_done(r))
        return;
    if (r->prepare_outcome != 0) {
        if (r->prepare_outcome < 0)
            log_error("no file for a body: %s", strerror(-r->prepare_outcome));
        receive_fail(&r->exchange, reason_of_error(r->prepare_outcome));
    } else {
        receive_prepared(&r->exchange, r->have);
        tell_progress(r, true);
    }
    pump(r);
}

static void start_prepare(struct receive_run *r)
{
    free(r->have);
    r->have = calloc(r->exchange.shape.block_count, 1);
    if (!r->have) {
        receive_fail(&r->exchange, REASON_INTERNAL);
        return;
    }
    queue(r, &r->prepare, prepare_work, on_prepared);
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
    if (job_done(r))
        return;
    if (r->sync_outcome != 0)
        receive_fail(&r->exchange, reason_of_error(r->sync_outcome));
    receive_synced(&r->exchange);
    pump(r);
}

static void start_sync(struct receive_run *r)
{
    uint32_t count = r->exchange.shape.block_count;
    if (!r->sync_marks)
        r->sync_marks = malloc(count);
    if (!r->sync_marks) {
        receive_fail(&r->exchange, REASON_INTERNAL);
        return;
    }
    memcpy(r->sync_marks, r->exchange.marks, count);
    queue(r, &r->sync, sync_work, on_synced);
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
    if (job_done(r))
        return;
    tell_progress(r, true);
    end(r, reason_of_error(r->finish_outcome), NULL);
}

/* ---- questions ----------------------------------------------------------------------------------------------- */

static int ask_info(struct receive_run *r)
{
    msg_InfoGet m = msg_InfoGet_init_zero;
    memcpy(m.content, &r->exchange.content, sizeof(m.content));
    return peer_request(r->peer, msg_Type_INFO_GET, msg_InfoGet_fields, &m, slice(NULL, 0), REPLY_TIMEOUT_MS, on_info,
                        r, &r->question);
}

static int ask_list(struct receive_run *r, uint32_t first, uint32_t count)
{
    msg_ListGet m = { .first = first, .count = count };
    memcpy(m.content, &r->exchange.content, sizeof(m.content));
    return peer_request(r->peer, msg_Type_LIST_GET, msg_ListGet_fields, &m, slice(NULL, 0), REPLY_TIMEOUT_MS, on_list,
                        r, &r->question);
}

static int ask_blocks(struct receive_run *r, uint32_t first, uint32_t count)
{
    struct range *g = calloc(1, sizeof(*g));
    if (!g)
        return -ENOMEM;
    *g = (struct range){ .run = r, .index = first, .end = first + count };
    msg_BlocksGet m = { .first = first, .count = count };
    memcpy(m.content, &r->exchange.content, sizeof(m.content));
    int outcome = peer_request(r->peer, msg_Type_BLOCKS_GET, msg_BlocksGet_fields, &m, slice(NULL, 0), REPLY_TIMEOUT_MS,
                               on_block, g, &g->request);
    if (outcome != 0) {
        free(g);
        return outcome;
    }
    g->next = r->ranges;
    r->ranges = g;
    return 0;
}

/* 0, or -errno of sending. */
static int act(struct receive_run *r, const struct receive_action *a)
{
    switch (a->kind) {
    case RECEIVE_ASK_INFO:
        return ask_info(r);
    case RECEIVE_ASK_LIST:
        return ask_list(r, a->first, a->count);
    case RECEIVE_ASK_BLOCKS:
        return ask_blocks(r, a->first, a->count);
    case RECEIVE_PREPARE:
        start_prepare(r);
        return 0;
    default:
        start_sync(r);
        return 0;
    }
}

/* Does what the exchange says until it waits. Calls out last. */
static void pump(struct receive_run *r)
{
    if (!r->looked || r->ended)
        return;
    int outcome = 0;
    for (;;) {
        struct receive_action a = receive_next(&r->exchange, now(r));
        if (a.kind == RECEIVE_WAIT)
            break;
        outcome = act(r, &a);
        if (outcome != 0)
            break;
    }
    if (outcome != 0)
        lose(r, outcome == -EPIPE ? REASON_OFFLINE : reason_of_error(outcome), NULL);
    else if (r->exchange.state == RECEIVE_FAILED)
        end(r, r->exchange.why, NULL);
    else if (r->exchange.state == RECEIVE_FINISHED && r->finish_outcome == -EINPROGRESS) {
        r->finish_outcome = 0;
        queue(r, &r->finish, finish_work, on_finished);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct receive_run *r = timer->data;
    if (receive_stalled(&r->exchange, now(r)))
        lose(r, REASON_TIMED_OUT, NULL);
}

int receive_run_new(struct receive_run **out, uv_loop_t *loop, const struct clock *clock, const char *dir,
                    const struct id *content, const struct receive_run_callbacks *callbacks, void *ctx)
{
    struct receive_run *r = calloc(1, sizeof(*r));
    if (!r)
        return -ENOMEM;
    r->loop = loop;
    r->clock = clock;
    r->callbacks = *callbacks;
    r->ctx = ctx;
    r->finish_outcome = -EINPROGRESS; /* not begun */
    memcpy(r->dir, dir, strnlen(dir, sizeof(r->dir) - 1));
    receive_init(&r->exchange, content, 0, 0);
    body_part_init(&r->part);
    (void)uv_timer_init(loop, &r->timer);
    r->timer_open = true;
    r->timer.data = r->look.data = r->prepare.data = r->sync.data = r->finish.data = r;
    queue(r, &r->look, look_work, on_looked);
    *out = r;
    return 0;
}

void receive_run_offer_info(struct receive_run *r, struct slice info, const uint8_t list_root[32])
{
    /* Refused when it is known already; a wrong one fails the exchange, as it must. */
    int outcome = receive_info(&r->exchange, info, list_root, now(r));
    if (outcome < 0)
        receive_fail(&r->exchange, reason_of_error(outcome));
}

static bool on_vigil(struct peer *p, const struct frame *reply, enum reason why, void *ctx)
{
    struct receive_run *r = ctx;
    (void)p;
    (void)reply; /* a PONG never comes here */
    r->vigil = 0;
    lose(r, why, NULL);
    return false;
}

/* The next turn of the loop begins the questions: nothing fires before this has returned. */
static void on_attached(uv_timer_t *timer)
{
    struct receive_run *r = timer->data;
    (void)uv_timer_start(timer, on_timer, STALL_CHECK_MS, STALL_CHECK_MS);
    if (!r->vigil)
        lose(r, REASON_OFFLINE, NULL); /* it was closing already */
    else
        pump(r);
}

void receive_run_attach(struct receive_run *r, struct peer *p)
{
    assert(!r->peer);
    if (r->ended)
        return;
    r->peer = p;
    peer_set_tail_max(p, FRAME_TAIL_MAX);
    if (peer_request(p, msg_Type_PING, NULL, NULL, slice(NULL, 0), VIGIL_MS, on_vigil, r, &r->vigil) != 0)
        r->vigil = 0;
    receive_connected(&r->exchange, now(r));
    (void)uv_timer_start(&r->timer, on_attached, 0, 0);
}

bool receive_run_info(const struct receive_run *r, struct slice *info, const uint8_t **list_root)
{
    if (r->exchange.info_len == 0)
        return false;
    *info = slice(r->exchange.info, r->exchange.info_len);
    *list_root = r->exchange.list_root;
    return true;
}
