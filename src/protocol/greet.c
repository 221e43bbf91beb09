/* Greetings: states, what is next, what came. */
#include "protocol/greet.h"

#include <assert.h>
#include <string.h>

/* ---- the device ---------------------------------------------------------------------------------------------- */

static bool may_become(enum greet_state from, enum greet_state to)
{
#define TO(state) (1u << (state))
    static const uint32_t table[GREET_STATE_COUNT] = {
        [GREET_KEYSET] = TO(GREET_CHECKING) | TO(GREET_FAILED),
        [GREET_CHECKING] = TO(GREET_HELLO) | TO(GREET_FAILED),
        [GREET_HELLO] = TO(GREET_TIME) | TO(GREET_FAILED),
        [GREET_TIME] = TO(GREET_TOKEN) | TO(GREET_STANDING) | TO(GREET_READY) | TO(GREET_FAILED),
        [GREET_TOKEN] = TO(GREET_PROVING) | TO(GREET_STANDING) | TO(GREET_READY) | TO(GREET_FAILED),
        [GREET_PROVING] = TO(GREET_STANDING) | TO(GREET_READY) | TO(GREET_FAILED),
        [GREET_STANDING] = TO(GREET_PRESENTING) | TO(GREET_FETCHING) | TO(GREET_READY) | TO(GREET_FAILED),
        [GREET_PRESENTING] = TO(GREET_READY) | TO(GREET_FAILED),
        [GREET_FETCHING] = TO(GREET_CATCHING) | TO(GREET_READY) | TO(GREET_FAILED),
        [GREET_CATCHING] = TO(GREET_FETCHING) | TO(GREET_STANDING) | TO(GREET_READY) | TO(GREET_FAILED),
        [GREET_READY] = TO(GREET_FAILED),
    };
#undef TO
    return (table[from] >> to & 1u) != 0;
}

static void set_state(struct greet *g, enum greet_state to)
{
    assert(may_become(g->state, to));
    g->state = to;
    g->given = false;
}

static void fail(struct greet *g, enum reason why, const char *detail)
{
    if (g->state == GREET_FAILED)
        return;
    set_state(g, GREET_FAILED);
    g->why = why;
    g->deadline_ms = INT64_MAX;
    CODEC_SET_TEXT(g->detail, detail != NULL ? detail : "");
}

void greet_init(struct greet *g, uint64_t generation, int64_t now_ms)
{
    *g = (struct greet){
        .state = GREET_KEYSET,
        .generation = generation,
        .keyset = buf(FRAME_TAIL_MAX),
        .message = buf(msg_CatchUpGet_size), /* the largest one */
        .page = buf(FRAME_TAIL_MAX),
        .deadline_ms = now_ms + GREET_STEP_MS,
    };
}

bool greet_is_behind(const struct greet *g) { return g->behind && !g->caught_up; }

void greet_deinit(struct greet *g)
{
    buf_free(&g->keyset);
    buf_free(&g->message);
    buf_free(&g->page);
}

static struct greet_action send(struct greet *g, enum greet_action_kind kind, const pb_msgdesc_t *fields,
                                const void *message)
{
    buf_clear(&g->message);
    if (codec_encode(&g->message, fields, message) != 0) {
        fail(g, REASON_INTERNAL, NULL);
        return greet_next(g);
    }
    return (struct greet_action){ .kind = kind, .message = buf_slice(&g->message) };
}

static struct greet_action ask_page(struct greet *g)
{
    msg_CatchUpGet m = msg_CatchUpGet_init_zero;
    memcpy(m.after, g->after, sizeof(m.after));
    if (CODEC_SET_BYTES(m.statement, CODEC_BYTES(g->statement.statement)) != 0)
        fail(g, REASON_INTERNAL, NULL);
    return g->state == GREET_FAILED ? greet_next(g) : send(g, GREET_SEND_CATCH_UP, msg_CatchUpGet_fields, &m);
}

