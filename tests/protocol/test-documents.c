/* Every other document: signing, opening, and each branch of its judgement. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/util.h"
#include "fixture.h"

static struct fixture *fixture;

static int setup(void **state)
{
    (void)state;
    fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    fixture_init(fixture);
    return 0;
}
static int teardown(void **state)
{
    (void)state;
    fixture_deinit(fixture);
    free(fixture);
    return 0;
}

static void expect(const char *name, int outcome, int r)
{
    if (r != outcome)
        fail_msg("%s: %s, not %s", name, r < 0 ? "error" : reason_code((enum reason)r),
                 reason_code((enum reason)outcome));
}

/* ---- envelopes ----------------------------------------------------------------------------------------------- */

static void open_every_damage(void **state)
{
    (void)state;
    struct fixture *f = fixture;
    struct buf b CLEANUP(buf_free) = buf(4096);
    fixture_sign(&b, DOCUMENT_DELEGATION, &f->delegation, &f->license);
    doc_Delegation d;
    uint8_t key[32];
    assert_int_equal(document_open(DOCUMENT_DELEGATION, buf_slice(&b), &d, sizeof(d), key), 0);
    assert_memory_equal(key, f->license.signer.public_key, 32);
    doc_Delegation before = d;
    for (size_t at = 0; at < b.len; at++) {
        assert_true(document_open(DOCUMENT_DELEGATION, slice(b.data, at), &d, sizeof(d), key) > 0);
        for (int bit = 0; bit < 8; bit++) {
            b.data[at] ^= (uint8_t)(1u << bit);
            int r = document_open(DOCUMENT_DELEGATION, buf_slice(&b), &d, sizeof(d), key);
            assert_true(r == REASON_SIGNATURE_INVALID || r == REASON_MALFORMED);
            b.data[at] ^= (uint8_t)(1u << bit);
        }
    }
    assert_memory_equal(&d, &before, sizeof(d)); /* written only on success */
    assert_int_equal(buf_put_u8(&b, 0), 0);
    assert_int_equal(document_open(DOCUMENT_DELEGATION, buf_slice(&b), &d, sizeof(d), key), REASON_MALFORMED);
}

/* A signature over one kind of document is not one over another, whatever the payload. */
static void types_are_signed(void **state)
{
    (void)state;
    struct fixture *f = fixture;
    struct buf b CLEANUP(buf_free) = buf(4096);
    fixture_sign(&b, DOCUMENT_TIME, &(doc_SignedTime){ .time_ms = 1 }, &f->license);
    doc_Surrender s;
    uint8_t key[32];
    assert_int_equal(document_open(DOCUMENT_SURRENDER, buf_slice(&b), &s, sizeof(s), key), REASON_MALFORMED);
    for (int i = 0; i < DOCUMENT_COUNT; i++) {
        assert_int_equal(strncmp(document_type((enum document)i), "hearth/", 7), 0);
        for (int j = 0; j < i; j++)
            assert_string_not_equal(document_type((enum document)i), document_type((enum document)j));
    }
}

/* Well signed, but with a second form inside: verified, then refused. */
static void payloads_are_canonical(void **state)
{
    (void)state;
    struct fixture *f = fixture;
    struct buf payload CLEANUP(buf_free) = buf(4096), b CLEANUP(buf_free) = buf(4096);
    assert_int_equal(CODEC_ENCODE(doc_Delegation, &payload, &f->delegation), 0);
    assert_int_equal(buf_append(&payload, slice_str("\xa0\x06\x01")), 0); /* an unknown field */
    assert_int_equal(dsse_sign(&b, document_type(DOCUMENT_DELEGATION), buf_slice(&payload), &f->license.signer), 0);
    doc_Delegation d;
    uint8_t key[32];
    assert_int_equal(document_open(DOCUMENT_DELEGATION, buf_slice(&b), &d, sizeof(d), key), REASON_MALFORMED);
}

/* ---- keyset -------------------------------------------------------------------------------------------------- */

static int judge_keyset(const doc_Keyset *k, const struct fixture_party *by, const struct fixture_party *tls,
                        uint64_t lowest)
{
    struct buf b CLEANUP(buf_free) = buf(8192);
    fixture_sign(&b, DOCUMENT_KEYSET, k, by);
    doc_Keyset out;
    return keyset_judge(buf_slice(&b), &fixture->distributor, lowest, tls ? tls->signer.public_key : NULL, FIXTURE_NOW,
                        &out);
}

