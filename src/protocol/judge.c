/* Judging each payload type except copy certificates: who may sign it, for whom, until when. No I/O. Any thread. */
#include "base/util.h"
#include "crypto/ekb_parts.h"
#include "protocol/documents.h"
#include "protocol/times.h"

#include <stdlib.h>

/* ---- keyset -------------------------------------------------------------------------------------------------- */

bool keyset_lists(const doc_Keyset *k, enum key_purpose purpose, const uint8_t key[32], int64_t at_ms)
{
    for (pb_size_t i = 0; i < k->keys_count; i++) {
        const doc_Key *listed = &k->keys[i];
        if (listed->purpose == purpose && memcmp(listed->key, key, sizeof(listed->key)) == 0 &&
            listed->ends_ms >= times_now(at_ms))
            return true;
    }
    return false;
}

bool keyset_lists_withdrawn(const doc_Keyset *k, const uint8_t key[32], int64_t at_ms)
{
    return keyset_lists(k, KEY_SHARED, key, at_ms) || keyset_lists(k, KEY_WITHDRAWN, key, at_ms);
}

bool keyset_lists_shared(const doc_Keyset *k, const uint8_t key[32])
{
    return keyset_lists(k, KEY_LICENSE, key, 0) || keyset_lists(k, KEY_SHARED, key, 0);
}

const uint8_t *keyset_key(const doc_Keyset *k, enum key_purpose purpose)
{
    const doc_Key *newest = NULL;
    for (pb_size_t i = 0; i < k->keys_count; i++) {
        const doc_Key *listed = &k->keys[i];
        if (listed->purpose == purpose && (!newest || listed->ends_ms > newest->ends_ms))
            newest = listed;
    }
    return newest ? newest->key : NULL;
}

/* A partner without a floor has none: floors are raised to withdraw. */
static uint64_t floor_of(const doc_Keyset *k, const void *partner)
{
    for (pb_size_t i = 0; i < k->floors_count; i++)
        if (id_equal(k->floors[i].partner, partner))
            return k->floors[i].lowest_sequence;
    return 0;
}

int keyset_judge(struct slice envelope, const struct id *distributor, uint64_t lowest_sequence, const uint8_t *tls_key,
                 int64_t now_ms, doc_Keyset *out)
{
    doc_Keyset read;
    struct id root;
    int r = document_open_keyset(envelope, &read, &root);
    if (r)
        return r;
    if (!id_equal(&root, distributor) || !id_equal(read.distributor, distributor))
        return REASON_KEYSET_INVALID;
    if (read.sequence < lowest_sequence)
        return REASON_KEYSET_INVALID;
    if (times_before(read.issued_ms, now_ms) || times_ended(read.ends_ms, now_ms))
        return REASON_KEYSET_INVALID;
    if (tls_key && !keyset_lists(&read, KEY_TLS, tls_key, now_ms))
        return REASON_KEYSET_INVALID;
    *out = read;
    return 0;
}

/* A license key that has ended still verifies what was issued before its end. */
static bool is_license_key(const doc_Keyset *k, const uint8_t key[32], uint64_t issued_ms)
{
    return issued_ms <= INT64_MAX && keyset_lists(k, KEY_LICENSE, key, (int64_t)issued_ms);
}

/* The same, or one that was withdrawn since: what it signed was its owner's then, or a thief's. */
static bool was_license_key(const doc_Keyset *k, const uint8_t key[32], uint64_t issued_ms)
{
    return is_license_key(k, key, issued_ms) ||
           (issued_ms <= INT64_MAX && keyset_lists_withdrawn(k, key, (int64_t)issued_ms));
}

/* ---- devices and rosters ------------------------------------------------------------------------------------- */

int device_judge(struct slice envelope, const doc_Keyset *keyset, int64_t now_ms, doc_DeviceCertificate *out,
                 struct id *client)
{
    doc_DeviceCertificate read;
    uint8_t signer[32];
    int r = document_open(DOCUMENT_DEVICE, envelope, &read, sizeof(read), signer);
    if (r)
        return r;
    if (!is_license_key(keyset, signer, read.issued_ms) || !id_equal(read.leaf.distributor, keyset->distributor))
        return REASON_SIGNATURE_INVALID;
    if (times_before(read.issued_ms, now_ms) || times_ended(read.ends_ms, now_ms))
        return REASON_CERTIFICATE_EXPIRED;
    *client = id_of_key(read.device_key);
    *out = read;
    return 0;
}

