/* Rows behind protocol/txn.h. On the connection's thread. Source: design section 5 (R5). */
#include "distributor/sessions.h"

#include "distributor/rows.h"

int sessions_load(struct operations *o, const struct id *client, struct txn_server *out)
{
    *out = (struct txn_server){ 0 };
    struct query q CLEANUP(query_end) = query(o->store, SESSION_GET);
    rows_bind_id(&q, 1, client);
    int r = rows_one(&q);
    if (r == OPERATIONS_ABSENT) { /* it may have had sessions that a restored database has forgotten (reserve.h) */
        int known = operations_counter(o, "floor:session", &out->session);
        return known != 0 ? known : r;
    }
    if (r != 0)
        return r;
    out->session = query_u64(&q, 0);
    out->bit = (uint8_t)query_u32(&q, 1);
    query_fixed(&q, 2, out->id, sizeof(out->id));
    out->pending = query_bool(&q, 3);
    return query_check(&q);
}

int sessions_save(struct operations *o, const struct id *client, const struct txn_server *s, int64_t now_ms)
{
    struct query q CLEANUP(query_end) = query(o->store, SESSION_SET);
    rows_bind_id(&q, 1, client);
    query_bind_u64(&q, 2, s->session);
    query_bind_i64(&q, 3, s->bit);
    query_bind_blob(&q, 4, SLICE_ARRAY(s->id));
    query_bind_i64(&q, 5, s->pending);
    query_bind_i64(&q, 6, now_ms);
    return rows_later(&q);
}

int sessions_open(struct operations *o, const struct id *client, int64_t now_ms, struct txn_server *out)
{
    int r = sessions_load(o, client, out);
    if (r < 0)
        return r;
    txn_server_open(out);
    return sessions_save(o, client, out, now_ms);
}

int sessions_keep_answer(struct operations *o, const struct id *client, struct slice message, struct slice tail)
{
    struct query q CLEANUP(query_end) = query(o->store, ANSWER_SET);
    rows_bind_id(&q, 1, client);
    query_bind_blob(&q, 2, message);
    query_bind_blob(&q, 3, tail);
    return rows_later(&q);
}

int sessions_kept_answer(struct operations *o, const struct id *client, struct buf *message, struct buf *tail)
{
    struct query q CLEANUP(query_end) = query(o->store, ANSWER_GET);
    rows_bind_id(&q, 1, client);
    int r = rows_one(&q);
    if (r != 0)
        return r;
    query_append(&q, 0, message);
    query_append(&q, 1, tail);
    return query_check(&q);
}

int sessions_drop_answer(struct operations *o, const struct id *client)
{
    struct query q CLEANUP(query_end) = query(o->store, ANSWER_DELETE);
    rows_bind_id(&q, 1, client);
    return rows_later(&q);
}
