/* The connection to one distributor, from the first dial to the last retry.
 *
 * Callbacks, in order: on_retry (timer: dials), on_open, on_frame (keyset), on_keyset_checked (vault), on_welcome,
 * on_time_checked (vault), then on_frame for pushes, on_roster and on_roster_checked, and on_closed, which waits and begins again. */
#include "daemon/session.h"

#include <stdlib.h>

#include "base/util.h"
#include "daemon/events.h"
#include "daemon/outbox.h"
#include "daemon/siblings.h"
#include "daemon/transact.h"
#include "daemon/vault_client.h"

#define LOG_MODULE "session"
#include "base/log.h"

#define DIAL_TIMEOUT_MS 10000
#define GREETING_TIMEOUT_MS 10000
#define IDLE_MS 60000
#define BACKOFF_MAX_MS 60000

struct waiting {
    struct ask_copy copy; /* fields NULL and type 0: only waits for the session to be ready */
    struct waiting *next;
    struct account *account; /* a reference */
};

struct session {
    struct account *account; /* owns the session */
    struct daemon *daemon;
    enum session_state state;
    struct peer *peer;
    uv_timer_t timer;
    uint32_t holds;   /* timer handle, peer, vault calls, requests: memory stays until none is left */
    uint32_t attempt; /* tells answers of an earlier connection from those of this one */
    uint32_t failures;
    bool closing;

    struct waiting *first, **last;
    struct buf keyset;
    bool known;
    uint64_t number;
    uint32_t server_bit;
    uint64_t roster_sequence; /* what the distributor has */
    bool roster_busy, roster_again;
    bool skew_known;
    int64_t skew_ms;
    enum reason failure;
    char failure_text[320];
};

/* One step of the greeting: remembers which connection it belongs to. */
struct step {
    struct session *session;
    uint32_t attempt;
};

/* --- States --- */

#define TO(s) (1u << (s))
static const unsigned transitions[] = {
    [SESSION_OFF] = TO(SESSION_DIALING) | TO(SESSION_WAITING),
    [SESSION_WAITING] = TO(SESSION_DIALING) | TO(SESSION_OFF),
    [SESSION_DIALING] = TO(SESSION_KEYSET) | TO(SESSION_WAITING) | TO(SESSION_OFF),
    [SESSION_KEYSET] = TO(SESSION_CHECKING) | TO(SESSION_WAITING) | TO(SESSION_OFF),
    [SESSION_CHECKING] = TO(SESSION_HELLO) | TO(SESSION_WAITING) | TO(SESSION_OFF),
    [SESSION_HELLO] = TO(SESSION_READY) | TO(SESSION_WAITING) | TO(SESSION_OFF),
    [SESSION_READY] = TO(SESSION_WAITING) | TO(SESSION_OFF),
};

static void set_state(struct session *s, enum session_state to)
{
    if (s->state == to)
        return;
    if (!(transitions[s->state] & TO(to))) {
        log_error("%s: from state %d to %d", s->account->name, (int)s->state, (int)to);
        abort();
    }
    s->state = to;
}

static void release(struct session *s)
{
    if (--s->holds > 0 || !s->closing)
        return;
    buf_free(&s->keyset);
    free(s);
}

static void waiting_free(struct waiting *w)
{
    ask_copy_deinit(&w->copy);
    account_unref(w->account);
    free(w);
}

static void answer_waiting(struct session *s, enum reason why, const char *detail)
{
    struct waiting *w = s->first;
    s->first = NULL;
    s->last = &s->first;
    while (w != NULL) {
        struct waiting *next = w->next;
        ask_copy_answer(&w->copy, NULL, why, detail);
        waiting_free(w);
        w = next;
    }
}

/* --- Failing and trying again --- */

/* Whatever kept the connection from being made is "offline" to a person; what the documents said is told as it is. */
static enum reason as_told(enum reason why)
{
    switch (why) {
    case REASON_KEYSET_INVALID:
    case REASON_SIGNATURE_INVALID:
    case REASON_MALFORMED:
    case REASON_CLOCK_UNTRUSTED:
    case REASON_DEVICE_REVOKED:
    case REASON_UNKNOWN_DEVICE:
    case REASON_RATE_LIMITED:
    case REASON_STORAGE_FULL:
        return why;
    case REASON_CANCELLED:
        return REASON_CANCELLED;
    default:
        return REASON_OFFLINE;
    }
}

static const char *label(const struct session *s)
{
    return s->account->name[0] != '\0' ? s->account->name : s->account->address;
}

static void note_failure(struct session *s, enum reason why, const char *detail)
{
    s->failure = as_told(why);
    if (s->failure == REASON_OFFLINE)
        (void)snprintf(s->failure_text, sizeof(s->failure_text), "%s cannot be reached at %s (%s).", label(s),
                       s->account->address, reason_code(why));
    else
        (void)snprintf(s->failure_text, sizeof(s->failure_text), "%s: %s", label(s),
                       detail != NULL ? detail : reason_text(why));
}

