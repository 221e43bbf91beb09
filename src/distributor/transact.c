/* TRANSACT and COMMIT: exactly once (R5). The bit logic is protocol/txn.h's; here are its storage, the items, and the kept
 * answer. Bookkeeping, grants and charges are one database transaction; each item is granted or refused by itself, inside
 * a savepoint of its own. On the connection's thread. Source: design section 5. */
#define LOG_MODULE "transact"
#include <stdlib.h>

#include "base/log.h"
#include "base/util.h"
#include "distributor/handlers.h"
#include "distributor/late.h"
#include "distributor/reply.h"
#include "distributor/rows.h"
#include "distributor/sessions.h"
#include "distributor/standings.h"
#include "distributor/tokens.h"

#define ITEMS_MAX 256

static int run_item(struct operations *o, const struct caller *who, const msg_Item *item, msg_Result *result,
                    struct reply *out)
{
    if (item->has_purchase + item->has_copy + item->has_restore + item->has_refresh != 1)
        return REASON_MALFORMED;
    if (!item->has_copy && late_is_pending(o)) /* it may look at copies that are not written yet */
        return REQUESTS_FINISH_FIRST;
    if (item->has_purchase)
        return license_issue_purchase(o, who, &item->purchase, result, out);
    if (item->has_restore)
        return restore_run(o, who, &item->restore, result, out);
    if (item->has_refresh)
        return leases_refresh(o, who, &item->refresh, result, out);
    return copy_issue_run(o, who, &item->copy, result, out);
}

/* Grants or refuses one item; a refusal leaves nothing behind but itself. */
static int judge_item(struct operations *o, const struct caller *who, const msg_Item *item, msg_Result *result,
                      struct reply *out)
{
    struct savepoint p CLEANUP(savepoint_end) = { 0 };
    int r = savepoint_begin(&p, o->store);
    if (r != 0)
        return r;
    out->detail[0] = '\0';
    *result = (msg_Result)msg_Result_init_zero;
    r = tokens_judge(o, who, out); /* S61, S113: user and password */
    if (r == 0)
        r = standings_judge(o, who);
    if (r == 0)
        r = run_item(o, who, item, result, out);
    if (r == 0)
        return savepoint_release(&p);
    if (r < 0 || r == REQUESTS_ASK_DIRECTORY || r == REQUESTS_ASK_PARTNER || r == REQUESTS_FINISH_FIRST)
        return r;
    *result = (msg_Result)msg_Result_init_zero;
    result->has_refusal = true;
    reason_refusal(&result->refusal, (enum reason)r, out->detail[0] ? out->detail : NULL);
    out->detail[0] = '\0';
    return 0;
}

static int run_items(struct operations *o, const struct caller *who, struct slice tail, uint32_t count,
                     struct reply *out)
{
    msg_Item *item CLEANUP(freep) = calloc(1, sizeof(*item));
    msg_Result *result CLEANUP(freep) = calloc(1, sizeof(*result));
    struct buf encoded CLEANUP(buf_free) = buf(msg_Result_size);
    if (!item || !result)
        return -ENOMEM;
    struct reader items = reader(tail);
    for (uint32_t i = 0; i < count; i++) {
        struct slice bytes;
        int r = codec_list_next(&items, msg_Item_size, &bytes);
        if (r == 0)
            r = CODEC_DECODE(msg_Item, bytes, item);
        if (r != 0)
            return r < 0 ? r : REASON_MALFORMED;
        r = judge_item(o, who, item, result, out);
        if (r != 0)
            return r;
        buf_clear(&encoded);
        r = CODEC_ENCODE(msg_Result, &encoded, result);
        if (r == 0)
            r = codec_list_put(&out->tail, buf_slice(&encoded));
        if (r != 0)
            return r < 0 ? r : -EMSGSIZE;
    }
    return reader_done(&items) ? 0 : REASON_MALFORMED;
}

/* The same bytes as the first time. */
static int repeat(struct operations *o, const struct caller *who, struct reply *out)
{
    buf_clear(&out->message);
    buf_clear(&out->tail);
    int r = sessions_kept_answer(o, &who->client, &out->message, &out->tail);
    out->type = msg_Type_TRANSACTED;
    return r == OPERATIONS_ABSENT ? -EUCLEAN : r;
}

