/* The driver of protocol/receive: sources on one side, part files on the other.
 *
 * Callbacks, in order: on_turn; on_timer, again and again while there is a source; those of receive_source.c, receive_http.c and receive_pool.c; on_timer_closed. */
#include "net/receive_run.h"

#include <stdlib.h>

#include "base/util.h"
#include "net/receive_run_internal.h"

#define LOG_MODULE "receive"
#include "base/log.h"

#define PROGRESS_MS 200
#define CHECK_MS 1000 /* stalls */

static int64_t now(const struct receive_run *r) { return clock_mono_ms(r->clock); }
static void on_timer(uv_timer_t *timer);

/* ---- life ---------------------------------------------------------------------------------------------------- */

void receive_run_release(struct receive_run *r)
{
    if (!r->freed || r->busy > 0 || r->timer_open || r->turn.waits)
        return;
    if (r->discard) {
        r->discard = false;
        receive_pool_discard(r);
        return;
    }
    turns_give(r->shared.turns, &r->turn);
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

const struct id *receive_run_content(const struct receive_run *r) { return &r->exchange.content; }

void receive_run_discard(struct receive_run *r)
{
    if (r)
        r->discard = true;
}

void receive_run_free(struct receive_run *r)
{
    if (!r)
        return;
    receive_run_detach(r);
    r->freed = true;
    turns_leave(r->shared.turns, &r->turn);
    uv_close((uv_handle_t *)&r->timer, on_timer_closed);
    receive_run_release(r);
}

static void on_turn(struct turn *t)
{
    struct receive_run *r = container_of(t, struct receive_run, turn);
    if (r->freed)
        receive_run_release(r);
    else
        receive_pool_look(r);
}

int receive_run_new(struct receive_run **out, uv_loop_t *loop, const struct clock *clock, const char *dir,
                    const struct receive_shared *shared, const struct id *content,
                    const struct receive_run_callbacks *callbacks, void *ctx)
{
    struct receive_run *r = calloc(1, sizeof(*r));
    if (!r)
        return -ENOMEM;
    r->loop = loop;
    r->clock = clock;
    if (shared)
        r->shared = *shared;
    r->callbacks = *callbacks;
    r->ctx = ctx;
    r->finish_outcome = -EINPROGRESS; /* not begun */
    memcpy(r->dir, dir, strnlen(dir, sizeof(r->dir) - 1));
    receive_init(&r->exchange, content, 0, 0);
    body_part_init(&r->part);
    (void)uv_timer_init(loop, &r->timer);
    r->timer_open = true;
    r->timer.data = r->look.work.data = r->prepare.work.data = r->sync.data = r->finish.data = r;
    r->turn = (struct turn){ .content = *content, .on_turn = on_turn };
    if (turns_take(r->shared.turns, &r->turn))
        receive_pool_look(r);
    *out = r;
    return 0;
}

void receive_run_set_pace(struct receive_run *r, struct pace *p) { r->pace = p; }

void receive_run_offer_info(struct receive_run *r, struct slice info, const uint8_t list_root[32])
{
    /* Refused when it is known already; a wrong one fails the exchange, as it must. */
    int outcome = receive_info(&r->exchange, info, list_root);
    if (outcome < 0)
        receive_fail(&r->exchange, reason_of_error(outcome));
    else if (outcome == RECEIVE_WRONG)
        receive_fail(&r->exchange, REASON_CONTENT_ID_MISMATCH);
}

bool receive_run_info(const struct receive_run *r, struct slice *info, const uint8_t **list_root)
{
    if (r->exchange.info_len == 0)
        return false;
    *info = slice(r->exchange.info, r->exchange.info_len);
    *list_root = r->exchange.list_root;
    return true;
}

uint64_t receive_run_left_bytes(const struct receive_run *r)
{
    return receive_total_bytes(&r->exchange) - r->exchange.stored_bytes;
}

/* ---- sources --------------------------------------------------------------------------------------------------- */

bool receive_run_attached(const struct receive_run *r) { return r->sources != NULL; }

/* Soon, and not from within whatever runs now. */
static void pump_soon(struct receive_run *r) { (void)uv_timer_start(&r->timer, on_timer, 0, CHECK_MS); }

static int source_new(struct receive_run *r, const char *name, struct receive_source **out)
{
    if (r->ended)
        return -ECANCELED;
    struct receive_source *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    int number = receive_connected(&r->exchange);
    if (number < 0) {
        free(s);
        return -ENOBUFS;
    }
    s->run = r;
    s->number = (unsigned)number;
    s->serial = ++r->last_serial;
    s->since_ms = now(r);
    CODEC_SET_TEXT(s->name, name);
    s->next = r->sources;
    r->sources = s;
    *out = s;
    return 0;
}

/* Out of the run; its memory stays. */
static void unlink_source(struct receive_source *s)
{
    struct receive_run *r = s->run;
    struct receive_source **at = &r->sources;
    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    if (s->peer)
        receive_source_forget(s);
    receive_http_free(steal(&s->http));
    receive_lost(&r->exchange, s->number);
    if (r->sources)
        pump_soon(r); /* what it was asked for is asked of others */
    else
        (void)uv_timer_stop(&r->timer);
}

int receive_run_attach(struct receive_run *r, struct peer *p, const char *name, uint32_t *source)
{
    struct receive_source *s;
    int outcome = source_new(r, name, &s);
    if (outcome != 0)
        return outcome;
    s->peer = p;
    receive_source_watch(s);
    pump_soon(r);
    *source = s->serial;
    return 0;
}

static void drop(struct receive_source *s)
{
    unlink_source(s);
    free(s);
}

int receive_run_attach_url(struct receive_run *r, struct http *h, const char *url, const char *name, uint32_t *source)
{
    struct receive_source *s;
    int outcome = source_new(r, name, &s);
    if (outcome != 0)
        return outcome;
    outcome = receive_http_new(&s->http, s, h, url);
    if (outcome != 0) {
        drop(s);
        return outcome;
    }
    pump_soon(r);
    *source = s->serial;
    return 0;
}

struct receive_source *receive_run_source(const struct receive_run *r, uint32_t serial)
{
    struct receive_source *s = r->sources;
    while (s && s->serial != serial)
        s = s->next;
    return s;
}

void receive_run_drop(struct receive_run *r, uint32_t source)
{
    struct receive_source *s = receive_run_source(r, source);
    if (s)
        drop(s);
}

void receive_run_detach(struct receive_run *r)
{
    while (r->sources)
        drop(r->sources);
}

void receive_run_lose(struct receive_source *s, enum reason why, const char *detail)
{
    struct receive_run *r = s->run;
    const struct receive_lost lost = { s->serial, s->name, why, detail };
    unlink_source(s);
    if (!r->ended)
        r->callbacks.on_lost(&lost, r->ctx); /* it may free r */
    free(s);
}

size_t receive_run_sources(const struct receive_run *r, struct receive_source_view *out, size_t max)
{
    size_t count = 0;
    for (const struct receive_source *s = r->sources; s && count < max; s = s->next)
        out[count++] = (struct receive_source_view){ s->name, r->exchange.spread.sources[s->number].brought_bytes,
                                                     meter_rate(&s->meter, now(r)),
                                                     now(r) - (s->meter.at_ms != 0 ? s->meter.at_ms : s->since_ms) };
    return count;
}

struct receive_source *receive_run_numbered(const struct receive_run *r, int number)
{
    struct receive_source *s = r->sources;
    while (s && (int)s->number != number)
        s = s->next;
    return s;
}

/* ---- what arrives ---------------------------------------------------------------------------------------------- */

void receive_run_end(struct receive_run *r, enum reason why, const char *detail)
{
    if (r->ended)
        return;
    r->ended = true;
    receive_run_detach(r);
    r->callbacks.on_end(why, detail, r->ctx);
}

void receive_run_tell(struct receive_run *r, bool always)
{
    if (!always && now(r) - r->progress_ms < PROGRESS_MS)
        return;
    r->progress_ms = now(r);
    if (r->callbacks.on_progress && !r->ended)
        r->callbacks.on_progress(r->exchange.stored_bytes, receive_total_bytes(&r->exchange), r->ctx);
}

static enum reason reason_of_outcome(int outcome)
{
    return outcome == -EPIPE            ? REASON_OFFLINE
           : outcome == RECEIVE_UNASKED ? REASON_MALFORMED
           : outcome == RECEIVE_WRONG   ? REASON_CONTENT_ID_MISMATCH
                                        : reason_of_error(outcome);
}

void receive_run_taken(struct receive_source *s, int outcome)
{
    if (outcome > 0)
        receive_run_lose(s, reason_of_outcome(outcome), NULL);
    else if (outcome < 0)
        receive_run_end(s->run, reason_of_error(outcome), NULL);
    else
        receive_run_pump(s->run);
}

int receive_run_block(struct receive_source *s, void *memory, uint32_t index, struct slice block)
{
    struct receive_run *r = s->run;
    int outcome = receive_block(&r->exchange, s->number, index, block.len, now(r));
    meter_note(&s->meter, r->exchange.spread.sources[s->number].brought_bytes, now(r));
    if (outcome == 0)
        return receive_pool_store(s, memory, index, block);
    free(memory);
    return outcome == RECEIVE_TWICE ? 0 : outcome;
}

/* ---- what is next ---------------------------------------------------------------------------------------------- */

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
        (void)uv_timer_start(&r->timer, on_timer, wait_ms, CHECK_MS);
}