static void keysets(void **state)
{
    (void)state;
    struct fixture *f = fixture;
    doc_Keyset k = f->keyset;
    expect("good", 0, judge_keyset(&k, &f->root, &f->tls, 5));
    expect("not from a connection", 0, judge_keyset(&k, &f->root, NULL, 0));
    expect("older than known", REASON_KEYSET_INVALID, judge_keyset(&k, &f->root, &f->tls, 6));
    expect("another root", REASON_KEYSET_INVALID, judge_keyset(&k, &f->partner_root, &f->tls, 5));
    expect("a license key as TLS key", REASON_KEYSET_INVALID, judge_keyset(&k, &f->root, &f->license, 5));
    expect("a key not listed", REASON_KEYSET_INVALID, judge_keyset(&k, &f->root, &f->stranger, 5));
    k.keys[0].ends_ms = FIXTURE_NOW - 1;
    expect("a TLS key that has ended", REASON_KEYSET_INVALID, judge_keyset(&k, &f->root, &f->tls, 5));
    k = f->keyset;
    k.distributor[3] ^= 1;
    expect("names another distributor", REASON_KEYSET_INVALID, judge_keyset(&k, &f->root, &f->tls, 5));
    k = f->keyset;
    k.ends_ms = FIXTURE_NOW - DOCUMENTS_SKEW_MS - 1;
    expect("ended", REASON_KEYSET_INVALID, judge_keyset(&k, &f->root, &f->tls, 5));
    k.ends_ms = FIXTURE_NOW - DOCUMENTS_SKEW_MS;
    expect("ended within the skew", 0, judge_keyset(&k, &f->root, &f->tls, 5));
    k.issued_ms = FIXTURE_NOW + DOCUMENTS_SKEW_MS + 1;
    expect("not issued yet", REASON_KEYSET_INVALID, judge_keyset(&k, &f->root, &f->tls, 5));
}

static void keyset_keys(void **state)
{
    (void)state;
    struct fixture *f = fixture;
    const uint8_t *license = f->license.signer.public_key, *old = f->old_license.signer.public_key;
    assert_true(keyset_lists(&f->keyset, KEY_LICENSE, license, FIXTURE_NOW));
    assert_true(keyset_lists(&f->keyset, KEY_LICENSE, license, FIXTURE_NOW + FIXTURE_DAY));
    assert_false(keyset_lists(&f->keyset, KEY_LICENSE, license, FIXTURE_NOW + FIXTURE_DAY + 1));
    assert_false(keyset_lists(&f->keyset, KEY_LICENSE, old, FIXTURE_NOW));
    assert_true(keyset_lists(&f->keyset, KEY_LICENSE, old, FIXTURE_NOW - 2 * FIXTURE_DAY));
    assert_false(keyset_lists(&f->keyset, KEY_ROSTER, license, FIXTURE_NOW));
    assert_memory_equal(keyset_key(&f->keyset, KEY_LICENSE), license, 32);
    assert_null(keyset_key(&f->partner_keyset, KEY_TLS));
}

/* ---- devices and rosters ------------------------------------------------------------------------------------- */

static doc_DeviceCertificate device_of(struct fixture *f)
{
    doc_DeviceCertificate d = { .issued_ms = FIXTURE_NOW - FIXTURE_DAY, .ends_ms = FIXTURE_NOW + FIXTURE_DAY };
    memcpy(d.device_key, f->destination.signer.public_key, 32);
    memcpy(d.leaf.distributor, &f->distributor, 32);
    return d;
}

static int judge_device(const doc_DeviceCertificate *d, const struct fixture_party *by)
{
    struct buf b CLEANUP(buf_free) = buf(4096);
    fixture_sign(&b, DOCUMENT_DEVICE, d, by);
    assert_true(b.len <= sizeof(((doc_RosterDevice *)0)->certificate.bytes));
    doc_DeviceCertificate out;
    struct id client;
    int r = device_judge(buf_slice(&b), &fixture->keyset, FIXTURE_NOW, &out, &client);
    if (r == 0)
        assert_true(id_equal(&client, &fixture->destination_id));
    return r;
}

