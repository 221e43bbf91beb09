/* Checking and remembering keysets (table distributor). */
#include "vault/keysets.h"

#include "base/util.h"
#include "protocol/times.h"
#include "vault/db.h"
#include "vault/service.h"
#include "vault/trusted_time.h"

#define CLOCK_PLAUSIBLE_MS INT64_C(1735689600000) /* 2025: before that no clock was right that runs this */

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

static int remember(struct vault *v, const struct id *distributor, const doc_Keyset *keyset, struct slice envelope)
{
    struct query put CLEANUP(query_end) = query(v->store, DB_KEYSET_PUT);
    query_bind_blob(&put, 1, SLICE_ARRAY(distributor->bytes));
    query_bind_u64(&put, 2, keyset->sequence);
    query_bind_blob(&put, 3, envelope);
    query_bind_u64(&put, 4, keyset->issued_ms);
    int r = query_run(&put);
    if (r == 0)
        r = store_run(v->store, DB_KEYSET_TRIM);
    services_forget(v);
    return r > 0 ? -EUCLEAN : r;
}

/* Its own issue is a time it is at least; of its end only signed times speak, so that a wrong clock cannot keep out the word that tells the time. */
static int judge(const struct vault *v, const struct id *distributor, uint64_t lowest, const uint8_t *tls_key,
                 struct slice envelope, doc_Keyset *out)
{
    struct id signer;
    struct trusted_time t;
    int r = document_open_keyset(envelope, out, &signer);
    if (r == 0 && (out->sequence > VAULT_NUMBER_MAX || out->issued_ms > VAULT_NUMBER_MAX))
        r = REASON_KEYSET_INVALID;
    if (r == 0)
        r = trusted_time_get(v, distributor->bytes, out->issued_ms, &t);
    if (r != 0)
        return r;
    uint64_t at_ms = t.state == TIME_HEARD ? u64_max(t.now_ms, out->issued_ms) : t.floor_ms;
    int64_t wall_ms = clock_wall_ms(v->clock);
    if (lowest == 0 &&
        wall_ms > CLOCK_PLAUSIBLE_MS) /* of a stranger the clock is all there is, unless it was never set */
        at_ms = (uint64_t)wall_ms;
    return keyset_judge(envelope, distributor, lowest, tls_key, (int64_t)at_ms, out);
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
    r = judge(v, &distributor, lowest, m->has_tls_key ? m->tls_key : NULL, rq->tail, &keyset);
    if (r == 0 && !same) /* the usual session opens with a known one and costs no sync */
        r = remember(v, &distributor, &keyset, rq->tail);
    if (r != 0)
        return r;
    reply->keyset.sequence = keyset.sequence;
    reply->keyset.ends_ms = keyset.ends_ms;
    CODEC_SET_TEXT(reply->keyset.name, keyset.name);
    reply->type = vlt_Type_KEYSET_CHECKED;
    reply->fields = vlt_KeysetChecked_fields;
    return 0;
}

int keysets_load(const struct vault *v, const void *distributor, doc_Keyset *out)
{
    struct id root;
    struct query q CLEANUP(query_end) = query(v->store, DB_KEYSET_GET);
    query_bind_blob(&q, 1, slice(distributor, ID_BYTES));
    int r = query_one(&q);
    if (r == STORE_ABSENT || (r == 0 && query_is_null(&q, 1)))
        return REASON_NOT_FOUND;
    if (r != 0)
        return r > 0 ? -EUCLEAN : r;
    r = document_open_keyset(query_blob(&q, 1), out, &root); /* judged when it was stored */
    if (r != 0)
        return r > 0 ? -EUCLEAN : r;
    return id_equal(&root, distributor) && id_equal(out->distributor, distributor) ? query_check(&q) : -EUCLEAN;
}

int keysets_judge_current(const struct vault *v, const doc_Keyset *keyset, const uint8_t *tls_key)
{
    struct trusted_time t;
    int r = trusted_time_get(v, keyset->distributor, 0, &t);
    if (r != 0)
        return r;
    bool ended = times_ended(keyset->ends_ms, (int64_t)t.now_ms);
    return ended || (tls_key && !keyset_lists(keyset, KEY_TLS, tls_key, (int64_t)t.now_ms)) ? REASON_KEYSET_INVALID : 0;
}

int keysets_find(struct vault *v, const void *distributor, doc_Keyset *out)
{
    int r = keysets_load(v, distributor, out);
    return r != 0 ? r : keysets_judge_current(v, out, NULL);
}

int keysets_sequence(const struct vault *v, const struct id *distributor, uint64_t *out)
{
    bool same;
    return known_sequence(v, distributor, slice(NULL, 0), out, &same);
}
