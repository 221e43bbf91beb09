/* Seed inputs of fuzz-document.c: each document as it is, touched, by somebody else; and one for each thing that a judge refuses. */
#include <stdio.h>

#include "base/util.h"
#include "fuzz.h"
#include "protocol/metadata.h"
#include "seeds.h"

/* A payload to be signed by whoever signs such documents (0), or by another. */
static void put(enum document d, const char *name, uint8_t signer, const void *payload)
{
    struct buf encoded CLEANUP(buf_free) = buf(1 << 16);
    CHECK(codec_encode(&encoded, world_kind(d)->fields, payload) == 0);
    PUT("document", name, BYTES((uint8_t)d, 1, signer), buf_slice(&encoded));
}
/* The world's document with one change. */
#define BUT(d, T, name, signer, ...)            \
    do {                                        \
        static T v;                             \
        memcpy(&v, w->documents[d], sizeof(v)); \
        __VA_ARGS__;                            \
        put((d), (name), (signer), &v);         \
    } while (0)
#define FOR(field, who) memcpy((field), w->ids[who].bytes, ID_BYTES)

static const uint64_t now = WORLD_NOW_MS, later = WORLD_NOW_MS + WORLD_DAY_MS, before = WORLD_NOW_MS - WORLD_DAY_MS;

static void judged_keysets(const struct world *w)
{
    BUT(DOCUMENT_KEYSET, doc_Keyset, "keyset-older", 0, v.sequence = 6);
    BUT(DOCUMENT_KEYSET, doc_Keyset, "keyset-ended", 0, v.ends_ms = before);
    BUT(DOCUMENT_KEYSET, doc_Keyset, "keyset-begins-later", 0, v.issued_ms = later);
    BUT(DOCUMENT_KEYSET, doc_Keyset, "keyset-without-tls", 0, v.keys[0].purpose = KEY_SEALING);
    BUT(DOCUMENT_KEYSET, doc_Keyset, "keyset-empty", 0, v.keys_count = 0);
    BUT(DOCUMENT_KEYSET, doc_Keyset, "keyset-of-another", 0, FOR(v.distributor, WHO_PARTNER_ROOT));
    BUT(DOCUMENT_DEVICE, doc_DeviceCertificate, "device-ended", 0, v.ends_ms = before);
    BUT(DOCUMENT_DEVICE, doc_DeviceCertificate, "device-of-another", 0, FOR(v.leaf.distributor, WHO_PARTNER_ROOT));
    BUT(DOCUMENT_ROSTER, doc_Roster, "roster-ended", 0, v.ends_ms = before);
    BUT(DOCUMENT_ROSTER, doc_Roster, "roster-without-us", 0, FOR(v.devices[0].client, WHO_SOURCE));
    BUT(DOCUMENT_ROSTER, doc_Roster, "roster-beyond-numbers", 0, v.issued_ms = UINT64_MAX);
}

static void judged_licenses(const struct world *w)
{
    const uint8_t by = WHO_PARTNER_LICENSE;
    BUT(DOCUMENT_LICENSE, doc_License, "license", by, (void)v);
    BUT(DOCUMENT_LICENSE, doc_License, "license-of-another", by, FOR(v.issuer, WHO_STRANGER));
    BUT(DOCUMENT_LICENSE, doc_License, "license-begins-later", by, v.conditions.has_usage_from_ms = true,
        v.conditions.usage_from_ms = later);
    BUT(DOCUMENT_LICENSE, doc_License, "license-ended", by, v.conditions.usage_until_ms = before);
    BUT(DOCUMENT_LICENSE, doc_License, "license-lease-ended", by, v.has_lease = true, v.lease.until_ms = before);
    BUT(DOCUMENT_LICENSE, doc_License, "license-lease-lasts", by, v.has_lease = true, v.lease.until_ms = before,
        v.lease.grace_ms = UINT64_MAX);
    BUT(DOCUMENT_DELEGATION, doc_Delegation, "delegation-of-another", 0, FOR(v.delegator, WHO_PARTNER_ROOT));
    BUT(DOCUMENT_DELEGATION, doc_Delegation, "delegation-below-floor", 0, v.sequence = 2);
    BUT(DOCUMENT_DELEGATION, doc_Delegation, "delegation-to-one-without-floor", 0, FOR(v.partner, WHO_STRANGER));
    BUT(DOCUMENT_KEY_GRANT, doc_KeyGrant, "grant-to-another", 0, FOR(v.partner, WHO_STRANGER));
    BUT(DOCUMENT_KEY_GRANT, doc_KeyGrant, "grant-ended", 0, v.ends_ms = before);
    BUT(DOCUMENT_SETTLEMENT, doc_Settlement, "settlement-to-another", 0, FOR(v.partner, WHO_STRANGER));
    BUT(DOCUMENT_QUOTE, doc_Quote, "quote-to-another", 0, FOR(v.client, WHO_STRANGER));
    BUT(DOCUMENT_QUOTE, doc_Quote, "quote-ended", 0, v.ends_ms = before);
}