static void devices(void **state)
{
    (void)state;
    struct fixture *f = fixture;
    doc_DeviceCertificate d = device_of(f);
    expect("good", 0, judge_device(&d, &f->license));
    expect("by a stranger", REASON_SIGNATURE_INVALID, judge_device(&d, &f->stranger));
    expect("by the roster key", REASON_SIGNATURE_INVALID, judge_device(&d, &f->roster));
    expect("by a key that had ended", REASON_SIGNATURE_INVALID, judge_device(&d, &f->old_license));
    d.issued_ms = FIXTURE_NOW - 3 * FIXTURE_DAY;
    expect("by a key that has ended since", 0, judge_device(&d, &f->old_license));
    d.leaf.distributor[0] ^= 1;
    expect("leaf of another distributor", REASON_SIGNATURE_INVALID, judge_device(&d, &f->license));
    d = device_of(f);
    d.ends_ms = FIXTURE_NOW - DOCUMENTS_SKEW_MS - 1;
    expect("ended", REASON_CERTIFICATE_EXPIRED, judge_device(&d, &f->license));
    d = device_of(f);
    d.issued_ms = UINT64_MAX;
    expect("issued at the end of time", REASON_SIGNATURE_INVALID, judge_device(&d, &f->license));
}

static int judge_roster(const doc_Roster *r, const struct fixture_party *by, doc_Roster *out)
{
    struct buf b CLEANUP(buf_free) = buf(64 * 1024);
    fixture_sign(&b, DOCUMENT_ROSTER, r, by);
    return roster_judge(buf_slice(&b), &fixture->keyset, FIXTURE_NOW, out);
}

static void rosters(void **state)
{
    (void)state;
    struct fixture *f = fixture;
    doc_Roster *r CLEANUP(freep) = calloc(1, sizeof(*r)), *out CLEANUP(freep) = calloc(1, sizeof(*out));
    assert_true(r && out);
    memcpy(r->distributor, &f->distributor, 32);
    r->sequence = 4;
    r->issued_ms = FIXTURE_NOW - FIXTURE_DAY;
    r->ends_ms = FIXTURE_NOW + FIXTURE_DAY;
    r->devices_count = 2;
    memcpy(r->devices[0].client, &f->source_id, 32);
    memcpy(r->devices[1].client, &f->destination_id, 32);
    CODEC_SET_TEXT(r->devices[1].name, "kitchen");
    expect("good", 0, judge_roster(r, &f->roster, out));
    assert_string_equal(roster_find(out, &f->destination_id)->name, "kitchen");
    assert_null(roster_find(out, &f->partner));
    expect("by the license key", REASON_SIGNATURE_INVALID, judge_roster(r, &f->license, out));
    r->ends_ms = FIXTURE_NOW - DOCUMENTS_SKEW_MS - 1;
    expect("ended", REASON_CERTIFICATE_EXPIRED, judge_roster(r, &f->roster, out));
    r->ends_ms = FIXTURE_NOW + FIXTURE_DAY;
    r->distributor[0] ^= 1;
    expect("of another distributor", REASON_SIGNATURE_INVALID, judge_roster(r, &f->roster, out));
    assert_int_equal(out->devices_count, 2); /* the good one is still there */
}

/* ---- licenses ------------------------------------------------------------------------------------------------ */

static int judge_license(const doc_License *l, const struct fixture_party *by)
{
    struct buf b CLEANUP(buf_free) = buf(4096);
    fixture_sign(&b, DOCUMENT_LICENSE, l, by);
    doc_License out;
    return license_judge(buf_slice(&b), &fixture->partner_keyset, &out);
}

static void licenses(void **state)
{
    (void)state;
    struct fixture *f = fixture;
    doc_License l = f->license_doc;
    expect("good", 0, judge_license(&l, &f->partner_license));
    expect("by another distributor", REASON_SIGNATURE_INVALID, judge_license(&l, &f->license));
    expect("by a copy key", REASON_SIGNATURE_INVALID, judge_license(&l, &f->copy_key));
    l.issuer[0] ^= 1;
    expect("of another issuer", REASON_SIGNATURE_INVALID, judge_license(&l, &f->partner_license));
}

