/* From the first frame to a ready session: keyset, hello, welcome, time.
 *
 * Callbacks, in order: on_open, on_frame (keyset), on_keyset_checked (vault), on_welcome, on_time_checked (vault), then on_frame for
 * what the distributor pushes. */
#include "daemon/session_internal.h"

#include <stdlib.h>

#include "base/util.h"
#include "daemon/events.h"
#include "daemon/outbox.h"
#include "daemon/transact.h"
#include "daemon/vault_client.h"

#define LOG_MODULE "session"
#include "base/log.h"

#define GREETING_TIMEOUT_MS 10000
#define IDLE_MS 60000

/* --- Steps --- */

bool session_step_is_current(const struct session_step *step)
{
    return step->session->attempt == step->attempt && step->session->peer != NULL && !step->session->closing;
}

struct session_step *session_step_new(struct session *s)
{
    struct session_step *step = malloc(sizeof(*step));
    if (step == NULL)
        return NULL;
    *step = (struct session_step){ s, s->attempt };
    s->holds++;
    return step;
}

/* Ends the step; the session when the connection is still the same one, else NULL (and *s may be gone). */
struct session *session_step_end(struct session_step *step)
{
    struct session *s = session_step_is_current(step) ? step->session : NULL;
    session_release(step->session);
    free(step);
    return s;
}

static bool vault_step(struct session *s, const struct ask *ask, answer_fn on_answer)
{
    struct session_step *step = session_step_new(s);
    if (step != NULL && vault_call(s->daemon->vault, ask, on_answer, step) == 0)
        return true;
    if (step != NULL)
        (void)session_step_end(step);
    session_hang_up(s, REASON_INTERNAL, NULL);
    return false;
}

static void become_ready(struct session *s)
{
    struct account *a = s->account;
    uv_timer_stop(&s->timer);
    session_set_state(s, SESSION_READY);
    s->failures = 0;
    s->failure = REASON_NONE;
    peer_set_idle_ms(s->peer, IDLE_MS);
    if (a->registered && !s->known)
        session_forgotten(s);
    else if (a->registered)
        event(s->daemon, "distributor-online", "%s is connected", session_label(s));

    (void)account_ref(a);
    session_send_waiting(s);
    if (a->registered && s->known && s->state == SESSION_READY) {
        if (a->roster == NULL || s->roster_sequence > a->roster->sequence)
            session_fetch_roster(s);
        transact_ready(a->transact);
        outbox_ready(a);
    }
    account_unref(a);
}

static void on_time_checked(const struct answer *answer, void *ctx)
{
    struct session *s = session_step_end(ctx);
    if (s == NULL)
        return;
    if (answer->why != REASON_NONE) /* the vault judges each use of a license by itself */
        log_warn("%s: its time was not taken reason=%s", session_label(s), answer->refusal->code);
    become_ready(s);
}

static void note_skew(struct session *s, struct slice envelope)
{
    doc_SignedTime time;
    uint8_t signer[32];
    s->skew_known = false;
    if (document_open(DOCUMENT_TIME, envelope, &time, sizeof(time), signer) != 0 || time.time_ms > INT64_MAX / 2)
        return;
    s->skew_known = true;
    s->skew_ms = (int64_t)time.time_ms - clock_wall_ms(s->daemon->clock);
}

static bool on_welcome(struct peer *p, const struct frame *reply, enum reason why, void *ctx)
{
    struct session *s = ctx;
    msg_Welcome welcome;
    msg_Refusal refusal = msg_Refusal_init_zero;
    (void)p;
    if (reply == NULL)
        return false; /* on_closed follows */
    why = peer_refusal(reply, msg_Type_WELCOME, &refusal);
    if (why == REASON_NONE && CODEC_DECODE(msg_Welcome, reply->message, &welcome) != 0)
        why = REASON_MALFORMED;
    if (why != REASON_NONE) {
        session_hang_up(s, why, refusal.text[0] != '\0' ? refusal.text : NULL);
        return false;
    }
    s->known = welcome.registered;
    s->forgotten = s->forgotten && !s->known;
    s->number = welcome.session;
    s->server_bit = welcome.bit;
    s->roster_sequence = welcome.roster_sequence;
    if (!welcome.has_time || !s->account->registered) {
        become_ready(s);
        return false;
    }
    note_skew(s, CODEC_BYTES(welcome.time));
    vlt_TimeCheck check = vlt_TimeCheck_init_zero;
    memcpy(check.distributor, s->account->distributor.bytes, ID_BYTES);
    if (CODEC_SET_BYTES(check.time, CODEC_BYTES(welcome.time)) != 0) {
        session_hang_up(s, REASON_MALFORMED, NULL);
        return false;
    }
    (void)vault_step(s, &ASK(vlt_Type_TIME_CHECK, vlt_Type_DONE, vlt_TimeCheck, &check), on_time_checked);
    return false;
}

