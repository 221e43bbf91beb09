/* Checking and remembering keysets (table distributor). */
#include "vault/keysets.h"

#include "vault/db.h"
#include "vault/service.h"
#include "vault/trusted_time.h"

/* *same: these very bytes are stored already. */
static int known_sequence(const struct vault *v, const struct id *distributor, struct slice envelope,
                          uint64_t *sequence, bool *same)
{
    *sequence = 0;
    *same = false;
    struct query q CLEANUP(query_end) = query(v->store, DB_KEYSET_GET);
    query_bind_blob(&q, 1, SLICE_ARRAY(distributor->bytes));
    int r = query_one(&q);
    if (r == STORE_ABSENT)
        return 0;
    if (r != 0)
        return r > 0 ? -EUCLEAN : r;
    *sequence = query_u64(&q, 0);
    *same = !query_is_null(&q, 1) && slice_equal(query_blob(&q, 1), envelope);
    return query_check(&q);
}

static int remember(struct vault *v, const struct id *distributor, uint64_t sequence, struct slice envelope)
{
    struct query put CLEANUP(query_end) = query(v->store, DB_KEYSET_PUT);
    query_bind_blob(&put, 1, SLICE_ARRAY(distributor->bytes));
    query_bind_u64(&put, 2, sequence);
    query_bind_blob(&put, 3, envelope);
    query_bind_i64(&put, 4, clock_wall_ms(v->clock));
    int r = query_run(&put);
    if (r == 0)
        r = store_run(v->store, DB_KEYSET_TRIM);
    services_forget(v);
    return r > 0 ? -EUCLEAN : r;
}

int keysets_check(struct vault *v, const struct request *rq, struct reply *reply)
{
    const vlt_KeysetCheck *m = rq->message;
    struct id distributor = id_from(m->distributor);
    doc_Keyset keyset;
    uint64_t lowest;
    bool same;
    int r = known_sequence(v, &distributor, rq->tail, &lowest, &same);
    if (r != 0)
        return r;
    r = keyset_judge(rq->tail, &distributor, lowest, m->has_tls_key ? m->tls_key : NULL, (int64_t)trusted_time_now(v),
                     &keyset);
    if (r == 0 && keyset.sequence > VAULT_NUMBER_MAX)
        r = REASON_KEYSET_INVALID;
    if (r == 0 && !same) /* the usual session opens with a known one and costs no sync */
        r = remember(v, &distributor, keyset.sequence, rq->tail);
    if (r != 0)
        return r;
    reply->keyset.sequence = keyset.sequence;
    reply->keyset.ends_ms = keyset.ends_ms;
    CODEC_SET_TEXT(reply->keyset.name, keyset.name);
    reply->type = vlt_Type_KEYSET_CHECKED;
    reply->fields = vlt_KeysetChecked_fields;
    return 0;
}

int keysets_find(struct vault *v, const void *distributor, doc_Keyset *out)
{
    struct id id = id_from(distributor);
    struct query q CLEANUP(query_end) = query(v->store, DB_KEYSET_GET);
    query_bind_blob(&q, 1, SLICE_ARRAY(id.bytes));
    int r = query_one(&q);
    if (r == STORE_ABSENT || (r == 0 && query_is_null(&q, 1)))
        return REASON_NOT_FOUND;
    if (r != 0)
        return r > 0 ? -EUCLEAN : r;
    return keyset_judge(query_blob(&q, 1), &id, 0, NULL, (int64_t)trusted_time_now(v), out);
}

int keysets_sequence(const struct vault *v, const struct id *distributor, uint64_t *out)
{
    bool same;
    return known_sequence(v, distributor, slice(NULL, 0), out, &same);
}
