/* Counters: `outbox-again-ms` when it was put back; `outbox-again` up to which number others may have other rows; `heard:N` that partner N has shown
 * its heads since, by the number of restores. On the connection's thread. */
#define LOG_MODULE "share"
#include "distributor/share_again.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/util.h"
#include "distributor/keyset.h"
#include "distributor/rows.h"
#include "distributor/share.h"
#include "distributor/share_rows.h"

#define SINCE "outbox-again-ms"
#define LOST "outbox-again"
#define FILL_MAX 4096       /* at once: the rest with the next look at heads */
#define LOST_MAX 100000000U /* more rows than any distributor shares between two backups */

int share_again_begin(struct operations *o, int64_t now_ms)
{
    uint64_t last;
    int r = share_outbox_last(o, &last);
    if (r == 0)
        r = operations_counter_set(o, LOST, last);
    return r == 0 ? operations_counter_set(o, SINCE, (uint64_t)now_ms) : r;
}

/* Rows that say nothing, up to this number or FILL_MAX. */
static int fill(struct operations *o, uint64_t at, uint64_t *last)
{
    int r = 0;
    for (unsigned i = 0; r == 0 && *last < at && i < FILL_MAX; i++) {
        r = share_put_encoded(o, share_Table_NONE, true, slice("", 0));
        if (r == 0)
            r = share_outbox_last(o, last);
    }
    return r;
}

static int put_once_more(struct operations *o, uint64_t sequence, doc_Share *share)
{
    struct buf envelope CLEANUP(buf_free) = buf(SHARE_ENVELOPE_MAX);
    uint8_t signer[32];
    {
        struct query q CLEANUP(query_end) = query(o->store, OUTBOX_GET);
        query_bind_u64(&q, 1, sequence);
        int r = rows_one(&q);
        if (r != 0)
            return r == OPERATIONS_ABSENT ? -EUCLEAN : r;
        query_append(&q, 0, &envelope);
        r = query_check(&q);
        if (r != 0)
            return r;
    }
    int r = document_open(DOCUMENT_SHARE, buf_slice(&envelope), share, sizeof(*share), signer);
    if (r != 0)
        return r < 0 ? r : -EUCLEAN;
    return share->table == share_Table_NONE
               ? 0
               : share_put_encoded(o, share->table, share->removed, CODEC_BYTES(share->row));
}

static int go_on_above(struct operations *o, uint64_t lost, uint64_t at)
{
    doc_Share *share CLEANUP(freep) = malloc(sizeof(*share));
    uint64_t last, put = 0;
    int r = share != NULL ? share_outbox_last(o, &last) : -ENOMEM;
    if (r == 0)
        r = fill(o, at, &last);
    if (r != 0 || last < at)
        return r;
    for (uint64_t s = lost + 1; r == 0 && s <= last; s++, put++)
        r = put_once_more(o, s, share);
    if (r == 0)
        r = operations_counter_set(o, LOST, at);
    if (r == 0)
        log_info("our rows go on above those of before the restore lost-to=%llu put-again-from=%llu",
                 (unsigned long long)at, (unsigned long long)lost + 1);
    return r;
}

int share_again_head(struct operations *o, const share_Head *head, const uint8_t signer[32])
{
    doc_Keyset *own CLEANUP(freep) = malloc(sizeof(*own));
    uint64_t since_ms = 0, lost = 0;
    int r = own != NULL ? keyset_own(o, own) : -ENOMEM;
    if (r == 0 && !keyset_lists_shared(own, signer))
        return REASON_SIGNATURE_INVALID;
    if (r == 0)
        r = operations_counter(o, SINCE, &since_ms);
    if (r == 0)
        r = operations_counter(o, LOST, &lost);
    /* One that was signed since counts rows of now. */
    if (r != 0 || head->time_ms >= since_ms || head->at <= lost || head->at - lost > LOST_MAX)
        return r;
    return go_on_above(o, lost, head->at);
}

static int heard(struct operations *o, int64_t partner, char name[64], uint64_t *restores)
{
    snprintf(name, 64, "heard:%lld", (long long)partner);
    return operations_counter(o, "epoch", restores);
}

int share_again_heard(struct operations *o, int64_t partner)
{
    char name[64];
    uint64_t since_ms = 0, restores = 0, known = 0;
    int r = operations_counter(o, SINCE, &since_ms);
    if (r != 0 || since_ms == 0)
        return r;
    r = heard(o, partner, name, &restores);
    if (r == 0)
        r = operations_counter(o, name, &known);
    return r == 0 && known != restores ? operations_counter_set(o, name, restores) : r;
}

int share_again_may_give(struct operations *o, int64_t partner, int64_t now_ms, bool *yes)
{
    char name[64];
    uint64_t since_ms = 0, restores = 0, known = 0;
    int r = operations_counter(o, SINCE, &since_ms);
    *yes = since_ms == 0 || now_ms > (int64_t)since_ms + SHARE_AGAIN_WAIT_MS;
    if (r != 0 || *yes)
        return r;
    r = heard(o, partner, name, &restores);
    if (r == 0)
        r = operations_counter(o, name, &known);
    *yes = known == restores;
    return r;
}