int roster_judge(struct slice envelope, const doc_Keyset *keyset, int64_t now_ms, doc_Roster *out)
{
    doc_Roster *read CLEANUP(freep) = malloc(sizeof(*read)); /* 17 KiB: not for a stack */
    if (!read)
        return -ENOMEM;
    uint8_t signer[32];
    int r = document_open(DOCUMENT_ROSTER, envelope, read, sizeof(*read), signer);
    if (r)
        return r;
    bool listed = read->issued_ms <= INT64_MAX && keyset_lists(keyset, KEY_ROSTER, signer, (int64_t)read->issued_ms);
    if (!listed || !id_equal(read->distributor, keyset->distributor))
        return REASON_SIGNATURE_INVALID;
    if (times_before(read->issued_ms, now_ms) || times_ended(read->ends_ms, now_ms))
        return REASON_CERTIFICATE_EXPIRED;
    *out = *read;
    return 0;
}

const doc_RosterDevice *roster_find(const doc_Roster *r, const struct id *client)
{
    for (pb_size_t i = 0; i < r->devices_count; i++)
        if (id_equal(r->devices[i].client, client))
            return &r->devices[i];
    return NULL;
}

/* ---- licenses ------------------------------------------------------------------------------------------------ */

int license_judge(struct slice envelope, const doc_Keyset *issuer, doc_License *out)
{
    doc_License read;
    uint8_t signer[32];
    int r = document_open(DOCUMENT_LICENSE, envelope, &read, sizeof(read), signer);
    if (r)
        return r;
    if (!is_license_key(issuer, signer, read.issued_ms) || !id_equal(read.issuer, issuer->distributor))
        return REASON_SIGNATURE_INVALID;
    *out = read;
    return 0;
}

int license_usable(const doc_License *l, int64_t now_ms)
{
    const doc_Conditions *c = &l->conditions;
    if (c->has_usage_from_ms && times_now(now_ms) < c->usage_from_ms)
        return REASON_NOT_PERMITTED;
    if (c->has_usage_until_ms && times_now(now_ms) > c->usage_until_ms)
        return REASON_LICENSE_EXPIRED;
    if (l->has_lease && times_now(now_ms) > u64_add(l->lease.until_ms, l->lease.grace_ms))
        return REASON_LEASE_ENDED;
    return 0;
}

/* ---- what distributors give each other ----------------------------------------------------------------------- */

typedef bool key_fn(const doc_Keyset *k, const uint8_t key[32], uint64_t issued_ms);

static int open_delegation(struct slice envelope, const doc_Keyset *delegator, key_fn *counts, doc_Delegation *out)
{
    doc_Delegation read;
    uint8_t signer[32];
    int r = document_open(DOCUMENT_DELEGATION, envelope, &read, sizeof(read), signer);
    if (r)
        return r;
    if (!counts(delegator, signer, read.issued_ms))
        return REASON_SIGNATURE_INVALID;
    if (!id_equal(read.delegator, delegator->distributor))
        return REASON_DELEGATION_INVALID;
    *out = read;
    return 0;
}

int delegation_judge_past(struct slice envelope, const doc_Keyset *delegator, doc_Delegation *out)
{
    return open_delegation(envelope, delegator, was_license_key, out);
}

int delegation_judge(struct slice envelope, const doc_Keyset *delegator, int64_t now_ms, doc_Delegation *out)
{
    doc_Delegation read;
    int r = open_delegation(envelope, delegator, is_license_key, &read);
    if (r)
        return r;
    if (read.sequence < floor_of(delegator, read.partner) || times_before(read.issued_ms, now_ms) ||
        times_ended(read.ends_ms, now_ms))
        return REASON_DELEGATION_INVALID;
    *out = read;
    return 0;
}

int ekb_judge(struct slice envelope, const doc_Keyset *distributor, doc_Ekb *out)
{
    return ekb_judge_known(NULL, envelope, distributor, out);
}

