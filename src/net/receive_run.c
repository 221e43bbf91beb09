/* The driver of protocol/receive: peers on one side, part files on the other.
 *
 * Callbacks, in order: on_info, on_list, on_block (replies); on_timer, on_vigil at any time; and those of receive_pool.c. */
#include "net/receive_run.h"

#include <assert.h>
#include <stdlib.h>

#include "base/util.h"
#include "net/receive_run_internal.h"

#define LOG_MODULE "receive"
#include "base/log.h"

#define PROGRESS_MS 200
#define STALL_CHECK_MS 1000
#define VIGIL_MS (365ull * 24 * 3600 * 1000)
#define REPLY_TIMEOUT_MS (2 * RECEIVE_STALL_MS) /* the exchange's own deadline comes first */

/* ---- life ---------------------------------------------------------------------------------------------------- */

void receive_run_release(struct receive_run *r)
{
    if (!r->freed || r->busy > 0 || r->timer_open)
        return;
    if (r->discard)
        receive_pool_remove(r->loop, r->dir, &r->exchange.content);
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
    receive_run_release(r);
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
    if (!r->peer && !r->http)
        return;
    forget_questions(r);
    receive_http_free(steal(&r->http));
    r->peer = NULL;
    receive_lost(&r->exchange);
    (void)uv_timer_stop(&r->timer);
}

const struct id *receive_run_content(const struct receive_run *r) { return &r->exchange.content; }

bool receive_run_attached(const struct receive_run *r) { return r->peer != NULL || r->http != NULL; }

void receive_run_discard(struct receive_run *r)
{
    if (r)
        r->discard = true;
}

void receive_run_free(struct receive_run *r)
{
    if (!r || r->freed)
        return;
    receive_run_detach(r);
    r->freed = true;
    uv_close((uv_handle_t *)&r->timer, on_timer_closed);
}

void receive_run_lose(struct receive_run *r, enum reason why, const char *detail)
{
    receive_run_detach(r);
    if (!r->ended)
        r->callbacks.on_lost(why, detail, r->ctx); /* last: it may free r */
}

void receive_run_end(struct receive_run *r, enum reason why, const char *detail)
{
    if (r->ended)
        return;
    r->ended = true;
    receive_run_detach(r);
    r->callbacks.on_end(why, detail, r->ctx);
}

static int64_t now(const struct receive_run *r) { return clock_mono_ms(r->clock); }
static void on_timer(uv_timer_t *timer);

void receive_run_tell(struct receive_run *r, bool always)
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
        receive_run_lose(r, why, NULL);
        return true;
    }
    msg_Refusal refusal;
    why = peer_refusal(reply, type, &refusal);
    if (why == REASON_NONE)
        return false;
    receive_run_lose(r, why, reply->type == msg_Type_REFUSAL ? refusal.text : NULL);
    return true;
}

/* Outcome of an input of the exchange. */
void receive_run_taken(struct receive_run *r, int outcome)
{
    if (outcome == RECEIVE_UNASKED)
        receive_run_lose(r, REASON_MALFORMED, NULL);
    else if (outcome < 0)
        receive_run_end(r, reason_of_error(outcome), NULL);
    else
        receive_run_pump(r);
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
    receive_run_taken(r, outcome);
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
    receive_run_taken(r, outcome);
    return false;
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
        outcome = receive_pool_store(r, peer_keep_frame(p), m.index, reply->tail);
    bool more = outcome == 0 && ++g->index < g->end;
    if (!more)
        range_free(g);
    if (outcome != 0)
        receive_run_taken(r, outcome);
    return more;
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
    bool of_source = a->kind == RECEIVE_ASK_INFO || a->kind == RECEIVE_ASK_LIST || a->kind == RECEIVE_ASK_BLOCKS;
    if (of_source && r->http != NULL)
        return receive_http_act(r->http, a);
    switch (a->kind) {
    case RECEIVE_ASK_INFO:
        return ask_info(r);
    case RECEIVE_ASK_LIST:
        return ask_list(r, a->first, a->count);
    case RECEIVE_ASK_BLOCKS:
        return ask_blocks(r, a->first, a->count);
    case RECEIVE_PREPARE:
        receive_pool_prepare(r);
        return 0;
    default:
        receive_pool_sync(r);
        return 0;
    }
}

void receive_run_set_pace(struct receive_run *r, struct pace *p) { r->pace = p; }

