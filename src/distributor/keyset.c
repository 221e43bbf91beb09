/* Keysets that are kept: our own as it stands, and those of others, judged. Ours is issued in keyset_issue.c. On the connection's thread. Source: design
 * section 2. */
#define LOG_MODULE "keyset"
#include "distributor/keyset.h"

#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/util.h"
#include "distributor/findings.h"
#include "distributor/keyset_internal.h"
#include "distributor/rows.h"
#include "distributor/verified.h"

int keyset_read(struct operations *o, int64_t number, struct buf *envelope, uint64_t *sequence, int64_t *issued_ms,
                int64_t *ends_ms)
{
    struct query q CLEANUP(query_end) = query(o->store, DISTRIBUTOR_KEYSET);
    query_bind_i64(&q, 1, number);
    int r = rows_one(&q);
    if (r != 0)
        return r;
    if (envelope)
        query_append(&q, 0, envelope);
    *sequence = query_u64(&q, 1);
    *issued_ms = query_i64(&q, 2);
    *ends_ms = query_i64(&q, 3);
    return query_check(&q);
}

int keyset_write(struct operations *o, int64_t number, const doc_Keyset *k, struct slice envelope)
{
    struct query q CLEANUP(query_end) = query(o->store, DISTRIBUTOR_SET_KEYSET);
    query_bind_i64(&q, 1, number);
    query_bind_blob(&q, 2, envelope);
    query_bind_u64(&q, 3, k->sequence);
    query_bind_u64(&q, 4, k->issued_ms);
    query_bind_u64(&q, 5, k->ends_ms);
    query_bind_text(&q, 6, k->name);
    return rows_run(&q);
}

int keyset_current(struct operations *o, struct buf *out)
{
    uint64_t sequence;
    int64_t issued_ms, ends_ms;
    int r = keyset_read(o, OPERATIONS_SELF, out, &sequence, &issued_ms, &ends_ms);
    return r == OPERATIONS_ABSENT ? -EUCLEAN : r;
}

/* What is stored was verified before; this only reads it again. */
int keyset_of(struct operations *o, int64_t distributor, doc_Keyset *out)
{
    struct buf envelope CLEANUP(buf_free) = buf(KEYSET_ENVELOPE_MAX);
    uint64_t sequence;
    int64_t issued_ms, ends_ms;
    int r = keyset_read(o, distributor, &envelope, &sequence, &issued_ms, &ends_ms);
    if (r != 0)
        return r;
    if (verified_find_keyset(o->verified, buf_slice(&envelope), out))
        return 0;
    struct id signer;
    r = document_open_keyset(buf_slice(&envelope), out, &signer);
    if (r == 0)
        verified_add_keyset(o->verified, buf_slice(&envelope), out);
    return r > 0 ? -EUCLEAN : r;
}

int keyset_own(struct operations *o, doc_Keyset *out)
{
    int r = keyset_of(o, OPERATIONS_SELF, out);
    return r == OPERATIONS_ABSENT ? -EUCLEAN : r;
}

int keyset_lowest(struct operations *o, const struct id *distributor, uint64_t *sequence)
{
    int64_t number, issued_ms, ends_ms;
    int r = operations_distributor(o, distributor, &number);
    if (r == 0)
        r = keyset_read(o, number, NULL, sequence, &issued_ms, &ends_ms);
    if (r == OPERATIONS_ABSENT) {
        *sequence = 0;
        r = 0;
    }
    return r;
}

/* --- Those of others --------------------------------------------------------------------------------------------- */