struct greet_action greet_next(struct greet *g)
{
    if (g->given)
        return (struct greet_action){ .kind = GREET_WAIT };
    g->given = g->state != GREET_KEYSET;
    switch (g->state) {
    case GREET_CHECKING:
        return (struct greet_action){ .kind = GREET_CHECK_KEYSET, .message = buf_slice(&g->keyset) };
    case GREET_HELLO: /* only now may anything be sent: keyset, root and this connection's key belong together */
        return send(g, GREET_SEND, msg_Hello_fields,
                    &(msg_Hello){ .role = GREET_ROLE_DEVICE, .generation = g->generation });
    case GREET_TIME:
        return (struct greet_action){ .kind = GREET_CHECK_TIME, .message = CODEC_BYTES(g->welcome.time) };
    case GREET_TOKEN:
        return (struct greet_action){ .kind = GREET_PROVE_LOGIN, .message = SLICE_ARRAY(g->welcome.login_challenge) };
    case GREET_PROVING:
        return send(g, GREET_SEND_PROOF, msg_LoginProve_fields, &g->proof);
    case GREET_STANDING:
        return (struct greet_action){ .kind = GREET_CHECK_STANDING, .message = CODEC_BYTES(g->welcome.standing) };
    case GREET_PRESENTING:
        return send(g, GREET_SEND_STATEMENT, msg_Present_fields, &g->statement);
    case GREET_FETCHING:
        return ask_page(g);
    case GREET_CATCHING:
        return (struct greet_action){ .kind = GREET_TAKE_PAGE, .message = buf_slice(&g->page) };
    case GREET_READY:
        return (struct greet_action){ .kind = GREET_DONE };
    case GREET_FAILED:
        return (struct greet_action){ .kind = GREET_HANG_UP,
                                      .why = g->why,
                                      .detail = g->detail[0] != '\0' ? g->detail : NULL };
    default:
        return (struct greet_action){ .kind = GREET_WAIT };
    }
}

bool greet_frame(struct greet *g, const struct frame *f)
{
    if (f->type == msg_Type_REFUSAL && f->request == 0)
        return true; /* says why the other end closes */
    if (g->state == GREET_READY)
        return false;
    if (g->state >= GREET_TIME && g->state < GREET_READY && f->type == msg_Type_ROSTER_CHANGED && f->request == 0) {
        g->roster_changed = true; /* for the distributor we are greeted already */
        return true;
    }
    if (g->state != GREET_KEYSET || f->type != msg_Type_KEYSET || f->message.len != 0 || f->tail.len == 0 ||
        buf_append(&g->keyset, f->tail) != 0)
        fail(g, REASON_MALFORMED, NULL);
    else
        set_state(g, GREET_CHECKING);
    return true;
}

void greet_checked(struct greet *g, enum reason why, const char *detail, int64_t now_ms)
{
    if (g->state != GREET_CHECKING)
        return;
    if (why != REASON_NONE) {
        fail(g, why, detail);
        return;
    }
    set_state(g, GREET_HELLO);
    g->deadline_ms = now_ms + GREET_STEP_MS;
}

/* What the vault is asked has no deadline of its own. */
static void logged_in(struct greet *g)
{
    g->deadline_ms = INT64_MAX;
    set_state(g, g->welcome.has_standing && g->welcome.session != 0 ? GREET_STANDING : GREET_READY);
}

static void timed(struct greet *g)
{
    g->deadline_ms = INT64_MAX;
    /* A guest, too, may have logged in (for the account it is linked with): whoever has a session is known there. */
    if (g->welcome.session != 0 && g->welcome.has_login_challenge)
        set_state(g, GREET_TOKEN);
    else
        logged_in(g);
}

static void welcomed(struct greet *g)
{
    g->deadline_ms = INT64_MAX;
    set_state(g, GREET_TIME); /* also without its word: the keyset is judged once more, by what time it is */
}

static void judged_login(struct greet *g, const struct frame *reply, enum reason why)
{
    if (reply == NULL) { /* the connection goes: whoever lost it says so */
        fail(g, why == REASON_NONE ? REASON_OFFLINE : why, NULL);
        return;
    }
    g->logged_in = reason_of_reply(reply, msg_Type_OK, NULL) == REASON_NONE;
    g->login_refused = !g->logged_in;
    logged_in(g);
}

/* What is refused here keeps the rest of the session as it is: only transactions are not taken. */
static void become_ready(struct greet *g)
{
    g->deadline_ms = INT64_MAX;
    set_state(g, GREET_READY);
}

static void judged_statement(struct greet *g, const struct frame *reply, enum reason why)
{
    if (reply == NULL) {
        fail(g, why == REASON_NONE ? REASON_OFFLINE : why, NULL);
        return;
    }
    msg_Presented taken;
    msg_Refusal refusal = msg_Refusal_init_zero;
    enum reason refused = reason_of_reply(reply, msg_Type_PRESENTED, &refusal);
    if (refused == REASON_STORAGE_FULL || refused == REASON_TIMED_OUT) {
        fail(g, refused, refusal.text); /* it said nothing of the vault: again later, or no transaction is ever taken */
        return;
    }
    g->presented = refused == REASON_NONE && CODEC_DECODE(msg_Presented, reply->message, &taken) == 0 &&
                   CODEC_SET_BYTES(g->welcome.standing, CODEC_BYTES(taken.standing)) == 0;
    become_ready(g);
}

