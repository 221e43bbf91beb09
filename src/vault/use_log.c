/* Rows of the use log, and bringing them to their issuers. Request thread. */
#include "vault/use_log.h"

#include <stdlib.h>

#include "base/util.h"
#include "vault/db.h"
#include "vault/keys.h"
#include "vault/keysets.h"
#include "vault/play.h"
#include "vault/trusted_time.h"

static int judge_due(const struct vault *v, const uint8_t issuer[32])
{
    struct query q CLEANUP(query_end) = query(v->store, DB_USE_LOG_DUE);
    query_bind_blob(&q, 1, slice(issuer, ID_BYTES));
    int r = query_one(&q);
    if (r != 0)
        return r > 0 ? -EUCLEAN : r;
    uint64_t count = query_u64(&q, 0);
    r = query_check(&q);
    return r != 0 ? r : count >= USE_LOG_DUE_COUNT ? REASON_USE_LOG_DUE : 0;
}

int use_log_begin(struct vault *v, const doc_License *l, uint64_t play_ms, uint64_t *row)
{
    uint64_t began_ms;
    int r = judge_due(v, l->issuer);
    if (r == 0)
        r = trusted_time_stamp(v, l->leaf.distributor, &began_ms);
    if (r != 0)
        return r;
    struct query q CLEANUP(query_end) = query(v->store, DB_USE_LOG_ADD);
    query_bind_blob(&q, 1, SLICE_ARRAY(l->issuer));
    query_bind_blob(&q, 2, SLICE_ARRAY(l->license_id));
    query_bind_blob(&q, 3, SLICE_ARRAY(l->content));
    query_bind_u64(&q, 4, began_ms);
    query_bind_u64(&q, 5, play_ms);
    r = query_run(&q);
    if (r == 0)
        *row = (uint64_t)store_last_id(v->store);
    return r > 0 ? -EUCLEAN : r;
}

int use_log_end(struct vault *v, uint64_t row, uint64_t play_ms)
{
    struct query q CLEANUP(query_end) = query(v->store, DB_USE_LOG_END);
    query_bind_u64(&q, 1, row);
    query_bind_u64(&q, 2, play_ms);
    int r = query_run(&q);
    return r > 0 ? -EUCLEAN : r;
}

/* --- USE_LOG_GET --- */

static int read_entry(struct query *q, int first, doc_UseLogEntry *e)
{
    e->number = query_u64(q, first);
    query_fixed(q, first + 1, e->license_id, sizeof(e->license_id));
    query_fixed(q, first + 2, e->content, sizeof(e->content));
    e->began_ms = query_u64(q, first + 3);
    e->play_ms = query_u64(q, first + 4);
    return query_check(q);
}

static int read_open(const struct vault *v, doc_UseLog *log)
{
    struct query q CLEANUP(query_end) = query(v->store, DB_USE_LOG_OPEN);
    query_bind_blob(&q, 1, SLICE_ARRAY(log->issuer));
    query_bind_i64(&q, 2, ARRAY_COUNT(log->entries));
    int r;
    while ((r = query_step(&q)) == STORE_ROW) {
        if (plays_log(v, query_u64(&q, 5)))
            return 0; /* not over: it is told when it is, and what comes after it then */
        r = read_entry(&q, 0, &log->entries[log->entries_count]);
        if (r != 0)
            return r;
        log->entries_count++;
    }
    return r > 0 ? -EUCLEAN : r;
}

int use_log_get(struct vault *v, const struct request *rq, struct reply *reply)
{
    const vlt_UseLogGet *m = rq->message;
    doc_UseLog *log CLEANUP(freep) = calloc(1, sizeof(*log));
    if (!log)
        return -ENOMEM;
    memcpy(log->issuer, m->issuer, sizeof(log->issuer));
    memcpy(log->client, v->keys->client.bytes, sizeof(log->client));
    int r = trusted_time_stamp(v, m->issuer, &log->signed_ms);
    if (r == 0)
        r = read_open(v, log);
    struct signer signer = keys_signer(v);
    if (r == 0 && log->entries_count > 0)
        r = document_sign(&reply->tail, DOCUMENT_USE_LOG, log, &signer);
    reply->use_log.count = log->entries_count;
    reply->type = vlt_Type_USE_LOG;
    reply->fields = vlt_UseLog_fields;
    return r > 0 ? -ENOBUFS : r;
}

/* --- USE_LOG_TAKEN --- */

int use_log_taken(struct vault *v, const struct request *rq, struct reply *reply)
{
    (void)reply;
    const vlt_UseLogTaken *m = rq->message;
    struct slice envelope = CODEC_BYTES(m->taken);
    doc_UseLogTaken taken;
    uint64_t taken_ms;
    uint8_t signer[32];
    doc_Keyset *issuer CLEANUP(freep) = calloc(1, sizeof(*issuer));
    if (!issuer)
        return -ENOMEM;
    int r = document_open(DOCUMENT_USE_LOG_TAKEN, envelope, &taken, sizeof(taken), signer); /* to learn its issuer */
    if (r == 0)
        r = keysets_find(v, taken.issuer, issuer);
    if (r == 0)
        r = use_log_taken_judge(envelope, issuer, &v->keys->client, &taken);
    if (r == 0)
        r = trusted_time_stamp(v, taken.issuer, &taken_ms);
    if (r != 0)
        return r;
    struct query q CLEANUP(query_end) = query(v->store, DB_USE_LOG_TAKEN);
    query_bind_blob(&q, 1, SLICE_ARRAY(taken.issuer));
    query_bind_u64(&q, 2, u64_min(taken.through, VAULT_NUMBER_MAX));
    query_bind_u64(&q, 3, taken_ms);
    r = query_run(&q);
    return r > 0 ? -EUCLEAN : r;
}

/* --- USE_LIST_GET --- */

int use_list(struct vault *v, const struct request *rq, struct reply *reply)
{
    const vlt_UseListGet *m = rq->message;
    vlt_UseList *out = &reply->use_list;
    struct query q CLEANUP(query_end) = query(v->store, DB_USE_LOG_PAGE);
    query_bind_u64(&q, 1, m->before == 0 ? VAULT_NUMBER_MAX : u64_min(m->before, VAULT_NUMBER_MAX));
    query_bind_i64(&q, 2, ARRAY_COUNT(out->rows));
    int r;
    while ((r = query_step(&q)) == STORE_ROW) {
        vlt_UseListRow *row = &out->rows[out->rows_count];
        row->row = query_u64(&q, 0);
        query_fixed(&q, 1, row->issuer, sizeof(row->issuer));
        row->taken = query_bool(&q, 7);
        row->has_taken_ms = !query_is_null(&q, 8); /* absent: taken before this was noted */
        row->taken_ms = row->has_taken_ms ? query_u64(&q, 8) : 0;
        r = read_entry(&q, 2, &row->entry);
        if (r != 0)
            return r;
        out->rows_count++;
    }
    reply->type = vlt_Type_USE_LIST;
    reply->fields = vlt_UseList_fields;
    return r > 0 ? -EUCLEAN : r;
}
