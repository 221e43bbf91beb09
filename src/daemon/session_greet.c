/* From the first frame to a ready session: the driver of protocol/greet.h, which says in which order.
 *
 * Callbacks, in order: on_open, on_frame (keyset), on_keyset_checked (vault), on_welcome, on_time_checked and on_time_told (vault), on_proof (vault), on_login_judged,
 * those of session_standing.c, then on_frame for
 * what the distributor pushes; on_greeting_late at any time before. */
#include "daemon/session_internal.h"

#include <stdlib.h>

#include "base/text.h"
#include "base/util.h"
#include "daemon/events.h"
#include "daemon/leases.h"
#include "daemon/outbox.h"
#include "daemon/queued.h"
#include "daemon/transact.h"
#include "daemon/vault_client.h"
#include "daemon/visits.h"

#define LOG_MODULE "session"
#include "base/log.h"

#define IDLE_MS 60000
#define OTHER_BYTES 192

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

bool session_vault_step(struct session *s, const struct ask *ask, answer_fn on_answer)
{
    struct session_step *step = session_step_new(s);
    if (step != NULL && vault_call(s->daemon->vault, ask, on_answer, step) == 0)
        return true;
    if (step != NULL)
        (void)session_step_end(step);
    session_hang_up(s, REASON_INTERNAL, NULL);
    return false;
}

/* Nothing is wanted of it now: it is a guest that is not known there yet, and comes again, or whose visit has ended meanwhile. */
static bool is_idle_visit(const struct session *s)
{
    const struct account *a = s->account;
    bool wanted = a->kept ? s->greet.welcome.session != 0 : transact_outstanding(a->transact);
    return a->guest && s->first == NULL && !wanted;
}

static void become_ready(struct session *s)
{
    struct account *a = s->account;
    const msg_Welcome *welcome = &s->greet.welcome;
    if (is_idle_visit(s)) {
        session_hang_up(s, REASON_NOT_REGISTERED, NULL);
        return;
    }
    s->known = welcome->registered;
    s->forgotten = s->forgotten && !s->known;
    s->number = welcome->session;
    s->server_bit = welcome->bit;
    s->roster_sequence = welcome->roster_sequence;
    uv_timer_stop(&s->timer);
    session_set_state(s, SESSION_READY);
    s->failures = 0;
    s->failure = REASON_NONE;
    peer_set_idle_ms(s->peer, IDLE_MS);
    if (a->registered && !s->known)
        session_forgotten(s);
    else if (a->registered && !s->told)
        event(s->daemon, "distributor-online", "%s is connected", session_label(s));
    s->told = a->registered && s->known;
    if (a->registered && s->greet.login_refused)
        event(s->daemon, "login-ended", "the login at %s has ended; log in again: hearth login", session_label(s));
    session_tell_standing(s);

    (void)account_ref(a);
    session_send_waiting(s);
    if (a->registered && s->known && s->state == SESSION_READY) {
        if (a->roster == NULL || s->roster_sequence > a->roster->sequence || s->greet.roster_changed)
            session_fetch_roster(s);
        outbox_ready(a); /* what is given back before what is asked for */
        transact_ready(a->transact);
        leases_ready(a);
        queued_ready(a);
        visits_refresh(s->daemon);
    } else if (session_may_transact(s)) {
        transact_ready(a->transact);
        leases_ready(a);
        queued_ready(a);
    }
    account_unref(a);
}

static int keep_keyset(struct account *a, struct slice envelope)
{
    doc_Keyset *keyset CLEANUP(freep) = malloc(sizeof(*keyset));
    struct id signer;
    if (keyset == NULL)
        return -ENOMEM;
    int r = document_open_keyset(envelope, keyset, &signer);
    if (r != 0)
        return r;
    if (!a->registered || a->name[0] == '\0')
        memcpy(a->name, keyset->name, sizeof(a->name));
    free(a->keyset);
    a->keyset = steal(&keyset);
    return 0;
}

/* --- The vault's judgements --- */

static void on_time_told(const struct answer *answer, void *ctx)
{
    struct session *s = session_step_end(ctx);
    if (s == NULL)
        return;
    device_time_take(s->account, answer);
    greet_timed(&s->greet);
    session_greet_step(s);
}

/* The keyset was taken without asking a clock; now its distributor has said what time it is, and may have said so too late. */
static void on_time_checked(const struct answer *answer, void *ctx)
{
    struct session *s = session_step_end(ctx);
    vlt_TimeGet get;
    if (s == NULL)
        return;
    if (answer->why == REASON_KEYSET_INVALID) {
        session_hang_up(s, REASON_KEYSET_INVALID, NULL);
        return;
    }
    if (answer->why != REASON_NONE) /* the vault judges each use of a license by itself */
        log_warn("%s: its time was not taken reason=%s", session_label(s), answer->refusal->code);
    memcpy(get.distributor, s->account->distributor.bytes, ID_BYTES);
    (void)session_vault_step(s, &ASK(vlt_Type_TIME_GET, vlt_Type_TIME, vlt_TimeGet, &get), on_time_told);
}

