/* The roster of an account: fetched when the distributor has a newer one, judged by the vault, kept by the account.
 *
 * Callbacks, in order: on_roster, on_roster_checked (vault). */
#include "base/util.h"
#include "daemon/session_internal.h"
#include "daemon/vault_client.h"

#define LOG_MODULE "session"
#include "base/log.h"

static void on_roster_checked(const struct answer *answer, void *ctx)
{
    struct session_step *step = ctx;
    struct session *kept = step->session;
    struct buf envelope = buf(0);
    bool current = session_step_is_current(step), again = current && kept->roster_again;
    if (current)
        kept->roster_busy = kept->roster_again = false;
    if (current && answer->why == REASON_NONE) {
        envelope = kept->roster; /* the envelope was parked here while the vault looked at it */
        kept->roster = buf(FRAME_TAIL_MAX);
        int r = account_set_roster(kept->account, buf_slice(&envelope));
        if (r != 0)
            log_warn("%s: its roster was not taken outcome=%d", session_label(kept), r);
        buf_free(&envelope);
    } else if (current) {
        log_warn("%s: its roster was refused reason=%s", session_label(kept), answer->refusal->code);
    }
    struct session *s = session_step_end(step);
    if (s != NULL && again)
        session_fetch_roster(s);
}

static bool on_roster(struct peer *p, const struct frame *reply, enum reason why, void *ctx)
{
    struct session *s = ctx;
    (void)p;
    if (s->closing)
        return false;
    if (reply == NULL || (why = peer_refusal(reply, msg_Type_ROSTER, NULL)) != REASON_NONE || reply->tail.len == 0) {
        log_info("%s: no roster reason=%s", session_label(s), reason_code(why));
        s->roster_busy = s->roster_again = false;
        if (why == REASON_DEVICE_REVOKED || why == REASON_NOT_REGISTERED)
            session_forgotten(s);
        return false;
    }
    buf_clear(&s->roster);
    s->roster.max_bytes = FRAME_TAIL_MAX;
    vlt_RosterCheck check;
    memcpy(check.distributor, s->account->distributor.bytes, ID_BYTES);
    struct ask ask = ASK(vlt_Type_ROSTER_CHECK, vlt_Type_DONE, vlt_RosterCheck, &check);
    ask.tail = reply->tail;
    struct session_step *step = buf_append(&s->roster, reply->tail) == 0 ? session_step_new(s) : NULL;
    if (step != NULL && vault_call(s->daemon->vault, &ask, on_roster_checked, step) == 0)
        return false;
    if (step != NULL)
        (void)session_step_end(step);
    s->roster_busy = false;
    return false;
}

void session_fetch_roster(struct session *s)
{
    if (s->roster_busy) {
        s->roster_again = true;
        return;
    }
    s->roster_busy =
        peer_request(s->peer, msg_Type_ROSTER_GET, NULL, NULL, slice(NULL, 0), ASK_TIMEOUT_MS, on_roster, s, NULL) == 0;
}

void session_refresh_roster(struct session *s)
{
    if (s->state == SESSION_READY)
        session_fetch_roster(s);
}