static void usage_period(void **state)
{
    (void)state;
    doc_License l = { .conditions = { .max_copies = 1 } };
    assert_int_equal(license_usable(&l, 0), 0);
    l.conditions.has_usage_from_ms = l.conditions.has_usage_until_ms = true;
    l.conditions.usage_from_ms = 100;
    l.conditions.usage_until_ms = 200;
    static const struct {
        int64_t now_ms;
        int outcome;
    } times[] = { { -5, REASON_NOT_PERMITTED },
                  { 99, REASON_NOT_PERMITTED },
                  { 100, 0 },
                  { 200, 0 },
                  { 201, REASON_LICENSE_EXPIRED } };
    for (size_t i = 0; i < ARRAY_COUNT(times); i++)
        assert_int_equal(license_usable(&l, times[i].now_ms), times[i].outcome);
}

/* A lease, with its grace, beside the period of the license itself. */
static void leases(void **state)
{
    (void)state;
    doc_License l = { .has_lease = true, .lease = { .until_ms = 100, .grace_ms = 20 } };
    assert_int_equal(license_usable(&l, 120), 0);
    assert_int_equal(license_usable(&l, 121), REASON_LEASE_ENDED);
    l.lease.grace_ms = UINT64_MAX; /* no overflow brings the end forward */
    assert_int_equal(license_usable(&l, 121), 0);
    l.conditions.has_usage_until_ms = true;
    l.conditions.usage_until_ms = 110;
    assert_int_equal(license_usable(&l, 111), REASON_LICENSE_EXPIRED);
}

/* ---- grants, quotes, times, shares --------------------------------------------------------------------------- */

static void grants(void **state)
{
    (void)state;
    struct fixture *f = fixture;
    doc_KeyGrant g = { .version = 1, .issued_ms = FIXTURE_NOW, .ends_ms = FIXTURE_NOW + FIXTURE_DAY }, out;
    memcpy(g.distributor, &f->distributor, 32);
    memcpy(g.partner, &f->partner, 32);
    struct buf b CLEANUP(buf_free) = buf(4096);
    fixture_sign(&b, DOCUMENT_KEY_GRANT, &g, &f->license);
    assert_true(b.len <= sizeof(((msg_Grant *)0)->grant.bytes));
    expect("good", 0, grant_judge(buf_slice(&b), &f->keyset, &f->partner, FIXTURE_NOW, &out));
    expect("another partner's", REASON_WRONG_DESTINATION,
           grant_judge(buf_slice(&b), &f->keyset, &f->source_id, FIXTURE_NOW, &out));
    expect("ended", REASON_CERTIFICATE_EXPIRED,
           grant_judge(buf_slice(&b), &f->keyset, &f->partner, FIXTURE_NOW + 2 * FIXTURE_DAY, &out));
    expect("another granter", REASON_SIGNATURE_INVALID,
           grant_judge(buf_slice(&b), &f->partner_keyset, &f->partner, FIXTURE_NOW, &out));
}

/* In force, of this delegator, not below the floor its keyset has for the partner. What the past allowed is judged without floor and end. */
static void delegations(void **state)
{
    (void)state;
    struct fixture *f = fixture;
    fixture_seal(f, true);
    doc_Delegation d = f->delegation, out;
    struct slice envelope = buf_slice(&f->delegation_bytes);
    expect("good", 0, delegation_judge(envelope, &f->keyset, FIXTURE_NOW, &out));
    expect("another delegator", REASON_SIGNATURE_INVALID,
           delegation_judge(envelope, &f->partner_keyset, FIXTURE_NOW, &out));
    expect("ended", REASON_DELEGATION_INVALID,
           delegation_judge(envelope, &f->keyset, (int64_t)d.ends_ms + DOCUMENTS_SKEW_MS + 1, &out));
    expect("not yet", REASON_DELEGATION_INVALID,
           delegation_judge(envelope, &f->keyset, (int64_t)d.issued_ms - DOCUMENTS_SKEW_MS - 1, &out));
    doc_Keyset floored = f->keyset;
    floored.floors_count = 1;
    memcpy(floored.floors[0].partner, d.partner, 32);
    floored.floors[0].lowest_sequence = d.sequence;
    expect("at its floor", 0, delegation_judge(envelope, &floored, FIXTURE_NOW, &out));
    floored.floors[0].lowest_sequence = d.sequence + 1;
    expect("withdrawn", REASON_DELEGATION_INVALID, delegation_judge(envelope, &floored, FIXTURE_NOW, &out));
    expect("withdrawn, in the past", 0, delegation_judge_past(envelope, &floored, &out));
    floored.floors[0].partner[0] ^= 1;
    expect("another partner's floor", 0, delegation_judge(envelope, &floored, FIXTURE_NOW, &out));
    struct buf b CLEANUP(buf_free) = buf(4096);
    d.delegator[0] ^= 1;
    fixture_sign(&b, DOCUMENT_DELEGATION, &d, &f->license);
    expect("for another distributor's customers", REASON_DELEGATION_INVALID,
           delegation_judge(buf_slice(&b), &f->keyset, FIXTURE_NOW, &out));
}

