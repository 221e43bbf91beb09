/* Callbacks, in order: on_timer (dial, or look again), on_frame (its keyset), on_welcome, on_bodies, then for each body that is missing
 * on_lost or on_end; on_closed; on_timer_closed (the end). */
#define LOG_MODULE "contents"
#include "distributor/contents_pull.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/util.h"
#include "net/receive_run.h"
#include "protocol/documents.h"

#define CONNECT_MS 15000
#define ANSWER_MS 30000
#define IDLE_MS 120000
#define RETRY_FIRST_MS 1000
#define RETRY_LAST_MS 60000
#define TAIL_BYTES (8u << 10) /* a keyset; receive_run raises it for blocks */

struct contents_pull {
    struct contents_pull_config config;
    struct place principal;
    struct peer *peer;
    uv_timer_t timer;
    doc_Keyset *keyset; /* NULL: has not been shown yet */
    uint64_t keyset_sequence, retry_ms;
    msg_Bodies page;
    pb_size_t at; /* in the page */
    bool greeted, looking, look_again, stopping;
    struct receive_run *run;
    uint32_t fetched;
    void (*on_stopped)(void *ctx);
    void *stopped_ctx;
};

static void on_timer(uv_timer_t *t);
static void look(struct contents_pull *p, bool from_start);
static void next_body(struct contents_pull *p);

static void give_up(struct contents_pull *p, enum reason why)
{
    if (p->peer != NULL)
        peer_close(p->peer, why);
}

/* --- Bodies ------------------------------------------------------------------------------------------------------ */

/* What is wrong with this body alone: withdrawn between question and answer, or damaged there. */
static bool is_of_body(enum reason why)
{
    return why == REASON_UNKNOWN_CONTENT || why == REASON_BLOCK_CORRUPT || why == REASON_CONTENT_ID_MISMATCH;
}

static void on_lost(const struct receive_lost *lost, void *ctx)
{
    struct contents_pull *p = ctx;
    enum reason why = lost->why;
    if (why != REASON_UNKNOWN_CONTENT && is_of_body(why))
        log_warn("a body could not be fetched from=%s reason=%s", p->principal.address, reason_code(why));
    receive_run_free(steal(&p->run)); /* its part file stays: the next connection goes on with it */
    if (is_of_body(why) && p->peer != NULL)
        next_body(p);
    else
        give_up(p, why);
}

static void on_end(enum reason why, const char *detail, void *ctx)
{
    struct contents_pull *p = ctx;
    char name[ID_TEXT_BYTES];
    const uint8_t *content = p->page.bodies[p->at - 1].content;
    (void)detail;
    receive_run_free(steal(&p->run));
    id_text(content, name);
    if (why == REASON_NONE) {
        p->fetched++;
        if (names_take(p->config.known, slice(content, ID_BYTES)) == NULL)
            log_warn("out of memory: a body is looked at again next time");
        log_debug("body is here content=%.12s from=%s", name, p->principal.address);
    } else {
        log_warn("a body could not be fetched content=%.12s from=%s reason=%s", name, p->principal.address,
                 reason_code(why));
    }
    if (why == REASON_STORAGE_FULL)
        give_up(p, why);
    else
        next_body(p);
}

static void next_body(struct contents_pull *p)
{
    static const struct receive_run_callbacks callbacks = { NULL, on_lost, on_end };
    while (p->at < p->page.bodies_count) {
        struct id content = id_from(p->page.bodies[p->at++].content);
        if (names_find(p->config.known, slice(content.bytes, ID_BYTES)) != NULL)
            continue;
        if (receive_run_new(&p->run, p->config.loop, clock_system(), p->config.bodies_dir, NULL, &content, &callbacks,
                            p) != 0) {
            give_up(p, REASON_INTERNAL);
            return;
        }
        uint32_t source; /* the only one */
        int r = receive_run_attach(p->run, p->peer, p->principal.address, &source);
        if (r != 0)
            give_up(p, reason_of_error(r));
        return;
    }
    if (p->page.bodies_count == ARRAY_COUNT(p->page.bodies)) {
        look(p, false);
        return;
    }
    if (p->fetched > 0)
        log_info("all bodies are here from=%s fetched=%u", p->principal.address, p->fetched);
    p->fetched = 0;
    p->looking = false;
    (void)uv_timer_start(&p->timer, on_timer, p->look_again ? 0 : p->config.look_ms, 0);
    p->look_again = false;
}

static bool on_bodies(struct peer *peer, const struct frame *reply, enum reason why, void *ctx)
{
    struct contents_pull *p = ctx;
    (void)peer;
    if (reply == NULL || peer_refusal(reply, msg_Type_BODIES, NULL) != REASON_NONE ||
        CODEC_DECODE(msg_Bodies, reply->message, &p->page) != 0) {
        log_warn("bodies are not told from=%s reason=%s", p->principal.address,
                 reason_code(reply == NULL ? why : peer_refusal(reply, msg_Type_BODIES, NULL)));
        p->page.bodies_count = 0;
        give_up(p, REASON_MALFORMED);
        return false;
    }
    p->at = 0;
    next_body(p);
    return false;
}

static void look(struct contents_pull *p, bool from_start)
{
    msg_BodiesGet get = { .has_after = !from_start };
    if (!from_start)
        memcpy(get.after, p->page.bodies[p->page.bodies_count - 1].content, sizeof(get.after));
    p->looking = true;
    if (peer_request(p->peer, msg_Type_BODIES_GET, msg_BodiesGet_fields, &get, slice(NULL, 0), ANSWER_MS, on_bodies, p,
                     NULL) != 0)
        give_up(p, REASON_OFFLINE);
}