/* The attempt they waited for has failed. */
static void fail_waiting(struct session *s)
{
    char text[sizeof(s->failure_text)];
    memcpy(text, s->failure_text, sizeof(text)); /* the answers may start the next attempt */
    s->holds++;
    answer_waiting(s, s->failure, text);
    release(s);
}

static uint64_t backoff_ms(struct session *s)
{
    uint32_t shift = s->failures > 6 ? 6 : s->failures;
    uint64_t ms = u64_min(BACKOFF_MAX_MS, 1000ull << shift);
    uint8_t random;
    rng_fill(s->daemon->rng, &random, 1); /* many devices must not come back in step */
    return ms - ms / 5 + ms / 5 * random / 255;
}

static void on_retry(uv_timer_t *timer);

static void wait_again(struct session *s)
{
    if (s->closing || s->daemon->stopping || !s->account->registered) {
        set_state(s, SESSION_OFF);
        return;
    }
    set_state(s, SESSION_WAITING);
    (void)uv_timer_start(&s->timer, on_retry, backoff_ms(s), 0);
    s->failures++;
}

static void hang_up(struct session *s, enum reason why, const char *detail)
{
    log_info("%s: closing the session reason=%s", label(s), reason_code(why));
    note_failure(s, why, detail);
    if (s->peer != NULL)
        peer_close(s->peer, why);
}

static void on_closed(struct peer *p, enum reason why, void *ctx)
{
    struct session *s = ctx;
    bool was_ready = s->state == SESSION_READY;
    (void)p;
    s->peer = NULL;
    s->attempt++;
    s->roster_busy = s->roster_again = false;
    uv_timer_stop(&s->timer);
    if (s->closing) {
        release(s);
        return;
    }
    log_info("%s: the connection has ended reason=%s", label(s), reason_code(why));
    if (s->failure == REASON_NONE) /* else hang_up knew better */
        note_failure(s, why, NULL);
    if (was_ready)
        s->failures = 0;
    wait_again(s);
    if (was_ready) {
        event(s->daemon, "distributor-offline", "the session with %s has ended", label(s));
        if (s->first != NULL) /* whoever asked meanwhile waits for the next attempt */
            session_kick(s);
    } else {
        fail_waiting(s);
    }
    release(s);
}

/* --- The greeting --- */

static bool is_current(const struct step *step)
{
    return step->session->attempt == step->attempt && step->session->peer != NULL && !step->session->closing;
}

static struct step *step_new(struct session *s)
{
    struct step *step = malloc(sizeof(*step));
    if (step == NULL)
        return NULL;
    *step = (struct step){ s, s->attempt };
    s->holds++;
    return step;
}

/* Ends the step; the session when the connection is still the same one, else NULL (and *s may be gone). */
static struct session *step_end(struct step *step)
{
    struct session *s = is_current(step) ? step->session : NULL;
    release(step->session);
    free(step);
    return s;
}

static bool vault_step(struct session *s, const struct ask *ask, answer_fn on_answer)
{
    struct step *step = step_new(s);
    if (step != NULL && vault_call(s->daemon->vault, ask, on_answer, step) == 0)
        return true;
    if (step != NULL)
        (void)step_end(step);
    hang_up(s, REASON_INTERNAL, NULL);
    return false;
}

static void send_waiting(struct session *s);
static void fetch_roster(struct session *s);

static void become_ready(struct session *s)
{
    struct account *a = s->account;
    uv_timer_stop(&s->timer);
    set_state(s, SESSION_READY);
    s->failures = 0;
    s->failure = REASON_NONE;
    peer_set_idle_ms(s->peer, IDLE_MS);
    if (a->registered && !s->known)
        event(s->daemon, "unknown-device", "%s does not know this device any more; register again", label(s));
    else if (a->registered)
        event(s->daemon, "distributor-online", "%s is connected", label(s));

    (void)account_ref(a);
    send_waiting(s);
    if (a->registered && s->known && s->state == SESSION_READY) {
        if (a->roster == NULL || s->roster_sequence > a->roster->sequence)
            fetch_roster(s);
        transact_ready(a->transact);
        outbox_ready(a);
    }
    account_unref(a);
}

static void on_time_checked(const struct answer *answer, void *ctx)
{
    struct session *s = step_end(ctx);
    if (s == NULL)
        return;
    if (answer->why != REASON_NONE) /* the vault judges each use of a license by itself */
        log_warn("%s: its time was not taken reason=%s", label(s), answer->refusal->code);
    become_ready(s);
}