static void quotes(void **state)
{
    (void)state;
    struct fixture *f = fixture;
    doc_Quote q = { .price = -1, .issued_ms = FIXTURE_NOW, .ends_ms = FIXTURE_NOW + FIXTURE_DAY }, out;
    memcpy(q.distributor, &f->distributor, 32);
    memcpy(q.client, &f->source_id, 32);
    memset(q.product_name, 'p', sizeof(q.product_name) - 1);
    struct buf b CLEANUP(buf_free) = buf(4096);
    fixture_sign(&b, DOCUMENT_QUOTE, &q, &f->license);
    assert_true(b.len <= sizeof(((msg_Quote *)0)->quote.bytes));
    expect("good", 0, quote_judge(buf_slice(&b), &f->keyset, &f->source_id, FIXTURE_NOW, &out));
    expect("another device's", REASON_WRONG_DESTINATION,
           quote_judge(buf_slice(&b), &f->keyset, &f->destination_id, FIXTURE_NOW, &out));
    expect("ended", REASON_QUOTE_CHANGED,
           quote_judge(buf_slice(&b), &f->keyset, &f->source_id, FIXTURE_NOW + 2 * FIXTURE_DAY, &out));
    fixture_sign(&b, DOCUMENT_QUOTE, &q, &f->stranger);
    expect("by a stranger", REASON_SIGNATURE_INVALID,
           quote_judge(buf_slice(&b), &f->keyset, &f->source_id, FIXTURE_NOW, &out));
}

static void times(void **state)
{
    (void)state;
    struct fixture *f = fixture;
    doc_SignedTime t = { .time_ms = FIXTURE_NOW }, out;
    memcpy(t.distributor, &f->distributor, 32);
    memcpy(t.client, &f->source_id, 32);
    struct buf b CLEANUP(buf_free) = buf(4096);
    fixture_sign(&b, DOCUMENT_TIME, &t, &f->license);
    assert_true(b.len <= sizeof(((msg_Welcome *)0)->time.bytes));
    expect("good", 0, time_judge(buf_slice(&b), &f->keyset, &f->source_id, &out));
    expect("another device's", REASON_WRONG_DESTINATION,
           time_judge(buf_slice(&b), &f->keyset, &f->destination_id, &out));
    fixture_sign(&b, DOCUMENT_TIME, &t, &f->old_license);
    expect("by a key that had ended", REASON_SIGNATURE_INVALID,
           time_judge(buf_slice(&b), &f->keyset, &f->source_id, &out));
}

static void shares(void **state)
{
    (void)state;
    struct fixture *f = fixture;
    doc_Share s = { .sequence = 1, .table = 2 }, out;
    memcpy(s.origin, &f->distributor, 32);
    struct buf b CLEANUP(buf_free) = buf(4096);
    fixture_sign(&b, DOCUMENT_SHARE, &s, &f->license);
    expect("good", 0, share_judge(buf_slice(&b), &f->keyset, &out));
    expect("another origin", REASON_SIGNATURE_INVALID, share_judge(buf_slice(&b), &f->partner_keyset, &out));
    fixture_sign(&b, DOCUMENT_SHARE, &s, &f->tls);
    expect("by a TLS key", REASON_SIGNATURE_INVALID, share_judge(buf_slice(&b), &f->keyset, &out));
    memcpy(s.origin, &f->partner, 32);
    fixture_sign(&b, DOCUMENT_SHARE, &s, &f->license);
    expect("in another's name", REASON_SIGNATURE_INVALID, share_judge(buf_slice(&b), &f->keyset, &out));
}

