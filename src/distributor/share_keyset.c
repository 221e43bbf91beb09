/* On the connection's thread. */
#define LOG_MODULE "share"
#include "distributor/share_keyset.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/util.h"
#include "distributor/keyset.h"
#include "distributor/rows.h"
#include "distributor/share_chain.h"
#include "share.pb.h"

/* The keyset of the last keyset row that was taken. OPERATIONS_ABSENT: none was since this is kept. */
static int read_followed(struct operations *o, int64_t number, doc_Keyset *out)
{
    struct buf envelope CLEANUP(buf_free) = buf(KEYSET_ENVELOPE_MAX);
    struct id signer;
    {
        struct query q CLEANUP(query_end) = query(o->store, CHAIN_KEYSET_GET);
        query_bind_i64(&q, 1, number);
        int r = rows_one(&q);
        if (r != 0)
            return r;
        query_append(&q, 0, &envelope);
        r = query_check(&q);
        if (r != 0)
            return r;
    }
    int r = document_open_keyset(buf_slice(&envelope), out, &signer);
    return r > 0 ? -EUCLEAN : r;
}

/* REASON_MALFORMED: this row is no keyset of its origin. */
static int open_carried(const doc_Share *share, share_Keyset *row, doc_Keyset *out)
{
    struct id root, origin = id_from(share->origin);
    if (share->table != share_Table_KEYSET || share->removed ||
        CODEC_DECODE(share_Keyset, CODEC_BYTES(share->row), row) != 0)
        return REASON_MALFORMED;
    int r = document_open_keyset(CODEC_BYTES(row->keyset), out, &root);
    if (r != 0)
        return r < 0 ? r : REASON_MALFORMED;
    return id_equal(&root, &origin) && id_equal(out->distributor, &origin) ? 0 : REASON_MALFORMED;
}

static int taken_to(struct operations *o, int64_t number, uint64_t *sequence)
{
    struct share_progress p;
    if (number == OPERATIONS_SELF)
        return share_outbox_last(o, sequence);
    int r = share_progress(o, number, &p);
    if (r == 0)
        *sequence = p.taken;
    return r == OPERATIONS_ABSENT ? -EUCLEAN : r;
}

int share_keyset_judge(struct operations *o, int64_t number, const doc_Keyset *newest, const doc_Share *share,
                       const uint8_t signer[32], enum share_via via)
{
    if (keyset_lists_shared(newest, signer))
        return 0;
    doc_Keyset *k CLEANUP(freep) = malloc(sizeof(*k));
    share_Keyset *row CLEANUP(freep) = malloc(sizeof(*row));
    uint64_t taken = 0;
    if (k == NULL || row == NULL)
        return -ENOMEM;
    int r = taken_to(o, number, &taken);
    if (r != 0)
        return r;
    if (share->sequence <= taken) /* it is here: nothing of it is read again */
        return 0;
    r = read_followed(o, number, k);
    if (r == OPERATIONS_ABSENT &&
        taken == 0) /* the first row of all is the first keyset, signed by a key that it names */
        r = open_carried(share, row, k);
    if (r < 0)
        return r;
    if (r == 0 && keyset_lists_shared(k, signer))
        return 0;
    if (share->table != share_Table_NONE)
        return REASON_SIGNATURE_INVALID;
    /* An emptied row is signed when it is emptied, and says nothing: its origin itself may give it. The directory's waits until a keyset that names its key
     * is known, which comes later in the same order: else whoever keeps the directory could hide what it likes. */
    return via == SHARE_VIA_ORIGIN ? 0 : SHARE_GAP;
}

/* A later keyset of ours that came back: what the one before had, and it has not, is a key that was withdrawn after the copy was taken that was put back
 * here; a license key it names as that. One that had ended is only left out. */
static int note_withdrawn(struct operations *o, const doc_Keyset *before, const doc_Keyset *k)
{
    int r = 0;
    for (pb_size_t i = 0; r == 0 && i < before->keys_count; i++) {
        const doc_Key *b = &before->keys[i];
        bool stays = false, is_named = false;
        for (pb_size_t j = 0; j < k->keys_count; j++) {
            bool same = memcmp(k->keys[j].key, b->key, sizeof(b->key)) == 0;
            stays = stays || (same && k->keys[j].purpose == b->purpose);
            is_named = is_named || (same && k->keys[j].purpose > KEY_SEALING);
        }
        if (b->purpose > KEY_SEALING || stays || (!is_named && b->ends_ms <= k->issued_ms))
            continue;
        log_warn(
            "a key of ours was withdrawn after the copy was taken that was put back here: keys list says what is to be done");
        r = keyset_withdraw(o, b->key, (int64_t)k->issued_ms);
    }
    return r;
}

int share_keyset_follow(struct operations *o, int64_t number, const doc_Share *share)
{
    if (share->table != share_Table_KEYSET)
        return 0;
    doc_Keyset *k CLEANUP(freep) = malloc(sizeof(*k)), *before CLEANUP(freep) = malloc(sizeof(*before));
    share_Keyset *row CLEANUP(freep) = malloc(sizeof(*row));
    if (k == NULL || before == NULL || row == NULL)
        return -ENOMEM;
    int r = open_carried(share, row, k);
    if (r == 0)
        r = read_followed(o, number, before);
    if (r == REASON_MALFORMED || (r == 0 && k->sequence <= before->sequence)) /* an old one does not come back */
        return 0;
    if (r == 0 && number == OPERATIONS_SELF)
        r = note_withdrawn(o, before, k);
    if (r != 0 && r != OPERATIONS_ABSENT)
        return r;
    struct query q CLEANUP(query_end) = query(o->store, CHAIN_KEYSET_SET);
    query_bind_i64(&q, 1, number);
    query_bind_blob(&q, 2, CODEC_BYTES(row->keyset));
    return rows_run(&q);
}

int share_keyset_begin(struct operations *o)
{
    struct buf envelope CLEANUP(buf_free) = buf(KEYSET_ENVELOPE_MAX);
    int r = keyset_current(o, &envelope);
    if (r != 0)
        return r;
    struct query q CLEANUP(query_end) = query(o->store, CHAIN_KEYSET_SET);
    query_bind_i64(&q, 1, OPERATIONS_SELF);
    query_bind_blob(&q, 2, buf_slice(&envelope));
    return rows_run(&q);
}
