/* A small world of keys and documents, the same in every run. */
#include "world.h"

#include <stdlib.h>

#include "base/util.h"
#include "crypto/body.h"
#include "crypto/sha256.h"
#include "fuzz.h"

#define KIND(T, who)                           \
    {                                          \
        T##_fields, T##_size, sizeof(T), (who) \
    }

static const struct document_kind kinds[DOCUMENT_COUNT] = {
    [DOCUMENT_KEYSET] = KIND(doc_Keyset, WHO_OWN_ROOT),
    [DOCUMENT_DEVICE] = KIND(doc_DeviceCertificate, WHO_OWN_LICENSE),
    [DOCUMENT_ROSTER] = KIND(doc_Roster, WHO_OWN_ROSTER),
    [DOCUMENT_LICENSE] = KIND(doc_License, WHO_PARTNER_COPY),
    [DOCUMENT_COPY_CERTIFICATE] = KIND(doc_CopyCertificate, WHO_PARTNER_COPY),
    [DOCUMENT_DELEGATION] = KIND(doc_Delegation, WHO_OWN_LICENSE),
    [DOCUMENT_EKB] = KIND(doc_Ekb, WHO_OWN_LICENSE),
    [DOCUMENT_KEY_GRANT] = KIND(doc_KeyGrant, WHO_OWN_LICENSE),
    [DOCUMENT_QUOTE] = KIND(doc_Quote, WHO_OWN_LICENSE),
    [DOCUMENT_RECEIPT] = KIND(doc_Receipt, WHO_SELF),
    [DOCUMENT_SURRENDER] = KIND(doc_Surrender, WHO_SOURCE),
    [DOCUMENT_TIME] = KIND(doc_SignedTime, WHO_OWN_LICENSE),
    [DOCUMENT_SHARE] = KIND(doc_Share, WHO_OWN_LICENSE),
    [DOCUMENT_SETTLEMENT] = KIND(doc_Settlement, WHO_OWN_LICENSE),
    [DOCUMENT_USE] = KIND(doc_Use, WHO_SOURCE),
    [DOCUMENT_USE_LOG] = KIND(doc_UseLog, WHO_SOURCE),
    [DOCUMENT_USE_LOG_TAKEN] = KIND(doc_UseLogTaken, WHO_OWN_LICENSE),
    [DOCUMENT_STANDING] = KIND(doc_Standing, WHO_OWN_LICENSE),
    [DOCUMENT_GENERATION] = KIND(doc_Generation, WHO_SELF),
    [DOCUMENT_CATCH_UP] = KIND(doc_CatchUp, WHO_OWN_LICENSE),
    [DOCUMENT_PROGRAM] = KIND(doc_Program, WHO_STRANGER),
    [DOCUMENT_PROGRAM_GRANT] = KIND(doc_ProgramGrant, WHO_OWN_LICENSE),
    [DOCUMENT_METADATA] = KIND(doc_Metadata, WHO_STRANGER),
    [DOCUMENT_METADATA_VOUCH] = KIND(doc_MetadataVouch, WHO_OWN_LICENSE),
};

const struct document_kind *world_kind(enum document d) { return &kinds[d]; }

#define COPY_ID(field, id) memcpy((field), (id).bytes, ID_BYTES)

static void *document(struct world *w, enum document d)
{
    w->documents[d] = calloc(1, kinds[d].struct_bytes);
    CHECK(w->documents[d]);
    return w->documents[d];
}

static void make_keys(struct world *w)
{
    for (int i = 0; i < WHO_COUNT; i++) {
        struct rng_fake rng;
        struct key32 seed;
        rng_fake_init(&rng, 1000 + (uint64_t)i);
        rng_fill(&rng.rng, seed.bytes, sizeof(seed.bytes));
        sign_pair_init(&w->keys[i], &seed);
        w->ids[i] = id_of_key(w->keys[i].public_key);
    }
}

static void list_key(doc_Keyset *k, enum key_purpose purpose, const uint8_t *key, uint64_t ends_ms)
{
    doc_Key *listed = &k->keys[k->keys_count++];
    listed->purpose = purpose;
    memcpy(listed->key, key, sizeof(listed->key));
    listed->ends_ms = ends_ms;
}

