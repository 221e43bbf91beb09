/* Keysets: issuing our own, keeping those of others. On the connection's thread. Source: design section 2. */
#define LOG_MODULE "keyset"
#include "distributor/keyset.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/util.h"
#include "distributor/findings.h"
#include "distributor/rows.h"
#include "distributor/share_rows.h"
#include "distributor/verified.h"

#define DAY_MS INT64_C(86400000)
#define KEYSET_LIFE_MS (90 * DAY_MS)
#define KEY_LIFE_MS (730 * DAY_MS) /* documents outlive the keyset they were issued under */

static int read_keyset(struct operations *o, int64_t number, struct buf *envelope, uint64_t *sequence,
                       int64_t *issued_ms, int64_t *ends_ms)
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

static int write_keyset(struct operations *o, int64_t number, const doc_Keyset *k, struct slice envelope)
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
    int r = read_keyset(o, OPERATIONS_SELF, out, &sequence, &issued_ms, &ends_ms);
    return r == OPERATIONS_ABSENT ? -EUCLEAN : r;
}

/* What is stored was verified before; this only reads it again. */
int keyset_of(struct operations *o, int64_t distributor, doc_Keyset *out)
{
    struct buf envelope CLEANUP(buf_free) = buf(KEYSET_ENVELOPE_MAX);
    uint64_t sequence;
    int64_t issued_ms, ends_ms;
    int r = read_keyset(o, distributor, &envelope, &sequence, &issued_ms, &ends_ms);
    if (r != 0)
        return r;
    if (verified_find_keyset(o->verified, buf_slice(&envelope), out))
        return 0;
    uint8_t signer[32];
    r = document_open(DOCUMENT_KEYSET, buf_slice(&envelope), out, sizeof(*out), signer);
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
        r = read_keyset(o, number, NULL, sequence, &issued_ms, &ends_ms);
    if (r == OPERATIONS_ABSENT) {
        *sequence = 0;
        r = 0;
    }
    return r;
}

/* --- Issuing ----------------------------------------------------------------------------------------------------- */

static void add_key(doc_Keyset *k, enum key_purpose purpose, const uint8_t key[32], uint64_t ends_ms)
{
    doc_Key *added = &k->keys[k->keys_count++];
    added->purpose = purpose;
    memcpy(added->key, key, sizeof(added->key));
    added->ends_ms = ends_ms;
}

static int add_floors(struct operations *o, doc_Keyset *k)
{
    struct query q CLEANUP(query_end) = query(o->store, PARTNER_FLOORS);
    int r = 0;
    while (k->floors_count < ARRAY_COUNT(k->floors) && rows_next(&q, &r)) {
        doc_PartnerFloor *floor = &k->floors[k->floors_count++];
        query_fixed(&q, 0, floor->partner, sizeof(floor->partner));
        floor->lowest_sequence = query_u64(&q, 1);
    }
    return r < 0 ? r : query_check(&q);
}

int keyset_issue(struct operations *o, int64_t now_ms)
{
    doc_Keyset *k CLEANUP(freep) = calloc(1, sizeof(*k));
    if (!k)
        return -ENOMEM;
    memcpy(k->distributor, o->keys->self.bytes, ID_BYTES);
    CODEC_SET_TEXT(k->name, o->name);
    k->issued_ms = (uint64_t)now_ms;
    k->ends_ms = (uint64_t)(now_ms + KEYSET_LIFE_MS);
    uint64_t keys_end_ms = (uint64_t)(now_ms + KEY_LIFE_MS);
    add_key(k, KEY_TLS, o->keys->tls.public_key, keys_end_ms);
    add_key(k, KEY_LICENSE, o->keys->license.public_key, keys_end_ms);
    add_key(k, KEY_ROSTER, o->keys->roster.public_key, keys_end_ms);
    add_key(k, KEY_SEALING, o->keys->sealing_public, keys_end_ms);
    int r = add_floors(o, k);
    if (r == 0)
        r = operations_count(o, "keyset", &k->sequence);
    if (r != 0)
        return r;
    struct signer signer;
    signer_from_pair(&signer, &o->keys->root);
    struct buf envelope CLEANUP(buf_free) = buf(KEYSET_ENVELOPE_MAX);
    r = document_sign(&envelope, DOCUMENT_KEYSET, k, &signer);
    if (r == 0)
        r = write_keyset(o, OPERATIONS_SELF, k, buf_slice(&envelope));
    if (r != 0)
        return r > 0 ? -EINVAL : r;
    share_Keyset row = share_Keyset_init_zero;
    if (CODEC_SET_BYTES(row.keyset, buf_slice(&envelope)) != 0)
        return -EINVAL;
    r = SHARE_PUT(o, KEYSET, false, share_Keyset, &row);
    if (r == 0)
        log_info("keyset issued: sequence=%llu", (unsigned long long)k->sequence);
    return r;
}

int keyset_keep_fresh(struct operations *o, int64_t now_ms, bool *changed)
{
    uint64_t sequence;
    int64_t issued_ms = 0, ends_ms = 0;
    int r = read_keyset(o, OPERATIONS_SELF, NULL, &sequence, &issued_ms, &ends_ms);
    if (r < 0 || (r == 0 && now_ms < issued_ms + (ends_ms - issued_ms) / 2))
        return r;
    r = keyset_issue(o, now_ms);
    if (r == 0)
        *changed = true;
    return r;
}

/* --- Others ------------------------------------------------------------------------------------------------------ */

/* The first one of a sequence that was seen stays: its root has signed two different ones, which no honest one does. */
static int keep_newest(struct operations *o, int64_t number, const doc_Keyset *k, struct slice envelope)
{
    struct buf kept CLEANUP(buf_free) = buf(KEYSET_ENVELOPE_MAX);
    uint64_t known = 0;
    int64_t issued_ms, ends_ms;
    int r = read_keyset(o, number, &kept, &known, &issued_ms, &ends_ms);
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
    return r == OPERATIONS_ABSENT || k->sequence > known ? write_keyset(o, number, k, envelope) : 0;
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

/* An older one that is shown now: put back from an old copy, or somebody shows what was withdrawn since. */
static void note_older(struct operations *o, const struct id *distributor, struct slice envelope, uint64_t lowest)
{
    doc_Keyset *k CLEANUP(freep) = calloc(1, sizeof(*k));
    uint8_t signer[32];
    int64_t number;
    if (k == NULL || document_open(DOCUMENT_KEYSET, envelope, k, sizeof(*k), signer) != 0 || k->sequence >= lowest ||
        !id_equal(k->distributor, distributor) || operations_distributor(o, distributor, &number) != 0)
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
        note_older(o, distributor, envelope, lowest);
    if (r != 0 || id_equal(distributor, &o->keys->self)) /* a directory that is a distributor too */
        return r;
    r = keyset_store(o, distributor, envelope, now_ms, &number);
    if (r == 0)
        findings_settle(o, FINDING_KEYSET_OLDER, number);
    return r == KEYSET_DIFFERS ? REASON_KEYSET_INVALID : r;
}