/* Nothing is asked for before what was asked last is paid for; what is under way at once is a quarter of a second's worth. */
static void keep_pace(struct receive_run *r)
{
    if (!r->pace)
        return;
    uint32_t wait_ms = pace_wait_ms(r->pace, now(r));
    r->exchange.window_bytes =
        r->pace->rate != 0 ? u64_min(r->pace->rate / 4, RECEIVE_WINDOW_BYTES) : RECEIVE_WINDOW_BYTES;
    r->exchange.held = wait_ms > 0;
    if (wait_ms > 0 && r->exchange.state == RECEIVE_BLOCKS && receive_run_attached(r))
        (void)uv_timer_start(&r->timer, on_timer, wait_ms, STALL_CHECK_MS);
}

static void take_pace(struct receive_run *r, const struct receive_action *a)
{
    uint64_t bytes = 0;
    for (uint32_t i = a->first; r->pace && i < a->first + a->count; i++)
        bytes += body_block_len(&r->exchange.shape, i);
    if (bytes > 0)
        pace_take(r->pace, bytes, now(r));
}

/* Does what the exchange says until it waits. Calls out last. */
void receive_run_pump(struct receive_run *r)
{
    if (!r->looked || r->ended)
        return;
    int outcome = 0;
    for (;;) {
        keep_pace(r);
        struct receive_action a = receive_next(&r->exchange, now(r));
        if (a.kind == RECEIVE_WAIT)
            break;
        if (a.kind == RECEIVE_ASK_BLOCKS)
            take_pace(r, &a);
        outcome = act(r, &a);
        if (outcome != 0)
            break;
    }
    if (outcome != 0)
        receive_run_lose(r,
                         outcome == -EPIPE            ? REASON_OFFLINE
                         : outcome == RECEIVE_UNASKED ? REASON_CONTENT_ID_MISMATCH
                                                      : reason_of_error(outcome),
                         NULL);
    else if (r->exchange.state == RECEIVE_FAILED)
        receive_run_end(r, r->exchange.why, NULL);
    else if (r->exchange.state == RECEIVE_FINISHED && r->finish_outcome == -EINPROGRESS) {
        r->finish_outcome = 0;
        receive_pool_finish(r);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct receive_run *r = timer->data;
    if (receive_stalled(&r->exchange, now(r)))
        receive_run_lose(r, REASON_TIMED_OUT, NULL);
    else if (r->exchange.held)
        receive_run_pump(r);
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
    receive_pool_look(r);
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
    receive_run_lose(r, why, NULL);
    return false;
}

/* The next turn of the loop begins the questions: nothing fires before this has returned. */
static void on_attached(uv_timer_t *timer)
{
    struct receive_run *r = timer->data;
    (void)uv_timer_start(timer, on_timer, STALL_CHECK_MS, STALL_CHECK_MS);
    if (!r->vigil && !r->http)
        receive_run_lose(r, REASON_OFFLINE, NULL); /* it was closing already */
    else
        receive_run_pump(r);
}

void receive_run_attach(struct receive_run *r, struct peer *p)
{
    assert(!receive_run_attached(r));
    if (r->ended)
        return;
    r->peer = p;
    r->is_place = false;
    peer_set_tail_max(p, FRAME_TAIL_MAX);
    if (peer_request(p, msg_Type_PING, NULL, NULL, slice(NULL, 0), VIGIL_MS, on_vigil, r, &r->vigil) != 0)
        r->vigil = 0;
    receive_connected(&r->exchange, now(r));
    (void)uv_timer_start(&r->timer, on_attached, 0, 0);
}

void receive_run_attach_place(struct receive_run *r, struct peer *p)
{
    receive_run_attach(r, p);
    r->is_place = true;
}

int receive_run_attach_url(struct receive_run *r, struct http *h, const char *url)
{
    assert(!receive_run_attached(r));
    if (r->ended)
        return 0;
    r->is_place = true;
    int outcome = receive_http_new(&r->http, r, h, url);
    if (outcome != 0)
        return outcome;
    receive_connected(&r->exchange, now(r));
    (void)uv_timer_start(&r->timer, on_attached, 0, 0);
    return 0;
}

bool receive_run_info(const struct receive_run *r, struct slice *info, const uint8_t **list_root)
{
    if (r->exchange.info_len == 0)
        return false;
    *info = slice(r->exchange.info, r->exchange.info_len);
    *list_root = r->exchange.list_root;
    return true;
}
