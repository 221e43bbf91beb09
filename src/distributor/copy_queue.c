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

static int switch_on(struct operations *o, const char *user, int64_t now_ms)
{
    struct query q CLEANUP(query_end) = query(o->store, AUTO_COPY_ON);
    query_bind_text(&q, 1, user);
    query_bind_i64(&q, 2, now_ms);
    return rows_run(&q);
}

static int run_for(struct operations *o, enum statement statement, const char *user)
{
    struct query q CLEANUP(query_end) = query(o->store, statement);
    query_bind_text(&q, 1, user);
    return rows_run(&q);
}

/* What waits is dropped; what was taken is finished. */
static int switch_off(struct operations *o, const char *user)
{
    int r = run_for(o, AUTO_COPY_OFF, user);
    if (r == 0)
        r = run_for(o, AUTO_COPY_TO_ALL_OFF, user);
    return r == 0 ? run_for(o, QUEUE_DROP, user) : r;
}

/* The account pays for it: only a device of its household is named. */
static int judge_named(struct operations *o, const struct caller *who, const char *user, const struct id *client,
                       struct device *named)
{
    int r = devices_find_in_household(o, OPERATIONS_SELF, user, client, named);
    if (r == OPERATIONS_ABSENT)
        return who->directory_asked ? REASON_NOT_OWNED : REQUESTS_ASK_DIRECTORY;
    return r == 0 && named->revoked ? REASON_DEVICE_REVOKED : r;
}

static int name_device(struct operations *o, const struct caller *who, const char *user, const struct id *client)
{
    struct device named;
    int r = judge_named(o, who, user, client, &named);
    if (r != 0)
        return r;
    struct query q CLEANUP(query_end) = query(o->store, AUTO_COPY_TO_ON);
    query_bind_text(&q, 1, user);
    rows_bind_id(&q, 2, client);
    query_bind_i64(&q, 3, who->now_ms);
    query_bind_i64(&q, 4, named.distributor);
    return rows_run(&q);
}

static int run_for_device(struct operations *o, enum statement statement, const char *user, const struct id *client)
{
    struct query q CLEANUP(query_end) = query(o->store, statement);
    query_bind_text(&q, 1, user);
    rows_bind_id(&q, 2, client);
    return rows_run(&q);
}

static int unname_device(struct operations *o, const char *user, const struct id *client)
{
    int r = run_for_device(o, AUTO_COPY_TO_OFF, user, client);
    return r == 0 ? run_for_device(o, QUEUE_DROP_TO, user, client) : r;
}

static int set(struct operations *o, const struct caller *who, const char *user, const msg_AutoCopy *m)
{
    struct id client = id_from(m->client);
    if (!m->has_client)
        return m->on ? switch_on(o, user, who->now_ms) : switch_off(o, user);
    return m->on ? name_device(o, who, user, &client) : unname_device(o, user, &client);
}

static int describe(struct operations *o, const char *user, msg_AutoCopyState *answer)
{
    int r = is_on(o, user, &answer->on);
    if (r != 0)
        return r;
    struct query q CLEANUP(query_end) = query(o->store, AUTO_COPY_TO_LIST);
    query_bind_i64(&q, 1, OPERATIONS_SELF);
    query_bind_text(&q, 2, user);
    while (answer->devices_count < ARRAY_COUNT(answer->devices) && rows_next(&q, &r))
        query_fixed(&q, 0, answer->devices[answer->devices_count++].client, ID_BYTES);
    return r == 0 ? query_check(&q) : r;
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
    if (r == 0 && m.has_client && !m.has_on)
        r = REASON_MALFORMED;
    if (r == 0 && m.has_on)
        r = set(o, who, d.user, &m);
    if (r == 0)
        r = describe(o, d.user, &answer);
    return r == 0 ? REPLY(out, AUTO_COPY_STATE, msg_AutoCopyState, &answer) : r;
}

/* --- Waiting ------------------------------------------------------------------------------------------------------- */

/* Those that are another distributor's: guests here. */
static int note_guests(struct operations *o, const struct license *l, struct reply *out)
{
    struct query q CLEANUP(query_end) = query(o->store, QUEUE_GUESTS);
    query_bind_text(&q, 1, l->account);
    rows_bind_id(&q, 2, &l->client);
    query_bind_blob(&q, 3, SLICE_ARRAY(l->license_id));
    int r = 0;
    while (out->queued_guest_count < ARRAY_COUNT(out->queued_guests) && rows_next(&q, &r))
        query_fixed(&q, 0, out->queued_guests[out->queued_guest_count++].bytes, ID_BYTES);
    return r == 0 ? query_check(&q) : r;
}

int copy_queue_add(struct operations *o, const struct license *l, int64_t now_ms, struct reply *out)
{
    if (l->has_lease || l->conditions.copy_depth == 0 || l->conditions.max_copies == 0)
        return 0;
    {
        struct query q CLEANUP(query_end) = query(o->store, AUTO_COPY_ANY);
        query_bind_text(&q, 1, l->account);
        int r = rows_one(&q);
        if (r != 0)
            return r == OPERATIONS_ABSENT ? 0 : r;
    }
    struct query q CLEANUP(query_end) = query(o->store, QUEUE_ADD);
    query_bind_i64(&q, 1, OPERATIONS_SELF);
    query_bind_text(&q, 2, l->account);
    rows_bind_id(&q, 3, &l->client);
    query_bind_blob(&q, 4, SLICE_ARRAY(l->license_id));
    rows_bind_id(&q, 5, &l->content);
    query_bind_i64(&q, 6, now_ms);
    query_bind_i64(&q, 7, now_ms + COPY_QUEUE_LIFE_MS);
    int r = rows_run(&q);
    if (r != 0 || store_changed_count(o->store) == 0)
        return r;
    snprintf(out->queued_user, sizeof(out->queued_user), "%s", l->account);
    return note_guests(o, l, out);
}