static void note_skew(struct session *s, struct slice envelope)
{
    doc_SignedTime time;
    uint8_t signer[32];
    s->skew_known = false;
    if (document_open(DOCUMENT_TIME, envelope, &time, sizeof(time), signer) != 0)
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
        hang_up(s, why, refusal.text[0] != '\0' ? refusal.text : NULL);
        return false;
    }
    s->known = welcome.registered;
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
        hang_up(s, REASON_MALFORMED, NULL);
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
    struct session *s = step_end(ctx);
    if (s == NULL)
        return;
    if (answer->why != REASON_NONE) {
        hang_up(s, answer->why, answer->refusal->text);
        return;
    }
    int r = keep_keyset(s->account, buf_slice(&s->keyset));
    buf_free(&s->keyset);
    if (r != 0) {
        hang_up(s, reason_of_error(r), NULL);
        return;
    }
    /* Only now may anything be sent: keyset, root and this connection's key belong together. */
    set_state(s, SESSION_HELLO);
    peer_set_tail_max(s->peer, FRAME_TAIL_MAX);
    msg_Hello hello = { .role = 1, .generation = s->daemon->generation };
    r = peer_request(s->peer, msg_Type_HELLO, msg_Hello_fields, &hello, slice(NULL, 0), GREETING_TIMEOUT_MS, on_welcome,
                     s, NULL);
    if (r != 0)
        hang_up(s, reason_of_error(r), NULL);
}

static void take_keyset(struct session *s, const struct frame *f)
{
    vlt_KeysetCheck check = { .has_tls_key = true };
    s->keyset.max_bytes = FRAME_TAIL_MAX;
    buf_clear(&s->keyset);
    if (f->type != msg_Type_KEYSET || f->message.len != 0 || f->tail.len == 0 || buf_append(&s->keyset, f->tail) != 0) {
        hang_up(s, REASON_MALFORMED, NULL);
        return;
    }
    set_state(s, SESSION_CHECKING);
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
        fetch_roster(s);
    else if (s->state == SESSION_READY && f->request != 0 &&
             peer_refuse(p, f->request, REASON_NOT_PERMITTED, NULL) != 0)
        hang_up(s, REASON_INTERNAL, NULL);
    else if (s->state != SESSION_READY)
        hang_up(s, REASON_MALFORMED, NULL);
}

static void on_greeting_late(uv_timer_t *timer) { hang_up(timer->data, REASON_TIMED_OUT, NULL); }

static void on_open(struct peer *p, void *ctx)
{
    struct session *s = ctx;
    (void)p;
    set_state(s, SESSION_KEYSET);
    (void)uv_timer_start(&s->timer, on_greeting_late, 2 * GREETING_TIMEOUT_MS, 0);
}

static const struct peer_callbacks callbacks = { .on_open = on_open, .on_frame = on_frame, .on_closed = on_closed };

static void dial(struct session *s)
{
    uv_timer_stop(&s->timer);
    set_state(s, SESSION_DIALING);
    s->failure = REASON_NONE;
    /* The key of the connection is an operational one; the keyset ties it to the distributor. */
    int r = peer_dial(&s->peer, s->daemon->loop, s->daemon->identity, s->account->address, NULL, DIAL_TIMEOUT_MS,
                      &callbacks, s);
    if (r == 0) {
        s->holds++;
        return;
    }
    s->peer = NULL;
    note_failure(s, reason_of_error(r), NULL);
    wait_again(s);
    fail_waiting(s);
}

static void on_retry(uv_timer_t *timer)
{
    struct session *s = timer->data;
    if (s->state == SESSION_WAITING)
        dial(s);
}

/* --- The roster --- */

static void on_roster_checked(const struct answer *answer, void *ctx)
{
    struct step *step = ctx;
    struct session *kept = step->session;
    struct buf envelope = buf(0);
    bool current = is_current(step), again = current && kept->roster_again;
    if (current)
        kept->roster_busy = kept->roster_again = false;
    if (current && answer->why == REASON_NONE) {
        envelope = kept->keyset; /* the envelope was parked here while the vault looked at it */
        kept->keyset = buf(FRAME_TAIL_MAX);
        int r = account_set_roster(kept->account, buf_slice(&envelope));
        if (r != 0)
            log_warn("%s: its roster was not taken outcome=%d", label(kept), r);
        buf_free(&envelope);
    } else if (current) {
        log_warn("%s: its roster was refused reason=%s", label(kept), answer->refusal->code);
    }
    struct session *s = step_end(step);
    if (s != NULL && again)
        fetch_roster(s);
}

