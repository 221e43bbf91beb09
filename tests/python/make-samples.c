/* Writes one of each document, a content with header and license, a key block's entries, and keys.json with what a reader
 * needs to know, into a directory: input of the second implementation (test_read_samples.py).
 *
 * A small household: content by distributor A; device "source" is A's customer, "destination" is B's. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/rng.h"
#include "base/text.h"
#include "base/util.h"
#include "crypto/body.h"
#include "crypto/contentkey.h"
#include "crypto/ekb.h"
#include "crypto/seal.h"
#include "crypto/sha256.h"
#include "messages.pb.h"
#include "protocol/metadata.h"
#include "protocol/program.h"

#define NOW_MS 1700000000000
#define YEAR_MS (365ull * 24 * 3600 * 1000)
#define BLOCK_BYTES 4096
#define PLAIN_BYTES (2 * BLOCK_BYTES + 123)
#define BLOCKS 3

#define must(condition)                                                     \
    do {                                                                    \
        if (!(condition)) {                                                 \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            exit(1);                                                        \
        }                                                                   \
    } while (0)
#define SET(field, bytes) memcpy((field), (bytes), sizeof(field))

struct distributor {
    const char *name;
    struct key32 root, license, roster, sealing, tls, tree, block_root;
    struct signer root_signer, license_signer, roster_signer;
    struct id id;
    uint32_t category;
    uint64_t block_version;
    struct ekb ekb;
    struct buf ekb_document;
};

struct device {
    struct key32 key, sealing;
    struct signer signer;
    uint8_t sealing_public[32];
    struct id client;
    uint32_t leaf;
    uint8_t set[KEYTREE_SET_BYTES];
};

static struct rng_fake chance;
static const char *out_dir;
static FILE *json;

static void draw(struct key32 *key) { rng_fill(&chance.rng, key->bytes, sizeof(key->bytes)); }

static void write_file(const char *name, struct slice content)
{
    char path[4096];
    must(file_join(path, sizeof(path), out_dir, name) == 0);
    must(file_replace(path, content, 0644) == 0);
}

static void say_hex(const char *name, struct slice s)
{
    char *text = malloc(HEX_TEXT_BYTES(s.len));
    must(text != NULL);
    hex_encode(s, text);
    fprintf(json, "  \"%s\": \"%s\",\n", name, text);
    free(text);
}

static struct buf sign(enum document d, const void *payload, const struct signer *signer)
{
    struct buf b = buf(65536);
    must(document_sign(&b, d, payload, signer) == 0);
    return b;
}

static void write_signed(const char *name, enum document d, const void *payload, const struct signer *signer)
{
    struct buf b CLEANUP(buf_free) = sign(d, payload, signer);
    write_file(name, buf_slice(&b));
}

/* ---- who takes part ---------------------------------------------------------------------------------------------- */

static void make_distributor(struct distributor *d, const char *name, uint32_t category, const uint32_t *revoked,
                             size_t revoked_count)
{
    struct key32 *keys[] = { &d->root, &d->license, &d->roster, &d->sealing, &d->tls, &d->tree, &d->block_root };
    for (size_t i = 0; i < ARRAY_COUNT(keys); i++)
        draw(keys[i]);
    d->name = name;
    d->category = category;
    d->block_version = 7 + category;
    signer_from_seed(&d->root_signer, &d->root);
    signer_from_seed(&d->license_signer, &d->license);
    signer_from_seed(&d->roster_signer, &d->roster);
    d->id = id_of_key(d->root_signer.public_key);
    must(ekb_build(&d->ekb, &d->tree, category, d->block_version, revoked, revoked_count, &d->block_root) == 0);
    doc_Ekb block = { .category = category,
                      .kind = EKB_KIND_COMPLETE_SUBTREE,
                      .version = d->block_version,
                      .entry_count = d->ekb.count,
                      .issued_ms = NOW_MS };
    SET(block.distributor, d->id.bytes);
    SET(block.entries_root, d->ekb.root);
    SET(block.key_check, d->ekb.key_check);
    d->ekb_document = sign(DOCUMENT_EKB, &block, &d->license_signer);
}