static void got_page(struct greet *g, const struct frame *reply, enum reason why)
{
    if (reply == NULL) {
        fail(g, why == REASON_NONE ? REASON_OFFLINE : why, NULL);
        return;
    }
    buf_clear(&g->page);
    if (reason_of_reply(reply, msg_Type_CATCH_UP, NULL) != REASON_NONE || buf_append(&g->page, reply->tail) != 0) {
        become_ready(g);
        return;
    }
    g->deadline_ms = INT64_MAX;
    set_state(g, GREET_CATCHING);
}

void greet_reply(struct greet *g, const struct frame *reply, enum reason why, int64_t now_ms)
{
    msg_Refusal refusal = msg_Refusal_init_zero;
    (void)now_ms;
    if (g->given && (g->state == GREET_PROVING || g->state == GREET_PRESENTING || g->state == GREET_FETCHING)) {
        (g->state == GREET_PROVING      ? judged_login
         : g->state == GREET_PRESENTING ? judged_statement
                                        : got_page)(g, reply, why);
        return;
    }
    if (g->state != GREET_HELLO || !g->given)
        return;
    why = reply != NULL        ? reason_of_reply(reply, msg_Type_WELCOME, &refusal)
          : why == REASON_NONE ? REASON_OFFLINE
                               : why;
    if (why == REASON_NONE && CODEC_DECODE(msg_Welcome, reply->message, &g->welcome) != 0)
        why = REASON_MALFORMED;
    if (why != REASON_NONE)
        fail(g, why, refusal.text[0] != '\0' ? refusal.text : NULL);
    else
        welcomed(g);
}

void greet_timed(struct greet *g)
{
    if (g->state == GREET_TIME)
        timed(g);
}

void greet_proved(struct greet *g, const msg_LoginProve *proof, int64_t now_ms)
{
    if (g->state != GREET_TOKEN)
        return;
    if (proof == NULL) {
        logged_in(g);
        return;
    }
    g->proof = *proof;
    set_state(g, GREET_PROVING);
    g->deadline_ms = now_ms + GREET_STEP_MS;
}

void greet_stood(struct greet *g, const msg_Present *statement, bool current, int64_t now_ms)
{
    if (g->state != GREET_STANDING)
        return;
    g->behind = g->behind || (statement != NULL && !current);
    if (statement == NULL || (!current && g->caught_up)) { /* once is enough: it would go on for ever */
        become_ready(g);
        return;
    }
    g->statement = *statement;
    memset(g->after, 0, sizeof(g->after));
    set_state(g, current ? GREET_PRESENTING : GREET_FETCHING);
    g->deadline_ms = now_ms + GREET_STEP_MS;
}

void greet_page_taken(struct greet *g, const uint8_t after[49], bool done, int64_t now_ms)
{
    if (g->state != GREET_CATCHING)
        return;
    buf_free(&g->page); /* not needed for the life of the session */
    g->page = buf(FRAME_TAIL_MAX);
    if (after == NULL) {
        become_ready(g);
        return;
    }
    g->caught_up = done;
    memcpy(g->after, after, sizeof(g->after));
    set_state(g, done ? GREET_STANDING : GREET_FETCHING);
    g->deadline_ms = done ? INT64_MAX : now_ms + GREET_STEP_MS;
}

int64_t greet_deadline_ms(const struct greet *g) { return g->deadline_ms; }

void greet_late(struct greet *g, int64_t now_ms)
{
    if (now_ms >= g->deadline_ms && g->state != GREET_READY)
        fail(g, REASON_TIMED_OUT, NULL);
}

/* ---- the distributor ----------------------------------------------------------------------------------------- */

enum greet_verdict greet_server_frame(enum greet_server_state *s, uint16_t type, const char **detail)
{
    *detail = NULL;
    if (*s == GREET_SERVER_STRANGER && type == msg_Type_HELLO) {
        *s = GREET_SERVER_JUDGING;
        return GREET_JUDGE;
    }
    if (*s == GREET_SERVER_STRANGER || type == msg_Type_HELLO) {
        *detail =
            type == msg_Type_HELLO ? "This connection has greeted already." : "The first message has to be a greeting.";
        return GREET_REFUSE;
    }
    return *s == GREET_SERVER_READY ? GREET_SERVE : GREET_QUEUE;
}

bool greet_server_judged(enum greet_server_state *s)
{
    if (*s != GREET_SERVER_JUDGING)
        return false;
    *s = GREET_SERVER_READY;
    return true;
}
