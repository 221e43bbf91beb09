/* Many receipts in one request: each is settled, or refused, for itself. On the connection's thread. Source: seed S153; design section 6.5. */
#include <stdlib.h>

#include "base/util.h"
#include "distributor/copies.h"
#include "distributor/handlers.h"
#include "distributor/reply.h"

#define REDEEMS_MAX 64

/* One of many: a refusal leaves nothing behind but itself, in *result. */
static int redeem_one(struct operations *o, const struct caller *who, struct slice encoded, msg_Result *result,
                      struct reply *out)
{
    struct savepoint p CLEANUP(savepoint_end) = { 0 };
    int r = savepoint_begin(&p, o->store);
    if (r != 0)
        return r;
    out->detail[0] = '\0';
    *result = (msg_Result)msg_Result_init_zero;
    r = copies_redeem(o, who, encoded, slice(NULL, 0), out);
    buf_clear(&out->message);
    if (r == 0)
        return savepoint_release(&p);
    if (r < 0 || r >= REASON_COUNT) /* somebody has to be asked first: all of them again then */
        return r;
    result->has_refusal = true;
    reason_refusal(&result->refusal, (enum reason)r, out->detail[0] ? out->detail : NULL);
    out->detail[0] = '\0';
    return 0;
}

static int redeem_all(struct operations *o, const struct caller *who, struct slice tail, uint32_t count,
                      struct reply *out)
{
    msg_Result *result CLEANUP(freep) = calloc(1, sizeof(*result));
    struct buf encoded CLEANUP(buf_free) = buf(msg_Result_size);
    struct reader receipts = reader(tail);
    if (result == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < count; i++) {
        struct slice one;
        int r = codec_list_next(&receipts, msg_Redeem_size, &one);
        if (r != 0)
            return r < 0 ? r : REASON_MALFORMED;
        r = redeem_one(o, who, one, result, out);
        if (r != 0)
            return r;
        buf_clear(&encoded);
        r = CODEC_ENCODE(msg_Result, &encoded, result);
        if (r == 0)
            r = codec_list_put(&out->tail, buf_slice(&encoded));
        if (r != 0)
            return r < 0 ? r : -EMSGSIZE;
    }
    return reader_done(&receipts) ? 0 : REASON_MALFORMED;
}

int copies_redeem_all(struct operations *o, const struct caller *who, struct slice message, struct slice tail,
                      struct reply *out)
{
    msg_Redeems m;
    int r = REQUEST_DECODE(message, msg_Redeems, &m);
    if (r == 0 && (m.count == 0 || m.count > REDEEMS_MAX))
        r = REASON_MALFORMED;
    if (r == 0)
        r = redeem_all(o, who, tail, m.count, out);
    if (r != 0)
        return r;
    msg_Redeemed answer = { .count = m.count };
    return REPLY(out, REDEEMED, msg_Redeemed, &answer);
}