static int open_ekb(struct known *known, struct slice envelope, const doc_Keyset *distributor, key_fn *counts,
                    doc_Ekb *out)
{
    doc_Ekb read;
    uint8_t signer[32];
    int r = document_open_known(known, DOCUMENT_EKB, envelope, &read, sizeof(read), signer);
    if (r)
        return r;
    if (!counts(distributor, signer, read.issued_ms) || !id_equal(read.distributor, distributor->distributor))
        return REASON_SIGNATURE_INVALID;
    *out = read;
    return 0;
}

int ekb_judge_known(struct known *known, struct slice envelope, const doc_Keyset *distributor, doc_Ekb *out)
{
    return open_ekb(known, envelope, distributor, is_license_key, out);
}

int ekb_judge_past(struct known *known, struct slice envelope, const doc_Keyset *distributor, doc_Ekb *out)
{
    return open_ekb(known, envelope, distributor, was_license_key, out);
}

int ekb_entry_judge(const doc_Ekb *block, const doc_KeyBlockEntry *entry)
{
    bool in_parts = block->kind == EKB_KIND_SUBSET_DIFFERENCE;
    if ((!in_parts && block->kind != EKB_KIND_COMPLETE_SUBTREE) || entry->has_part != in_parts)
        return REASON_MALFORMED;
    return entry->index < block->entry_count ? 0 : REASON_MALFORMED;
}

int grant_judge(struct slice envelope, const doc_Keyset *granter, const struct id *partner, int64_t now_ms,
                doc_KeyGrant *out)
{
    doc_KeyGrant read;
    uint8_t signer[32];
    int r = document_open(DOCUMENT_KEY_GRANT, envelope, &read, sizeof(read), signer);
    if (r)
        return r;
    if (!is_license_key(granter, signer, read.issued_ms) || !id_equal(read.distributor, granter->distributor))
        return REASON_SIGNATURE_INVALID;
    if (!id_equal(read.partner, partner))
        return REASON_WRONG_DESTINATION;
    if (times_before(read.issued_ms, now_ms) || times_ended(read.ends_ms, now_ms))
        return REASON_CERTIFICATE_EXPIRED;
    *out = read;
    return 0;
}

int share_judge(struct slice envelope, const doc_Keyset *origin, doc_Share *out)
{
    doc_Share read;
    uint8_t signer[32];
    int r = document_open(DOCUMENT_SHARE, envelope, &read, sizeof(read), signer);
    if (r)
        return r;
    if (!keyset_lists_shared(origin, signer) || !id_equal(read.origin, origin->distributor))
        return REASON_SIGNATURE_INVALID;
    *out = read;
    return 0;
}

int settlement_judge(struct slice envelope, const doc_Keyset *issuer, const struct id *partner, doc_Settlement *out)
{
    doc_Settlement read;
    uint8_t signer[32];
    int r = document_open(DOCUMENT_SETTLEMENT, envelope, &read, sizeof(read), signer);
    if (r)
        return r;
    if (!is_license_key(issuer, signer, read.issued_ms) || !id_equal(read.issuer, issuer->distributor))
        return REASON_SIGNATURE_INVALID;
    if (!id_equal(read.partner, partner))
        return REASON_WRONG_DESTINATION;
    *out = read;
    return 0;
}

/* ---- what a distributor tells a device ----------------------------------------------------------------------- */

int quote_judge(struct slice envelope, const doc_Keyset *distributor, const struct id *client, int64_t now_ms,
                doc_Quote *out)
{
    doc_Quote read;
    uint8_t signer[32];
    int r = document_open(DOCUMENT_QUOTE, envelope, &read, sizeof(read), signer);
    if (r)
        return r;
    if (!is_license_key(distributor, signer, read.issued_ms) || !id_equal(read.distributor, distributor->distributor))
        return REASON_SIGNATURE_INVALID;
    if (!id_equal(read.client, client))
        return REASON_WRONG_DESTINATION;
    if (times_before(read.issued_ms, now_ms) || times_ended(read.ends_ms, now_ms))
        return REASON_QUOTE_CHANGED;
    *out = read;
    return 0;
}

int time_judge(struct slice envelope, const doc_Keyset *distributor, const struct id *client, doc_SignedTime *out)
{
    doc_SignedTime read;
    uint8_t signer[32];
    int r = document_open(DOCUMENT_TIME, envelope, &read, sizeof(read), signer);
    if (r)
        return r;
    if (!is_license_key(distributor, signer, read.time_ms) || !id_equal(read.distributor, distributor->distributor))
        return REASON_SIGNATURE_INVALID;
    if (!id_equal(read.client, client))
        return REASON_WRONG_DESTINATION;
    *out = read;
    return 0;
}

