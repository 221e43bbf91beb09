/* Calls over a session: they wait until it is ready, and are answered exactly once.
 *
 * Callbacks, in order: on_send (timer), on_reply. */
#include "daemon/session_internal.h"

#include <stdio.h>
#include <stdlib.h>

static void waiting_free(struct session_waiting *w)
{
    ask_copy_deinit(&w->copy);
    account_unref(w->account);
    free(w);
}

void session_answer_waiting(struct session *s, enum reason why, const char *detail)
{
    struct session_waiting *w = s->first;
    s->first = NULL;
    s->last = &s->first;
    while (w != NULL) {
        struct session_waiting *next = w->next;
        ask_copy_answer(&w->copy, NULL, why, detail);
        waiting_free(w);
        w = next;
    }
}

/* The attempt they waited for has failed. */
void session_fail_waiting(struct session *s)
{
    char text[sizeof(s->failure_text)];
    memcpy(text, s->failure_text, sizeof(text)); /* the answers may start the next attempt */
    s->holds++;
    session_answer_waiting(s, s->failure, text);
    session_release(s);
}

/* --- Calls --- */

static bool on_reply(struct peer *p, const struct frame *reply, enum reason why, void *ctx)
{
    struct session_waiting *w = ctx;
    char text[128];
    (void)p;
    if (reply == NULL && why != REASON_TIMED_OUT && why != REASON_CANCELLED)
        why = REASON_OFFLINE;
    (void)snprintf(text, sizeof(text), "%s: %s", w->account->name,
                   why == REASON_TIMED_OUT ? "no answer came in time." : "the connection ended before the answer.");
    ask_copy_answer(&w->copy, reply, why, text);
    waiting_free(w);
    return false;
}

static void send_one(struct session *s, struct session_waiting *w)
{
    const struct ask *ask = &w->copy.ask;
    if (ask->type == 0) {
        struct answer answer = { 0 };
        w->copy.on_answer(&answer, w->copy.ctx);
        waiting_free(w);
        return;
    }
    int r = peer_request(s->peer, ask->type, ask->fields, ask->message, ask->tail, ask->timeout_ms, on_reply, w, NULL);
    if (r == 0)
        return;
    ask_copy_answer(&w->copy, NULL, reason_of_error(r), NULL);
    waiting_free(w);
}

void session_send_waiting(struct session *s)
{
    s->holds++;
    while (s->state == SESSION_READY && s->first != NULL) {
        struct session_waiting *w = s->first;
        s->first = w->next;
        if (s->first == NULL)
            s->last = &s->first;
        send_one(s, w);
    }
    session_release(s);
}

static void on_send(uv_timer_t *timer) { session_send_waiting(timer->data); }

static int enqueue(struct account *a, const struct ask *ask, answer_fn on_answer, void *ctx)
{
    struct session *s = a->session;
    if (s == NULL || s->closing)
        return -ECANCELED;
    struct session_waiting *w = calloc(1, sizeof(*w));
    if (w == NULL)
        return -ENOMEM;
    int r = ask_copy_init(&w->copy, ask, on_answer, ctx);
    if (r != 0) {
        free(w);
        return r;
    }
    w->account = account_ref(a);
    *s->last = w;
    s->last = &w->next;
    if (s->state == SESSION_READY)
        (void)uv_timer_start(&s->timer, on_send, 0, 0); /* the timer is free in this state */
    else
        session_kick(s);
    return 0;
}

int session_call(struct account *a, const struct ask *ask, answer_fn on_answer, void *ctx)
{
    return enqueue(a, ask, on_answer, ctx);
}

int session_call_now(struct account *a, const struct ask *ask, answer_fn on_answer, void *ctx)
{
    struct session *s = a->session;
    if (s == NULL || s->state != SESSION_READY)
        return -ENOTCONN;
    struct session_waiting *w = calloc(1, sizeof(*w));
    if (w == NULL)
        return -ENOMEM;
    int r = ask_copy_init(&w->copy, ask, on_answer, ctx);
    if (r != 0) {
        free(w);
        return r;
    }
    w->account = account_ref(a);
    ask = &w->copy.ask;
    r = peer_request(s->peer, ask->type, ask->fields, ask->message, ask->tail, ask->timeout_ms, on_reply, w, NULL);
    if (r != 0)
        waiting_free(w);
    return r;
}

int session_when_ready(struct account *a, answer_fn on_ready, void *ctx)
{
    return enqueue(a, &(struct ask){ 0 }, on_ready, ctx);
}