/* The first one of a sequence that was seen stays: its root has signed two different ones, which no honest one does. */
static int keep_newest(struct operations *o, int64_t number, const doc_Keyset *k, struct slice envelope)
{
    struct buf kept CLEANUP(buf_free) = buf(KEYSET_ENVELOPE_MAX);
    uint64_t known = 0;
    int64_t issued_ms, ends_ms;
    int r = keyset_read(o, number, &kept, &known, &issued_ms, &ends_ms);
    if (r != 0 && r != OPERATIONS_ABSENT)
        return r;
    if (r == 0 && k->sequence == known && !slice_equal(buf_slice(&kept), envelope)) {
        findings_note(
            o, FINDING_KEYSET_DIFFERS, number,
            "Two different keysets of sequence %llu, both signed by its root key: only the first one counts here. Ask "
            "its operator, over another way, which keys are theirs.",
            (unsigned long long)known);
        return KEYSET_DIFFERS;
    }
    return r == OPERATIONS_ABSENT || k->sequence > known ? keyset_write(o, number, k, envelope) : 0;
}

int keyset_store(struct operations *o, const struct id *distributor, struct slice envelope, int64_t now_ms,
                 int64_t *number)
{
    doc_Keyset *k CLEANUP(freep) = calloc(1, sizeof(*k));
    if (!k)
        return -ENOMEM;
    int r = keyset_judge(envelope, distributor, 0, NULL, now_ms, k);
    if (r == 0 && (k->sequence > INT64_MAX || k->issued_ms > INT64_MAX || k->ends_ms > INT64_MAX))
        r = REASON_KEYSET_INVALID; /* no number of the database: theirs to mend, not a failure of ours */
    if (r == 0)
        r = operations_distributor_add(o, distributor, k->name, number);
    if (r != 0)
        return r;
    if (*number == OPERATIONS_SELF || envelope.len > KEYSET_ENVELOPE_MAX)
        return *number == OPERATIONS_SELF ? 0 : REASON_TOO_LARGE;
    return keep_newest(o, *number, k, envelope);
}

int keyset_known(struct operations *o, const struct id *distributor, struct buf *out)
{
    int64_t number, issued_ms, ends_ms;
    uint64_t sequence;
    int r = operations_distributor(o, distributor, &number);
    return r == 0 ? keyset_read(o, number, out, &sequence, &issued_ms, &ends_ms) : r;
}

/* An older one that is shown now: put back from an old copy, or somebody shows what was withdrawn since. Only by a connection under a key
 * that it lists: old keysets are in everybody's hands, and a stranger would accuse their owner with them. */
static void note_older(struct operations *o, const struct id *distributor, struct slice envelope, const uint8_t key[32],
                       uint64_t lowest)
{
    doc_Keyset *k CLEANUP(freep) = calloc(1, sizeof(*k));
    struct id root;
    int64_t number;
    if (k == NULL || document_open_keyset(envelope, k, &root) != 0 || k->sequence >= lowest ||
        !id_equal(&root, distributor) || !id_equal(k->distributor, distributor) || !keyset_lists(k, KEY_TLS, key, 0) ||
        operations_distributor(o, distributor, &number) != 0)
        return;
    findings_note(
        o, FINDING_KEYSET_OLDER, number,
        "It showed its keyset %llu, and %llu was known here already: refused. It was put back from an old copy, or "
        "somebody else has its old keys.",
        (unsigned long long)k->sequence, (unsigned long long)lowest);
}

int keyset_meet(struct operations *o, const struct id *distributor, struct slice envelope, const uint8_t key[32],
                int64_t now_ms, doc_Keyset *out)
{
    uint64_t lowest = 0;
    int64_t number;
    int r = keyset_lowest(o, distributor, &lowest);
    if (r != 0)
        return r;
    r = keyset_judge(envelope, distributor, lowest, key, now_ms, out);
    if (r > 0)
        note_older(o, distributor, envelope, key, lowest);
    if (r != 0 || id_equal(distributor, &o->keys->self)) /* a directory that is a distributor too */
        return r;
    r = keyset_store(o, distributor, envelope, now_ms, &number);
    if (r == 0)
        findings_settle(o, FINDING_KEYSET_OLDER, number);
    return r == KEYSET_DIFFERS ? REASON_KEYSET_INVALID : r;
}
