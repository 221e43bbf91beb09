/* On the connection's thread. */
#define LOG_MODULE "share"
#include "distributor/share_chain.h"

#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "crypto/sha256.h"
#include "distributor/findings.h"
#include "distributor/keyset.h"
#include "distributor/rows.h"
#include "distributor/share.h"
#include "distributor/share_again.h"
#include "distributor/share_empty.h"
#include "distributor/tally.h"

#define CHAIN_TAG "hearth share chain"
#define FILL_ROWS 512

void share_chain_next(const uint8_t before[SHARE_CHAIN_BYTES], const uint8_t digest[32], uint8_t out[SHARE_CHAIN_BYTES])
{
    const struct slice parts[] = { slice(CHAIN_TAG, sizeof(CHAIN_TAG)), slice(before, SHARE_CHAIN_BYTES),
                                   slice(digest, 32) }; /* the tag with its zero byte */
    sha256_parts(parts, ARRAY_COUNT(parts), out);
}

void share_digest(struct slice envelope, const doc_Share *share, uint8_t out[32])
{
    share_Emptied emptied;
    if (share->table == share_Table_NONE && CODEC_DECODE(share_Emptied, CODEC_BYTES(share->row), &emptied) == 0)
        memcpy(out, emptied.digest, sizeof(emptied.digest));
    else
        sha256(envelope, out);
}

/* --- Ours -------------------------------------------------------------------------------------------------------- */

int share_head_of_outbox(struct operations *o, uint64_t at, uint8_t out[SHARE_CHAIN_BYTES])
{
    if (at == 0) {
        memset(out, 0, SHARE_CHAIN_BYTES);
        return 0;
    }
    if (tally_head(o, at, out))
        return 0;
    struct query q CLEANUP(query_end) = query(o->store, OUTBOX_HEAD);
    query_bind_u64(&q, 1, at);
    int r = rows_one(&q);
    if (r != 0)
        return r;
    if (query_is_null(&q, 0))
        return OPERATIONS_ABSENT;
    query_fixed(&q, 0, out, SHARE_CHAIN_BYTES);
    return query_check(&q);
}

static int set_head(struct operations *o, uint64_t sequence, const uint8_t head[SHARE_CHAIN_BYTES])
{
    struct query q CLEANUP(query_end) = query(o->store, OUTBOX_SET_HEAD);
    query_bind_u64(&q, 1, sequence);
    query_bind_blob(&q, 2, slice(head, SHARE_CHAIN_BYTES));
    return rows_run(&q);
}

/* Head of one row after another, from the last one that has its own. */
static int fill_from(struct operations *o, uint64_t sequence)
{
    uint8_t head[SHARE_CHAIN_BYTES], digest[32];
    doc_Share *share CLEANUP(freep) = calloc(1, sizeof(*share));
    struct buf rows CLEANUP(buf_free) = buf(FILL_ROWS * (SHARE_ENVELOPE_MAX + 4));
    uint8_t signer[32];
    uint32_t count = 1;
    int r = share ? share_head_of_outbox(o, sequence, head) : -ENOMEM;
    while (r == 0 && count > 0) {
        uint64_t last = sequence;
        buf_clear(&rows);
        r = share_outbox_read(o, sequence, FILL_ROWS, rows.max_bytes, &rows, &count, &last);
        struct reader list = reader(buf_slice(&rows));
        struct slice envelope;
        for (; r == 0 && sequence < last; sequence++) {
            if (codec_list_next(&list, SHARE_ENVELOPE_MAX, &envelope) != 0)
                return -EUCLEAN;
            r = document_open(DOCUMENT_SHARE, envelope, share, sizeof(*share), signer);
            if (r != 0)
                return r < 0 ? r : -EUCLEAN;
            share_digest(envelope, share, digest);
            share_chain_next(head, digest, head);
            r = set_head(o, sequence + 1, head);
        }
    }
    return r == OPERATIONS_ABSENT ? -EUCLEAN : r;
}