/* --- Greeting ---------------------------------------------------------------------------------------------------- */

static bool on_welcome(struct peer *peer, const struct frame *reply, enum reason why, void *ctx)
{
    struct contents_pull *p = ctx;
    (void)peer;
    if (reply != NULL)
        why = peer_refusal(reply, msg_Type_WELCOME, NULL);
    if (why != REASON_NONE) {
        log_warn("not welcome at=%s reason=%s%s", p->principal.address, reason_code(why),
                 why == REASON_NOT_PERMITTED
                     ? ": its operator has to run `place add` with what `contents id` prints here"
                     : "");
        p->retry_ms = RETRY_LAST_MS / 2;
        give_up(p, why);
        return false;
    }
    p->greeted = true;
    p->retry_ms = 0;
    peer_set_idle_ms(p->peer, IDLE_MS);
    look(p, true);
    return false;
}

static void take_keyset(struct contents_pull *p, struct slice envelope)
{
    doc_Keyset *k = calloc(1, sizeof(*k));
    int r = k != NULL ? keyset_judge(envelope, &p->principal.server, p->keyset_sequence, peer_key(p->peer),
                                     clock_wall_ms(clock_system()), k)
                      : -ENOMEM;
    if (r != 0) {
        free(k);
        log_warn("a keyset is not accepted from=%s reason=%s", p->principal.address, reason_code(reason_of_error(r)));
        give_up(p, REASON_KEYSET_INVALID);
        return;
    }
    p->keyset = k;
    p->keyset_sequence = k->sequence;
    msg_Hello hello = { .role = 3, .generation = 1 };
    if (peer_request(p->peer, msg_Type_HELLO, msg_Hello_fields, &hello, slice(NULL, 0), ANSWER_MS, on_welcome, p,
                     NULL) != 0)
        give_up(p, REASON_OFFLINE);
}

static void on_frame(struct peer *peer, const struct frame *f, void *ctx)
{
    struct contents_pull *p = ctx;
    (void)peer;
    if (p->keyset == NULL && f->type == msg_Type_KEYSET)
        take_keyset(p, f->tail);
    else if (p->keyset == NULL)
        give_up(p, REASON_MALFORMED); /* whatever else it tells its clients is not for us */
}

static void on_open(struct peer *peer, void *ctx)
{
    (void)ctx;
    peer_set_tail_max(peer, TAIL_BYTES);
    peer_set_idle_ms(peer, ANSWER_MS);
}

/* --- Coming and going -------------------------------------------------------------------------------------------- */

static void on_timer_closed(uv_handle_t *h)
{
    struct contents_pull *p = container_of((uv_timer_t *)(void *)h, struct contents_pull, timer);
    void (*on_stopped)(void *) = p->on_stopped;
    void *ctx = p->stopped_ctx;
    free(p->keyset);
    free(p);
    on_stopped(ctx);
}

static void end(struct contents_pull *p) { uv_close((uv_handle_t *)&p->timer, on_timer_closed); }

static void on_closed(struct peer *peer, enum reason why, void *ctx)
{
    struct contents_pull *p = ctx;
    (void)peer;
    p->peer = NULL;
    p->greeted = p->looking = false;
    receive_run_free(steal(&p->run));
    free(steal(&p->keyset));
    if (p->stopping) {
        end(p);
        return;
    }
    p->retry_ms = p->retry_ms == 0 ? RETRY_FIRST_MS : p->retry_ms * 2 > RETRY_LAST_MS ? RETRY_LAST_MS : p->retry_ms * 2;
    log_info("closed distributor=%s reason=%s again_in_ms=%llu", p->principal.address, reason_code(why),
             (unsigned long long)p->retry_ms);
    (void)uv_timer_start(&p->timer, on_timer, p->retry_ms, 0);
}

static void on_timer(uv_timer_t *t)
{
    static const struct peer_callbacks callbacks = { on_open, on_frame, NULL, on_closed };
    struct contents_pull *p = container_of(t, struct contents_pull, timer);
    if (p->peer != NULL && p->greeted && !p->looking)
        look(p, true);
    else if (p->peer == NULL && peer_dial(&p->peer, p->config.loop, p->config.identity, p->principal.address, NULL,
                                          CONNECT_MS, &callbacks, p) != 0)
        (void)uv_timer_start(t, on_timer, RETRY_LAST_MS, 0);
}

void contents_pull_now(struct contents_pull *p)
{
    if (p->stopping)
        return;
    p->look_again = p->looking;
    if (!p->looking && (p->peer == NULL || p->greeted))
        (void)uv_timer_start(&p->timer, on_timer, 0, 0);
}

int contents_pull_new(struct contents_pull **out, const struct contents_pull_config *c, const struct place *principal)
{
    struct contents_pull *p = calloc(1, sizeof(*p));
    if (p == NULL)
        return -ENOMEM;
    p->config = *c;
    p->principal = *principal;
    (void)uv_timer_init(c->loop, &p->timer);
    (void)uv_timer_start(&p->timer, on_timer, 0, 0);
    *out = p;
    return 0;
}

void contents_pull_stop(struct contents_pull *p, void (*on_stopped)(void *ctx), void *ctx)
{
    p->stopping = true;
    p->on_stopped = on_stopped;
    p->stopped_ctx = ctx;
    (void)uv_timer_stop(&p->timer);
    receive_run_free(steal(&p->run));
    if (p->peer != NULL)
        peer_close(p->peer, REASON_CANCELLED);
    else
        end(p);
}