static void make_device(struct device *v, struct distributor *d, uint32_t leaf)
{
    draw(&v->key);
    draw(&v->sealing);
    signer_from_seed(&v->signer, &v->key);
    seal_public_key(&v->sealing, v->sealing_public);
    v->client = id_of_key(v->signer.public_key);
    v->leaf = leaf;
    keytree_device_set(&d->tree, d->category, leaf, v->set);
}

static doc_Leaf leaf_of(const struct distributor *d, const struct device *v)
{
    doc_Leaf leaf = { .category = d->category, .number = v->leaf };
    SET(leaf.distributor, d->id.bytes);
    return leaf;
}

static void list_key(doc_Keyset *k, uint32_t purpose, const uint8_t key[32])
{
    doc_Key *listed = &k->keys[k->keys_count++];
    listed->purpose = purpose;
    listed->ends_ms = NOW_MS + YEAR_MS;
    SET(listed->key, key);
}

static void write_keyset(const char *file, const struct distributor *d, const struct distributor *partner)
{
    doc_Keyset k = { .sequence = 3, .issued_ms = NOW_MS, .ends_ms = NOW_MS + YEAR_MS };
    uint8_t sealing[32], tls[32];
    SET(k.distributor, d->id.bytes);
    CODEC_SET_TEXT(k.name, d->name);
    sign_public_key(&d->tls, tls);
    seal_public_key(&d->sealing, sealing);
    list_key(&k, KEY_TLS, tls);
    list_key(&k, KEY_LICENSE, d->license_signer.public_key);
    list_key(&k, KEY_ROSTER, d->roster_signer.public_key);
    list_key(&k, KEY_SEALING, sealing);
    k.floors_count = 1;
    SET(k.floors[0].partner, partner->id.bytes);
    k.floors[0].lowest_sequence = 5;
    write_signed(file, DOCUMENT_KEYSET, &k, &d->root_signer);
}

static struct buf device_certificate(const struct distributor *d, const struct device *v)
{
    doc_DeviceCertificate c = { .leaf = leaf_of(d, v), .issued_ms = NOW_MS, .ends_ms = NOW_MS + YEAR_MS };
    SET(c.device_key, v->signer.public_key);
    SET(c.sealing_key, v->sealing_public);
    return sign(DOCUMENT_DEVICE, &c, &d->license_signer);
}

static void write_roster(const struct distributor *a, const struct device *source, const struct distributor *b,
                         const struct device *destination)
{
    static doc_Roster roster;
    const struct distributor *whose[] = { a, b };
    const struct device *devices[] = { source, destination };
    const char *names[] = { "living room", "k\xc3\xbc"
                                           "che" };
    roster = (doc_Roster){ .household = "household number", .sequence = 1, .issued_ms = NOW_MS, .devices_count = 2 };
    roster.ends_ms = NOW_MS + YEAR_MS;
    SET(roster.distributor, b->id.bytes);
    for (size_t i = 0; i < 2; i++) {
        doc_RosterDevice *d = &roster.devices[i];
        struct buf certificate CLEANUP(buf_free) = device_certificate(whose[i], devices[i]);
        SET(d->client, devices[i]->client.bytes);
        SET(d->distributor, whose[i]->id.bytes);
        CODEC_SET_TEXT(d->name, names[i]);
        CODEC_SET_TEXT(d->distributor_name, whose[i]->name);
        must(CODEC_SET_BYTES(d->certificate, buf_slice(&certificate)) == 0);
        write_file(i == 0 ? "source.device" : "destination.device", buf_slice(&certificate));
    }
    write_signed("b.roster", DOCUMENT_ROSTER, &roster, &b->roster_signer);
}

/* ---- the content ------------------------------------------------------------------------------------------------- */

struct content {
    struct key32 header_half, license_half;
    uint8_t license_id[16];
    struct id id;
    doc_ContentInfo info;
};

