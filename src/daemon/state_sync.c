/* Siblings and the state: one link to each that is there, kept as long as both are; whoever has something new says its version (STATE_CHANGED), whoever lacks
 * something asks (STATE_GET) and gets the answer in pieces (STATE). Only siblings of a current roster are heard, at every frame. What becomes of an answer: state_merge.c; answering: state_answer.c.
 *
 * Callbacks, in order: on_tick (dials whoever is seen and has no link), on_ready or state_linked (link), on_piece for every piece; on_pace (a question that had to wait); on_closed at any time. */
#include <stdlib.h>

#include "base/util.h"
#include "daemon/device_link.h"
#include "daemon/events.h"
#include "daemon/siblings.h"
#include "daemon/state_sync.h"
#include "daemon/state_sync_internal.h"
#include "net/networks.h"

#define LOG_MODULE "state"
#include "base/log.h"

#define TICK_MS 2000
#define BETWEEN_WHOLE_MS 60000 /* answers: what a third has lied about shows in them alone */
#define PULL_MS 30000          /* between two pieces */
#define BETWEEN_PULLS_MS 50    /* questions to one sibling, whatever it says */
#define AGAIN_MS 1000          /* when it says that it was asked too often */

int64_t state_now_ms(const struct state *s) { return clock_mono_ms(s->daemon->clock); }

void state_sibling_release(struct state_sibling *p)
{
    if (--p->holds > 0)
        return;
    buf_free(&p->answer);
    free(p);
}

struct state_sibling *state_sibling_find(struct state *s, const struct id *client)
{
    struct state_sibling *p = s->siblings;
    while (p != NULL && !id_equal(p->client.bytes, client->bytes))
        p = p->next;
    return p;
}

/* Out of the list; what is under way ends by itself. */
static void drop(struct state_sibling *p)
{
    for (struct state_sibling **at = &p->state->siblings; *at != NULL; at = &(*at)->next)
        if (*at == p) {
            *at = p->next;
            break;
        }
    p->ready = false;
    state_answer_cancel(p);
    link_leave(&p->link);
    state_sibling_release(p);
}

bool state_is_heard(const struct state_sibling *p)
{
    return p->ready && p->link.link != NULL && link_is_trusted(p->link.link) && !p->state->stopping;
}

const char *state_sibling_name(const struct state_sibling *p)
{
    const struct sibling *s = siblings_find(p->state->daemon, p->client.bytes);
    return s != NULL ? s->name : "a device";
}

/* ---- asking -------------------------------------------------------------------------------------------------- */

struct question {
    struct state_sibling *to;
    uint8_t self[REPLICA_ID_BYTES];
};

static bool end_question(struct question *q)
{
    struct state_sibling *p = q->to;
    p->asking = false;
    free(q);
    if (p->wanted && p->ready)
        state_pull(p);
    state_sibling_release(p);
    return false;
}

static bool on_piece(struct peer *peer, const struct frame *reply, enum reason why, void *ctx)
{
    struct question *q = ctx;
    struct state_sibling *p = q->to;
    msg_State m;
    if (reply == NULL || !state_is_heard(p)) {
        log_debug("no state from %s: %s", state_sibling_name(p), reason_code(why));
        return end_question(q);
    }
    if (reply->type == msg_Type_REFUSAL) {
        if (peer_refusal(reply, msg_Type_STATE, NULL) == REASON_RATE_LIMITED) {
            p->wanted = true;
            p->asked_ms = state_now_ms(p->state) + AGAIN_MS;
        }
        return end_question(q);
    }
    if (reply->type != msg_Type_STATE || CODEC_DECODE(msg_State, reply->message, &m) != 0 ||
        buf_append(&p->answer, reply->tail) != 0) {
        peer_close(peer, REASON_MALFORMED);
        return end_question(q);
    }
    if (!m.last)
        return true;
    state_merge(p, q->self);
    return end_question(q);
}

static void on_pace(uv_timer_t *timer)
{
    struct state *s = timer->data;
    for (struct state_sibling *p = s->siblings; p != NULL; p = p->next)
        if (p->wanted && !p->asking)
            state_pull(p);
}

