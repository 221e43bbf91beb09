/* Life of a session: states, dialing, failing, trying again. Not here: the greeting (session_greet.c), calls (session_call.c).
 *
 * Callbacks, in order: on_retry (timer: dials), those of session_greet.c, session_closed, which waits and begins again. */
#include "daemon/session_internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/util.h"
#include "daemon/events.h"
#include "daemon/outbox.h"
#include "daemon/transact.h"
#include "daemon/vault_client.h"

#define LOG_MODULE "session"
#include "base/log.h"

#define DIAL_TIMEOUT_MS 10000
#define BACKOFF_MAX_MS 60000

/* --- States --- */

#define TO(s) (1u << (s))
static const unsigned transitions[] = {
    [SESSION_OFF] = TO(SESSION_DIALING) | TO(SESSION_WAITING),
    [SESSION_WAITING] = TO(SESSION_DIALING) | TO(SESSION_OFF),
    [SESSION_DIALING] = TO(SESSION_GREETING) | TO(SESSION_WAITING) | TO(SESSION_OFF),
    [SESSION_GREETING] = TO(SESSION_READY) | TO(SESSION_WAITING) | TO(SESSION_OFF),
    [SESSION_READY] = TO(SESSION_ENDING) | TO(SESSION_WAITING) | TO(SESSION_OFF),
    [SESSION_ENDING] = TO(SESSION_WAITING) | TO(SESSION_OFF),
};

void session_set_state(struct session *s, enum session_state to)
{
    if (s->state == to)
        return;
    if (!(transitions[s->state] & TO(to))) {
        log_error("%s: from state %d to %d", s->account->name, (int)s->state, (int)to);
        abort();
    }
    s->state = to;
}