static void make_body(struct content *c, const struct distributor *publisher)
{
    static uint8_t plain[PLAIN_BYTES];
    struct buf info CLEANUP(buf_free) = buf(BODY_INFO_MAX), body CLEANUP(buf_free) = buf(1 << 20);
    struct buf package CLEANUP(buf_free) = buf(1 << 20);
    struct key32 content_key CLEANUP(key32_wipe);
    static uint8_t blocks[BLOCKS][BLOCK_BYTES + BLOCK_OVERHEAD_BYTES];
    uint8_t list[BLOCKS][32], root[32];
    struct body_shape shape;
    rng_fill(&chance.rng, plain, sizeof(plain));
    write_file("plain", SLICE_ARRAY(plain));
    draw(&c->header_half);
    draw(&c->license_half);
    rng_fill(&chance.rng, c->license_id, sizeof(c->license_id));

    c->info = (doc_ContentInfo){ .has_album = true, .duration_ms = 215000, .plain_bytes = PLAIN_BYTES };
    c->info.block_bytes = BLOCK_BYTES;
    c->info.block_count = BLOCKS;
    SET(c->info.publisher, publisher->id.bytes);
    CODEC_SET_TEXT(c->info.media_type, "audio/flac");
    CODEC_SET_TEXT(c->info.title, "Sch\xc3\xb6ne M\xc3\xbcllerin");
    CODEC_SET_TEXT(c->info.album, "");
    rng_fill(&chance.rng, c->info.nonce, sizeof(c->info.nonce));
    must(CODEC_ENCODE(doc_ContentInfo, &info, &c->info) == 0);
    must(body_shape_init(&shape, PLAIN_BYTES, BLOCK_BYTES, info.len) == 0 && shape.block_count == BLOCKS);
    contentkey_derive(&c->header_half, &c->license_half, c->info.nonce, &content_key);
    for (uint32_t i = 0; i < BLOCKS; i++) {
        size_t from = (size_t)i * BLOCK_BYTES, len = body_block_len(&shape, i);
        must(block_seal(&chance.rng, &content_key, c->info.nonce, i, BLOCKS,
                        slice(plain + from, len - BLOCK_OVERHEAD_BYTES), blocks[i]) == 0);
        block_hash(slice(blocks[i], len), list[i]);
    }
    merkle_root(list[0], BLOCKS, root);
    body_content_id(buf_slice(&info), root, &c->id);

    must(buf_append(&body, slice_str(BODY_MAGIC)) == 0 && buf_put_u32(&body, (uint32_t)info.len) == 0);
    must(buf_append(&body, buf_slice(&info)) == 0 && buf_append(&body, SLICE_ARRAY(list)) == 0);
    must(body.len == body_block_offset(&shape, 0));
    for (uint32_t i = 0; i < BLOCKS; i++)
        must(buf_append(&body, slice(blocks[i], body_block_len(&shape, i))) == 0);
    must(body.len == body_file_bytes(&shape));
    write_file("content.body", buf_slice(&body));

    struct buf front CLEANUP(buf_free) = buf(256);
    msg_ExportPackage head;
    SET(head.content, c->id.bytes);
    must(CODEC_ENCODE(msg_ExportPackage, &front, &head) == 0);
    must(buf_append(&package, slice_str("HEARTHP1")) == 0 && buf_put_u32(&package, (uint32_t)front.len) == 0);
    must(buf_append(&package, buf_slice(&front)) == 0 && buf_append(&package, buf_slice(&body)) == 0);
    write_file("track.hearth", buf_slice(&package));
}

static doc_License license_for(const struct content *c, const struct distributor *issuer, const struct distributor *of,
                               const struct device *v)
{
    doc_License l = { .sequence = 41, .leaf = leaf_of(of, v), .issued_ms = NOW_MS };
    SET(l.issuer, issuer->id.bytes);
    SET(l.license_id, c->license_id);
    SET(l.content, c->id.bytes);
    SET(l.client, v->client.bytes);
    l.conditions = (doc_Conditions){ .has_usage_until_ms = true,
                                     .usage_until_ms = NOW_MS + YEAR_MS,
                                     .max_copies = UINT32_MAX,
                                     .copy_depth = 1,
                                     .max_removable = 2 };
    must(contentkey_seal_license_half(v->sealing_public, &c->license_half, &c->id, l.license_half) == 0);
    return l;
}

