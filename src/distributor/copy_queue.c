/* On the connection's thread. */
#define LOG_MODULE "copies"
#include "distributor/copy_queue.h"

#include <stdio.h>

#include "base/log.h"
#include "base/util.h"
#include "distributor/copies.h"
#include "distributor/operations_schema.h"
#include "distributor/products.h"
#include "distributor/reply.h"
#include "distributor/rows.h"

/* --- The switch ---------------------------------------------------------------------------------------------------- */

static int is_on(struct operations *o, const char *user, bool *on)
{
    struct query q CLEANUP(query_end) = query(o->store, AUTO_COPY_GET);
    query_bind_text(&q, 1, user);
    int r = rows_one(&q);
    *on = r == 0;
    return r == OPERATIONS_ABSENT ? 0 : r;
}

/* Off: what waits is dropped; what was taken is finished. */
static int set(struct operations *o, const char *user, bool on, int64_t now_ms)
{
    {
        struct query q CLEANUP(query_end) = query(o->store, on ? AUTO_COPY_ON : AUTO_COPY_OFF);
        query_bind_text(&q, 1, user);
        if (on)
            query_bind_i64(&q, 2, now_ms);
        int r = rows_run(&q);
        if (r != 0 || on)
            return r;
    }
    struct query q CLEANUP(query_end) = query(o->store, QUEUE_DROP);
    query_bind_text(&q, 1, user);
    return rows_run(&q);
}

int copy_queue_switch(struct operations *o, const struct caller *who, struct slice message, struct slice tail,
                      struct reply *out)
{
    (void)tail;
    msg_AutoCopy m;
    msg_AutoCopyState answer = msg_AutoCopyState_init_zero;
    struct device d;
    int r = REQUEST_DECODE(message, msg_AutoCopy, &m);
    if (r == 0)
        r = devices_caller(o, who, &d);
    if (r == 0 && m.has_on)
        r = set(o, d.user, m.on, who->now_ms);
    if (r == 0)
        r = is_on(o, d.user, &answer.on);
    return r == 0 ? REPLY(out, AUTO_COPY_STATE, msg_AutoCopyState, &answer) : r;
}

/* --- Waiting ------------------------------------------------------------------------------------------------------- */

int copy_queue_add(struct operations *o, const struct license *l, int64_t now_ms, struct reply *out)
{
    bool on;
    int r = is_on(o, l->account, &on);
    if (r != 0 || !on || l->has_lease || l->conditions.copy_depth == 0 || l->conditions.max_copies == 0)
        return r;
    struct query q CLEANUP(query_end) = query(o->store, QUEUE_ADD);
    query_bind_text(&q, 1, l->account);
    rows_bind_id(&q, 2, &l->client);
    query_bind_blob(&q, 3, SLICE_ARRAY(l->license_id));
    rows_bind_id(&q, 4, &l->content);
    query_bind_i64(&q, 5, now_ms);
    query_bind_i64(&q, 6, now_ms + COPY_QUEUE_LIFE_MS);
    r = rows_run(&q);
    if (r == 0 && store_changed_count(o->store) > 0)
        snprintf(out->queued_user, sizeof(out->queued_user), "%s", l->account);
    return r;
}

/* Rising by content; what could not be given now is not named. */
static int next_waiting(struct operations *o, const struct device *d, int64_t now_ms, struct id *content, bool *taken)
{
    struct query q CLEANUP(query_end) = query(o->store, QUEUE_NEXT);
    rows_bind_id(&q, 1, &d->client);
    query_bind_text(&q, 2, d->user);
    rows_bind_id(&q, 3, content);
    query_bind_i64(&q, 4, now_ms);
    int r = rows_one(&q);
    if (r != 0)
        return r;
    query_fixed(&q, 0, content->bytes, ID_BYTES);
    *taken = query_bool(&q, 1);
    return query_check(&q);
}

int copy_queue_list(struct operations *o, const struct caller *who, struct slice message, struct slice tail,
                    struct reply *out)
{
    (void)tail;
    msg_RestorableGet m;
    msg_Restorable list = msg_Restorable_init_zero;
    struct device d;
    int r = REQUEST_DECODE(message, msg_RestorableGet, &m);
    if (r == 0)
        r = devices_caller(o, who, &d);
    struct id content = id_from(m.after);
    while (r == 0 && list.items_count < ARRAY_COUNT(list.items)) {
        msg_RestorableItem *item = &list.items[list.items_count];
        r = next_waiting(o, &d, who->now_ms, &content, &item->held);
        memcpy(item->content, content.bytes, sizeof(item->content));
        list.items_count += r == 0;
    }
    list.more = r == 0;
    return r == 0 || r == OPERATIONS_ABSENT ? REPLY(out, QUEUED, msg_Restorable, &list) : r;
}

int copy_queue_done(struct operations *o, const struct caller *who, struct slice message, struct slice tail,
                    struct reply *out)
{
    (void)tail;
    msg_QueuedDone m;
    struct device d;
    int r = REQUEST_DECODE(message, msg_QueuedDone, &m);
    if (r == 0)
        r = devices_caller(o, who, &d);
    if (r != 0)
        return r;
    struct query q CLEANUP(query_end) = query(o->store, QUEUE_DONE);
    rows_bind_id(&q, 1, &d.client);
    query_bind_blob(&q, 2, SLICE_ARRAY(m.content));
    r = rows_run(&q);
    return r == 0 ? reply_ok(out) : r;
}

/* --- Giving -------------------------------------------------------------------------------------------------------- */

static int find_waiting(struct operations *o, const struct device *d, const struct id *content, int64_t now_ms,
                        struct id *source, uint8_t license_id[16])
{
    struct query q CLEANUP(query_end) = query(o->store, QUEUE_GET);
    rows_bind_id(&q, 1, &d->client);
    query_bind_text(&q, 2, d->user);
    rows_bind_id(&q, 3, content);
    query_bind_i64(&q, 4, now_ms);
    int r = rows_one(&q);
    if (r != 0)
        return r;
    query_fixed(&q, 0, source->bytes, ID_BYTES);
    query_fixed(&q, 1, license_id, 16);
    return query_check(&q);
}

int copy_queue_give(struct operations *o, const struct caller *who, const struct device *d, const struct id *content,
                    msg_Result *result, struct reply *out)
{
    struct id source;
    uint8_t license_id[16];
    int r = find_waiting(o, d, content, who->now_ms, &source, license_id);
    if (r == 0)
        r = copy_issue_here(o, who, &source, license_id, d, content, result, out);
    if (r != 0)
        return r;
    struct query q CLEANUP(query_end) = query(o->store, QUEUE_TAKEN);
    rows_bind_id(&q, 1, &d->client);
    rows_bind_id(&q, 2, content);
    r = rows_run(&q);
    if (r == 0)
        log_info("queued copy given: device=%s", d->name);
    return r;
}
