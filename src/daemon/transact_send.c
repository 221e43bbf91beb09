/* The outstanding transaction on its way: sent with the same bytes until it is answered, and what the answer makes of it - kept (transact_keep.c), dropped,
 * asked again later, or set aside.
 *
 * Callbacks, in order: on_answer (distributor), then on_followed or on_dropped (database). on_timer sends again. */
#include "base/util.h"
#include "daemon/events.h"
#include "daemon/session.h"
#include "daemon/transact_internal.h"

#define LOG_MODULE "transact"
#include "base/log.h"

#define ANSWER_TIMEOUT_MS 60000
#define RETRY_MS 5000
#define PATIENCE_MS 10000 /* so much longer an answer is waited for, when the distributor says when to come again */

const char transact_unsure[] =
    "This device was put back to an earlier state: what was asked for before may have been given since. "
    "Look with hearth library, hearth transfers and hearth restore, and ask again if it is not there.";

static void on_timer(uv_timer_t *timer);

static void send_again(struct transact *t, uint64_t ms)
{
    if (t->timer_open)
        (void)uv_timer_start(&t->timer, on_timer, ms, 0);
}

void transact_send_later(struct transact *t) { send_again(t, RETRY_MS); }

static void try_later(struct transact *t, uint64_t ms, const char *detail)
{
    transact_fire_all(t->batch, REASON_OFFLINE, detail);
    send_again(t, ms);
}

/* The household has asked for more than the distributor allows it in so short a time. */
static void come_again(struct transact *t, uint64_t ms)
{
    if (ms <= PATIENCE_MS)
        send_again(t, ms);
    else
        try_later(
            t, u64_min(ms, 60000),
            "The distributor takes no more from this household for now; what was asked for is kept and completed as soon as it can.");
}

/* The distributor did not execute it and never will: the row goes, the bit stays. */
static void on_dropped(struct db_job *job, int outcome)
{
    struct transact *t = transact_job_done(job);
    if (t == NULL)
        return;
    if (outcome != 0)
        log_warn("%s: a refused transaction stays in the database", t->account->name);
    transact_end(t);
}

static void drop(struct transact *t, enum reason why, const msg_Refusal *refusal)
{
    for (struct transact_item *i = t->batch; i != NULL; i = i->next) {
        i->why = why;
        i->refusal = *refusal;
    }
    t->client.outstanding = false;
    t->stage = FINISHING;
    transact_run_job(t, on_dropped);
}

/* This device was restored from an older state, and what it finds outstanding there may have been executed since: under the bit that counts at
 * the distributor it would be executed, and paid, once more. So it is never sent; what was granted comes back by other ways (catch_up, restore). */
void transact_set_aside(struct transact *t, uint32_t bit)
{
    msg_Refusal refusal;
    log_warn("%s: an outstanding transaction of an earlier state is set aside", t->account->name);
    event(t->daemon, "set-aside",
          "%s: %u items that were asked for before this device was put back are not asked for again", t->account->name,
          t->batch_count);
    reason_refusal(&refusal, REASON_OUT_OF_STEP, transact_unsure);
    txn_client_follow(&t->client, bit);
    drop(t, REASON_OUT_OF_STEP, &refusal);
}

/* "out-of-step": this device was restored from an older state. The distributor's bit counts, and what its pending response grants is
 * stored. Our own request goes again under a new ID when it was drawn by this very run: then nothing can have executed it. */
static void on_followed(struct db_job *job, int outcome)
{
    struct transact *t = transact_job_done(job);
    if (t == NULL)
        return;
    t->stage = SENDING;
    if (outcome == 0)
        transact_send(t);
    else
        try_later(t, RETRY_MS, NULL);
}

static void follow(struct transact *t, const struct frame *f)
{
    uint32_t bit;
    log_warn("%s: out of step; following the distributor", t->account->name);
    bit = session_server_bit(t->account->session);
    if (f != NULL)
        bit = transact_keep_old(t, f->tail, bit);
    if (t->resumed) {
        transact_set_aside(t, bit);
        return;
    }
    txn_client_follow(&t->client, bit);
    txn_client_begin(&t->client, t->daemon->rng, &bit);
    t->stage = STORING;
    transact_run_job(t, on_followed);
}

static void on_answer(const struct answer *answer, void *ctx)
{
    struct transact *t = ctx;
    char full[DAEMON_FULL_BYTES];
    bool gone = t->closing;
    t->in_flight = false;
    transact_release(t);
    if (gone)
        return;
    switch (answer->why) {
    case REASON_NONE:
        if (transact_take_answer(t, answer->frame)) {
            transact_keep_all(t);
            return;
        }
        log_error("%s: the answer to a transaction does not fit it", t->account->name);
        try_later(t, RETRY_MS, NULL);
        return;
    case REASON_OUT_OF_STEP:
        follow(t, answer->frame);
        return;
    case REASON_SESSION_REPLACED:
        session_restart(t->account->session);
        return;
    case REASON_UNKNOWN_DEVICE:
    case REASON_DEVICE_REVOKED:
    case REASON_NOT_REGISTERED:
    case REASON_MALFORMED:
    case REASON_TOO_LARGE:
    case REASON_NOT_PERMITTED:
        drop(t, answer->why, answer->refusal);
        return;
    case REASON_RATE_LIMITED:
        come_again(t, answer->refusal->has_retry_ms ? answer->refusal->retry_ms : RETRY_MS);
        return;
    case REASON_STORAGE_FULL: /* theirs: nothing of it was kept there */
        (void)snprintf(full, sizeof(full),
                       "%s has no room left on its disk; its operator has to make some. What was asked for is kept and "
                       "completed as soon as there is.",
                       t->account->name);
        transact_fire_all(t->batch, REASON_STORAGE_FULL, full);
        send_again(t, RETRY_MS);
        return;
    default: /* not known whether it was executed: the same again */
        try_later(t, answer->refusal->has_retry_ms ? u64_min(answer->refusal->retry_ms, 60000) : RETRY_MS,
                  "The distributor did not answer; what was asked for is kept and completed as soon as it can.");
        return;
    }
}

void transact_send(struct transact *t)
{
    static const char kept[] =
        "The distributor cannot be reached now; what was asked for is kept and completed as soon as it can.";
    if (t->stage != SENDING || t->in_flight)
        return;
    if (!session_may_transact(t->account->session)) { /* transact_ready comes here again */
        transact_fire_all(t->batch, REASON_OFFLINE, kept);
        return;
    }
    msg_Transact transact = {
        .session = session_number(t->account->session),
        .bit = txn_client_bit(&t->client),
        .count = t->batch_count,
    };
    memcpy(transact.transaction, t->client.id, TXN_ID_BYTES);
    struct ask ask = ASK(msg_Type_TRANSACT, msg_Type_TRANSACTED, msg_Transact, &transact);
    ask.tail = buf_slice(&t->items);
    ask.timeout_ms = ANSWER_TIMEOUT_MS;
    t->holds++;
    t->in_flight = true;
    if (session_call_now(t->account, &ask, on_answer, t) == 0)
        return;
    t->holds--;
    t->in_flight = false;
    try_later(t, RETRY_MS, kept);
}

static void on_timer(uv_timer_t *timer) { transact_send(timer->data); }