int use_log_taken_judge(struct slice envelope, const doc_Keyset *issuer, const struct id *client, doc_UseLogTaken *out)
{
    doc_UseLogTaken read;
    uint8_t signer[32];
    int r = document_open(DOCUMENT_USE_LOG_TAKEN, envelope, &read, sizeof(read), signer);
    if (r)
        return r;
    /* It says nothing of its time: any license key the keyset still lists will do. */
    if (!keyset_lists(issuer, KEY_LICENSE, signer, 0) || !id_equal(read.issuer, issuer->distributor))
        return REASON_SIGNATURE_INVALID;
    if (!id_equal(read.client, client))
        return REASON_WRONG_DESTINATION;
    *out = read;
    return 0;
}

/* ---- what devices sign --------------------------------------------------------------------------------------- */

int receipt_judge(struct slice envelope, doc_Receipt *out) { return receipt_judge_known(NULL, envelope, out); }

int receipt_judge_known(struct known *known, struct slice envelope, doc_Receipt *out)
{
    doc_Receipt read;
    uint8_t signer[32];
    int r = document_open_known(known, DOCUMENT_RECEIPT, envelope, &read, sizeof(read), signer);
    if (r)
        return r;
    struct id client = id_of_key(signer);
    if (!id_equal(&client, read.destination))
        return REASON_SIGNATURE_INVALID;
    if (read.outcome != RECEIPT_STORED && read.outcome != RECEIPT_REFUSED)
        return REASON_MALFORMED;
    *out = read;
    return 0;
}

int surrender_judge(struct slice envelope, doc_Surrender *out)
{
    doc_Surrender read;
    uint8_t signer[32];
    int r = document_open(DOCUMENT_SURRENDER, envelope, &read, sizeof(read), signer);
    if (r)
        return r;
    struct id client = id_of_key(signer);
    if (!id_equal(&client, read.client))
        return REASON_SIGNATURE_INVALID;
    *out = read;
    return 0;
}

int use_judge(struct slice envelope, doc_Use *out)
{
    doc_Use read;
    uint8_t signer[32];
    int r = document_open(DOCUMENT_USE, envelope, &read, sizeof(read), signer);
    if (r)
        return r;
    struct id client = id_of_key(signer);
    if (!id_equal(&client, read.client))
        return REASON_SIGNATURE_INVALID;
    if (read.play_ms > INT64_MAX || read.signed_ms > INT64_MAX) /* more than any row holds */
        return REASON_MALFORMED;
    *out = read;
    return 0;
}

/* A limit there, less what was used there before, against a limit here, less what was used here. */
static bool leaves(uint64_t limit, uint64_t used, uint64_t there, uint64_t before)
{
    return there - u64_min(before, there) <= limit - u64_min(used, limit);
}

bool use_covers_move(const doc_Conditions *here, const doc_Use *used, const doc_CopyCertificate *move,
                     const doc_Conditions *there)
{
    bool plays = !here->has_max_plays ||
                 (there->has_max_plays && leaves(here->max_plays, used->plays, there->max_plays, move->plays_before));
    bool time = !here->has_max_play_ms || (there->has_max_play_ms && leaves(here->max_play_ms, used->play_ms,
                                                                            there->max_play_ms, move->play_ms_before));
    return plays && time && /* an absent limit of recoveries is none, and 0 */
           leaves(here->max_recoveries, used->recoveries, there->max_recoveries, move->recoveries_before);
}

int use_log_judge(struct slice envelope, doc_UseLog *out)
{
    doc_UseLog read;
    uint8_t signer[32];
    int r = document_open(DOCUMENT_USE_LOG, envelope, &read, sizeof(read), signer);
    if (r)
        return r;
    struct id client = id_of_key(signer);
    if (!id_equal(&client, read.client))
        return REASON_SIGNATURE_INVALID;
    if (read.entries_count == 0 || read.entries[0].number == 0)
        return REASON_MALFORMED;
    for (pb_size_t i = 1; i < read.entries_count; i++)
        if (read.entries[i].number == 0 || read.entries[i].number != read.entries[i - 1].number + 1)
            return REASON_MALFORMED;
    *out = read;
    return 0;
}