/* Tells the device where the server stands: length:4 || Transacted || the pending answer's tail. */
static int out_of_step(struct operations *o, const struct caller *who, const struct txn_server *s, struct reply *out)
{
    struct buf message CLEANUP(buf_free) = buf(msg_Transacted_size), tail CLEANUP(buf_free) = buf(out->tail.max_bytes);
    int r = OPERATIONS_ABSENT;
    if (s->pending)
        r = sessions_kept_answer(o, &who->client, &message, &tail);
    if (r == OPERATIONS_ABSENT) {
        msg_Transacted m = { .bit = s->bit };
        memcpy(m.transaction, s->id, sizeof(m.transaction));
        r = CODEC_ENCODE(msg_Transacted, &message, &m);
    }
    if (r == 0)
        r = codec_list_put(&out->tail, buf_slice(&message));
    if (r == 0)
        r = buf_append(&out->tail, buf_slice(&tail));
    return r == 0 ? REASON_OUT_OF_STEP : r < 0 ? r : -EMSGSIZE;
}

static int execute(struct operations *o, const struct caller *who, const msg_Transact *m, struct slice tail,
                   struct txn_server *s, struct reply *out)
{
    late_allow(o, m->count == 1);
    int r = run_items(o, who, tail, m->count, out);
    late_allow(o, false);
    if (r != 0)
        return r;
    msg_Transacted answer = { .bit = m->bit, .count = m->count };
    memcpy(answer.transaction, m->transaction, sizeof(answer.transaction));
    txn_server_answered(s, m->bit, m->transaction);
    r = sessions_save(o, &who->client, s, who->now_ms);
    if (r == 0)
        r = late_answer(o, &who->client, &answer, out);
    if (r != OPERATIONS_ABSENT) /* late.c completes the answer and keeps it */
        return r;
    r = REPLY(out, TRANSACTED, msg_Transacted, &answer);
    return r == 0 ? sessions_keep_answer(o, &who->client, buf_slice(&out->message), buf_slice(&out->tail)) : r;
}

int transact_run(struct operations *o, const struct caller *who, struct slice message, struct slice tail,
                 struct reply *out)
{
    msg_Transact m;
    struct txn_server s;
    if (late_is_of(o, &who->client))
        return REQUESTS_FINISH_FIRST;
    int r = REQUEST_DECODE(message, msg_Transact, &m);
    if (r == 0 && (m.count == 0 || m.count > ITEMS_MAX))
        r = REASON_MALFORMED;
    if (r == 0)
        r = sessions_load(o, &who->client, &s);
    if (r == OPERATIONS_ABSENT)
        return REASON_NOT_REGISTERED;
    if (r != 0)
        return r;
    if (m.session != who->session) /* a session is the connection it was opened on */
        return REASON_SESSION_REPLACED;
    enum reason reason = REASON_NONE;
    switch (txn_server_judge(&s, m.session, m.bit, m.transaction, &reason)) {
    case TXN_NEW:
        return execute(o, who, &m, tail, &s, out);
    case TXN_REPEAT:
        return repeat(o, who, out);
    case TXN_REFUSED:
        break;
    }
    return reason == REASON_OUT_OF_STEP ? out_of_step(o, who, &s, out) : (int)reason;
}

int transact_commit(struct operations *o, const struct caller *who, struct slice message, struct slice tail,
                    struct reply *out)
{
    (void)tail;
    msg_Commit m;
    struct txn_server s;
    if (late_is_of(o, &who->client))
        return REQUESTS_FINISH_FIRST;
    out->type = msg_Type_NONE;
    int r = REQUEST_DECODE(message, msg_Commit, &m);
    if (r == 0)
        r = sessions_load(o, &who->client, &s);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? 0 : r;
    if (m.session != who->session || !txn_server_commit(&s, m.session, m.bit, m.transaction))
        return 0;
    r = sessions_save(o, &who->client, &s, who->now_ms);
    return r == 0 ? sessions_drop_answer(o, &who->client) : r;
}
