/* The household's own spending limit at a distributor: shown, set, lifted with the PIN. What counts is the distributor's judgement. Loop thread.
 *
 * Callbacks, in order: on_changed (LIMIT_SET or UNLOCK_SPENDING), on_account. */
#include "daemon/spending.h"

#include <stdlib.h>

#include "base/util.h"
#include "daemon/control.h"
#include "daemon/events.h"
#include "daemon/session.h"

#define PIN_TIMEOUT_MS 30000 /* the distributor hashes it */

struct spending {
    struct call *call;
    struct account *account; /* a reference */
    const char *event;       /* kind; NULL: nothing was changed */
};

static struct spending *spending_new(struct daemon *d, struct call *c, const char *distributor, const char *event)
{
    struct account *a;
    int r = account_resolve_issuer(d, distributor, &a);
    struct spending *s = r == 0 ? calloc(1, sizeof(*s)) : NULL;
    if (s == NULL) {
        call_refuse(c, r == 0 ? REASON_INTERNAL : reason_of_error(r),
                    r == REASON_AMBIGUOUS ? "This device has several distributors: name one of them." : NULL);
        return NULL;
    }
    *s = (struct spending){ .call = c, .account = account_ref(a), .event = event };
    return s;
}

static void spending_end(struct spending *s, const msg_Refusal *refusal)
{
    if (refusal != NULL)
        call_refuse_as(s->call, refusal);
    else
        call_finish(s->call);
    account_unref(s->account);
    free(s);
}

static void spending_fail(struct spending *s, int error)
{
    msg_Refusal refusal;
    reason_refusal(&refusal, reason_of_error(error), NULL);
    spending_end(s, &refusal);
}

static void on_account(const struct answer *answer, void *ctx)
{
    struct spending *s = ctx;
    msg_Account account;
    if (answer->why != REASON_NONE) {
        spending_end(s, answer->refusal);
        return;
    }
    if (CODEC_DECODE(msg_Account, answer->frame->message, &account) != 0) {
        spending_fail(s, REASON_MALFORMED);
        return;
    }
    ctl_LimitRow row = { .has_amount = account.has_spending_limit,
                         .amount = account.spending_limit,
                         .has_period = account.has_limit_period,
                         .period = account.limit_period,
                         .has_spent = account.has_spent,
                         .spent = account.spent,
                         .has_unlocked_until_ms = account.has_unlocked_until_ms,
                         .unlocked_until_ms = account.unlocked_until_ms };
    CODEC_SET_TEXT(row.distributor_name, s->account->name);
    CODEC_SET_TEXT(row.currency, account.currency);
    CALL_ROW(s->call, LIMIT_ROW, LimitRow, &row);
    spending_end(s, NULL);
}

static void show(struct spending *s)
{
    msg_AccountGet get = msg_AccountGet_init_zero;
    int r = session_call(s->account, &ASK(msg_Type_ACCOUNT_GET, msg_Type_ACCOUNT, msg_AccountGet, &get), on_account, s);
    if (r != 0)
        spending_fail(s, r);
}

/* A guest is told nothing of the account. */
static void show_guest(struct spending *s)
{
    ctl_LimitRow row = ctl_LimitRow_init_zero;
    CODEC_SET_TEXT(row.distributor_name, s->account->name);
    CALL_ROW(s->call, LIMIT_ROW, LimitRow, &row);
    spending_end(s, NULL);
}

static void on_changed(const struct answer *answer, void *ctx)
{
    struct spending *s = ctx;
    if (answer->why != REASON_NONE) {
        spending_end(s, answer->refusal);
        return;
    }
    event(s->account->daemon, s->event, "at %s", s->account->name);
    if (s->account->guest)
        show_guest(s);
    else
        show(s);
}

static void change(struct spending *s, struct ask *ask)
{
    ask->timeout_ms = PIN_TIMEOUT_MS;
    int r = session_call(s->account, ask, on_changed, s);
    if (r != 0)
        spending_fail(s, r);
}

void limit_get_handle(struct daemon *d, struct call *c, const void *message)
{
    const ctl_LimitGet *m = message;
    struct spending *s = spending_new(d, c, m->distributor, NULL);
    if (s != NULL)
        show(s);
}

void limit_set_handle(struct daemon *d, struct call *c, const void *message)
{
    const ctl_LimitSet *m = message;
    struct spending *s = spending_new(d, c, m->distributor, "spending-limit-set");
    if (s != NULL)
        change(s, &ASK(msg_Type_LIMIT_SET, msg_Type_OK, msg_LimitSet, &m->limit));
}

void unlock_spending_handle(struct daemon *d, struct call *c, const void *message)
{
    const ctl_UnlockSpending *m = message;
    struct spending *s = spending_new(d, c, m->distributor, "spending-unlocked");
    if (s == NULL)
        return;
    msg_UnlockSpending unlock = msg_UnlockSpending_init_zero;
    CODEC_SET_TEXT(unlock.pin, m->pin);
    change(s, &ASK(msg_Type_UNLOCK_SPENDING, msg_Type_OK, msg_UnlockSpending, &unlock));
    secret_wipe(&unlock, sizeof(unlock));
}