/* ---- what devices sign --------------------------------------------------------------------------------------- */

static void receipts(void **state)
{
    (void)state;
    struct fixture *f = fixture;
    doc_Receipt r = { .outcome = RECEIPT_STORED, .signed_ms = UINT64_MAX }, out;
    memcpy(r.destination, &f->destination_id, 32);
    struct buf b CLEANUP(buf_free) = buf(4096);
    fixture_sign(&b, DOCUMENT_RECEIPT, &r, &f->destination);
    assert_true(b.len <= sizeof(((msg_Redeem *)0)->receipt.bytes));
    expect("good", 0, receipt_judge(buf_slice(&b), &out));
    fixture_sign(&b, DOCUMENT_RECEIPT, &r, &f->source);
    expect("by another device", REASON_SIGNATURE_INVALID, receipt_judge(buf_slice(&b), &out));
    r.outcome = 3;
    fixture_sign(&b, DOCUMENT_RECEIPT, &r, &f->destination);
    expect("an outcome nobody knows", REASON_MALFORMED, receipt_judge(buf_slice(&b), &out));
}

static void surrenders(void **state)
{
    (void)state;
    struct fixture *f = fixture;
    doc_Surrender s = { .signed_ms = UINT64_MAX }, out;
    memcpy(s.client, &f->source_id, 32);
    struct buf b CLEANUP(buf_free) = buf(4096);
    fixture_sign(&b, DOCUMENT_SURRENDER, &s, &f->source);
    assert_true(b.len <= sizeof(((msg_MoveDone *)0)->surrender.bytes));
    expect("good", 0, surrender_judge(buf_slice(&b), &out));
    fixture_sign(&b, DOCUMENT_SURRENDER, &s, &f->destination);
    expect("by another device", REASON_SIGNATURE_INVALID, surrender_judge(buf_slice(&b), &out));
}

static void uses(void **state)
{
    (void)state;
    struct fixture *f = fixture;
    doc_Use u = { .sequence = UINT64_MAX, .play_ms = INT64_MAX, .signed_ms = INT64_MAX, .plays = UINT32_MAX }, out;
    doc_UseLog log = { .signed_ms = UINT64_MAX }, log_out;
    doc_UseLogTaken taken = { .through = UINT64_MAX }, taken_out;
    memcpy(u.client, &f->source_id, 32);
    struct buf b CLEANUP(buf_free) = buf(8192);
    fixture_sign(&b, DOCUMENT_USE, &u, &f->source);
    assert_true(b.len <= sizeof(((msg_Refresh *)0)->use.bytes));
    expect("good", 0, use_judge(buf_slice(&b), &out));
    fixture_sign(&b, DOCUMENT_USE, &u, &f->destination);
    expect("by another device", REASON_SIGNATURE_INVALID, use_judge(buf_slice(&b), &out));
    u.play_ms++;
    fixture_sign(&b, DOCUMENT_USE, &u, &f->source);
    expect("longer than a row holds", REASON_MALFORMED, use_judge(buf_slice(&b), &out));
    u.play_ms = 0;
    u.signed_ms++;
    fixture_sign(&b, DOCUMENT_USE, &u, &f->source);
    expect("later than a row holds", REASON_MALFORMED, use_judge(buf_slice(&b), &out));

    memcpy(log.client, &f->source_id, 32);
    fixture_sign(&b, DOCUMENT_USE_LOG, &log, &f->source);
    expect("an empty log", REASON_MALFORMED, use_log_judge(buf_slice(&b), &log_out));
    log.entries_count = 2;
    log.entries[0].number = UINT64_MAX;
    fixture_sign(&b, DOCUMENT_USE_LOG, &log, &f->source);
    expect("numbers that wrap", REASON_MALFORMED, use_log_judge(buf_slice(&b), &log_out));
    log.entries[0].number = 1;
    log.entries[1].number = 3;
    fixture_sign(&b, DOCUMENT_USE_LOG, &log, &f->source);
    expect("a gap", REASON_MALFORMED, use_log_judge(buf_slice(&b), &log_out));
    log.entries[1].number = 2;
    fixture_sign(&b, DOCUMENT_USE_LOG, &log, &f->destination);
    expect("a log by another device", REASON_SIGNATURE_INVALID, use_log_judge(buf_slice(&b), &log_out));

    memcpy(taken.issuer, f->keyset.distributor, 32);
    memcpy(taken.client, &f->source_id, 32);
    fixture_sign(&b, DOCUMENT_USE_LOG_TAKEN, &taken, &f->license);
    assert_true(b.len <= sizeof(((msg_UseLogTaken *)0)->taken.bytes));
    expect("taken", 0, use_log_taken_judge(buf_slice(&b), &f->keyset, &f->source_id, &taken_out));
    expect("taken from another", REASON_WRONG_DESTINATION,
           use_log_taken_judge(buf_slice(&b), &f->keyset, &f->destination_id, &taken_out));
    fixture_sign(&b, DOCUMENT_USE_LOG_TAKEN, &taken, &f->source);
    expect("a device says so", REASON_SIGNATURE_INVALID,
           use_log_taken_judge(buf_slice(&b), &f->keyset, &f->source_id, &taken_out));
}