static void make_keysets(struct world *w)
{
    const uint64_t now = WORLD_NOW_MS;
    doc_Keyset own = {
        .name = "boreal", .sequence = 7, .issued_ms = now - 5 * WORLD_DAY_MS, .ends_ms = now + 30 * WORLD_DAY_MS
    };
    doc_Keyset partner = own;
    COPY_ID(own.distributor, w->ids[WHO_OWN_ROOT]);
    list_key(&own, KEY_TLS, w->keys[WHO_OWN_TLS].public_key, now + 30 * WORLD_DAY_MS);
    list_key(&own, KEY_LICENSE, w->keys[WHO_OWN_LICENSE].public_key, now + 30 * WORLD_DAY_MS);
    list_key(&own, KEY_LICENSE, w->keys[WHO_OWN_LICENSE_OLD].public_key, now - 10 * WORLD_DAY_MS);
    list_key(&own, KEY_ROSTER, w->keys[WHO_OWN_ROSTER].public_key, now + 30 * WORLD_DAY_MS);
    own.floors_count = 1;
    COPY_ID(own.floors[0].partner, w->ids[WHO_PARTNER_ROOT]);
    own.floors[0].lowest_sequence = 3;
    CODEC_SET_TEXT(partner.name, "aurora");
    COPY_ID(partner.distributor, w->ids[WHO_PARTNER_ROOT]);
    list_key(&partner, KEY_LICENSE, w->keys[WHO_PARTNER_LICENSE].public_key, now + 30 * WORLD_DAY_MS);
    w->own = own;
    w->partner = partner;
    memcpy(document(w, DOCUMENT_KEYSET), &own, sizeof(own));
}

static void make_block(struct world *w)
{
    static const uint32_t revoked[] = { 3, 0x00c0ffef, 0x80000000 };
    memset(w->tree_secret.bytes, 0x11, sizeof(w->tree_secret.bytes));
    memset(w->block_root_key.bytes, 0x22, sizeof(w->block_root_key.bytes));
    CHECK(ekb_build(&w->block, &w->tree_secret, WORLD_CATEGORY, WORLD_BLOCK_VERSION, revoked, ARRAY_COUNT(revoked),
                    &w->block_root_key) == 0);
    w->device_set = malloc(KEYTREE_SET_BYTES);
    CHECK(w->device_set);
    keytree_device_set(&w->tree_secret, WORLD_CATEGORY, WORLD_LEAF, w->device_set);
    doc_Ekb *ekb = document(w, DOCUMENT_EKB);
    COPY_ID(ekb->distributor, w->ids[WHO_OWN_ROOT]);
    ekb->category = WORLD_CATEGORY;
    ekb->kind = EKB_KIND_COMPLETE_SUBTREE;
    ekb->version = WORLD_BLOCK_VERSION;
    ekb->entry_count = w->block.count;
    memcpy(ekb->entries_root, w->block.root, sizeof(ekb->entries_root));
    memcpy(ekb->key_check, w->block.key_check, sizeof(ekb->key_check));
    ekb->issued_ms = WORLD_NOW_MS - 2 * WORLD_DAY_MS;
}

static void make_content(struct world *w)
{
    doc_ContentInfo *i = &w->content_info;
    COPY_ID(i->publisher, w->ids[WHO_PARTNER_ROOT]);
    CODEC_SET_TEXT(i->media_type, "audio/flac");
    CODEC_SET_TEXT(i->title, "Nocturne");
    i->has_album = true;
    CODEC_SET_TEXT(i->album, "Evenings");
    i->duration_ms = 184000;
    i->plain_bytes = 1000000;
    i->block_bytes = 262144;
    i->block_count = 4;
    memset(i->nonce, 0x33, sizeof(i->nonce));
    w->info = buf(BODY_INFO_MAX);
    CHECK(CODEC_ENCODE(doc_ContentInfo, &w->info, i) == 0);
    memset(w->list_root, 0x44, sizeof(w->list_root));
    body_content_id(buf_slice(&w->info), w->list_root, &w->content);
}

static void fill_leaf(const struct world *w, doc_Leaf *leaf)
{
    COPY_ID(leaf->distributor, w->ids[WHO_OWN_ROOT]);
    leaf->category = WORLD_CATEGORY;
    leaf->number = WORLD_LEAF;
}

static const doc_Conditions conditions = {
    .has_usage_until_ms = true, .usage_until_ms = WORLD_NOW_MS + 90 * WORLD_DAY_MS, .max_copies = 3, .copy_depth = 1
};