static void take_pace(struct receive_run *r, const struct receive_action *a)
{
    uint64_t bytes = 0;
    for (uint32_t i = a->first; r->pace && i < a->first + a->count; i++)
        bytes += body_block_len(&r->exchange.shape, i);
    if (bytes > 0)
        pace_take(r->pace, bytes, now(r));
}

static int ask(struct receive_source *s, const struct receive_action *a)
{
    if (a->kind == RECEIVE_ASK_BLOCKS)
        take_pace(s->run, a);
    return s->http ? receive_http_act(s->http, a) : receive_source_act(s, a);
}

/* Does what the exchange says until it waits. Calls out last. */
void receive_run_pump(struct receive_run *r)
{
    if (!r->looked || r->ended)
        return;
    for (;;) {
        keep_pace(r);
        struct receive_action a = receive_next(&r->exchange, now(r));
        if (a.kind == RECEIVE_WAIT)
            break;
        if (a.kind == RECEIVE_PREPARE) {
            receive_pool_prepare(r);
        } else if (a.kind == RECEIVE_SYNC) {
            receive_pool_sync(r);
        } else {
            struct receive_source *s = receive_run_numbered(r, (int)a.source);
            int outcome = ask(s, &a);
            if (outcome != 0) {
                receive_run_lose(s, reason_of_outcome(outcome), NULL);
                return;
            }
        }
    }
    if (r->exchange.state == RECEIVE_FAILED) {
        receive_run_end(r, r->exchange.why, NULL);
    } else if (r->exchange.state == RECEIVE_FINISHED && r->finish_outcome == -EINPROGRESS) {
        r->finish_outcome = 0;
        receive_pool_finish(r);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct receive_run *r = timer->data;
    int stalled = receive_stalled(&r->exchange, now(r));
    for (struct receive_source *s = r->sources; s; s = s->next) {
        bool closing = s->peer && !s->vigil; /* it was, when it was attached */
        if (closing || (int)s->number == stalled) {
            receive_run_lose(s, closing ? REASON_OFFLINE : REASON_TIMED_OUT, NULL);
            return;
        }
    }
    receive_run_pump(r);
}