/* ?1 to ?3 of QUEUE_NEXT and QUEUE_GET. */
static void bind(struct query *q, const struct device *d, const struct id *content, int64_t now_ms)
{
    rows_bind_id(q, 1, &d->client);
    rows_bind_id(q, 2, content);
    query_bind_i64(q, 3, now_ms);
}

/* Rising by content; what could not be given now is not named. */
static int next_waiting(struct operations *o, const struct device *d, int64_t now_ms, struct id *content, bool *taken)
{
    struct query q CLEANUP(query_end) = query(o->store, QUEUE_NEXT);
    bind(&q, d, content, now_ms);
    int r = rows_one(&q);
    if (r != 0)
        return r;
    query_fixed(&q, 0, content->bytes, ID_BYTES);
    *taken = query_bool(&q, 1);
    return query_check(&q);
}

/* A guest that belongs to no household here, though it has come: perhaps it is linked, and the row is on its way. */
static int judge_guest(struct operations *o, const struct caller *who, const struct device *d)
{
    if (d->distributor == OPERATIONS_SELF || who->directory_asked)
        return 0;
    struct query q CLEANUP(query_end) = query(o->store, HOUSEHOLD_ACCOUNTS);
    query_bind_i64(&q, 1, d->distributor);
    query_bind_text(&q, 2, d->user);
    int r = rows_one(&q);
    return r == OPERATIONS_ABSENT ? REQUESTS_ASK_DIRECTORY : r;
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
        r = devices_caller_or_guest(o, who, &d);
    if (r == 0)
        r = judge_guest(o, who, &d);
    struct id content = id_from(m.after);
    while (r == 0 && list.items_count < ARRAY_COUNT(list.items)) {
        msg_RestorableItem *item = &list.items[list.items_count];
        r = next_waiting(o, &d, who->now_ms, &content, &item->held);
        memcpy(item->content, content.bytes, sizeof(item->content));
        list.items_count += r == 0;
    }
    list.more = r == 0;
    out->sends_body = list.items_count > 0;
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
                        struct copy_queue_row *row)
{
    struct query q CLEANUP(query_end) = query(o->store, QUEUE_GET);
    bind(&q, d, content, now_ms);
    int r = rows_one(&q);
    if (r != 0)
        return r;
    *row = (struct copy_queue_row){ .content = *content };
    query_fixed(&q, 0, row->source.bytes, ID_BYTES);
    query_fixed(&q, 1, row->license_id, sizeof(row->license_id));
    row->certified = !query_is_null(&q, 2);
    if (row->certified)
        query_fixed(&q, 2, row->serial, sizeof(row->serial));
    return query_check(&q);
}

static int set_taken(struct operations *o, const struct device *d, const struct id *content)
{
    struct query q CLEANUP(query_end) = query(o->store, QUEUE_TAKEN);
    rows_bind_id(&q, 1, &d->client);
    rows_bind_id(&q, 2, content);
    return rows_run(&q);
}

/* It may come again to settle it as long after the certificate's end as it might have come for it. */
static int set_certified(struct operations *o, const struct device *d, const struct copy_queue_row *row)
{
    struct query q CLEANUP(query_end) = query(o->store, QUEUE_CERTIFIED);
    rows_bind_id(&q, 1, &d->client);
    rows_bind_id(&q, 2, &row->content);
    query_bind_blob(&q, 3, SLICE_ARRAY(row->serial));
    query_bind_i64(&q, 4, row->ends_ms + COPY_QUEUE_LIFE_MS);
    return rows_run(&q);
}

int copy_queue_give(struct operations *o, const struct caller *who, const struct device *d, const struct id *content,
                    msg_Result *result, struct reply *out)
{
    struct copy_queue_row row;
    bool is_guest = d->distributor != OPERATIONS_SELF;
    int r = find_waiting(o, d, content, who->now_ms, &row);
    if (r != 0 || (row.certified && !is_guest))
        return r != 0 ? r : OPERATIONS_ABSENT;
    r = is_guest ? copy_issue_guest(o, who, &row, d, result, out) : copy_issue_here(o, who, &row, d, result, out);
    if (r == 0)
        r = is_guest ? set_certified(o, d, &row) : set_taken(o, d, content);
    out->sends_body |= r == 0;
    if (r == 0)
        log_info("queued copy given: device=%s", d->name);
    return r;
}

int copy_queue_settled(struct operations *o, const struct copy *c)
{
    struct query q CLEANUP(query_end) = query(o->store, QUEUE_SETTLED);
    rows_bind_id(&q, 1, &c->destination);
    rows_bind_id(&q, 2, &c->content);
    query_bind_blob(&q, 3, SLICE_ARRAY(c->license_id));
    return rows_run(&q);
}

int copy_queue_forget(struct operations *o, int64_t distributor, const void *client)
{
    static const enum statement all[] = { QUEUE_FORGET, AUTO_COPY_FORGET };
    for (size_t i = 0; i < ARRAY_COUNT(all); i++) {
        struct query q CLEANUP(query_end) = query(o->store, all[i]);
        query_bind_blob(&q, 1, slice(client, ID_BYTES));
        query_bind_i64(&q, 2, distributor);
        int r = rows_run(&q);
        if (r != 0)
            return r;
    }
    return 0;
}