static doc_KeyBlockEntry key_block_for(const struct distributor *d, const struct device *v)
{
    doc_KeyBlockEntry e = { 0 };
    struct buf proof CLEANUP(buf_free) = buf(sizeof(e.proof.bytes));
    must(ekb_find(&d->ekb, v->leaf, &e.index, e.entry, &proof) == 0);
    e.has_proof = proof.len > 0;
    must(CODEC_SET_BYTES(e.proof, buf_slice(&proof)) == 0);
    must(CODEC_SET_BYTES(e.block, buf_slice(&d->ekb_document)) == 0);
    return e;
}

static void write_header(const char *file, const struct content *c, const struct distributor *issuer,
                         const struct distributor *of, const struct device *v)
{
    static doc_Header h;
    struct buf encoded CLEANUP(buf_free) = buf(doc_Header_size);
    struct key32 root CLEANUP(key32_wipe) = of->block_root;
    h = (doc_Header){ .partner_root = issuer != of, .key_block = key_block_for(of, v) };
    if (h.partner_root)
        contentkey_partner_root(&of->block_root, &issuer->id, &root);
    SET(h.content, c->id.bytes);
    SET(h.issuer, issuer->id.bytes);
    SET(h.license_id, c->license_id);
    must(contentkey_wrap(&chance.rng, &root, &c->id, c->license_id, &c->header_half, h.wrapped_half) == 0);
    must(CODEC_ENCODE(doc_Header, &encoded, &h) == 0);
    write_file(file, buf_slice(&encoded));
}

/* signer: A's copy key for a customer of B, A's license key for one of its own. */
static void write_certificate(const char *file, const struct content *c, const struct distributor *issuer,
                              const struct signer *signer, const struct distributor *of, const struct device *source,
                              const struct device *destination, bool removable)
{
    static doc_CopyCertificate k;
    doc_License license = license_for(c, issuer, of, destination);
    struct buf inner CLEANUP(buf_free) = sign(DOCUMENT_LICENSE, &license, signer);
    struct key32 root CLEANUP(key32_wipe) = of->block_root;
    k = (doc_CopyCertificate){ .partner_root = issuer != of, .key_block = key_block_for(of, destination) };
    if (k.partner_root)
        contentkey_partner_root(&of->block_root, &issuer->id, &root);
    k.removable = removable;
    k.issued_ms = NOW_MS;
    k.ends_ms = NOW_MS + 3600 * 1000;
    SET(k.issuer, issuer->id.bytes);
    rng_fill(&chance.rng, k.serial, sizeof(k.serial));
    SET(k.source, source->client.bytes);
    SET(k.destination, destination->client.bytes);
    SET(k.content, c->id.bytes);
    must(CODEC_SET_BYTES(k.license, buf_slice(&inner)) == 0);
    must(contentkey_wrap(&chance.rng, &root, &c->id, c->license_id, &c->header_half, k.wrapped_half) == 0);
    write_signed(file, DOCUMENT_COPY_CERTIFICATE, &k, signer);
}

/* ---- the smaller documents --------------------------------------------------------------------------------------- */

static struct buf write_delegation(const struct distributor *b, const struct distributor *a, const uint8_t *copy_key)
{
    doc_Delegation d = { .sequence = 5, .max_certificate_ms = 86400000, .issued_ms = NOW_MS };
    d.ends_ms = NOW_MS + YEAR_MS;
    SET(d.delegator, b->id.bytes);
    SET(d.partner, a->id.bytes);
    memcpy(d.copy_key, copy_key, sizeof(d.copy_key));
    struct buf envelope = sign(DOCUMENT_DELEGATION, &d, &b->license_signer);
    write_file("b-to-a.delegation", buf_slice(&envelope));
    return envelope;
}

