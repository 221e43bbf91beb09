/* The part of the greeting about restored vaults: shows the vault what the distributor knows of it, and brings it what it forgot. hearthd carries
 * signed documents both ways; which state the vault is in, vault and distributor judge.
 *
 * Callbacks, in order: on_stood (vault), then, when it is behind, on_page_taken (vault) for each page and on_stood again. In a ready session,
 * whenever the vault has changed: on_said (vault), on_presented. */
#include "daemon/session_internal.h"

#include "daemon/events.h"
#include "daemon/transact.h"
#include "daemon/vault_client.h"

#define LOG_MODULE "session"
#include "base/log.h"

static void on_stood(const struct answer *answer, void *ctx)
{
    struct session *s = session_step_end(ctx);
    vlt_Standing standing;
    msg_Present statement = msg_Present_init_zero;
    if (s == NULL)
        return;
    bool said = answer->why == REASON_NONE && CODEC_DECODE(vlt_Standing, answer->frame->message, &standing) == 0 &&
                CODEC_SET_BYTES(statement.statement, CODEC_BYTES(standing.statement)) == 0;
    if (!said)
        log_warn("%s: the vault does not answer to its standing reason=%s", session_label(s), reason_code(answer->why));
    if (answer->why == REASON_INTERNAL || answer->why == REASON_TIMED_OUT) {
        session_hang_up(s, answer->why, NULL); /* it may the next time; a session without is refused until it ends */
        return;
    }
    /* Before the vault has caught up: from then on the distributor would execute it. */
    if (said && !standing.current)
        transact_put_back(s->account->transact);
    greet_stood(&s->greet, said ? &statement : NULL, said && standing.current, clock_mono_ms(s->daemon->clock));
    session_greet_step(s);
}

void session_check_standing(struct session *s, struct slice envelope)
{
    vlt_StandingCheck check = vlt_StandingCheck_init_zero;
    memcpy(check.distributor, s->account->distributor.bytes, ID_BYTES);
    if (CODEC_SET_BYTES(check.standing, envelope) != 0)
        session_hang_up(s, REASON_MALFORMED, NULL);
    else
        (void)session_vault_step(s, &ASK(vlt_Type_STANDING_CHECK, vlt_Type_STANDING, vlt_StandingCheck, &check),
                                 on_stood);
}

static void on_page_taken(const struct answer *answer, void *ctx)
{
    struct session *s = session_step_end(ctx);
    vlt_CaughtUp taken;
    if (s == NULL)
        return;
    bool good = answer->why == REASON_NONE && CODEC_DECODE(vlt_CaughtUp, answer->frame->message, &taken) == 0;
    if (!good)
        log_warn("%s: the vault cannot catch up reason=%s", session_label(s), reason_code(answer->why));
    greet_page_taken(&s->greet, good ? taken.after : NULL, good && taken.done, clock_mono_ms(s->daemon->clock));
    session_greet_step(s);
}

void session_take_page(struct session *s, struct slice envelope)
{
    vlt_CatchUp take;
    memcpy(take.distributor, s->account->distributor.bytes, ID_BYTES);
    struct ask ask = ASK(vlt_Type_CATCH_UP, vlt_Type_CAUGHT_UP, vlt_CatchUp, &take);
    ask.tail = envelope;
    (void)session_vault_step(s, &ask, on_page_taken);
}

/* --- Once more, in a ready session: the vault has changed --- */

static void present_again(struct session *s)
{
    s->presenting = false;
    if (s->present_again)
        session_present(s);
}

static bool on_presented(struct peer *p, const struct frame *reply, enum reason why, void *ctx)
{
    struct session *s = ctx;
    msg_Presented taken;
    (void)p;
    if (reply == NULL && why != REASON_TIMED_OUT)
        return false; /* on_closed follows */
    enum reason refused = reply == NULL ? REASON_NONE : reason_of_reply(reply, msg_Type_PRESENTED, NULL);
    if (refused == REASON_RATE_LIMITED) { /* what was said before stands; the next report says it anew */
        s->presenting = false;
        return false;
    }
    bool good = reply != NULL && refused == REASON_NONE && CODEC_DECODE(msg_Presented, reply->message, &taken) == 0 &&
                CODEC_SET_BYTES(s->greet.welcome.standing, CODEC_BYTES(taken.standing)) == 0;
    if (good)
        present_again(s);
    else
        session_hang_up(s, REASON_MALFORMED, NULL); /* a new greeting finds out what it is about */
    return false;
}

static void on_said(const struct answer *answer, void *ctx)
{
    struct session *s = session_step_end(ctx);
    vlt_Standing standing;
    msg_Present statement = msg_Present_init_zero;
    if (s == NULL || s->state != SESSION_READY)
        return;
    if (answer->why != REASON_NONE || CODEC_DECODE(vlt_Standing, answer->frame->message, &standing) != 0 ||
        CODEC_SET_BYTES(statement.statement, CODEC_BYTES(standing.statement)) != 0) {
        log_warn("%s: the vault does not say where it stands reason=%s", session_label(s), reason_code(answer->why));
        present_again(s);
    } else if (!standing.current || peer_request(s->peer, msg_Type_PRESENT, msg_Present_fields, &statement,
                                                 slice(NULL, 0), GREET_STEP_MS, on_presented, s, NULL) != 0) {
        session_hang_up(s, REASON_INTERNAL, NULL);
    }
}

void session_present(struct session *s)
{
    vlt_StandingCheck check = vlt_StandingCheck_init_zero;
    if (s == NULL || s->state != SESSION_READY || !s->greet.presented)
        return;
    s->present_again = s->presenting;
    if (s->presenting)
        return;
    memcpy(check.distributor, s->account->distributor.bytes, ID_BYTES);
    s->presenting = CODEC_SET_BYTES(check.standing, CODEC_BYTES(s->greet.welcome.standing)) == 0;
    if (s->presenting)
        (void)session_vault_step(s, &ASK(vlt_Type_STANDING_CHECK, vlt_Type_STANDING, vlt_StandingCheck, &check),
                                 on_said);
}

void session_tell_standing(struct session *s)
{
    if (s->greet.behind)
        event(s->daemon, "vault-behind",
              "%s has seen this device's vault in a later state: it was restored from an older copy", session_label(s));
    if (s->greet.behind && s->greet.caught_up)
        event(s->daemon, "vault-caught-up", "the vault has learned from %s what it had used up", session_label(s));
}