static void make_certificate(struct world *w)
{
    const uint64_t now = WORLD_NOW_MS;
    doc_Delegation *delegation = document(w, DOCUMENT_DELEGATION);
    COPY_ID(delegation->delegator, w->ids[WHO_OWN_ROOT]);
    COPY_ID(delegation->partner, w->ids[WHO_PARTNER_ROOT]);
    memcpy(delegation->copy_key, w->keys[WHO_PARTNER_COPY].public_key, 32);
    delegation->sequence = 5;
    delegation->max_certificate_ms = 7 * WORLD_DAY_MS;
    delegation->issued_ms = now - 2 * WORLD_DAY_MS;
    delegation->ends_ms = now + 20 * WORLD_DAY_MS;

    doc_License *license = document(w, DOCUMENT_LICENSE);
    COPY_ID(license->issuer, w->ids[WHO_PARTNER_ROOT]);
    memset(license->license_id, 0x55, sizeof(license->license_id));
    license->sequence = 41;
    COPY_ID(license->content, w->content);
    COPY_ID(license->client, w->ids[WHO_SELF]);
    fill_leaf(w, &license->leaf);
    license->issued_ms = now - WORLD_HOUR_MS;
    license->conditions = conditions;
    memset(license->license_half, 0x66, sizeof(license->license_half));

    doc_CopyCertificate *certificate = document(w, DOCUMENT_COPY_CERTIFICATE);
    COPY_ID(certificate->issuer, w->ids[WHO_PARTNER_ROOT]);
    memset(certificate->serial, 0x77, sizeof(certificate->serial));
    COPY_ID(certificate->source, w->ids[WHO_SOURCE]);
    COPY_ID(certificate->destination, w->ids[WHO_SELF]);
    COPY_ID(certificate->content, w->content);
    memset(certificate->wrapped_half, 0x88, sizeof(certificate->wrapped_half));
    certificate->partner_root = true;
    certificate->issued_ms = now - WORLD_HOUR_MS;
    certificate->ends_ms = now + WORLD_DAY_MS;

    struct buf envelope CLEANUP(buf_free) = buf(4096), proof CLEANUP(buf_free) = buf(4096);
    world_envelope(w, DOCUMENT_LICENSE, &envelope);
    CHECK(CODEC_SET_BYTES(certificate->license, buf_slice(&envelope)) == 0);
    buf_clear(&envelope);
    world_envelope(w, DOCUMENT_EKB, &envelope);
    doc_KeyBlockEntry *entry = &certificate->key_block;
    CHECK(CODEC_SET_BYTES(entry->block, buf_slice(&envelope)) == 0);
    CHECK(ekb_find(&w->block, WORLD_LEAF, &entry->index, entry->entry, &proof) == 0);
    entry->has_proof = true;
    CHECK(CODEC_SET_BYTES(entry->proof, buf_slice(&proof)) == 0);
}

static void make_devices(struct world *w)
{
    const uint64_t now = WORLD_NOW_MS;
    doc_DeviceCertificate *device = document(w, DOCUMENT_DEVICE);
    memcpy(device->device_key, w->keys[WHO_SELF].public_key, 32);
    memset(device->sealing_key, 0x99, sizeof(device->sealing_key));
    fill_leaf(w, &device->leaf);
    device->issued_ms = now - 3 * WORLD_DAY_MS;
    device->ends_ms = now + 300 * WORLD_DAY_MS;

    doc_Roster *roster = document(w, DOCUMENT_ROSTER);
    struct buf envelope CLEANUP(buf_free) = buf(4096);
    COPY_ID(roster->distributor, w->ids[WHO_OWN_ROOT]);
    memset(roster->household, 0xaa, sizeof(roster->household));
    roster->sequence = 9;
    roster->issued_ms = now - WORLD_HOUR_MS;
    roster->ends_ms = now + WORLD_DAY_MS;
    roster->devices_count = 1;
    COPY_ID(roster->devices[0].client, w->ids[WHO_SELF]);
    COPY_ID(roster->devices[0].distributor, w->ids[WHO_OWN_ROOT]);
    CODEC_SET_TEXT(roster->devices[0].name, "bedroom");
    CODEC_SET_TEXT(roster->devices[0].distributor_name, "boreal");
    world_envelope(w, DOCUMENT_DEVICE, &envelope);
    CHECK(CODEC_SET_BYTES(roster->devices[0].certificate, buf_slice(&envelope)) == 0);
}