static void write_grant(const struct distributor *b, const struct distributor *a)
{
    doc_KeyGrant g = { .category = b->category, .version = b->block_version, .issued_ms = NOW_MS };
    struct key32 root CLEANUP(key32_wipe);
    uint8_t sealing[32];
    g.ends_ms = NOW_MS + YEAR_MS;
    SET(g.distributor, b->id.bytes);
    SET(g.partner, a->id.bytes);
    contentkey_partner_root(&b->block_root, &a->id, &root);
    seal_public_key(&a->sealing, sealing);
    must(seal_to(sealing, SLICE_ARRAY(root.bytes), g.sealed_root) == 0);
    write_signed("b-to-a.key-grant", DOCUMENT_KEY_GRANT, &g, &b->license_signer);
}

static void write_small(const struct content *c, const struct distributor *a, const struct device *source,
                        const struct device *destination)
{
    doc_Quote quote = { .product = 9, .price = -250, .issued_ms = NOW_MS, .ends_ms = NOW_MS + 600000 };
    SET(quote.distributor, a->id.bytes);
    SET(quote.client, source->client.bytes);
    SET(quote.content, c->id.bytes);
    SET(quote.license_id, c->license_id);
    CODEC_SET_TEXT(quote.product_name, "track, with credit");
    CODEC_SET_TEXT(quote.currency, "EUR");
    quote.conditions.max_copies = 3;
    write_signed("a.quote", DOCUMENT_QUOTE, &quote, &a->license_signer);

    doc_Settlement settlement = { .number = 3, .from_ms = NOW_MS - YEAR_MS, .until_ms = NOW_MS, .row_count = 2 };
    settlement.net = -41;
    settlement.issued_ms = NOW_MS;
    SET(settlement.issuer, a->id.bytes);
    memset(settlement.partner, 7, sizeof(settlement.partner));
    CODEC_SET_TEXT(settlement.currency, "EUR");
    write_signed("a.settlement", DOCUMENT_SETTLEMENT, &settlement, &a->license_signer);

    doc_Receipt receipt = { .outcome = RECEIPT_STORED, .signed_ms = NOW_MS, .serial = "serial number 16" };
    SET(receipt.issuer, a->id.bytes);
    SET(receipt.content, c->id.bytes);
    SET(receipt.source, source->client.bytes);
    SET(receipt.destination, destination->client.bytes);
    write_signed("destination.receipt", DOCUMENT_RECEIPT, &receipt, &destination->signer);

    doc_Surrender surrender = { .signed_ms = NOW_MS, .serial = "serial number 16" };
    SET(surrender.issuer, a->id.bytes);
    SET(surrender.license_id, c->license_id);
    SET(surrender.client, source->client.bytes);
    write_signed("source.surrender", DOCUMENT_SURRENDER, &surrender, &source->signer);

    doc_Use use = {
        .sequence = 41, .plays = 3, .play_ms = 181000, .returned = true, .signed_ms = NOW_MS, .recoveries = 2
    };
    SET(use.issuer, a->id.bytes);
    SET(use.license_id, c->license_id);
    SET(use.client, source->client.bytes);
    write_signed("source.use", DOCUMENT_USE, &use, &source->signer);

    doc_UseLog log = { .signed_ms = NOW_MS, .entries_count = 2 };
    SET(log.issuer, a->id.bytes);
    SET(log.client, source->client.bytes);
    for (pb_size_t i = 0; i < log.entries_count; i++) {
        log.entries[i] = (doc_UseLogEntry){ .number = 5 + i, .began_ms = NOW_MS, .play_ms = 1000 };
        SET(log.entries[i].license_id, c->license_id);
        SET(log.entries[i].content, c->id.bytes);
    }
    write_signed("source.use-log", DOCUMENT_USE_LOG, &log, &source->signer);

    doc_UseLogTaken taken = { .through = 6 };
    SET(taken.issuer, a->id.bytes);
    SET(taken.client, source->client.bytes);
    write_signed("a.use-log-taken", DOCUMENT_USE_LOG_TAKEN, &taken, &a->license_signer);

    doc_Standing standing = { .session = 12, .generation = NOW_MS, .has_last = true, .time_ms = NOW_MS };
    SET(standing.distributor, a->id.bytes);
    SET(standing.client, source->client.bytes);
    write_signed("a.standing", DOCUMENT_STANDING, &standing, &a->license_signer);

    doc_Generation generation = { .session = 12, .generation = NOW_MS, .nonce = "number used once" };
    SET(generation.distributor, a->id.bytes);
    SET(generation.client, source->client.bytes);
    write_signed("source.generation", DOCUMENT_GENERATION, &generation, &source->signer);

    static doc_CatchUp catch_up = { .generation = NOW_MS, .last = true, .time_ms = NOW_MS, .entries_count = 3 };
    SET(catch_up.distributor, a->id.bytes);
    SET(catch_up.client, source->client.bytes);
    for (pb_size_t i = 0; i < catch_up.entries_count; i++) {
        doc_CatchUpEntry *e = &catch_up.entries[i];
        *e = (doc_CatchUpEntry){ .kind = i + 1, .name = "serial number 16", .has_sequence = i > 0, .sequence = 40 };
        SET(e->issuer, a->id.bytes);
        e->has_license_id = e->has_content = e->has_destination = e->has_digest = i == 2;
    }
    write_signed("a.catch-up", DOCUMENT_CATCH_UP, &catch_up, &a->license_signer);

    doc_SignedTime time = { .time_ms = NOW_MS };
    SET(time.distributor, a->id.bytes);
    SET(time.client, source->client.bytes);
    write_signed("a.time", DOCUMENT_TIME, &time, &a->license_signer);

    doc_Share share = { .sequence = UINT64_MAX, .table = 4, .removed = true };
    SET(share.origin, a->id.bytes);
    must(CODEC_SET_BYTES(share.row, slice_str("a row")) == 0);
    write_signed("a.share", DOCUMENT_SHARE, &share, &a->license_signer);
}