void session_release(struct session *s)
{
    if (--s->holds > 0 || !s->closing)
        return;
    greet_deinit(&s->greet);
    buf_free(&s->roster);
    free(s);
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

const char *session_label(const struct session *s)
{
    return s->account->name[0] != '\0' ? s->account->name : s->account->address;
}

void session_note_failure(struct session *s, enum reason why, const char *detail)
{
    s->failure = as_told(why);
    const char *label = session_label(s), *address = s->account->address;
    bool named = strcmp(label, address) != 0, told = why != REASON_OFFLINE;
    if (s->failure == REASON_OFFLINE)
        (void)snprintf(s->failure_text, sizeof(s->failure_text), "%s cannot be reached%s%s%s%s%s.", label,
                       named ? " at " : "", named ? address : "", told ? " (" : "", told ? reason_code(why) : "",
                       told ? ")" : "");
    else
        (void)snprintf(s->failure_text, sizeof(s->failure_text), "%s: %s", session_label(s),
                       detail != NULL ? detail : reason_text(why));
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
    if (s->closing || s->daemon->stopping || !(s->account->registered || s->account->kept)) {
        session_set_state(s, SESSION_OFF);
        s->at_once = false;
        return;
    }
    session_set_state(s, SESSION_WAITING);
    (void)uv_timer_start(&s->timer, on_retry, s->at_once ? 0 : backoff_ms(s), 0);
    s->at_once = false;
    s->failures++;
}

static void end_connection(struct session *s, enum reason why)
{
    if (s->peer == NULL)
        return;
    if (s->state == SESSION_READY) {
        uv_timer_stop(&s->timer);
        session_set_state(s, SESSION_ENDING); /* who calls now waits for the next connection */
    }
    peer_close(s->peer, why);
}

void session_hang_up(struct session *s, enum reason why, const char *detail)
{
    log_info("%s: closing the session reason=%s", session_label(s), reason_code(why));
    session_note_failure(s, why, detail);
    end_connection(s, why);
}

void session_closed(struct peer *p, enum reason why, void *ctx)
{
    struct session *s = ctx;
    bool was_ready = s->state == SESSION_READY || s->state == SESSION_ENDING, restarted = s->at_once;
    (void)p;
    s->peer = NULL;
    s->attempt++;
    s->roster_busy = s->roster_again = s->presenting = s->present_again = false;
    uv_timer_stop(&s->timer);
    if (s->closing) {
        session_release(s);
        return;
    }
    log_info("%s: the connection has ended reason=%s", session_label(s), reason_code(why));
    if (s->failure == REASON_NONE) /* else hang_up knew better */
        session_note_failure(s, why, NULL);
    if (was_ready)
        s->failures = 0;
    wait_again(s);
    if (s->told && !(was_ready && restarted)) { /* one that is begun anew is no news */
        event(s->daemon, "distributor-offline", "the session with %s has ended", session_label(s));
        s->told = false;
    }
    if (!was_ready && !restarted)
        session_fail_waiting(s);
    else if (s->first != NULL) /* whoever asked meanwhile waits for the next attempt */
        session_kick(s);
    session_release(s);
}

static void dial(struct session *s)
{
    uv_timer_stop(&s->timer);
    session_set_state(s, SESSION_DIALING);
    s->failure = REASON_NONE;
    vault_refresh(s->daemon->vault); /* HELLO carries its generation */
    /* The key of the connection is an operational one; the keyset ties it to the distributor. */
    int r = peer_dial(&s->peer, s->daemon->loop, s->daemon->identity, s->account->address, NULL, DIAL_TIMEOUT_MS,
                      &session_callbacks, s);
    if (r == 0) {
        s->holds++;
        return;
    }
    s->peer = NULL;
    session_note_failure(s, reason_of_error(r), NULL);
    wait_again(s);
    session_fail_waiting(s);
}

static void on_retry(uv_timer_t *timer)
{
    struct session *s = timer->data;
    if (s->state == SESSION_WAITING)
        dial(s);
}

/* --- Life --- */

static void on_timer_closed(uv_handle_t *handle) { session_release(handle->data); }

int session_new(struct session **out, struct account *a)
{
    struct session *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return -ENOMEM;
    s->account = a;
    s->daemon = a->daemon;
    s->last = &s->first;
    s->roster = buf(FRAME_TAIL_MAX);
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
    session_set_state(s, SESSION_WAITING);
    (void)uv_timer_start(&s->timer, on_retry, 0, 0);
}

void session_kick(struct session *s)
{
    if (s->closing || s->daemon->stopping)
        return;
    if (s->state == SESSION_OFF)
        session_set_state(s, SESSION_WAITING);
    if (s->state == SESSION_WAITING)
        (void)uv_timer_start(&s->timer, on_retry, 0, 0);
}

void session_restart(struct session *s)
{
    s->failures = 0;
    s->at_once = s->peer != NULL;
    end_connection(s, REASON_CANCELLED);
    session_kick(s);
}

void session_free(struct session *s)
{
    if (s == NULL || s->closing)
        return;
    s->closing = true;
    session_answer_waiting(s, REASON_CANCELLED, NULL);
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
bool session_may_transact(const struct session *s)
{
    return session_knows_us(s) || (s->state == SESSION_READY && s->account->guest && s->number != 0);
}
uint64_t session_number(const struct session *s) { return s->number; }
uint32_t session_server_bit(const struct session *s) { return s->server_bit; }

enum reason session_failure(const struct session *s, const char **text)
{
    *text = s->failure_text;
    return s->failure;
}

void session_forgotten(struct session *s)
{
    if (!s->account->registered || s->forgotten)
        return;
    s->known = false;
    s->forgotten = true;
    event(s->daemon, "unknown-device", "%s has removed this device from the account; register again", session_label(s));
}

bool session_vault_is_behind(const struct session *s)
{
    return s->state == SESSION_READY && greet_is_behind(&s->greet);
}

bool session_is_forgotten(const struct session *s) { return s->forgotten; }

void session_registered(struct session *s, uint64_t number, uint32_t bit, uint64_t roster_sequence)
{
    bool another = number != s->number;
    s->known = true;
    s->forgotten = false;
    s->number = number;
    s->server_bit = bit;
    s->roster_sequence = roster_sequence;
    if (s->state == SESSION_READY && another) {
        session_restart(
            s); /* it was forgotten, before it connected or since: this session has seen nothing of the vault yet */
    } else if (s->state == SESSION_READY) {
        session_fetch_roster(s);
        outbox_ready(s->account);
        transact_ready(s->account->transact);
    }
}
