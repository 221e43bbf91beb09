/* Checking and keeping rosters (table distributor). Who may do what by a roster is hearthd's. */
#include "vault/rosters.h"

#include <stdlib.h>

#include "base/util.h"
#include "vault/db.h"
#include "vault/service.h"
#include "vault/trusted_time.h"

/* 0, ROSTERS_SAME when this very one is kept, -errno. */
#define ROSTERS_SAME 1
static int differs(const struct vault *v, const struct service *s, struct slice envelope)
{
    struct query q CLEANUP(query_end) = query(v->store, DB_ROSTER_GET);
    query_bind_blob(&q, 1, SLICE_ARRAY(s->distributor.bytes));
    int r = query_one(&q);
    if (r != 0)
        return r == STORE_ABSENT ? 0 : r > 0 ? -EUCLEAN : r;
    bool same = slice_equal(query_blob(&q, 0), envelope);
    r = query_check(&q);
    return r == 0 && same ? ROSTERS_SAME : r;
}

static int keep(struct vault *v, const struct service *s, uint64_t sequence, struct slice envelope)
{
    struct query q CLEANUP(query_end) = query(v->store, DB_ROSTER_PUT);
    query_bind_blob(&q, 1, SLICE_ARRAY(s->distributor.bytes));
    query_bind_u64(&q, 2, sequence);
    query_bind_blob(&q, 3, envelope);
    int r = query_run(&q);
    services_forget(v);
    return r > 0 ? -EUCLEAN : r;
}

int rosters_check(struct vault *v, const struct request *rq, struct reply *reply)
{
    const vlt_RosterCheck *m = rq->message;
    const struct service *s;
    int r = services_find_current(v, m->distributor, &s);
    if (r != 0)
        return r;
    doc_Roster *roster CLEANUP(freep) = malloc(sizeof(*roster));
    if (!roster)
        return -ENOMEM;
    struct trusted_time t;
    r = trusted_time_get(v, s->distributor.bytes, 0, &t);
    if (r == 0)
        r = roster_judge(rq->tail, &s->keyset, (int64_t)t.now_ms, roster);
    if (r != 0)
        return r;
    if (roster->sequence > VAULT_NUMBER_MAX)
        return REASON_MALFORMED;
    if (roster->sequence < s->roster_sequence) {
        reply->detail = "A newer list of the household's devices is known.";
        return REASON_ALREADY;
    }
    r = differs(v, s, rq->tail);
    if (r == ROSTERS_SAME)
        return 0; /* and no sync */
    return r != 0 ? r : keep(v, s, roster->sequence, rq->tail);
}

int rosters_get(struct vault *v, const struct request *rq, struct reply *reply)
{
    const vlt_RosterGet *m = rq->message;
    const struct service *s;
    int r = services_find(v, m->distributor, &s);
    if (r != 0)
        return r;
    reply->type = vlt_Type_ROSTER;
    reply->fields = vlt_Roster_fields;
    struct query q CLEANUP(query_end) = query(v->store, DB_ROSTER_GET);
    query_bind_blob(&q, 1, SLICE_ARRAY(m->distributor));
    r = query_one(&q);
    if (r == STORE_ABSENT)
        return 0;
    if (r != 0)
        return r > 0 ? -EUCLEAN : r;
    query_append(&q, 0, &reply->tail);
    return query_check(&q);
}