/* A plug-in of three blocks, sealed for source. */
static void write_program(const struct distributor *a, const struct device *source)
{
    static uint8_t plain[2 * PROGRAM_BLOCK_BYTES + 77], sealed[sizeof(plain) + 3 * BLOCK_OVERHEAD_BYTES];
    struct key32 provider, information, key;
    struct signer signer;
    draw(&provider);
    draw(&information);
    rng_fill(&chance.rng, plain, sizeof(plain));
    signer_from_seed(&signer, &provider);
    doc_Program program = { .name = "tone-2",
                            .kind = PROGRAM_PLUGIN,
                            .version = 1ull << 32 | 2 << 16 | 3,
                            .program_bytes = sizeof(plain),
                            .signed_ms = NOW_MS };
    struct id by = id_of_key(signer.public_key);
    SET(program.provider, by.bytes);
    sha256(SLICE_ARRAY(plain), program.digest);
    struct buf envelope CLEANUP(buf_free) = sign(DOCUMENT_PROGRAM, &program, &signer);
    doc_ProgramGrant grant = { .issued_ms = NOW_MS };
    SET(grant.distributor, a->id.bytes);
    SET(grant.client, source->client.bytes);
    must(CODEC_SET_BYTES(grant.program, buf_slice(&envelope)) == 0);
    must(seal_to(source->sealing_public, SLICE_ARRAY(information.bytes), grant.information) == 0);
    program_key(information.bytes, program.digest, &key);
    for (uint32_t i = 0; i < program_block_count(sizeof(plain)); i++)
        must(block_seal(&chance.rng, &key, program.digest, i, 3,
                        slice(plain + (size_t)i * PROGRAM_BLOCK_BYTES, program_block_len(sizeof(plain), i)),
                        sealed + program_block_offset(i)) == 0);
    write_file("provider.program", buf_slice(&envelope));
    write_signed("a.program-grant", DOCUMENT_PROGRAM_GRANT, &grant, &a->license_signer);
    write_file("program", SLICE_ARRAY(plain));
    write_file("source.program-sealed", SLICE_ARRAY(sealed));
}

