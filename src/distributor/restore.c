/* Getting back what an account bought: the licenses of devices that were removed, and of this very device. No way to multiply rights: each
 * lost license is given again once, with what is left of its copies, and is gone where it was. On the connection's thread.
 * Source: design section 6.2 (a replacement gets back all that was bought). */
#define LOG_MODULE "restore"
#include <stdlib.h>

#include "base/log.h"
#include "base/util.h"
#include "distributor/copy_queue.h"
#include "distributor/give.h"
#include "distributor/handlers.h"
#include "distributor/keyset.h"
#include "distributor/licenses.h"
#include "distributor/reply.h"
#include "distributor/rows.h"

static void bind(struct query *q, const struct device *d, const struct id *content, int64_t now_ms)
{
    query_bind_text(q, 1, d->user);
    rows_bind_id(q, 2, content);
    rows_bind_id(q, 3, &d->client);
    query_bind_i64(q, 4, now_ms - DOCUMENTS_SKEW_MS);
}

/* The first content after *content; OPERATIONS_ABSENT. */
static int next_content(struct operations *o, const struct device *d, int64_t now_ms, struct id *content, bool *held)
{
    struct query q CLEANUP(query_end) = query(o->store, LICENSE_LOST_NEXT);
    bind(&q, d, content, now_ms);
    int r = rows_one(&q);
    if (r != 0)
        return r;
    query_fixed(&q, 0, content->bytes, ID_BYTES);
    *held = query_bool(&q, 1);
    return query_check(&q);
}

int restore_list(struct operations *o, const struct caller *who, struct slice message, struct slice tail,
                 struct reply *out)
{
    (void)tail;
    msg_RestorableGet m;
    struct device d;
    msg_Restorable list = msg_Restorable_init_zero;
    int r = REQUEST_DECODE(message, msg_RestorableGet, &m);
    if (r == 0)
        r = devices_caller(o, who, &d);
    struct id content = id_from(m.after);
    while (r == 0 && list.items_count < ARRAY_COUNT(list.items)) {
        msg_RestorableItem *item = &list.items[list.items_count];
        r = next_content(o, &d, who->now_ms, &content, &item->held);
        memcpy(item->content, content.bytes, sizeof(item->content));
        list.items_count += r == 0;
    }
    list.more = r == 0;
    return r == 0 || r == OPERATIONS_ABSENT ? REPLY(out, RESTORABLE, msg_Restorable, &list) : r;
}

int restore_find(struct operations *o, const struct device *d, const struct id *content, int64_t now_ms,
                 struct license *out)
{
    struct query q CLEANUP(query_end) = query(o->store, LICENSE_LOST);
    bind(&q, d, content, now_ms);
    int r = rows_one(&q);
    return r == 0 ? licenses_read(&q, out) : r;
}

static int kept_document(struct operations *o, const struct license *l, struct buf *document)
{
    struct query q CLEANUP(query_end) = query(o->store, LICENSE_DOCUMENT);
    query_bind_blob(&q, 1, SLICE_ARRAY(l->license_id));
    rows_bind_id(&q, 2, &l->client);
    int r = rows_one(&q);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? -EUCLEAN : r;
    query_append(&q, 0, document);
    return query_check(&q);
}

static int void_where(struct operations *o, int statement, const struct license *lost)
{
    struct query q CLEANUP(query_end) = query(o->store, statement);
    query_bind_blob(&q, 1, SLICE_ARRAY(lost->license_id));
    rows_bind_id(&q, 2, &lost->client);
    return rows_run(&q);
}

/* Where it was, it is no more; nor where it was lent, whatever becomes of that device. */
static int take_away(struct operations *o, const struct license *lost)
{
    int r = void_where(o, MOVES_VOID, lost);
    if (r == 0 && lost->state == LICENSE_LENT)
        r = void_where(o, LOAN_MOVES_VOID, lost);
    if (r == 0 && lost->state == LICENSE_LENT)
        r = void_where(o, LOANS_VOID, lost);
    return r == 0 ? licenses_set_state(o, lost->license_id, &lost->client, lost->sequence, LICENSE_GONE) : r;
}