static void check_time(struct session *s, struct slice envelope)
{
    vlt_TimeCheck check = vlt_TimeCheck_init_zero;
    memcpy(check.distributor, s->account->distributor.bytes, ID_BYTES);
    check.has_tls_key = true;
    memcpy(check.tls_key, peer_key(s->peer), sizeof(check.tls_key));
    if (CODEC_SET_BYTES(check.time, envelope) != 0)
        session_hang_up(s, REASON_MALFORMED, NULL);
    else
        (void)session_vault_step(s, &ASK(vlt_Type_TIME_CHECK, vlt_Type_DONE, vlt_TimeCheck, &check), on_time_checked);
}

/* Who answers is somebody else than who was asked for, as of a mistyped ID: said, with what it calls itself. NULL: it is not that. */
static const char *tell_other(const struct session *s, char out[OTHER_BYTES])
{
    doc_Keyset *keyset CLEANUP(freep) = malloc(sizeof(*keyset));
    struct id signer;
    char name[CONFIG_LABEL_BYTES], short_id[ID_SHORT_BYTES];
    if (keyset == NULL || document_open_keyset(buf_slice(&s->greet.keyset), keyset, &signer) != 0 ||
        id_equal(keyset->distributor, s->account->distributor.bytes))
        return NULL;
    id_short(keyset->distributor, short_id);
    (void)snprintf(
        out, OTHER_BYTES,
        "Another distributor than that of this ID answers there: it calls itself %s, and its ID begins with %s.",
        text_safe(keyset->name, name, sizeof(name)), short_id);
    return out;
}

static void on_keyset_checked(const struct answer *answer, void *ctx)
{
    struct session *s = session_step_end(ctx);
    if (s == NULL)
        return;
    enum reason why = answer->why;
    if (why == REASON_NONE)
        why = reason_of_error(keep_keyset(s->account, buf_slice(&s->greet.keyset)));
    if (why == REASON_NONE)
        peer_set_tail_max(s->peer, FRAME_TAIL_MAX);
    char other[OTHER_BYTES];
    const char *detail = why == REASON_KEYSET_INVALID ? tell_other(s, other) : NULL;
    if (detail == NULL && answer->refusal != NULL)
        detail = answer->refusal->text;
    greet_checked(&s->greet, why, detail, clock_mono_ms(s->daemon->clock));
    session_greet_step(s);
}

/* --- A login token, when the vault has one (S61, S113) --- */

static void on_proof(const struct answer *answer, void *ctx)
{
    struct session *s = session_step_end(ctx);
    vlt_LoginProof proof;
    if (s == NULL)
        return;
    msg_LoginProve prove;
    bool has = answer->why == REASON_NONE && CODEC_DECODE(vlt_LoginProof, answer->frame->message, &proof) == 0;
    if (has) {
        memcpy(prove.key, proof.key, sizeof(prove.key));
        memcpy(prove.proof, proof.proof, sizeof(prove.proof));
    } else if (answer->why != REASON_LOGIN_NEEDED) {
        log_warn("%s: the login was not proved reason=%s", session_label(s), reason_code(answer->why));
    }
    greet_proved(&s->greet, has ? &prove : NULL, clock_mono_ms(s->daemon->clock));
    session_greet_step(s);
}

static void prove_login(struct session *s, struct slice challenge)
{
    vlt_LoginProve prove;
    memcpy(prove.distributor, s->account->distributor.bytes, ID_BYTES);
    memcpy(prove.challenge, challenge.data, sizeof(prove.challenge));
    (void)session_vault_step(s, &ASK(vlt_Type_LOGIN_PROVE, vlt_Type_LOGIN_PROOF, vlt_LoginProve, &prove), on_proof);
}

static void ask_keyset(struct session *s, struct slice envelope, answer_fn on_answer)
{
    vlt_KeysetCheck check = { .has_tls_key = true };
    memcpy(check.distributor, s->account->distributor.bytes, ID_BYTES);
    memcpy(check.tls_key, peer_key(s->peer), sizeof(check.tls_key));
    struct ask ask = ASK(vlt_Type_KEYSET_CHECK, vlt_Type_KEYSET_CHECKED, vlt_KeysetCheck, &check);
    ask.tail = envelope;
    (void)session_vault_step(s, &ask, on_answer);
}

static void on_new_keyset(const struct answer *answer, void *ctx)
{
    struct session *s = session_step_end(ctx);
    if (s == NULL)
        return;
    enum reason why = answer->why;
    if (why == REASON_NONE)
        why = reason_of_error(keep_keyset(s->account, buf_slice(&s->greet.keyset)));
    if (why !=
        REASON_NONE) { /* this connection's key may be the one that was withdrawn: what the next one shows decides */
        log_warn("%s: a new keyset was not taken reason=%s", session_label(s), reason_code(why));
        session_hang_up(s, REASON_OFFLINE, NULL);
        return;
    }
    peer_resume(s->peer);
}