/* A file with tags, a chapter and lines, by a provider that A vouches for. */
static void write_metadata(const struct distributor *a, const struct content *c)
{
    struct buf parts CLEANUP(buf_free) = buf(4096), file CLEANUP(buf_free) = buf(1 << 16);
    struct metadata_reader so_far = metadata_reader(slice(NULL, 0));
    const struct metadata_part all[] = {
        { .kind = METADATA_TAG, .key = slice_str("title"), .text = slice_str("Das Wandern") },
        { .kind = METADATA_CHAPTER, .text = slice_str("Vorspiel") },
        { .kind = METADATA_LYRIC, .start_ms = 1500, .text = slice_str("Das Wandern ist des M\xc3\xbcllers Lust") },
        { .kind = METADATA_LYRIC, .start_ms = 9000 },
    };
    struct key32 provider;
    struct signer signer;
    for (size_t i = 0; i < ARRAY_COUNT(all); i++)
        must(metadata_put(&parts, &so_far, &all[i]) == 0);
    draw(&provider);
    signer_from_seed(&signer, &provider);
    struct id by = id_of_key(signer.public_key);
    doc_Metadata said = { .kind = SIGNER_PROVIDER, .sequence = 7, .language = "de", .issued_ms = NOW_MS };
    said.parts_bytes = (uint32_t)parts.len;
    sha256(buf_slice(&parts), said.parts_digest);
    SET(said.content, c->id.bytes);
    SET(said.signer, by.bytes);
    doc_MetadataVouch vouch = { .sequence = 1, .issued_ms = NOW_MS, .ends_ms = NOW_MS + YEAR_MS };
    SET(vouch.distributor, a->id.bytes);
    SET(vouch.provider, by.bytes);
    struct buf document CLEANUP(buf_free) = sign(DOCUMENT_METADATA, &said, &signer);
    struct buf vouched CLEANUP(buf_free) = sign(DOCUMENT_METADATA_VOUCH, &vouch, &a->license_signer);
    struct buf keyset CLEANUP(buf_free) = buf(8192);
    char path[4096];
    must(file_join(path, sizeof(path), out_dir, "a.keyset") == 0 && file_read(path, &keyset) == 0);
    const struct metadata_file whole = { buf_slice(&document), buf_slice(&vouched), buf_slice(&keyset),
                                         buf_slice(&parts) };
    must(metadata_file_put(&file, &whole) == 0);
    write_file("provider.metadata", whole.document);
    write_file("a.metadata-vouch", whole.vouch);
    write_file("metadata", buf_slice(&file));
    say_hex("provider", SLICE_ARRAY(by.bytes));
}

/* The certificate file of a medium, from files written before. */
static void write_medium_certificate(struct slice delegation)
{
    static msg_ExportCertificate m;
    char path[4096];
    struct buf certificate CLEANUP(buf_free) = buf(8192), front CLEANUP(buf_free) = buf(8192);
    struct buf file CLEANUP(buf_free) = buf(16384);
    must(file_join(path, sizeof(path), out_dir, "medium.copy-certificate") == 0 && file_read(path, &certificate) == 0);
    must(CODEC_SET_BYTES(m.certificate, buf_slice(&certificate)) == 0);
    m.has_delegation = true;
    must(CODEC_SET_BYTES(m.delegation, delegation) == 0);
    must(CODEC_ENCODE(msg_ExportCertificate, &front, &m) == 0);
    must(buf_append(&file, slice_str("HEARTHC1")) == 0 && buf_put_u32(&file, (uint32_t)front.len) == 0);
    must(buf_append(&file, buf_slice(&front)) == 0);
    write_file("track.certificate", buf_slice(&file));
}

