/* Callbacks, in the order in which they fire: on_open, on_frame (any number), on_drain, on_closed.
 * The session is freed by whichever comes last: on_closed, or the end of its exchange. */
#define LOG_MODULE "session"
#include "distributor/session.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/util.h"
#include "distributor/directory.h"
#include "distributor/exchange.h"
#include "distributor/lobby.h"
#include "distributor/metrics.h"

#define STRANGER_TAIL_BYTES (8u << 10) /* a keyset */
#define DEVICE_TAIL_BYTES (160u << 10) /* a full transaction: 256 items */
#define DISTRIBUTOR_TAIL_BYTES (512u << 10)
#define DEVICE_WAITING_BYTES (256u << 10)
#define DISTRIBUTOR_WAITING_BYTES (1u << 20)

struct session_waiting {
    struct session_waiting *next;
    uint16_t type;
    uint32_t request;
    uint64_t arrived_ns;
    size_t message_len, tail_len;
    uint8_t bytes[];
};

static void on_open(struct peer *p, void *ctx);
static void on_frame(struct peer *p, const struct frame *f, void *ctx);
static void on_drain(struct peer *p, void *ctx);
static void on_closed(struct peer *p, enum reason why, void *ctx);

/* --- Life -------------------------------------------------------------------------------------------------------- */

struct session *session_new(struct server *server, struct peer *p, struct peer_callbacks *callbacks)
{
    struct session *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return NULL;
    s->server = server;
    s->peer = p;
    s->quota.limit_bytes = DEVICE_WAITING_BYTES;
    bucket_init(&s->pace, server->config.request_burst, clock_mono_ms(server->clock));
    *callbacks = (struct peer_callbacks){ on_open, on_frame, on_drain, on_closed };
    return s;
}

static void session_free(struct session *s)
{
    free(s->keyset);
    lobby_leave(s);
    free(s);
}

void session_set_user(struct session *s, uint64_t number, const char *user)
{
    s->number = number;
    if (s->state == SESSION_CLOSED)
        return;
    lobby_set_user(s, user);
}

void session_set_login(struct session *s, const struct reply *r)
{
    if (r->has_challenge) {
        s->has_challenge = true;
        memcpy(s->challenge, r->challenge, sizeof(s->challenge));
    }
    if (r->login == REPLY_LOGIN_AS_BEFORE)
        return;
    s->has_token = r->login == REPLY_LOGGED_IN;
    memcpy(s->token, r->token, sizeof(s->token));
}

void session_resume(struct session *s)
{
    if (s->peer != NULL && !s->paused_by_queue && !s->paused_by_pace && !lobby_is_stopping(s->server->lobby))
        peer_resume(s->peer);
}

static void drop_waiting(struct session *s)
{
    while (s->first != NULL) {
        struct session_waiting *w = s->first;
        s->first = w->next;
        secret_wipe(w->bytes, w->message_len); /* it may have been a password */
        free(w);
    }
    s->last = NULL;
    s->waiting_count = 0;
}

static void on_closed(struct peer *p, enum reason why, void *ctx)
{
    struct session *s = ctx;
    log_debug("closed address=%s reason=%s", peer_address(p), reason_code(why));
    metrics_closed(s->server->metrics, why);
    directory_session_closed(s);
    serve_client_free(steal(&s->bodies));
    lobby_forget_connection(s);
    drop_waiting(s);
    s->peer = NULL;
    s->state = SESSION_CLOSED;
    if (s->running == NULL)
        session_free(s);
}

/* --- Greeting ---------------------------------------------------------------------------------------------------- */

static void on_open(struct peer *p, void *ctx)
{
    struct session *s = ctx;
    s->state = SESSION_STRANGER;
    s->id = *peer_id(p);
    memcpy(s->key, peer_key(p), sizeof(s->key));
    peer_set_tail_max(p, STRANGER_TAIL_BYTES);
    s->keyset_generation = s->server->keyset_generation;
    lobby_expect_greeting(s);
    /* Design section 2: a distributor's first frame is always its keyset. */
    if (peer_send(p, msg_Type_KEYSET, 0, NULL, NULL, buf_slice(&s->server->keyset)) != 0)
        peer_close(p, REASON_INTERNAL);
}