int share_chain_fill(struct operations *o)
{
    uint64_t last = 0, from = 0;
    uint8_t head[SHARE_CHAIN_BYTES];
    int r = share_outbox_last(o, &last);
    if (r == 0)
        r = share_head_of_outbox(o, last, head);
    if (r != OPERATIONS_ABSENT)
        return r;
    {
        struct query q CLEANUP(query_end) = query(o->store, OUTBOX_LAST_HEAD);
        r = rows_one(&q);
        if (r == 0)
            from = query_u64(&q, 0);
        r = r == 0 ? query_check(&q) : r;
    }
    return r == 0 ? fill_from(o, from) : r;
}

int share_head_sign(struct operations *o, uint64_t at, int64_t now_ms, struct buf *envelope)
{
    doc_Share *share CLEANUP(freep) = calloc(1, sizeof(*share));
    struct buf encoded CLEANUP(buf_free) = buf(SHARE_HEAD_ENVELOPE_MAX);
    share_Head head = { .at = at, .time_ms = (uint64_t)now_ms };
    if (share == NULL)
        return -ENOMEM;
    int r = share_head_of_outbox(o, at, head.head);
    if (r == 0)
        r = CODEC_ENCODE(share_Head, &encoded, &head);
    if (r != 0)
        return r;
    if (CODEC_SET_BYTES(share->row, buf_slice(&encoded)) != 0)
        return -EMSGSIZE;
    memcpy(share->origin, o->keys->self.bytes, ID_BYTES);
    share->table = share_Table_HEAD;
    struct signer signer;
    signer_from_pair(&signer, &o->keys->license);
    r = document_sign(envelope, DOCUMENT_SHARE, share, &signer);
    return r > 0 ? -EMSGSIZE : r;
}

/* --- Others' ----------------------------------------------------------------------------------------------------- */

static void read_progress(struct query *q, int column, struct share_progress *out)
{
    *out = (struct share_progress){ .taken = query_u64(q, column),
                                    .directory = query_u64(q, column + 2),
                                    .direct_ms = query_i64(q, column + 3),
                                    .signed_to = query_u64(q, column + 4) };
    if (!query_is_null(q, column + 1))
        query_fixed(q, column + 1, out->head, SHARE_CHAIN_BYTES);
}

int share_progress(struct operations *o, int64_t number, struct share_progress *out)
{
    struct query q CLEANUP(query_end) = query(o->store, CHAIN_GET);
    query_bind_i64(&q, 1, number);
    int r = rows_one(&q);
    if (r != 0)
        return r;
    read_progress(&q, 0, out);
    return query_check(&q);
}

int share_progress_next(struct operations *o, int64_t after, int64_t *number, struct id *id,
                        char name[OPERATIONS_NAME_BYTES], struct share_progress *out)
{
    struct query q CLEANUP(query_end) = query(o->store, CHAIN_NEXT);
    query_bind_i64(&q, 1, after);
    int r = rows_one(&q);
    if (r != 0)
        return r;
    read_progress(&q, 0, out);
    *number = query_i64(&q, 5);
    query_fixed(&q, 6, id->bytes, ID_BYTES);
    query_text(&q, 7, name, OPERATIONS_NAME_BYTES);
    return query_check(&q);
}

static int keep_head(struct operations *o, int64_t number, const share_Head *head, struct slice envelope)
{
    struct query q CLEANUP(query_end) = query(o->store, HEAD_SET);
    query_bind_i64(&q, 1, number);
    query_bind_u64(&q, 2, head->at);
    query_bind_blob(&q, 3, envelope);
    return rows_run(&q);
}

/* Its rows up to the same one must come to the same; anything else was signed twice, differently, by the origin itself. */
static void compare(struct operations *o, int64_t number, const share_Head *head, const struct share_progress *have)
{
    if (head->at != have->taken)
        return;
    if (memcmp(head->head, have->head, sizeof(head->head)) == 0)
        findings_settle(o, FINDING_ROWS_DIFFER, number);
    else
        findings_note(o, FINDING_ROWS_DIFFER, number,
                      "It has signed different rows under the same numbers, somewhere up to row %llu: what it tells "
                      "others is not what it told us. Ask its operator whether it was put back from an old copy.",
                      (unsigned long long)head->at);
}