/* What is left of it, on top of what this device has used under earlier editions; and no download period: it was downloaded in time. */
static int what_is_left(struct operations *o, const struct device *d, const struct license *lost, doc_Conditions *c)
{
    struct license mine;
    uint32_t plays = lost->used.plays;
    int r = licenses_find(o, lost->license_id, &d->client, &mine);
    if (r == OPERATIONS_ABSENT)
        mine = (struct license){ 0 };
    else if (r != 0)
        return r;
    /* A lease that did not come back counts as used up. */
    if (lost->has_lease && lost->lease.has_max_plays && lost->state != LICENSE_RETURNED &&
        lost->lease.max_plays > plays)
        plays = lost->lease.max_plays;
    *c = lost->conditions;
    c->has_download_until_ms = false;
    c->download_until_ms = 0;
    if (id_equal(&lost->client, &d->client))
        return 0;
    if (c->has_max_plays)
        c->max_plays = u32_add(c->max_plays - (uint32_t)u64_min(plays, c->max_plays), mine.used.plays);
    if (c->has_max_play_ms)
        c->max_play_ms = u64_min(
            u64_add(c->max_play_ms - u64_min(lost->used.play_ms, c->max_play_ms), mine.used.play_ms), INT64_MAX);
    if (c->has_max_recoveries)
        c->max_recoveries = u32_add(c->max_recoveries - (uint32_t)u64_min(lost->used.recoveries, c->max_recoveries),
                                    mine.used.recoveries);
    return 0;
}

static int give_again(struct operations *o, const struct caller *who, const struct device *d,
                      const struct license *lost, msg_Result *result, struct reply *out)
{
    struct license l = *lost, mine;
    int r = what_is_left(o, d, lost, &l.conditions);
    if (r == 0)
        r = take_away(o, lost);
    if (r == 0)
        r = licenses_find(o, lost->license_id, &d->client, &mine);
    if (r != 0 && r != OPERATIONS_ABSENT)
        return r;
    l.used = r == 0 ? mine.used : (struct license_used){ 0 };
    return license_give(o, who, d, &l, result, out);
}

/* Does it still count? What a withdrawn key has signed its device takes no more, also when the answer that it was sold with never arrived. */
static int judge_kept(struct operations *o, const struct license *l, bool *counts)
{
    doc_Keyset *own CLEANUP(freep) = malloc(sizeof(*own));
    doc_License *license CLEANUP(freep) = malloc(sizeof(*license));
    struct buf document CLEANUP(buf_free) = buf(sizeof(((msg_Result *)NULL)->license.bytes));
    if (!own || !license)
        return -ENOMEM;
    int r = keyset_own(o, own);
    if (r == 0)
        r = kept_document(o, l, &document);
    if (r != 0)
        return r;
    r = license_judge(buf_slice(&document), own, license);
    *counts = r == 0;
    return r < 0 ? r : 0;
}

static int give_kept(struct operations *o, const struct device *d, const struct license *l, msg_Result *result)
{
    struct content_halves halves CLEANUP(content_halves_wipe) = { 0 };
    struct buf document CLEANUP(buf_free) = buf(sizeof(result->license.bytes));
    struct buf header CLEANUP(buf_free) = buf(sizeof(result->header.bytes));
    int r = contents_halves(o, &l->content, &halves);
    if (r == 0)
        r = kept_document(o, l, &document);
    if (r == 0)
        r = licenses_header(o, d, &l->content, &halves, &header);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? -EUCLEAN : r;
    return license_result(buf_slice(&document), buf_slice(&header), slice(NULL, 0), result);
}

/* A license that this device has, or is giving away, is not written over. */
static int judge_here(struct operations *o, const struct device *d, const struct license *lost, int64_t now_ms,
                      struct reply *out)
{
    struct license mine;
    int r = licenses_find(o, lost->license_id, &d->client, &mine);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? 0 : r;
    if (!id_equal(lost->client.bytes, d->client.bytes) && licenses_is_held(&mine, now_ms))
        return reply_refuse(out, REASON_ALREADY, "This device has a license for it, or is moving it away.");
    return 0;
}

int restore_run(struct operations *o, const struct caller *who, const msg_Restore *item, msg_Result *result,
                struct reply *out)
{
    struct device d;
    struct license lost;
    struct id content = id_from(item->content);
    int r = devices_caller_or_guest(o, who, &d);
    if (r == 0)
        r = d.distributor == OPERATIONS_SELF ? restore_find(o, &d, &content, who->now_ms, &lost) : OPERATIONS_ABSENT;
    if (r == OPERATIONS_ABSENT) {
        r = copy_queue_give(o, who, &d, &content, result, out);
        if (r != OPERATIONS_ABSENT)
            return r;
    }
    if (r == OPERATIONS_ABSENT)
        return reply_refuse(out, REASON_NO_LICENSE,
                            "There is nothing to get back: no license of the account was lost.");
    if (r == 0)
        r = judge_here(o, &d, &lost, who->now_ms, out);
    if (r != 0)
        return r;
    bool kept = lost.state == LICENSE_LIVE && id_equal(lost.client.bytes, d.client.bytes);
    if (kept)
        r = judge_kept(o, &lost, &kept);
    if (r != 0)
        return r;
    return kept ? give_kept(o, &d, &lost, result) : give_again(o, who, &d, &lost, result, out);
}