static void make_papers(struct world *w)
{
    const uint64_t now = WORLD_NOW_MS;
    doc_KeyGrant *grant = document(w, DOCUMENT_KEY_GRANT);
    COPY_ID(grant->distributor, w->ids[WHO_OWN_ROOT]);
    COPY_ID(grant->partner, w->ids[WHO_PARTNER_ROOT]);
    grant->category = WORLD_CATEGORY;
    grant->version = WORLD_BLOCK_VERSION;
    grant->issued_ms = now - WORLD_HOUR_MS;
    grant->ends_ms = now + WORLD_DAY_MS;

    doc_Quote *quote = document(w, DOCUMENT_QUOTE);
    COPY_ID(quote->distributor, w->ids[WHO_OWN_ROOT]);
    COPY_ID(quote->client, w->ids[WHO_SELF]);
    COPY_ID(quote->content, w->content);
    quote->product = 1;
    CODEC_SET_TEXT(quote->product_name, "Own it");
    quote->price = 99;
    CODEC_SET_TEXT(quote->currency, "EUR");
    quote->conditions = conditions;
    quote->issued_ms = now - 1000;
    quote->ends_ms = now + WORLD_HOUR_MS;

    doc_Receipt *receipt = document(w, DOCUMENT_RECEIPT);
    COPY_ID(receipt->issuer, w->ids[WHO_PARTNER_ROOT]);
    COPY_ID(receipt->content, w->content);
    COPY_ID(receipt->source, w->ids[WHO_SOURCE]);
    COPY_ID(receipt->destination, w->ids[WHO_SELF]);
    receipt->outcome = RECEIPT_STORED;
    receipt->signed_ms = now;

    doc_Surrender *surrender = document(w, DOCUMENT_SURRENDER);
    COPY_ID(surrender->issuer, w->ids[WHO_PARTNER_ROOT]);
    COPY_ID(surrender->client, w->ids[WHO_SOURCE]);
    surrender->signed_ms = now;

    doc_Use *use = document(w, DOCUMENT_USE);
    COPY_ID(use->issuer, w->ids[WHO_PARTNER_ROOT]);
    COPY_ID(use->client, w->ids[WHO_SOURCE]);
    use->plays = 3;
    use->play_ms = 181000;
    use->signed_ms = now;

    doc_UseLog *log = document(w, DOCUMENT_USE_LOG);
    COPY_ID(log->issuer, w->ids[WHO_PARTNER_ROOT]);
    COPY_ID(log->client, w->ids[WHO_SOURCE]);
    log->signed_ms = now;
    log->entries_count = 2;
    for (pb_size_t i = 0; i < log->entries_count; i++) {
        log->entries[i] = (doc_UseLogEntry){ .number = 7 + i, .began_ms = now, .play_ms = 181000 };
        COPY_ID(log->entries[i].content, w->content);
    }

    doc_UseLogTaken *taken = document(w, DOCUMENT_USE_LOG_TAKEN);
    COPY_ID(taken->issuer, w->ids[WHO_OWN_ROOT]);
    COPY_ID(taken->client, w->ids[WHO_SELF]);
    taken->through = 8;

    doc_Standing *standing = document(w, DOCUMENT_STANDING);
    COPY_ID(standing->distributor, w->ids[WHO_OWN_ROOT]);
    COPY_ID(standing->client, w->ids[WHO_SELF]);
    standing->session = 4;
    standing->generation = now;
    standing->has_last = true;
    standing->time_ms = now;

    doc_Generation *generation = document(w, DOCUMENT_GENERATION);
    COPY_ID(generation->distributor, w->ids[WHO_OWN_ROOT]);
    COPY_ID(generation->client, w->ids[WHO_SELF]);
    generation->session = 4;
    generation->generation = now;

    doc_CatchUp *catch_up = document(w, DOCUMENT_CATCH_UP);
    COPY_ID(catch_up->distributor, w->ids[WHO_OWN_ROOT]);
    COPY_ID(catch_up->client, w->ids[WHO_SELF]);
    catch_up->generation = catch_up->time_ms = now;
    catch_up->last = true;
    catch_up->entries_count = 3;
    for (uint32_t i = 0; i < 3; i++) {
        doc_CatchUpEntry *e = &catch_up->entries[i];
        e->kind = i + 1;
        COPY_ID(e->issuer, w->ids[i == 0 ? WHO_PARTNER_ROOT : WHO_OWN_ROOT]);
        e->has_sequence = i > 0;
        e->has_license_id = e->has_content = e->has_destination = e->has_digest = i == 2;
    }

    doc_Program *program = document(w, DOCUMENT_PROGRAM);
    COPY_ID(program->provider, w->ids[WHO_STRANGER]);
    CODEC_SET_TEXT(program->name, "tone");
    program->kind = 1;
    program->version = 1ull << 32;
    program->program_bytes = 40000;
    program->signed_ms = now;

    doc_ProgramGrant *granted = document(w, DOCUMENT_PROGRAM_GRANT);
    struct buf signed_program CLEANUP(buf_free) = buf(4096);
    COPY_ID(granted->distributor, w->ids[WHO_OWN_ROOT]);
    COPY_ID(granted->client, w->ids[WHO_SELF]);
    world_envelope(w, DOCUMENT_PROGRAM, &signed_program);
    CHECK(CODEC_SET_BYTES(granted->program, buf_slice(&signed_program)) == 0);
    granted->issued_ms = now;

    doc_Metadata *metadata = document(w, DOCUMENT_METADATA);
    COPY_ID(metadata->content, w->content);
    metadata->kind = 1;
    COPY_ID(metadata->signer, w->ids[WHO_STRANGER]);
    metadata->sequence = 3;
    CODEC_SET_TEXT(metadata->language, "de");
    metadata->issued_ms = now;
    metadata->parts_bytes = 40;

    doc_MetadataVouch *vouch = document(w, DOCUMENT_METADATA_VOUCH);
    COPY_ID(vouch->distributor, w->ids[WHO_OWN_ROOT]);
    COPY_ID(vouch->provider, w->ids[WHO_STRANGER]);
    vouch->sequence = 2;
    vouch->issued_ms = now;
    vouch->ends_ms = now + WORLD_DAY_MS;

    doc_SignedTime *time = document(w, DOCUMENT_TIME);
    COPY_ID(time->distributor, w->ids[WHO_OWN_ROOT]);
    COPY_ID(time->client, w->ids[WHO_SELF]);
    time->time_ms = now;

    doc_Settlement *settlement = document(w, DOCUMENT_SETTLEMENT);
    COPY_ID(settlement->issuer, w->ids[WHO_OWN_ROOT]);
    COPY_ID(settlement->partner, w->ids[WHO_PARTNER_ROOT]);
    settlement->number = 1;
    settlement->from_ms = now - WORLD_DAY_MS;
    settlement->until_ms = settlement->issued_ms = now;
    CODEC_SET_TEXT(settlement->currency, "EUR");
    settlement->row_count = 2;
    settlement->net = -7;

    doc_Share *share = document(w, DOCUMENT_SHARE);
    COPY_ID(share->origin, w->ids[WHO_OWN_ROOT]);
    share->sequence = 17;
    share->table = 22;
    CHECK(CODEC_SET_BYTES(share->row, slice("\x08\x0c", 2)) == 0); /* KeyBlock, version 12 */
}