static void judged_reports(const struct world *w)
{
    BUT(DOCUMENT_RECEIPT, doc_Receipt, "receipt-of-nothing", 0, v.outcome = 7);
    BUT(DOCUMENT_USE, doc_Use, "use-much", 0, v.plays = 1000, v.recoveries = 5);
    BUT(DOCUMENT_USE, doc_Use, "use-beyond-numbers", 0, v.play_ms = UINT64_MAX);
    BUT(DOCUMENT_USE_LOG, doc_UseLog, "use-log-empty", 0, v.entries_count = 0);
    BUT(DOCUMENT_USE_LOG, doc_UseLog, "use-log-gap", 0, v.entries[1].number = 10);
    BUT(DOCUMENT_USE_LOG_TAKEN, doc_UseLogTaken, "use-log-taken-of-another", 0, FOR(v.client, WHO_STRANGER));
    BUT(DOCUMENT_TIME, doc_SignedTime, "time-to-another", 0, FOR(v.client, WHO_STRANGER));
    BUT(DOCUMENT_STANDING, doc_Standing, "standing-to-another", 0, FOR(v.client, WHO_STRANGER));
    BUT(DOCUMENT_GENERATION, doc_Generation, "generation-to-another", 0, FOR(v.distributor, WHO_PARTNER_ROOT));
    BUT(DOCUMENT_CATCH_UP, doc_CatchUp, "catch-up-to-another", 0, FOR(v.client, WHO_STRANGER));
    BUT(DOCUMENT_CATCH_UP, doc_CatchUp, "catch-up-unknown-kind", 0, v.entries[2].kind = 9);
    BUT(DOCUMENT_CATCH_UP, doc_CatchUp, "catch-up-order", 0, v.entries[2] = v.entries[1]);
    BUT(DOCUMENT_CATCH_UP, doc_CatchUp, "catch-up-for-others", 0, FOR(v.entries[1].issuer, WHO_PARTNER_ROOT));
    BUT(DOCUMENT_CATCH_UP, doc_CatchUp, "catch-up-without-end", 0, v.entries_count = 0, v.last = false);
}

static void judged_programs(const struct world *w)
{
    BUT(DOCUMENT_PROGRAM, doc_Program, "program-of-another", 0, FOR(v.provider, WHO_SOURCE));
    BUT(DOCUMENT_PROGRAM, doc_Program, "program-unknown-kind", 0, v.kind = 3);
    BUT(DOCUMENT_PROGRAM, doc_Program, "program-too-large", 0, v.program_bytes = UINT64_MAX);
    BUT(DOCUMENT_PROGRAM_GRANT, doc_ProgramGrant, "program-to-another", 0, FOR(v.client, WHO_STRANGER));
    BUT(DOCUMENT_PROGRAM_GRANT, doc_ProgramGrant, "program-touched", 0, v.program.bytes[90] ^= 1);
    BUT(DOCUMENT_METADATA, doc_Metadata, "metadata-language", 0, CODEC_SET_TEXT(v.language, "de--x"));
    BUT(DOCUMENT_METADATA, doc_Metadata, "metadata-empty", 0, v.parts_bytes = 0);
    BUT(DOCUMENT_METADATA, doc_Metadata, "metadata-unknown-signer", 0, v.kind = 3);
    BUT(DOCUMENT_METADATA, doc_Metadata, "metadata-of-publisher", WHO_OWN_LICENSE, v.kind = SIGNER_PUBLISHER,
        FOR(v.signer, WHO_OWN_ROOT));
    BUT(DOCUMENT_METADATA, doc_Metadata, "metadata-of-another-publisher", WHO_OWN_LICENSE, v.kind = SIGNER_PUBLISHER);
    BUT(DOCUMENT_METADATA, doc_Metadata, "metadata-in-publishers-name", 0, v.kind = SIGNER_PUBLISHER,
        FOR(v.signer, WHO_OWN_ROOT));
    BUT(DOCUMENT_METADATA, doc_Metadata, "metadata-ended", 0, v.has_ends_ms = true, v.ends_ms = before);
    BUT(DOCUMENT_METADATA_VOUCH, doc_MetadataVouch, "vouch-for-another", 0, FOR(v.provider, WHO_SOURCE));
    BUT(DOCUMENT_METADATA_VOUCH, doc_MetadataVouch, "vouch-without-number", 0, v.sequence = 0);
    BUT(DOCUMENT_METADATA_VOUCH, doc_MetadataVouch, "vouch-beyond-numbers", 0, v.issued_ms = now + UINT64_MAX / 2);
}

void seed_documents(const struct world *w)
{
    for (int i = 0; i < DOCUMENT_COUNT; i++) {
        enum document d = (enum document)i;
        struct buf envelope CLEANUP(buf_free) = buf(1 << 16), payload CLEANUP(buf_free) = buf(1 << 16);
        char name[64];
        world_envelope(w, d, &envelope);
        world_payload(w, d, &payload);
        snprintf(name, sizeof(name), "envelope-%02d", i);
        PUT("document", name, BYTES((uint8_t)d, 0, 0), buf_slice(&envelope));
        snprintf(name, sizeof(name), "payload-%02d", i);
        PUT("document", name, BYTES((uint8_t)d, 1, 0), buf_slice(&payload));
        snprintf(name, sizeof(name), "edited-%02d", i);
        PUT("document", name, BYTES((uint8_t)d, 2, 0, 0, 0, 40, 1));
        snprintf(name, sizeof(name), "touched-%02d", i);
        PUT("document", name, BYTES((uint8_t)d, 3, 0, 0, 0, 40, 1));
        snprintf(name, sizeof(name), "wrong-signer-%02d", i);
        PUT("document", name, BYTES((uint8_t)d, 1, WHO_STRANGER), buf_slice(&payload));
        snprintf(name, sizeof(name), "nothing-%02d", i); /* nothing can be signed: no envelope at all */
        PUT("document", name, BYTES((uint8_t)d, 1, 0));
    }
    PUT("document", "other-algorithm", BYTES(DOCUMENT_TIME, 3, 0, 0, 0, 1, 3));
    judged_keysets(w);
    judged_licenses(w);
    judged_reports(w);
    judged_programs(w);
}