static void greeted(struct session *s, size_t tail_max)
{
    if (s->state != SESSION_GREETING || !greet_server_judged(&s->greeting))
        return;
    s->state = SESSION_READY;
    peer_set_tail_max(s->peer, tail_max);
    peer_set_idle_ms(s->peer, (uint64_t)s->server->config.idle_seconds * 1000);
}

void session_greeted(struct session *s, uint64_t number, const char *user, uint64_t roster_sequence)
{
    s->role = REQUESTS_DEVICE;
    session_set_user(s, number, user);
    if (s->user != NULL && s->user->value == 0)
        s->user->value = roster_sequence;
    greeted(s, DEVICE_TAIL_BYTES);
}

void session_greeted_contents(struct session *s)
{
    s->role = REQUESTS_CONTENTS;
    greeted(s, STRANGER_TAIL_BYTES);
}

void session_greeted_distributor(struct session *s, const struct id *id, doc_Keyset *keyset)
{
    s->role = REQUESTS_DISTRIBUTOR;
    s->id = *id;
    s->keyset = keyset;
    s->quota.limit_bytes = DISTRIBUTOR_WAITING_BYTES;
    greeted(s, DISTRIBUTOR_TAIL_BYTES);
}

static void send_refusal(struct session *s, uint32_t request, enum reason reason, const msg_Refusal *refusal,
                         struct slice tail)
{
    if (s->peer == NULL)
        return;
    metrics_refusal(s->server->metrics, reason);
    if (peer_send(s->peer, msg_Type_REFUSAL, request, msg_Refusal_fields, refusal, tail) != 0)
        peer_close(s->peer, REASON_INTERNAL);
}

void session_refuse(struct session *s, uint32_t request, enum reason reason, const char *detail, struct slice tail)
{
    msg_Refusal refusal;
    reason_refusal(&refusal, reason, detail);
    send_refusal(s, request, reason, &refusal, tail);
}

void session_refuse_later(struct session *s, uint32_t request, uint64_t retry_ms)
{
    msg_Refusal refusal;
    char detail[sizeof(refusal.text)];
    snprintf(detail, sizeof(detail), "Too many requests or tries. Come back in %" PRIu64 " s.",
             (retry_ms + 999) / 1000);
    reason_refusal(&refusal, REASON_RATE_LIMITED, detail);
    refusal.has_retry_ms = true;
    refusal.retry_ms = retry_ms;
    send_refusal(s, request, REASON_RATE_LIMITED, &refusal, slice(NULL, 0));
}

/* Whoever breaks the order of the protocol is told why, and hung up on. */
static void hang_up(struct session *s, uint32_t request, enum reason reason, const char *detail)
{
    session_refuse(s, request, reason, detail, slice(NULL, 0));
    if (s->peer != NULL)
        peer_close(s->peer, reason);
}

/* --- Requests ---------------------------------------------------------------------------------------------------- */

static bool is_for_bodies(uint16_t type)
{
    return type == msg_Type_INFO_GET || type == msg_Type_LIST_GET || type == msg_Type_BLOCKS_GET;
}

/* The contents server's part: anyone who is registered may fetch bodies, which open for nobody without a license; a guest when something waits for it. */
static void serve_body(struct session *s, const struct frame *f)
{
    if (s->role == REQUESTS_DEVICE && s->user == NULL && !s->sends_body) {
        session_refuse(s, f->request, REASON_NOT_REGISTERED, NULL, slice(NULL, 0));
        return;
    }
    if (s->bodies == NULL && serve_client_new(&s->bodies, s->server->bodies, s->peer, NULL, NULL) != 0) {
        session_refuse(s, f->request, REASON_INTERNAL, NULL, slice(NULL, 0));
        return;
    }
    serve_frame(s->bodies, f);
}

/* What does not wait for the request before it. False: it does. */
static bool pass_queue(struct session *s, const struct frame *f)
{
    if (is_for_bodies(f->type)) {
        serve_body(s, f);
        return true;
    }
    return directory_pull_frame(s, f);
}

static void start(struct session *s, const struct frame *f)
{
    if (pass_queue(s, f))
        return;
    int r = exchange_start(s, f->type, f->request, f->message, f->tail);
    if (r != 0)
        session_refuse(s, f->request, reason_of_error(r), NULL, slice(NULL, 0));
}

