/* The part of the greeting about restored vaults: shows the vault what the distributor knows of it, and brings it what it forgot. hearthd carries
 * signed documents both ways; which state the vault is in, vault and distributor judge.
 *
 * Callbacks, in order: on_stood (vault), then, when it is behind, on_page_taken (vault) for each page and on_stood again. */
#include "daemon/session_internal.h"

#include "daemon/events.h"
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

void session_tell_standing(struct session *s)
{
    if (s->greet.behind)
        event(s->daemon, "vault-behind",
              "%s has seen this device's vault in a later state: it was restored from an older copy", session_label(s));
    if (s->greet.behind && s->greet.caught_up)
        event(s->daemon, "vault-caught-up", "the vault has learned from %s what it had used up", session_label(s));
}