void state_pull(struct state_sibling *p)
{
    struct state *s = p->state;
    p->wanted = true;
    if (!state_is_heard(p) || p->asking)
        return;
    int64_t due = p->asked_ms + BETWEEN_PULLS_MS, now = state_now_ms(s);
    if (p->asked_ms != 0 && now < due) {
        if (!uv_is_active((uv_handle_t *)&s->pace))
            (void)uv_timer_start(&s->pace, on_pace, (uint64_t)(due - now), 0);
        return;
    }
    struct buf version CLEANUP(buf_free) = buf(REPLICA_VERSION_BYTES_MAX);
    struct question *q = calloc(1, sizeof(*q));
    if (q == NULL || replica_version(&s->replica, &version) != 0) {
        free(q);
        return;
    }
    q->to = p;
    memcpy(q->self, s->replica.self.replica, sizeof(q->self));
    buf_clear(&p->answer);
    if (peer_request(link_peer(p->link.link), msg_Type_STATE_GET, msg_StateGet_fields, &(msg_StateGet){ 0 },
                     buf_slice(&version), PULL_MS, on_piece, q, NULL) != 0) {
        free(q);
        return;
    }
    p->holds++;
    p->asking = true;
    p->wanted = false;
    p->asked_ms = now;
}

/* ---- answering ----------------------------------------------------------------------------------------------- */

static void send_changed(struct state_sibling *p)
{
    struct buf version CLEANUP(buf_free) = buf(REPLICA_VERSION_BYTES_MAX);
    if (!state_is_heard(p) || replica_version(&p->state->replica, &version) != 0)
        return;
    if (peer_send(link_peer(p->link.link), msg_Type_STATE_CHANGED, 0, msg_StateChanged_fields, &(msg_StateChanged){ 0 },
                  buf_slice(&version)) != 0)
        log_debug("%s could not be told of a change", state_sibling_name(p));
}

void state_sync_changed(struct state *s)
{
    for (struct state_sibling *p = s->siblings; p != NULL; p = p->next)
        send_changed(p);
}

void state_sync_ask(struct state *s)
{
    for (struct state_sibling *p = s->siblings; p != NULL; p = p->next)
        state_pull(p);
}

void state_sibling_behind(struct state_sibling *p)
{
    struct state *s = p->state;
    bool heard = memcmp(p->heard, s->replica.self.replica, REPLICA_ID_BYTES) == 0;
    state_rename(s, heard ? p->told : s->born_here ? 0 : UINT64_MAX);
}

/* What a sibling's version shows. */
void state_sibling_version(struct state_sibling *p, struct slice version)
{
    struct state *s = p->state;
    int r = replica_told(&s->replica, version, &p->told);
    if (r == REPLICA_BEHIND)
        state_sibling_behind(p);
    if (r != 0)
        return;
    memcpy(p->heard, s->replica.self.replica, REPLICA_ID_BYTES);
    if (replica_lacks(&s->replica, version) == 1)
        state_pull(p);
}

void state_on_changed(struct link *l, const struct frame *f)
{
    struct state *s = link_daemon(l)->state;
    struct state_sibling *p = state_sibling_find(s, link_client(l));
    msg_StateChanged m;
    if (!link_is_trusted(l) || p == NULL)
        return; /* nobody whose changes matter */
    if (CODEC_DECODE(msg_StateChanged, f->message, &m) != 0 || replica_lacks(&s->replica, f->tail) < 0) {
        peer_close(link_peer(l), REASON_MALFORMED);
        return;
    }
    state_sibling_version(p, f->tail);
}

/* ---- links --------------------------------------------------------------------------------------------------- */

static void begin(struct state_sibling *p)
{
    p->ready = true;
    state_pull(p);
}

static void on_ready(struct link_user *u) { begin(container_of(u, struct state_sibling, link)); }

static void on_closed(struct link_user *u, enum reason why)
{
    struct state_sibling *p = container_of(u, struct state_sibling, link);
    log_debug("the link to %s is gone: %s", state_sibling_name(p), reason_code(why));
    drop(p);
}

static struct state_sibling *add(struct state *s, const struct id *client)
{
    struct state_sibling *p = calloc(1, sizeof(*p));
    if (p == NULL)
        return NULL;
    p->state = s;
    p->client = *client;
    p->answer = buf(REPLICA_ANSWER_BYTES_MAX);
    p->link.on_ready = on_ready;
    p->link.on_closed = on_closed;
    p->holds = 1;
    p->next = s->siblings;
    s->siblings = p;
    return p;
}

