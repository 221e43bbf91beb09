/* The outbox: our rows of shared tables, signed, in the order in which they changed. On the connection's thread.
 * What others share: share_apply.c. Source: seed procedure P3 and the synchronization of S38, S84, S141. */
#define LOG_MODULE "share"
#include "distributor/share.h"

#include <stdlib.h>

#include "base/util.h"
#include "crypto/sha256.h"
#include "distributor/late.h"
#include "distributor/rows.h"
#include "distributor/share_chain.h"
#include "distributor/share_own.h"
#include "distributor/share_rows.h"
#include "distributor/tally.h"

#define CONFIRMED "outbox-confirmed"
#define CURSOR "directory-cursor"

/* --- Outbox ------------------------------------------------------------------------------------------------------ */

int share_row_sign(const struct keys *keys, uint32_t table, bool removed, struct slice row, uint64_t sequence,
                   struct buf *envelope)
{
    doc_Share *share CLEANUP(freep) = calloc(1, sizeof(*share));
    if (!share)
        return -ENOMEM;
    if (CODEC_SET_BYTES(share->row, row) != 0)
        return -EMSGSIZE;
    memcpy(share->origin, keys->self.bytes, ID_BYTES);
    share->sequence = sequence;
    share->table = table;
    share->removed = removed;
    struct signer signer;
    signer_from_pair(&signer, &keys->license);
    int r = document_sign(envelope, DOCUMENT_SHARE, share, &signer);
    return r > 0 ? -EMSGSIZE : r;
}

/* head: NULL of a row that is held. */
static int add_row(struct operations *o, uint64_t sequence, struct slice envelope, const uint8_t *head)
{
    struct query q CLEANUP(query_end) = query(o->store, OUTBOX_ADD);
    query_bind_u64(&q, 1, sequence);
    query_bind_blob(&q, 2, envelope);
    if (head)
        query_bind_blob(&q, 3, slice(head, SHARE_CHAIN_BYTES));
    else
        query_bind_null(&q, 3);
    return rows_later(&q);
}

int share_outbox_keep(struct operations *o, uint64_t sequence, const doc_Share *share, struct slice envelope)
{
    uint8_t head[SHARE_CHAIN_BYTES], digest[32];
    int r = share_head_of_outbox(o, sequence - 1, head);
    if (r == OPERATIONS_ABSENT) { /* rows from before there were heads */
        r = share_chain_fill(o);
        if (r == 0)
            r = share_head_of_outbox(o, sequence - 1, head);
    }
    if (r != 0)
        return r == OPERATIONS_ABSENT ? -EUCLEAN : r;
    if (share)
        share_digest(envelope, share, digest);
    else
        sha256(envelope, digest);
    if (!share) /* it was signed just now, and comes back by the directory */
        known_add(o->known, envelope);
    share_chain_next(head, digest, head);
    r = add_row(o, sequence, envelope, head);
    return r == 0 ? tally_set_head(o, sequence, head) : r;
}

int share_put_encoded(struct operations *o, uint32_t table, bool removed, struct slice row)
{
    uint64_t sequence = 0;
    bool held = false;
    o->rows_put++;
    if (late_takes_row(o, table, removed, row))
        return 0;
    struct buf envelope CLEANUP(buf_free) = buf(SHARE_ENVELOPE_MAX);
    int r = share_own_is_catching_up(o, &held);
    if (r == 0)
        r = operations_count(o, held ? SHARE_HELD_COUNTER : "outbox", &sequence);
    if (r == 0 && held)
        sequence += SHARE_HELD;
    if (r == 0)
        r = share_row_sign(o->keys, table, removed, row, sequence, &envelope);
    if (r != 0)
        return r;
    return held ? add_row(o, sequence, buf_slice(&envelope), NULL)
                : share_outbox_keep(o, sequence, NULL, buf_slice(&envelope));
}

