/* One page of rows, each stored or known. On the thread of the directory's database. */
#include "distributor/directory_rows.h"

#include "distributor/directory_db.h"
#include "distributor/reply.h"
#include "share.pb.h"

#define ROWS_MAX 1024

static int put_row(struct store *s, const struct id *member, struct slice envelope)
{
    doc_Share share;
    uint8_t signer[32]; /* of its key of now or of before: members judge that, in the rows' order (share_keyset.h) */
    int r = document_open(DOCUMENT_SHARE, envelope, &share, sizeof(share), signer);
    if (r != 0)
        return r;
    if (!id_equal(share.origin, member)) /* a member speaks for itself only */
        return REASON_SIGNATURE_INVALID;
    if (share.sequence > INT64_MAX)
        return REASON_MALFORMED;
    r = share.table == share_Table_NONE ? directory_db_empty(s, member, share.sequence, envelope)
                                        : directory_db_put(s, member, share.sequence, envelope);
    return r == DIRECTORY_GAP ? REASON_OUT_OF_STEP : r;
}

int directory_rows_push(struct store *s, const struct caller *who, struct slice message, struct slice tail,
                        struct reply *out)
{
    msg_SharePush push;
    if (who->role != REQUESTS_DISTRIBUTOR)
        return REASON_NOT_PERMITTED;
    if (CODEC_DECODE(msg_SharePush, message, &push) != 0 || push.count > ROWS_MAX)
        return REASON_MALFORMED;
    struct reader rows = reader(tail);
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < push.count; i++) {
        struct slice envelope;
        if (codec_list_next(&rows, FRAME_MESSAGE_MAX, &envelope) != 0)
            return REASON_MALFORMED;
        r = put_row(s, &who->partner, envelope);
    }
    if (r == 0 && !reader_done(&rows))
        return REASON_MALFORMED;
    if (r != 0 && r != REASON_OUT_OF_STEP) /* a gap: the answer says from where to send again */
        return r;
    msg_SharePushed pushed = msg_SharePushed_init_zero;
    r = directory_db_last(s, &who->partner, &pushed.sequence);
    return r == 0 ? REPLY(out, SHARE_PUSHED, msg_SharePushed, &pushed) : r;
}