static void write_devices(const struct distributor *b, struct device *source, struct device *destination,
                          uint32_t revoked)
{
    static uint8_t set[KEYTREE_SET_BYTES];
    keytree_device_set(&b->tree, b->category, revoked, set);
    write_file("source.set", SLICE_ARRAY(source->set));
    write_file("destination.set", SLICE_ARRAY(destination->set));
    write_file("revoked.set", SLICE_ARRAY(set));
    write_file("b.entries", slice(b->ekb.entries, (size_t)b->ekb.count * EKB_ENTRY_BYTES));
    write_file("b.ekb", buf_slice(&b->ekb_document));
    say_hex("source", SLICE_ARRAY(source->client.bytes));
    say_hex("destination", SLICE_ARRAY(destination->client.bytes));
    say_hex("source_sealing", SLICE_ARRAY(source->sealing.bytes));
    say_hex("destination_sealing", SLICE_ARRAY(destination->sealing.bytes));
    say_hex("b_tree", SLICE_ARRAY(b->tree.bytes));
    say_hex("b_root", SLICE_ARRAY(b->block_root.bytes));
}

static void write_all(void)
{
    static const uint32_t revoked[] = { 0, 77, 78, 0x7fffffff, 0xdeadbeef };
    static struct distributor a, b;
    static struct device source, destination, sibling;
    static struct content content;
    struct key32 copy_key CLEANUP(key32_wipe);
    struct signer copy_signer;
    char text[ID_TEXT_BYTES];
    draw(&copy_key);
    signer_from_seed(&copy_signer, &copy_key);
    make_distributor(&a, "Distributor A", 0, NULL, 0);
    make_distributor(&b, "Distributor B", 1, revoked, ARRAY_COUNT(revoked));
    make_device(&source, &a, 12);
    make_device(&sibling, &a, 13);
    make_device(&destination, &b, 79);
    write_devices(&b, &source, &destination, revoked[2]);
    write_program(&a, &source);
    write_keyset("a.keyset", &a, &b);
    write_keyset("b.keyset", &b, &a);
    write_roster(&a, &source, &b, &destination);
    make_body(&content, &a);
    doc_License license = license_for(&content, &a, &a, &source);
    write_signed("source.license", DOCUMENT_LICENSE, &license, &a.license_signer);
    write_header("source.header", &content, &a, &a, &source);
    write_header("destination.header", &content, &a, &b, &destination);
    write_certificate("destination.copy-certificate", &content, &a, &copy_signer, &b, &source, &destination, false);
    write_certificate("medium.copy-certificate", &content, &a, &copy_signer, &b, &source, &destination, true);
    write_certificate("sibling.copy-certificate", &content, &a, &a.license_signer, &a, &source, &sibling, false);
    struct buf delegation CLEANUP(buf_free) = write_delegation(&b, &a, copy_signer.public_key);
    write_grant(&b, &a);
    write_small(&content, &a, &source, &destination);
    write_medium_certificate(buf_slice(&delegation));
    write_metadata(&a, &content);
    say_hex("sibling", SLICE_ARRAY(sibling.client.bytes));
    say_hex("distributor_a", SLICE_ARRAY(a.id.bytes));
    say_hex("distributor_b", SLICE_ARRAY(b.id.bytes));
    say_hex("a_sealing", SLICE_ARRAY(a.sealing.bytes));
    say_hex("content", SLICE_ARRAY(content.id.bytes));
    id_text(&content.id, text);
    fprintf(json, "  \"content_text\": \"%s\",\n  \"now_ms\": %llu\n", text, (unsigned long long)NOW_MS);
    ekb_deinit(&a.ekb);
    ekb_deinit(&b.ekb);
    buf_free(&a.ekb_document);
    buf_free(&b.ekb_document);
}

int main(int argc, char **argv)
{
    char path[4096];
    if (argc != 2) {
        fprintf(stderr, "usage: make-samples DIRECTORY\n");
        return 2;
    }
    out_dir = argv[1];
    rng_fake_init(&chance, 2024);
    must(secret_init() == 0 && file_make_dirs(out_dir, 0755) == 0);
    must(file_join(path, sizeof(path), out_dir, "keys.json") == 0);
    json = fopen(path, "w");
    must(json != NULL);
    fprintf(json, "{\n");
    write_all();
    fprintf(json, "}\n");
    must(fclose(json) == 0);
    return 0;
}
