/* Answers to siblings that ask for the state: one at a time for each, sent as fast as its connection takes it and `hearth transfers limit --send` allows. Loop thread.
 *
 * Callbacks, in order: state_on_get (the question), on_drain and on_time (there is room, it is time), on_closed (the link is gone). */
#include <stdlib.h>

#include "base/util.h"
#include "daemon/device_link.h"
#include "daemon/state_sync.h"
#include "daemon/state_sync_internal.h"

#define LOG_MODULE "state"
#include "base/log.h"

#define BETWEEN_ANSWERS_MS 10    /* a sibling may ask as often on the average, */
#define ANSWERS_AHEAD 32         /* and so many at once; */
#define ANSWER_BYTES_OF_MS 4096u /* a large answer counts for as long */
#define PIECE_BYTES (32u * 1024)
#define PIECE_BYTES_MIN 256u

struct state_answer {
    struct link_user user;
    struct state_sibling *to;
    struct buf bytes;
    size_t at;
    uint32_t request;
};

static void end_answer(struct state_answer *a)
{
    a->to->answering = NULL;
    link_leave(&a->user);
    buf_free(&a->bytes);
    free(a);
}

void state_answer_cancel(struct state_sibling *p)
{
    if (p->answering != NULL && p->answering->user.link != NULL)
        link_refuse(p->answering->user.link, p->answering->request, REASON_RATE_LIMITED, NULL);
    if (p->answering != NULL)
        end_answer(p->answering);
}

static void on_closed(struct link_user *u, enum reason why)
{
    (void)why;
    end_answer(container_of(u, struct state_answer, user));
}

static void service(struct state_answer *a);

static void on_time(uv_timer_t *timer)
{
    struct state *s = timer->data;
    for (struct state_sibling *p = s->siblings, *next; p != NULL; p = next) {
        next = p->next;
        if (p->answering != NULL)
            service(p->answering);
    }
}

/* At a slow pace a quarter of a second's worth, so that nobody waits in vain for the next. */
static size_t piece_bytes(const struct pace *pace)
{
    uint64_t bytes = pace->rate == 0 ? PIECE_BYTES : u64_min(pace->rate / 4, PIECE_BYTES);
    return (size_t)u64_max(bytes, PIECE_BYTES_MIN);
}

static void service(struct state_answer *a)
{
    struct state *s = a->to->state;
    struct peer *peer = link_peer(a->user.link);
    struct pace *pace = &s->daemon->sending;
    int r = peer == NULL ? -EPIPE : 0;
    while (r == 0 && a->at < a->bytes.len && peer_writable(peer)) {
        uint32_t wait_ms = pace_wait_ms(pace, state_now_ms(s));
        if (wait_ms > 0) {
            if (!s->stopping)
                (void)uv_timer_start(&s->answers, on_time, wait_ms, 0);
            return;
        }
        size_t len = size_min(piece_bytes(pace), a->bytes.len - a->at);
        msg_State m = { .last = a->at + len == a->bytes.len };
        r = peer_send(peer, msg_Type_STATE, a->request, msg_State_fields, &m,
                      slice_sub(buf_slice(&a->bytes), a->at, len));
        pace_take(pace, len, state_now_ms(s));
        a->at += len;
    }
    if (r != 0)
        link_refuse(a->user.link, a->request, REASON_INTERNAL, NULL);
    if (r != 0 || a->at == a->bytes.len)
        end_answer(a);
}

void state_on_drain(struct link *l)
{
    struct state *s = link_daemon(l)->state;
    struct state_sibling *p = s == NULL ? NULL : state_sibling_find(s, link_client(l));
    if (p != NULL && p->answering != NULL && p->answering->user.link == l)
        service(p->answering);
}

static bool may_ask(struct state_sibling *p)
{
    int64_t now = state_now_ms(p->state), since = now - ANSWERS_AHEAD * BETWEEN_ANSWERS_MS;
    if (p->answered_ms < since)
        p->answered_ms = since;
    return p->answered_ms <= now;
}

/* Two links of one sibling: it asks on the newer one again. */
static enum reason judge(struct state_sibling *p, struct link *l)
{
    if (!link_is_trusted(l) || p == NULL)
        return REASON_NOT_PERMITTED;
    if (!may_ask(p) || (p->answering != NULL && p->answering->user.link == l))
        return REASON_RATE_LIMITED;
    state_answer_cancel(p);
    return REASON_NONE;
}

static void begin_answer(struct state_sibling *p, struct link *l, uint32_t request, struct buf *bytes)
{
    struct state_answer *a = calloc(1, sizeof(*a));
    if (a == NULL) {
        link_refuse(l, request, REASON_INTERNAL, NULL);
        return;
    }
    *a = (struct state_answer){ .user.on_closed = on_closed, .to = p, .bytes = *bytes, .request = request };
    *bytes = buf(REPLICA_ANSWER_BYTES_MAX);
    p->answering = a;
    link_join(l, &a->user);
    service(a);
}

void state_on_get(struct link *l, const struct frame *f)
{
    struct state *s = link_daemon(l)->state;
    struct state_sibling *p = state_sibling_find(s, link_client(l));
    struct buf answer CLEANUP(buf_free) = buf(REPLICA_ANSWER_BYTES_MAX);
    msg_StateGet m;
    enum reason why = judge(p, l);
    if (why != REASON_NONE) {
        link_refuse(l, f->request, why, NULL);
        return;
    }
    int r = CODEC_DECODE(msg_StateGet, f->message, &m) == 0
                ? replica_answer(&s->replica, f->tail, !p->answered, &answer)
                : REPLICA_MALFORMED;
    if (r == REPLICA_MALFORMED) {
        peer_close(link_peer(l), REASON_MALFORMED);
        return;
    }
    p->answered = true;
    p->answered_ms += BETWEEN_ANSWERS_MS + (int64_t)(answer.len / ANSWER_BYTES_OF_MS);
    if (r == 0)
        begin_answer(p, l, f->request, &answer);
    else
        link_refuse(l, f->request, REASON_INTERNAL, NULL);
    state_sibling_version(p, f->tail);
}

void state_answers_start(struct state *s)
{
    (void)uv_timer_init(s->daemon->loop, &s->answers); /* cannot fail */
    s->answers.data = s;
}

void state_answers_stop(struct state *s) { uv_close((uv_handle_t *)&s->answers, NULL); }