int share_head_take(struct operations *o, struct slice envelope, int64_t *number, share_Head *head)
{
    doc_Keyset *keyset CLEANUP(freep) = calloc(1, sizeof(*keyset));
    doc_Share *share CLEANUP(freep) = calloc(1, sizeof(*share));
    uint8_t signer[32];
    struct share_progress have;
    if (!keyset || !share)
        return -ENOMEM;
    int r = document_open(DOCUMENT_SHARE, envelope, share, sizeof(*share), signer);
    if (r != 0)
        return r;
    struct id origin = id_from(share->origin);
    r = operations_distributor(o, &origin, number);
    if (r == 0)
        r = keyset_of(o, *number, keyset);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? REASON_KEYSET_INVALID : r;
    if (!keyset_lists_shared(keyset, signer))
        return REASON_SIGNATURE_INVALID;
    if (share->sequence != 0 || share->table != share_Table_HEAD ||
        CODEC_DECODE(share_Head, CODEC_BYTES(share->row), head) != 0 || head->at > INT64_MAX)
        return REASON_MALFORMED;
    if (*number == OPERATIONS_SELF)
        return share_again_head(o, head, signer);
    r = share_progress(o, *number, &have);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? -EUCLEAN : r;
    compare(o, *number, head, &have);
    return head->at > have.signed_to ? keep_head(o, *number, head, envelope) : 0;
}

int share_heads_read(struct operations *o, uint32_t max_count, struct buf *tail, uint32_t *count)
{
    struct query q CLEANUP(query_end) = query(o->store, HEAD_ALL);
    query_bind_i64(&q, 1, max_count);
    uint32_t n = 0;
    int r = 0;
    while (rows_next(&q, &r)) {
        r = codec_list_put(tail, query_blob(&q, 0));
        if (r != 0)
            return r < 0 ? r : -EMSGSIZE;
        n++;
    }
    if (r == 0)
        r = query_check(&q);
    if (r == 0)
        *count = n;
    return r;
}

/* --- What follows ------------------------------------------------------------------------------------------------ */

static void judge_directory(struct operations *o, int64_t number, const struct share_progress *p, int64_t patience_ms,
                            int64_t now_ms)
{
    if (p->direct_ms == 0 || p->directory >= p->taken)
        findings_settle(o, FINDING_DIRECTORY_WITHHOLDS, number);
    else if (now_ms - p->direct_ms >= patience_ms && p->directory > 0)
        findings_note(
            o, FINDING_DIRECTORY_WITHHOLDS, number,
            "The directory has not given its rows %llu to %llu; it gave them to us itself. Nothing is missing here; ask "
            "the directory's operator.",
            (unsigned long long)p->directory + 1, (unsigned long long)p->taken);
}

static void judge_missing(struct operations *o, int64_t number, const struct share_progress *p)
{
    if (p->signed_to <= p->taken)
        findings_settle(o, FINDING_ROWS_MISSING, number);
    else
        findings_note(
            o, FINDING_ROWS_MISSING, number,
            "Its rows %llu to %llu exist, by its own signature, and have not arrived here: it is asked for them whenever it can "
            "be reached.",
            (unsigned long long)p->taken + 1, (unsigned long long)p->signed_to);
}

int share_progress_judge(struct operations *o, bool has_directory, int64_t patience_ms, int64_t now_ms)
{
    struct share_progress p;
    struct id id;
    char name[OPERATIONS_NAME_BYTES];
    int64_t number = OPERATIONS_SELF;
    int r;
    while ((r = share_progress_next(o, number, &number, &id, name, &p)) == 0) {
        judge_missing(o, number, &p);
        int judged = share_empty_judge(o, number, &p, now_ms - patience_ms);
        if (judged != 0)
            return judged;
        if (has_directory)
            judge_directory(o, number, &p, patience_ms, now_ms);
    }
    return r == OPERATIONS_ABSENT ? 0 : r;
}
