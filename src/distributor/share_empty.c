/* What is told, and what was shown. On the connection's thread. */
#define LOG_MODULE "share"
#include "distributor/share_empty.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/util.h"
#include "crypto/sha256.h"
#include "distributor/findings.h"
#include "distributor/rows.h"
#include "distributor/share.h"
#include "distributor/share_own.h"
#include "distributor/share_rows.h"

#define TOLD "emptied-told" /* counter: rows of earlier versions are told of up to here */
#define TOLD_ALL INT64_MAX
#define LOOKED_AT 512 /* rows, each time */

int share_empty_tell(struct operations *o, uint64_t first, uint64_t last)
{
    const share_TakenBack row = { .first = first, .last = last };
    return SHARE_PUT(o, TAKEN_BACK, false, share_TakenBack, &row);
}

static bool is_empty(const doc_Share *share)
{
    share_Emptied emptied;
    return share->table == share_Table_NONE && CODEC_DECODE(share_Emptied, CODEC_BYTES(share->row), &emptied) == 0;
}

/* --- Of earlier versions -------------------------------------------------------------------------------------------- */

/* Tells of each run of empty rows among these, which follow *sequence. */
static int tell_runs(struct operations *o, struct slice rows, uint64_t *sequence)
{
    doc_Share *share CLEANUP(freep) = malloc(sizeof(*share));
    struct reader list = reader(rows);
    struct slice envelope;
    uint8_t signer[32];
    uint64_t first = 0;
    int r = share != NULL ? 0 : -ENOMEM;
    while (r == 0 && codec_list_next(&list, SHARE_ENVELOPE_MAX, &envelope) == 0) {
        r = document_open(DOCUMENT_SHARE, envelope, share, sizeof(*share), signer);
        if (r != 0)
            return r < 0 ? r : -EUCLEAN;
        bool empty = is_empty(share);
        if (!empty && first != 0)
            r = share_empty_tell(o, first, *sequence);
        first = !empty ? 0 : first != 0 ? first : share->sequence;
        *sequence = share->sequence;
    }
    return r == 0 && first != 0 ? share_empty_tell(o, first, *sequence) : r;
}

int share_empty_begin(struct operations *o) { return operations_counter_set(o, TOLD, TOLD_ALL); }

int share_empty_tell_before(struct operations *o)
{
    struct buf rows CLEANUP(buf_free) = buf(LOOKED_AT * (SHARE_ENVELOPE_MAX + 4));
    uint64_t told = 0, last = 0;
    uint32_t count = 0;
    bool catching_up = false;
    int r = operations_counter(o, TOLD, &told);
    if (r == 0)
        r = share_own_is_catching_up(o, &catching_up);
    if (r != 0 || told == TOLD_ALL || catching_up)
        return r;
    r = share_outbox_read(o, told, LOOKED_AT, rows.max_bytes, &rows, &count, &last);
    if (r == 0 && count > 0)
        r = tell_runs(o, buf_slice(&rows), &told);
    return r == 0 ? operations_counter_set(o, TOLD, count > 0 ? told : TOLD_ALL) : r;
}

/* --- Keys ------------------------------------------------------------------------------------------------------------ */

static const uint8_t key_fields[] = {
    [share_Table_LEAF_CLIENT] = 1,  [share_Table_CLIENT_CERTIFICATE] = 1,
    [share_Table_CLIENT_USER] = 1,  [share_Table_CONTENT_LICENSE] = 1,
    [share_Table_USER_CONTENT] = 3, [share_Table_USER_LICENSE] = 3,
    [share_Table_COPY_HISTORY] = 1, [share_Table_LINK] = 3,
};

static uint64_t read_varint(struct reader *r)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = reader_u8(r);
        value |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0)
            break;
    }
    return value;
}

/* Fields come in the order of their numbers (docs/FORMATS.md, section 2). */
bool share_row_key(uint32_t table, struct slice row, struct slice *key)
{
    enum { VARINT = 0, BYTES = 2 };
    uint8_t fields = table < ARRAY_COUNT(key_fields) ? key_fields[table] : 0;
    struct reader r = reader(row);
    for (uint8_t i = 0; i < fields; i++) {
        uint64_t tag = read_varint(&r);
        if (tag == ((uint64_t)(i + 1) << 3 | BYTES))
            reader_bytes(&r, (size_t)u64_min(read_varint(&r), SIZE_MAX));
        else if (tag == ((uint64_t)(i + 1) << 3 | VARINT))
            read_varint(&r);
        else
            return false;
        if (r.bad)
            return false;
    }
    *key = slice(row.data, row.len - r.rest.len);
    return fields > 0;
}

