/* ROWS_GET: a partner asks us for our own shared rows, beside or instead of the directory. Read-only; on the connection's thread.
 * Source: design section 6, "a failed local lookup asks the directory; without one, partners are asked directly". */
#define LOG_MODULE "share"
#include <stdlib.h>

#include "base/util.h"
#include "distributor/delegations.h"
#include "distributor/handlers.h"
#include "distributor/reply.h"
#include "distributor/share.h"
#include "distributor/share_again.h"
#include "distributor/share_chain.h"

#define ROWS_MAX 256
#define ROWS_BYTES (256u << 10)
#define HEADS_MAX 64

static int set_heads(struct operations *o, uint64_t at, uint64_t last, int64_t now_ms, msg_Rows *answer)
{
    struct buf head CLEANUP(buf_free) = buf(SHARE_HEAD_ENVELOPE_MAX);
    int r = at <= last ? share_head_sign(o, at, now_ms, &head) : 0;
    answer->has_at = at <= last;
    if (r == 0 && answer->has_at)
        r = CODEC_SET_BYTES(answer->at, buf_slice(&head));
    buf_clear(&head);
    if (r == 0)
        r = share_head_sign(o, last, now_ms, &head);
    if (r == 0)
        r = CODEC_SET_BYTES(answer->last, buf_slice(&head));
    return r;
}

int share_rows_get(struct operations *o, const struct caller *who, struct slice message, struct slice tail,
                   struct reply *out)
{
    (void)tail;
    msg_RowsGet m;
    struct partner p;
    msg_Rows answer = msg_Rows_init_zero;
    uint64_t last = 0, sent;
    int r = REQUEST_DECODE(message, msg_RowsGet, &m);
    if (r == 0 && m.after > INT64_MAX)
        r = REASON_MALFORMED;
    if (r != 0)
        return r;
    r = delegations_partner_find(o, &who->partner, &p);
    if (r == OPERATIONS_ABSENT || (r == 0 && p.withdrawn))
        return REASON_UNKNOWN_DISTRIBUTOR;
    bool may_give = true;
    if (r == 0)
        r = share_again_may_give(o, p.number, who->now_ms, &may_give);
    if (r == 0 && !may_give)
        return REASON_TIMED_OUT; /* it asks again */
    if (r == 0)
        r = share_outbox_last(o, &last);
    if (r == 0)
        r = set_heads(o, m.after, last, who->now_ms, &answer);
    if (r == OPERATIONS_ABSENT) /* just migrated: the heads are being made */
        return REASON_TIMED_OUT;
    if (r == 0)
        r = share_outbox_read(o, m.after, ROWS_MAX, ROWS_BYTES, &out->tail, &answer.count, &sent);
    if (r == 0)
        r = share_heads_read(o, HEADS_MAX, &out->tail, &answer.head_count);
    if (r != 0)
        return r > 0 ? -EMSGSIZE : r;
    return REPLY(out, ROWS, msg_Rows, &answer);
}