/* ---- content information ------------------------------------------------------------------------------------- */

static int judge_info(const doc_ContentInfo *i, struct id *content)
{
    struct buf b CLEANUP(buf_free) = buf(4096);
    assert_int_equal(CODEC_ENCODE(doc_ContentInfo, &b, i), 0);
    doc_ContentInfo out;
    return info_judge(buf_slice(&b), fixture->list_root, &out, content);
}

static void infos(void **state)
{
    (void)state;
    doc_ContentInfo i = fixture->info;
    struct id content, other;
    expect("good", 0, judge_info(&i, &content));
    i.title[0] ^= 1;
    expect("another title", 0, judge_info(&i, &other));
    assert_false(id_equal(&content, &other));
    i = fixture->info;
    i.block_count++;
    expect("a block too many", REASON_MALFORMED, judge_info(&i, &content));
    i = fixture->info;
    i.block_bytes = 262143;
    expect("block size not a power of two", REASON_MALFORMED, judge_info(&i, &content));
    i = fixture->info;
    i.plain_bytes = 0;
    expect("empty", REASON_MALFORMED, judge_info(&i, &content));
    i.plain_bytes = UINT64_MAX;
    expect("endless", REASON_MALFORMED, judge_info(&i, &content));
    i = fixture->info;
    i.media_type[0] = '\0';
    expect("no media type", REASON_MALFORMED, judge_info(&i, &content));
}

/* Envelopes fit the fields of the messages that carry them: checked on the largest of each. */
static void bounds_of_envelopes(void **state)
{
    (void)state;
    struct fixture *f = fixture;
    f->license_doc.conditions = (doc_Conditions){ true, UINT64_MAX, true,       UINT64_MAX, true,      UINT64_MAX,
                                                  true, UINT64_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX };
    f->license_doc.sequence = f->license_doc.issued_ms = UINT64_MAX;
    f->license_doc.leaf.category = f->license_doc.leaf.number = UINT32_MAX;
    f->block.category = f->block.entry_count = f->certificate.key_block.index = UINT32_MAX;
    f->block.version = f->block.issued_ms = UINT64_MAX;
    f->certificate.issued_ms = f->certificate.ends_ms = UINT64_MAX;
    f->certificate.key_block.has_proof = true;
    f->certificate.key_block.proof.size = sizeof(f->certificate.key_block.proof.bytes);
    f->delegation.sequence = f->delegation.issued_ms = f->delegation.ends_ms = UINT64_MAX;
    f->delegation.max_certificate_ms = UINT64_MAX;
    fixture_seal(f, false); /* license and block went into their fields */
    assert_true(f->certificate_bytes.len <= sizeof(((msg_Offer *)0)->certificate.bytes));
    assert_true(f->delegation_bytes.len <= sizeof(((msg_Offer *)0)->delegation.bytes));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(open_every_damage),
        TEST(types_are_signed),
        TEST(payloads_are_canonical),
        TEST(keysets),
        TEST(keyset_keys),
        TEST(devices),
        TEST(rosters),
        TEST(licenses),
        TEST(usage_period),
        TEST(leases),
        TEST(grants),
        TEST(delegations),
        TEST(quotes),
        TEST(times),
        TEST(shares),
        TEST(receipts),
        TEST(surrenders),
        TEST(uses),
        TEST(infos),
        TEST(bounds_of_envelopes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