void state_linked(struct link *l)
{
    struct state *s = link_daemon(l)->state;
    if (!s->listening || s->stopping || !link_is_trusted(l))
        return;
    struct state_sibling *p = state_sibling_find(s, link_client(l));
    int64_t answered_ms = 0;
    if (p != NULL && p->ready && p->link.link != l) {
        answered_ms = p->answered_ms;
        drop(p); /* the newest one: of two, the older may be dead and not know it */
        p = NULL;
    } else if (p != NULL && p->ready) {
        return;
    }
    if (p != NULL && p->link.link == l)
        return; /* our own: on_ready comes */
    if (p == NULL)
        p = add(s, link_client(l));
    if (p == NULL)
        return;
    p->answered_ms =
        p->answered_ms > answered_ms ? p->answered_ms : answered_ms; /* whoever dials again may not ask more often */
    link_leave(&p->link);                                            /* theirs was ready first */
    link_join(l, &p->link);
    begin(p);
}

static void dial(struct state *s, const struct id *client)
{
    struct state_sibling *p = add(s, client);
    if (p == NULL)
        return;
    int r = link_open(s->daemon, client, &p->link);
    if (r == LINK_READY)
        begin(p);
    else if (r != 0)
        drop(p);
}

void state_sibling_found(struct daemon *d, const struct id *client)
{
    struct state *s = d->state;
    /* Both see each other at once: one of them dials, the other when that has not worked (on_tick). */
    if (s != NULL && s->listening && !s->stopping && state_sibling_find(s, client) == NULL &&
        memcmp(d->self.bytes, client->bytes, ID_BYTES) < 0)
        dial(s, client);
}

void state_sibling_reachable(struct daemon *d, const struct id *client)
{
    struct state *s = d->state;
    struct id copy = *client;
    if (s != NULL && s->listening && !s->stopping && state_sibling_find(s, client) == NULL &&
        siblings_find(d, client->bytes) != NULL)
        dial(s, &copy);
}

static void tell_all(struct state *s)
{
    int64_t now = state_now_ms(s);
    if (now < s->whole_ms)
        return;
    s->whole_ms = now + BETWEEN_WHOLE_MS;
    for (struct state_sibling *p = s->siblings; p != NULL; p = p->next) {
        p->answered = false;
        state_pull(p);
    }
}

void state_tick(struct state *s)
{
    state_store_told(s);
    for (struct state_sibling *p = s->siblings, *next; p != NULL; p = next) {
        next = p->next;
        if (siblings_find(s->daemon, p->client.bytes) == NULL)
            drop(p); /* it belongs to the household no more */
    }
    uint64_t networks = networks_mark();
    if (networks != s->networks)
        siblings_try_anew(s->daemon);
    s->networks = networks;
    tell_all(s);
    for (size_t i = 0; i < siblings_count(s->daemon); i++) {
        const struct sibling *other = siblings_at(s->daemon, i);
        struct id client = other->client;
        bool there = sibling_is_online(other) || (other->found && other->reachable);
        if (state_sibling_find(s, &client) == NULL && other->address[0] != '\0' &&
            (there || siblings_may_try(s->daemon, &client, state_now_ms(s))))
            dial(s, &client); /* one that is not seen, or did not answer, where it may be */
    }
}

static void on_tick(uv_timer_t *timer) { state_tick(timer->data); }

void state_listen(struct daemon *d)
{
    struct state *s = d->state;
    s->whole_ms = state_now_ms(s) + BETWEEN_WHOLE_MS;
    (void)uv_timer_init(d->loop, &s->tick); /* cannot fail */
    (void)uv_timer_init(d->loop, &s->pace);
    s->tick.data = s->pace.data = s;
    state_rename_start(s);
    state_answers_start(s);
    s->listening = true;
    (void)uv_timer_start(&s->tick, on_tick, TICK_MS, TICK_MS);
}

void state_stop(struct daemon *d)
{
    struct state *s = d->state;
    if (s == NULL || s->stopping)
        return;
    s->stopping = true;
    state_store_told(s);
    if (s->listening) {
        uv_close((uv_handle_t *)&s->tick, NULL);
        uv_close((uv_handle_t *)&s->pace, NULL);
        state_rename_stop(s);
        state_answers_stop(s);
    }
    while (s->siblings != NULL)
        drop(s->siblings);
}