static bool on_roster(struct peer *p, const struct frame *reply, enum reason why, void *ctx)
{
    struct session *s = ctx;
    (void)p;
    if (s->closing)
        return false;
    if (reply == NULL || (why = peer_refusal(reply, msg_Type_ROSTER, NULL)) != REASON_NONE || reply->tail.len == 0) {
        log_info("%s: no roster reason=%s", label(s), reason_code(why));
        s->roster_busy = s->roster_again = false;
        return false;
    }
    buf_clear(&s->keyset);
    s->keyset.max_bytes = FRAME_TAIL_MAX;
    vlt_RosterCheck check;
    memcpy(check.distributor, s->account->distributor.bytes, ID_BYTES);
    struct ask ask = ASK(vlt_Type_ROSTER_CHECK, vlt_Type_DONE, vlt_RosterCheck, &check);
    ask.tail = reply->tail;
    struct step *step = buf_append(&s->keyset, reply->tail) == 0 ? step_new(s) : NULL;
    if (step != NULL && vault_call(s->daemon->vault, &ask, on_roster_checked, step) == 0)
        return false;
    if (step != NULL)
        (void)step_end(step);
    s->roster_busy = false;
    return false;
}

static void fetch_roster(struct session *s)
{
    if (s->roster_busy) {
        s->roster_again = true;
        return;
    }
    s->roster_busy =
        peer_request(s->peer, msg_Type_ROSTER_GET, NULL, NULL, slice(NULL, 0), ASK_TIMEOUT_MS, on_roster, s, NULL) == 0;
}

/* --- Calls --- */

static bool on_reply(struct peer *p, const struct frame *reply, enum reason why, void *ctx)
{
    struct waiting *w = ctx;
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

static void send_one(struct session *s, struct waiting *w)
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

static void send_waiting(struct session *s)
{
    s->holds++;
    while (s->state == SESSION_READY && s->first != NULL) {
        struct waiting *w = s->first;
        s->first = w->next;
        if (s->first == NULL)
            s->last = &s->first;
        send_one(s, w);
    }
    release(s);
}

static void on_send(uv_timer_t *timer) { send_waiting(timer->data); }

static int enqueue(struct account *a, const struct ask *ask, answer_fn on_answer, void *ctx)
{
    struct session *s = a->session;
    if (s == NULL || s->closing)
        return -ECANCELED;
    struct waiting *w = calloc(1, sizeof(*w));
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
    struct waiting *w = calloc(1, sizeof(*w));
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

/* --- Life --- */

static void on_timer_closed(uv_handle_t *handle) { release(handle->data); }

int session_new(struct session **out, struct account *a)
{
    struct session *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return -ENOMEM;
    s->account = a;
    s->daemon = a->daemon;
    s->last = &s->first;
    s->keyset = buf(FRAME_TAIL_MAX);
    s->holds = 1;
    (void)uv_timer_init(a->daemon->loop, &s->timer); /* cannot fail */
    s->timer.data = s;
    *out = s;
    return 0;
}

void session_start(struct session *s)
{
    if (s->state != SESSION_OFF)
        return;
    set_state(s, SESSION_WAITING);
    (void)uv_timer_start(&s->timer, on_retry, 0, 0);
}

void session_kick(struct session *s)
{
    if (s->closing || s->daemon->stopping)
        return;
    if (s->state == SESSION_OFF)
        set_state(s, SESSION_WAITING);
    if (s->state == SESSION_WAITING)
        (void)uv_timer_start(&s->timer, on_retry, 0, 0);
}

void session_restart(struct session *s)
{
    if (s->peer != NULL)
        peer_close(s->peer, REASON_CANCELLED);
    s->failures = 0;
    session_kick(s);
}

void session_free(struct session *s)
{
    if (s == NULL || s->closing)
        return;
    s->closing = true;
    answer_waiting(s, REASON_CANCELLED, NULL);
    if (s->peer != NULL)
        peer_close(s->peer, REASON_CANCELLED);
    uv_close((uv_handle_t *)&s->timer, on_timer_closed);
}

struct peer *session_peer(struct account *a)
{
    return a->session != NULL && a->session->state == SESSION_READY ? a->session->peer : NULL;
}

enum session_state session_state(const struct session *s) { return s->state; }
bool session_is_ready(const struct session *s) { return s->state == SESSION_READY; }
bool session_knows_us(const struct session *s) { return s->state == SESSION_READY && s->known; }
uint64_t session_number(const struct session *s) { return s->number; }
uint32_t session_server_bit(const struct session *s) { return s->server_bit; }

enum reason session_failure(const struct session *s, const char **text)
{
    *text = s->failure_text;
    return s->failure;
}

bool session_clock_skew_ms(const struct session *s, int64_t *skew_ms)
{
    *skew_ms = s->skew_ms;
    return s->skew_known;
}

void session_registered(struct session *s, uint64_t number, uint32_t bit, uint64_t roster_sequence)
{
    s->known = true;
    s->number = number;
    s->server_bit = bit;
    s->roster_sequence = roster_sequence;
    if (s->state == SESSION_READY) {
        fetch_roster(s);
        transact_ready(s->account->transact);
        outbox_ready(s->account);
    }
}
