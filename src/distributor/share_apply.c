/* Rows that other distributors share, into the same tables under their number: each verified, taken once, and after the one before it. What one changes
 * is share_apply_tables.c's. On the connection's thread. Source: seed "operations database C", procedure P3. */
#define LOG_MODULE "share"
#include <stdlib.h>

#include "base/log.h"
#include "base/util.h"
#include "distributor/keyset.h"
#include "distributor/rows.h"
#include "distributor/share.h"
#include "distributor/share_apply_internal.h"
#include "distributor/share_chain.h"
#include "distributor/share_empty.h"
#include "distributor/share_keyset.h"
#include "distributor/share_own.h"
#include "share.pb.h"

/* --- Verifying --------------------------------------------------------------------------------------------------- */

/* A row's keyset proves itself by its root; it is kept although its own life may be over, because the rows that follow were
 * signed under it and a later one replaces it. */
static int learn_keyset(struct operations *o, const struct id *origin, const doc_Share *share, int64_t now_ms,
                        bool *newer)
{
    share_Keyset *m CLEANUP(freep) = calloc(1, sizeof(*m));
    doc_Keyset *k CLEANUP(freep) = calloc(1, sizeof(*k));
    if (!m || !k)
        return -ENOMEM;
    struct id signer;
    if (CODEC_DECODE(share_Keyset, CODEC_BYTES(share->row), m) != 0)
        return REASON_MALFORMED;
    int r = document_open_keyset(CODEC_BYTES(m->keyset), k, &signer);
    if (r != 0)
        return r;
    int64_t judged_ms = k->issued_ms <= (uint64_t)now_ms ? (int64_t)k->issued_ms : now_ms;
    int64_t number;
    uint64_t before = 0;
    r = keyset_lowest(o, origin, &before);
    if (r == 0)
        r = keyset_store(o, origin, CODEC_BYTES(m->keyset), judged_ms, &number);
    *newer = r == 0 && k->sequence > before;
    return r == KEYSET_DIFFERS ? 0 : r; /* noted; its row has its place in the order all the same */
}

static int verify(struct operations *o, struct slice envelope, enum share_via via, int64_t now_ms, doc_Share *share,
                  int64_t *number, uint8_t signer[SIGN_PUBLIC_BYTES], bool *learned)
{
    doc_Keyset *keyset CLEANUP(freep) = calloc(1, sizeof(*keyset));
    if (!keyset)
        return -ENOMEM;
    int r = document_open_known(o->known, DOCUMENT_SHARE, envelope, share, sizeof(*share), signer);
    if (r != 0)
        return r;
    struct id origin = id_from(share->origin);
    if (share->table == share_Table_KEYSET && !share->removed && !id_equal(&origin, &o->keys->self))
        r = learn_keyset(o, &origin, share, now_ms, learned);
    if (r == 0)
        r = operations_distributor(o, &origin, number);
    if (r == 0)
        r = keyset_of(o, *number, keyset);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? REASON_KEYSET_INVALID : r;
    return share_keyset_judge(o, *number, keyset, share, signer, via);
}

/* --- In order ---------------------------------------------------------------------------------------------------- */

/* What was applied here before there were chains is only chained. */
static int applied_up_to(struct operations *o, int64_t number, uint64_t *sequence)
{
    struct query q CLEANUP(query_end) = query(o->store, DISTRIBUTOR_SHARED);
    query_bind_i64(&q, 1, number);
    int r = rows_one(&q);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? -EUCLEAN : r;
    *sequence = query_u64(&q, 0);
    return query_check(&q);
}

static int set_progress(struct operations *o, int64_t number, const struct share_progress *p, uint64_t applied)
{
    struct query q CLEANUP(query_end) = query(o->store, CHAIN_SET);
    query_bind_i64(&q, 1, number);
    query_bind_u64(&q, 2, p->taken);
    if (p->taken > 0)
        query_bind_blob(&q, 3, SLICE_ARRAY(p->head));
    else
        query_bind_null(&q, 3);
    query_bind_u64(&q, 4, applied);
    query_bind_u64(&q, 5, p->directory);
    query_bind_i64(&q, 6, p->direct_ms);
    return rows_run(&q);
}