/* The distributor has changed its keys: judged as the first one was, by the vault. What follows it here may be signed with them. */
static void take_new_keyset(struct session *s, struct slice envelope)
{
    buf_clear(&s->greet.keyset);
    if (buf_append(&s->greet.keyset, envelope) != 0) {
        session_hang_up(s, REASON_OFFLINE, NULL);
        return;
    }
    peer_pause(s->peer);
    ask_keyset(s, buf_slice(&s->greet.keyset), on_new_keyset);
}

/* --- The connection --- */

static bool on_welcome(struct peer *p, const struct frame *reply, enum reason why, void *ctx)
{
    struct session *s = ctx;
    (void)p;
    if (reply == NULL && why != REASON_TIMED_OUT)
        return false; /* on_closed follows */
    greet_reply(&s->greet, reply, why, clock_mono_ms(s->daemon->clock));
    session_greet_step(s);
    return false;
}

static void send_greeting(struct session *s, uint16_t type, struct slice message)
{
    int r = peer_request(s->peer, type, NULL, &message, slice(NULL, 0), GREET_STEP_MS, on_welcome, s, NULL);
    if (r != 0)
        session_hang_up(s, reason_of_error(r), NULL);
}

static void on_greeting_late(uv_timer_t *timer)
{
    struct session *s = timer->data;
    greet_late(&s->greet, clock_mono_ms(s->daemon->clock));
    session_greet_step(s);
}

static void arm(struct session *s)
{
    int64_t deadline_ms = greet_deadline_ms(&s->greet), now_ms = clock_mono_ms(s->daemon->clock);
    if (s->state != SESSION_GREETING)
        return;
    if (deadline_ms == INT64_MAX)
        uv_timer_stop(&s->timer);
    else
        (void)uv_timer_start(&s->timer, on_greeting_late, deadline_ms > now_ms ? (uint64_t)(deadline_ms - now_ms) : 0,
                             0);
}

void session_greet_step(struct session *s)
{
    struct greet_action a = greet_next(&s->greet);
    switch (a.kind) {
    case GREET_WAIT:
        break;
    case GREET_CHECK_KEYSET:
        ask_keyset(s, a.message, on_keyset_checked);
        break;
    case GREET_SEND:
        send_greeting(s, msg_Type_HELLO, a.message);
        break;
    case GREET_PROVE_LOGIN:
        prove_login(s, a.message);
        break;
    case GREET_SEND_PROOF:
        send_greeting(s, msg_Type_LOGIN_PROVE, a.message);
        break;
    case GREET_CHECK_TIME:
        check_time(s, a.message);
        break;
    case GREET_CHECK_STANDING:
        session_check_standing(s, a.message);
        break;
    case GREET_SEND_STATEMENT:
        send_greeting(s, msg_Type_PRESENT, a.message);
        break;
    case GREET_SEND_CATCH_UP:
        send_greeting(s, msg_Type_CATCH_UP_GET, a.message);
        break;
    case GREET_TAKE_PAGE:
        session_take_page(s, a.message);
        break;
    case GREET_DONE:
        become_ready(s);
        return; /* it may be another one's by now */
    case GREET_HANG_UP:
        session_hang_up(s, a.why, a.detail);
        return;
    }
    arm(s);
}

static void on_frame(struct peer *p, const struct frame *f, void *ctx)
{
    struct session *s = ctx;
    if (greet_frame(&s->greet, f)) {
        if (s->state == SESSION_GREETING)
            session_greet_step(s);
    } else if (s->state == SESSION_READY && f->type == msg_Type_ROSTER_CHANGED) {
        session_fetch_roster(s);
    } else if (s->state == SESSION_READY && f->type == msg_Type_QUEUE_CHANGED) {
        queued_ready(s->account);
    } else if (s->state == SESSION_READY && f->type == msg_Type_KEYSET) {
        take_new_keyset(s, f->tail);
    } else if (s->state == SESSION_READY && f->request != 0 &&
               peer_refuse(p, f->request, REASON_NOT_PERMITTED, NULL) != 0) {
        session_hang_up(s, REASON_INTERNAL, NULL);
    }
}

static void on_open(struct peer *p, void *ctx)
{
    struct session *s = ctx;
    (void)p;
    greet_deinit(&s->greet);
    greet_init(&s->greet, s->daemon->generation, clock_mono_ms(s->daemon->clock));
    session_set_state(s, SESSION_GREETING);
    arm(s);
}

const struct peer_callbacks session_callbacks = { .on_open = on_open,
                                                  .on_frame = on_frame,
                                                  .on_closed = session_closed };
