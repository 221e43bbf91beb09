/* Leaving a distributor. Callbacks, in order: on_left (distributor), on_dropped (vault), on_deleted (database). */
#include "daemon/register.h"

#include <stdlib.h>

#include "base/util.h"
#include "daemon/control.h"
#include "daemon/db.h"
#include "daemon/events.h"
#include "daemon/session.h"
#include "daemon/transact.h"
#include "daemon/vault_client.h"

struct leaving {
    struct daemon *daemon;
    struct call *call;
    struct account *account;
    struct db_job job;
};

static void leaving_end(struct leaving *l, const msg_Refusal *refusal)
{
    if (refusal != NULL)
        call_refuse_as(l->call, refusal);
    else
        call_finish(l->call);
    account_unref(l->account);
    free(l);
}

static void leaving_fail(struct leaving *l, int error)
{
    msg_Refusal refusal;
    reason_refusal(&refusal, reason_of_error(error), NULL);
    leaving_end(l, &refusal);
}

static int delete_row(struct store *store, struct db_job *job)
{
    struct leaving *l = container_of(job, struct leaving, job);
    struct query q CLEANUP(query_end) = query(store, DB_ACCOUNT_DELETE);
    query_bind_blob(&q, 1, SLICE_ARRAY(l->account->distributor.bytes));
    return query_run(&q);
}

static void on_deleted(struct db_job *job, int outcome)
{
    struct leaving *l = container_of(job, struct leaving, job);
    if (outcome != 0) {
        leaving_fail(l, outcome < 0 ? outcome : -EIO);
        return;
    }
    event(l->daemon, "unregistered", "no longer registered with %s", l->account->name);
    account_remove(l->account);
    leaving_end(l, NULL);
}

static void on_dropped(const struct answer *answer, void *ctx)
{
    struct leaving *l = ctx;
    if (answer->why != REASON_NONE) {
        leaving_end(l, answer->refusal);
        return;
    }
    l->job.work = delete_row;
    l->job.done = on_deleted;
    db_run(l->daemon->db, &l->job);
}

static void on_left(const struct answer *answer, void *ctx)
{
    struct leaving *l = ctx;
    bool gone = answer->why == REASON_UNKNOWN_DEVICE || answer->why == REASON_NOT_REGISTERED ||
                answer->why == REASON_DEVICE_REVOKED;
    if (answer->why != REASON_NONE && !gone) {
        leaving_end(l, answer->refusal);
        return;
    }
    vlt_ServiceDrop drop;
    memcpy(drop.distributor, l->account->distributor.bytes, ID_BYTES);
    int r =
        vault_call(l->daemon->vault, &ASK(vlt_Type_SERVICE_DROP, vlt_Type_DONE, vlt_ServiceDrop, &drop), on_dropped, l);
    if (r != 0)
        leaving_fail(l, r);
}

void unregister_handle(struct daemon *d, struct call *c, const void *message)
{
    const ctl_Unregister *m = message;
    struct account *a;
    int r = account_resolve(d, m->distributor, &a);
    if (r != 0) {
        call_refuse(c, reason_of_error(r), NULL);
        return;
    }
    if (transact_outstanding(a->transact)) {
        call_refuse(c, REASON_IN_USE, "A purchase or copy at this distributor is not finished yet.");
        return;
    }
    struct leaving *l = calloc(1, sizeof(*l));
    if (l == NULL) {
        call_refuse(c, REASON_INTERNAL, NULL);
        return;
    }
    *l = (struct leaving){ .daemon = d, .call = c, .account = account_ref(a) };
    msg_Unregister leave = msg_Unregister_init_zero;
    r = session_call(a, &ASK(msg_Type_UNREGISTER, msg_Type_OK, msg_Unregister, &leave), on_left, l);
    if (r != 0)
        leaving_fail(l, r);
}