static void enqueue(struct session *s, const struct frame *f)
{
    size_t len = f->message.len + f->tail.len;
    struct session_waiting *w = malloc(sizeof(*w) + len);
    if (w == NULL) {
        hang_up(s, f->request, REASON_INTERNAL, NULL);
        return;
    }
    *w = (struct session_waiting){ .type = f->type,
                                   .request = f->request,
                                   .arrived_ns = uv_hrtime(),
                                   .message_len = f->message.len,
                                   .tail_len = f->tail.len };
    if (f->message.len > 0)
        memcpy(w->bytes, f->message.data, f->message.len);
    if (f->tail.len > 0)
        memcpy(w->bytes + f->message.len, f->tail.data, f->tail.len);
    if (s->last != NULL)
        s->last->next = w;
    else
        s->first = w;
    s->last = w;
    s->waiting_count++;
    bool full = quota_charge(&s->quota, sizeof(*w) + len) != 0;
    if (full)
        s->quota.used_bytes += sizeof(*w) + len; /* this one stays: reading stops before there is another */
    if ((full || s->waiting_count >= s->server->config.queue_max) && !s->paused_by_queue) {
        s->paused_by_queue = true;
        peer_pause(s->peer);
    }
}

static void start_next(struct session *s)
{
    while (s->state == SESSION_READY && s->running == NULL && s->first != NULL) {
        struct session_waiting *w = s->first;
        s->first = w->next;
        if (s->first == NULL)
            s->last = NULL;
        s->waiting_count--;
        size_t len = w->message_len + w->tail_len;
        quota_release(&s->quota, sizeof(*w) + len);
        struct frame f = { w->type, w->request, slice(w->bytes, w->message_len),
                           slice(w->bytes + w->message_len, w->tail_len) };
        s->frame_ns = w->arrived_ns;
        start(s, &f);
        secret_wipe(w->bytes, w->message_len);
        free(w);
    }
    if (s->paused_by_queue && s->waiting_count <= s->server->config.queue_max / 2 &&
        s->quota.used_bytes <= s->quota.limit_bytes / 2) {
        s->paused_by_queue = false;
        session_resume(s);
    }
}

void session_exchange_ended(struct session *s)
{
    s->running = NULL;
    if (s->state == SESSION_CLOSED) {
        session_free(s);
        return;
    }
    if (s->state == SESSION_GREETING) /* HELLO was refused: the answer is on its way, and that was all */
        peer_close(s->peer, REASON_NOT_PERMITTED);
    start_next(s);
}

/* Over its rate: this request is served, then the socket is not read for a while. */
static void pace(struct session *s)
{
    struct server *server = s->server;
    int64_t now_ms = clock_mono_ms(server->clock);
    uint64_t wait_ms = bucket_take(&s->pace, server->config.requests_per_second, server->config.request_burst, now_ms);
    if (wait_ms == 0 || s->paused_by_pace)
        return;
    server->metrics->paced++;
    lobby_pace(s, wait_ms);
}

static void on_frame(struct peer *p, const struct frame *f, void *ctx)
{
    struct session *s = ctx;
    (void)p;
    s->heard_ms = clock_mono_ms(s->server->clock);
    s->frame_ns = uv_hrtime();
    if (!is_for_bodies(f->type))
        pace(s);
    if (s->state == SESSION_OPENING || s->state == SESSION_CLOSED)
        return;
    const char *detail;
    switch (greet_server_frame(&s->greeting, f->type, &detail)) {
    case GREET_JUDGE:
        s->state = SESSION_GREETING;
        start(s, f);
        if (s->running == NULL && s->peer != NULL)
            peer_close(s->peer, REASON_INTERNAL);
        return;
    case GREET_SERVE:
        if (s->running == NULL || is_for_bodies(f->type))
            start(s, f);
        else if (!directory_pull_frame(s, f))
            enqueue(s, f);
        return;
    case GREET_QUEUE:
        enqueue(s, f);
        return;
    case GREET_REFUSE:
        hang_up(s, f->request, REASON_NOT_PERMITTED, detail);
        return;
    }
}

static void on_drain(struct peer *p, void *ctx)
{
    struct session *s = ctx;
    (void)p;
    if (s->bodies != NULL)
        serve_drain(s->bodies);
}