#define KEY_BYTES 16
#define KEY_TAG "hearth share key"

static void key_digest(uint32_t table, struct slice key, uint8_t out[KEY_BYTES])
{
    uint8_t number[4], digest[32];
    put_be32(number, table);
    const struct slice parts[] = { slice(KEY_TAG, sizeof(KEY_TAG)), SLICE_ARRAY(number), key };
    sha256_parts(parts, ARRAY_COUNT(parts), digest);
    memcpy(out, digest, KEY_BYTES);
}

/* --- Others' --------------------------------------------------------------------------------------------------------- */

static int run(struct operations *o, enum statement statement, int64_t number, uint64_t first, uint64_t last)
{
    struct query q CLEANUP(query_end) = query(o->store, statement);
    query_bind_i64(&q, 1, number);
    query_bind_u64(&q, 2, first);
    query_bind_u64(&q, 3, last);
    return rows_run(&q);
}

static int said(struct operations *o, int64_t number, const doc_Share *share, struct slice key)
{
    uint8_t digest[KEY_BYTES];
    key_digest(share->table, key, digest);
    struct query q CLEANUP(query_end) = query(o->store, share->removed ? SAID_REMOVE : SAID_SET);
    query_bind_i64(&q, 1, number);
    query_bind_blob(&q, 2, SLICE_ARRAY(digest));
    if (!share->removed)
        query_bind_u64(&q, 3, share->sequence);
    return rows_run(&q);
}

int share_empty_follow(struct operations *o, int64_t number, const doc_Share *share, int64_t now_ms)
{
    share_TakenBack m;
    struct slice key;
    if (share_row_key(share->table, CODEC_BYTES(share->row), &key))
        return said(o, number, share, key);
    if (is_empty(share))
        return run(o, EMPTIED_SEEN, number, share->sequence, (uint64_t)now_ms);
    if (share->table != share_Table_TAKEN_BACK || CODEC_DECODE(share_TakenBack, CODEC_BYTES(share->row), &m) != 0 ||
        m.last >= share->sequence) /* nobody tells beforehand */
        return 0;
    int r = run(o, EMPTIED_TOLD, number, m.first, m.last);
    return r == 0 ? run(o, SAID_TAKEN_BACK, number, m.first, m.last) : r;
}

/* OPERATIONS_ABSENT: there is none. since_ms: may be NULL. */
static int first_of(struct operations *o, enum statement statement, int64_t number, uint64_t *first, int64_t *since_ms)
{
    struct query q CLEANUP(query_end) = query(o->store, statement);
    query_bind_i64(&q, 1, number);
    int r = rows_one(&q);
    if (r != 0)
        return r;
    *first = query_u64(&q, 0);
    if (since_ms != NULL)
        *since_ms = query_i64(&q, 1);
    return query_check(&q);
}

static int judge_hidden(struct operations *o, int64_t number, const struct share_progress *p, int64_t before_ms)
{
    uint64_t first;
    int64_t seen_ms;
    int r = first_of(o, EMPTIED_FIRST, number, &first, &seen_ms);
    if (r == OPERATIONS_ABSENT)
        findings_settle(o, FINDING_ROWS_HIDDEN, number);
    else if (r == 0 && seen_ms <= before_ms && p->taken >= p->signed_to) /* else what tells of it may be missing here */
        findings_note(
            o, FINDING_ROWS_HIDDEN, number,
            "It shows us an empty place instead of its row %llu, and has told nobody that it took that row back: "
            "others may have been shown what it says. Ask its operator.",
            (unsigned long long)first);
    return r == OPERATIONS_ABSENT ? 0 : r;
}

int share_empty_judge(struct operations *o, int64_t number, const struct share_progress *p, int64_t before_ms)
{
    uint64_t first;
    int r = judge_hidden(o, number, p, before_ms);
    if (r != 0)
        return r;
    r = first_of(o, SAID_TAKEN_BACK_FIRST, number, &first, NULL);
    if (r == OPERATIONS_ABSENT)
        findings_settle(o, FINDING_ROWS_TAKEN_BACK, number);
    else if (r == 0)
        findings_note(
            o, FINDING_ROWS_TAKEN_BACK, number,
            "It has taken back its row %llu and put nothing in its place: who has read that row, as we have, goes by it, "
            "and who reads now knows nothing of it. Ask its operator.",
            (unsigned long long)first);
    return r == OPERATIONS_ABSENT ? 0 : r;
}