const struct world *world_get(void)
{
    static struct world *made;
    if (made)
        return made;
    struct world *w = calloc(1, sizeof(*w));
    CHECK(w && secret_init() == 0);
    make_keys(w);
    make_keysets(w);
    make_block(w);
    make_content(w);
    make_certificate(w);
    make_devices(w);
    make_papers(w);
    made = w;
    return made;
}

void world_sign(const struct world *w, enum document d, struct slice payload, enum who signer, struct buf *out)
{
    struct signer s;
    signer_from_pair(&s, &w->keys[signer]);
    int r = dsse_sign(out, document_type(d), payload, &s);
    CHECK(r == (payload.len == 0 ? -EINVAL : payload.len > DSSE_PAYLOAD_MAX ? BUF_FULL : 0));
}

void world_payload(const struct world *w, enum document d, struct buf *out)
{
    CHECK(codec_encode(out, kinds[d].fields, w->documents[d]) == 0);
}

void world_envelope(const struct world *w, enum document d, struct buf *out)
{
    struct buf payload CLEANUP(buf_free) = buf(kinds[d].payload_max);
    world_payload(w, d, &payload);
    world_sign(w, d, buf_slice(&payload), kinds[d].signer, out);
}

void world_case(const struct world *w, struct buf *certificate, struct buf *delegation, struct certificate_case *out)
{
    world_envelope(w, DOCUMENT_COPY_CERTIFICATE, certificate);
    world_envelope(w, DOCUMENT_DELEGATION, delegation);
    *out = (struct certificate_case){
        .keyset = &w->own,
        .self = w->ids[WHO_SELF],
        .presenter = &w->ids[WHO_SOURCE],
        .certificate = buf_slice(certificate),
        .delegation = buf_slice(delegation),
        .info = buf_slice(&w->info),
        .list_root = w->list_root,
        .lowest_block_version = WORLD_BLOCK_VERSION,
        .now_ms = WORLD_NOW_MS,
    };
}