int share_put(struct operations *o, uint32_t table, bool removed, const pb_msgdesc_t *fields, const void *row)
{
    struct buf encoded CLEANUP(buf_free) = buf(sizeof(((doc_Share *)NULL)->row.bytes));
    int r = codec_encode(&encoded, fields, row);
    return r == 0 ? share_put_encoded(o, table, removed, buf_slice(&encoded)) : r < 0 ? r : -EMSGSIZE;
}

int share_outbox_read(struct operations *o, uint64_t after, uint32_t max_count, size_t max_bytes, struct buf *tail,
                      uint32_t *count, uint64_t *last)
{
    struct query q CLEANUP(query_end) = query(o->store, OUTBOX_NEXT);
    query_bind_u64(&q, 1, after);
    query_bind_i64(&q, 2, max_count);
    size_t begin = tail->len;
    uint32_t n = 0;
    int r = 0;
    while (rows_next(&q, &r)) {
        struct slice envelope = query_blob(&q, 1);
        if (n > 0 && tail->len - begin + envelope.len + 4 > max_bytes)
            break;
        r = codec_list_put(tail, envelope);
        if (r != 0)
            return r < 0 ? r : -EMSGSIZE;
        *last = query_u64(&q, 0);
        n++;
    }
    if (r == 0)
        r = query_check(&q);
    if (r == 0)
        *count = n;
    return r;
}

int share_outbox_confirmed(struct operations *o, uint64_t *sequence)
{
    return operations_counter(o, CONFIRMED, sequence);
}

int share_outbox_confirm(struct operations *o, uint64_t sequence)
{
    return operations_counter_set(o, CONFIRMED, sequence);
}

int share_cursor(struct operations *o, uint64_t *next) { return operations_counter(o, CURSOR, next); }

int share_cursor_set(struct operations *o, uint64_t next) { return operations_counter_set(o, CURSOR, next); }

int share_check(struct operations *o, const char *which, uint64_t *times)
{
    return operations_counter(o, which, times);
}

int share_check_set(struct operations *o, const char *which, uint64_t times)
{
    return operations_counter_set(o, which, times);
}

int share_outbox_last(struct operations *o, uint64_t *sequence) { return operations_counter(o, "outbox", sequence); }

int share_read_again(struct operations *o, int64_t now_ms)
{
    struct query q CLEANUP(query_end) = query(o->store, CHAIN_READ_AGAIN);
    query_bind_i64(&q, 1, now_ms);
    int r = rows_run(&q);
    return r == 0 ? share_cursor_set(o, 0) : r;
}

int share_restart(struct operations *o, int64_t now_ms)
{
    int r = share_outbox_confirm(o, 0);
    return r == 0 ? share_read_again(o, now_ms) : r;
}

int share_mark(struct operations *o, struct share_place *out)
{
    struct query q CLEANUP(query_end) = query(o->store, MARK_GET);
    int r = rows_one(&q);
    if (r != 0)
        return r;
    query_fixed(&q, 0, out->origin.bytes, ID_BYTES);
    out->sequence = query_u64(&q, 1);
    out->position = query_u64(&q, 2);
    return query_check(&q);
}

int share_mark_set(struct operations *o, const struct share_place *at)
{
    struct query q CLEANUP(query_end) = query(o->store, MARK_SET);
    rows_bind_id(&q, 1, &at->origin);
    query_bind_u64(&q, 2, at->sequence);
    query_bind_u64(&q, 3, at->position);
    return rows_run(&q);
}

int share_place_of(struct slice envelope, struct share_place *out)
{
    doc_Share *share CLEANUP(freep) = calloc(1, sizeof(*share));
    uint8_t signer[32];
    int r = share ? document_open(DOCUMENT_SHARE, envelope, share, sizeof(*share), signer) : -ENOMEM;
    if (r == 0)
        *out = (struct share_place){ id_from(share->origin), share->sequence, 0 };
    return r;
}