/* How far the directory has come with this origin; since when it is behind. */
static void note_way(struct share_progress *p, uint64_t sequence, enum share_via via, int64_t now_ms)
{
    if (via == SHARE_VIA_DIRECTORY && sequence > p->directory)
        p->directory = sequence;
    if (p->directory >= p->taken)
        p->direct_ms = 0;
    else if (p->direct_ms == 0)
        p->direct_ms = now_ms;
}

static int take_next(const struct row *row, const doc_Share *share, struct slice envelope, enum share_via via,
                     struct share_progress *p)
{
    uint64_t applied = 0;
    uint8_t digest[32];
    int r = applied_up_to(row->o, row->origin, &applied);
    if (r == 0 && share->sequence > applied) {
        r = share_apply_to(row, share->table);
        applied = share->sequence;
    }
    if (r == 0)
        r = share_keyset_follow(row->o, row->origin, share);
    if (r == 0)
        r = share_empty_follow(row->o, row->origin, share, row->now_ms);
    if (r != 0)
        return r;
    share_digest(envelope, share, digest);
    share_chain_next(p->head, digest, p->head);
    p->taken = share->sequence;
    note_way(p, share->sequence, via, row->now_ms);
    return set_progress(row->o, row->origin, p, applied);
}

/* Known already, so nothing of it was judged: only the way it came may be news, and only of what its origin has signed. A directory that holds rows back
 * could say otherwise by any bytes under their numbers. */
static int take_again(const struct row *row, uint64_t sequence, const uint8_t signer[SIGN_PUBLIC_BYTES],
                      enum share_via via, struct share_progress *p)
{
    uint64_t applied;
    if (via != SHARE_VIA_DIRECTORY || sequence <= p->directory)
        return 0;
    doc_Keyset *keyset CLEANUP(freep) = malloc(sizeof(*keyset));
    if (!keyset)
        return -ENOMEM;
    int r = keyset_of(row->o, row->origin, keyset);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? -EUCLEAN : r;
    if (!keyset_lists_shared(keyset, signer))
        return 0;
    note_way(p, sequence, via, row->now_ms);
    r = applied_up_to(row->o, row->origin, &applied);
    return r == 0 ? set_progress(row->o, row->origin, p, applied) : r;
}

int share_apply_row(struct operations *o, int64_t origin, const doc_Share *share, int64_t now_ms)
{
    struct row row = { .o = o,
                       .origin = origin,
                       .origin_id = id_from(share->origin),
                       .removed = share->removed,
                       .bytes = CODEC_BYTES(share->row),
                       .now_ms = now_ms };
    return share_apply_to(&row, share->table);
}

int share_take(struct operations *o, struct slice envelope, enum share_via via, int64_t now_ms, struct share_taken *out)
{
    doc_Share *share CLEANUP(freep) = calloc(1, sizeof(*share));
    if (!share)
        return -ENOMEM;
    int64_t number;
    struct share_progress p;
    struct share_taken unwanted, *taken = out != NULL ? out : &unwanted;
    *taken = (struct share_taken){ .known = false };
    uint8_t signer[SIGN_PUBLIC_BYTES];
    int r = verify(o, envelope, via, now_ms, share, &number, signer, &taken->learned);
    if (r != 0)
        return r;
    taken->origin = id_from(share->origin);
    if (number == OPERATIONS_SELF)
        return via == SHARE_VIA_DIRECTORY ? share_own_apply(o, share, signer, envelope, now_ms) : 0;
    r = share_progress(o, number, &p);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? -EUCLEAN : r;
    struct row row = { .o = o,
                       .origin = number,
                       .origin_id = id_from(share->origin),
                       .removed = share->removed,
                       .bytes = CODEC_BYTES(share->row),
                       .now_ms = now_ms };
    taken->known = share->sequence <= (via == SHARE_VIA_DIRECTORY ? p.directory : p.taken);
    if (share->sequence <= p.taken)
        return take_again(&row, share->sequence, signer, via, &p);
    return share->sequence == p.taken + 1 ? take_next(&row, share, envelope, via, &p) : SHARE_GAP;
}

int share_apply(struct operations *o, struct slice envelope, int64_t now_ms)
{
    return share_take(o, envelope, SHARE_VIA_DIRECTORY, now_ms, NULL);
}