static int keep_keyset(struct account *a, struct slice envelope)
{
    doc_Keyset *keyset CLEANUP(freep) = malloc(sizeof(*keyset));
    uint8_t signer[32];
    if (keyset == NULL)
        return -ENOMEM;
    int r = document_open(DOCUMENT_KEYSET, envelope, keyset, sizeof(*keyset), signer);
    if (r != 0)
        return r;
    if (!a->registered || a->name[0] == '\0')
        memcpy(a->name, keyset->name, sizeof(a->name));
    free(a->keyset);
    a->keyset = steal(&keyset);
    return 0;
}

static void on_keyset_checked(const struct answer *answer, void *ctx)
{
    struct session *s = session_step_end(ctx);
    if (s == NULL)
        return;
    if (answer->why != REASON_NONE) {
        session_hang_up(s, answer->why, answer->refusal->text);
        return;
    }
    int r = keep_keyset(s->account, buf_slice(&s->keyset));
    buf_free(&s->keyset);
    if (r != 0) {
        session_hang_up(s, reason_of_error(r), NULL);
        return;
    }
    /* Only now may anything be sent: keyset, root and this connection's key belong together. */
    session_set_state(s, SESSION_HELLO);
    peer_set_tail_max(s->peer, FRAME_TAIL_MAX);
    msg_Hello hello = { .role = 1, .generation = s->daemon->generation };
    r = peer_request(s->peer, msg_Type_HELLO, msg_Hello_fields, &hello, slice(NULL, 0), GREETING_TIMEOUT_MS, on_welcome,
                     s, NULL);
    if (r != 0)
        session_hang_up(s, reason_of_error(r), NULL);
}

static void take_keyset(struct session *s, const struct frame *f)
{
    vlt_KeysetCheck check = { .has_tls_key = true };
    s->keyset.max_bytes = FRAME_TAIL_MAX;
    buf_clear(&s->keyset);
    if (f->type != msg_Type_KEYSET || f->message.len != 0 || f->tail.len == 0 || buf_append(&s->keyset, f->tail) != 0) {
        session_hang_up(s, REASON_MALFORMED, NULL);
        return;
    }
    session_set_state(s, SESSION_CHECKING);
    memcpy(check.distributor, s->account->distributor.bytes, ID_BYTES);
    memcpy(check.tls_key, peer_key(s->peer), sizeof(check.tls_key));
    struct ask ask = ASK(vlt_Type_KEYSET_CHECK, vlt_Type_KEYSET_CHECKED, vlt_KeysetCheck, &check);
    ask.tail = f->tail;
    (void)vault_step(s, &ask, on_keyset_checked);
}

static void on_frame(struct peer *p, const struct frame *f, void *ctx)
{
    struct session *s = ctx;
    if (f->type == msg_Type_REFUSAL && f->request == 0)
        return; /* says why it closes; comes as on_closed's reason */
    if (s->state == SESSION_KEYSET)
        take_keyset(s, f);
    else if (s->state == SESSION_READY && f->type == msg_Type_ROSTER_CHANGED)
        session_fetch_roster(s);
    else if (s->state == SESSION_READY && f->request != 0 &&
             peer_refuse(p, f->request, REASON_NOT_PERMITTED, NULL) != 0)
        session_hang_up(s, REASON_INTERNAL, NULL);
    else if (s->state != SESSION_READY)
        session_hang_up(s, REASON_MALFORMED, NULL);
}

static void on_greeting_late(uv_timer_t *timer) { session_hang_up(timer->data, REASON_TIMED_OUT, NULL); }

static void on_open(struct peer *p, void *ctx)
{
    struct session *s = ctx;
    (void)p;
    session_set_state(s, SESSION_KEYSET);
    (void)uv_timer_start(&s->timer, on_greeting_late, 2 * GREETING_TIMEOUT_MS, 0);
}

const struct peer_callbacks session_callbacks = { .on_open = on_open,
                                                  .on_frame = on_frame,
                                                  .on_closed = session_closed };
