/* Making documents for the vault's tests. */
#include "maker.h"

#include <assert.h>
#include <stdlib.h>

#include "base/clock.h"
#include "crypto/body.h"
#include "crypto/seal.h"
#include "crypto/sha256.h"

#include "check.h"

void maker_key(struct key32 *out, uint8_t seed, uint8_t which)
{
    uint8_t text[] = { 'k', 'e', 'y', seed, which };
    sha256(SLICE_ARRAY(text), out->bytes);
}

struct signer maker_signer(const struct key32 *seed)
{
    struct signer s;
    signer_from_seed(&s, seed);
    return s;
}

int64_t maker_fixed_now_ms;

int64_t maker_now(void) { return maker_fixed_now_ms != 0 ? maker_fixed_now_ms : clock_wall_ms(clock_system()); }

void sign_into(struct buf *out, enum document d, const void *payload, const struct key32 *seed)
{
    struct signer s = maker_signer(seed);
    buf_clear(out);
    check(document_sign(out, d, payload, &s) == 0);
}

static void list_key(doc_Keyset *k, enum key_purpose purpose, const struct key32 *seed)
{
    doc_Key *key = &k->keys[k->keys_count++];
    key->purpose = purpose;
    sign_public_key(seed, key->key);
    key->ends_ms = (uint64_t)(maker_now() + 100 * DAY_MS);
}

void maker_init(struct maker *m, uint8_t seed, const char *name)
{
    memset(m, 0, sizeof(*m));
    struct key32 *const keys[] = { &m->root, &m->license, &m->roster, &m->tls, &m->copy, &m->tree };
    for (uint8_t i = 0; i < 6; i++)
        maker_key(keys[i], seed, i);
    uint8_t root_public[32];
    sign_public_key(&m->root, root_public);
    m->id = id_of_key(root_public);
    memcpy(m->keyset.distributor, m->id.bytes, 32);
    CODEC_SET_TEXT(m->keyset.name, name);
    m->keyset.sequence = 1;
    m->keyset.issued_ms = (uint64_t)(maker_now() - DAY_MS);
    m->keyset.ends_ms = (uint64_t)(maker_now() + 30 * DAY_MS);
    list_key(&m->keyset, KEY_TLS, &m->tls);
    list_key(&m->keyset, KEY_LICENSE, &m->license);
    list_key(&m->keyset, KEY_ROSTER, &m->roster);
    maker_rekey(m, 1, UINT32_MAX);
}

void maker_deinit(struct maker *m) { ekb_deinit(&m->cover); }

void maker_rekey(struct maker *m, uint64_t version, uint32_t revoked)
{
    ekb_deinit(&m->cover);
    maker_key(&m->block_root, m->root.bytes[0], (uint8_t)(100 + version));
    check(ekb_build(&m->cover, &m->tree, MAKER_CATEGORY, version, &revoked, revoked == UINT32_MAX ? 0 : 1,
                    &m->block_root) == 0);
    m->block = (doc_Ekb){ .category = MAKER_CATEGORY,
                          .kind = EKB_KIND_COMPLETE_SUBTREE,
                          .version = version,
                          .entry_count = m->cover.count,
                          .issued_ms = (uint64_t)(maker_now() - DAY_MS) };
    memcpy(m->block.distributor, m->id.bytes, 32);
    memcpy(m->block.entries_root, m->cover.root, 32);
    memcpy(m->block.key_check, m->cover.key_check, 32);
}

void maker_keyset(struct maker *m, struct buf *out) { sign_into(out, DOCUMENT_KEYSET, &m->keyset, &m->root); }

void maker_certificate(struct maker *m, const struct device *d, uint32_t leaf, struct buf *out)
{
    doc_DeviceCertificate c = { .leaf = { .category = MAKER_CATEGORY, .number = leaf },
                                .issued_ms = (uint64_t)(maker_now() - DAY_MS),
                                .ends_ms = (uint64_t)(maker_now() + 30 * DAY_MS) };
    memcpy(c.device_key, d->device_key, 32);
    memcpy(c.sealing_key, d->sealing_key, 32);
    memcpy(c.leaf.distributor, m->id.bytes, 32);
    sign_into(out, DOCUMENT_DEVICE, &c, &m->license);
}

void maker_set(struct maker *m, const struct device *d, uint32_t leaf, struct buf *out)
{
    static uint8_t set[KEYTREE_SET_BYTES];
    keytree_device_set(&m->tree, MAKER_CATEGORY, leaf, set);
    buf_clear(out);
    check(buf_reserve(out, sizeof(set) + SEAL_OVERHEAD_BYTES) == 0);
    check(seal_to(d->sealing_key, SLICE_ARRAY(set), out->data) == 0);
    out->len = sizeof(set) + SEAL_OVERHEAD_BYTES;
}

void maker_time(struct maker *m, const struct device *d, int64_t time_ms, struct buf *out)
{
    doc_SignedTime t = { .time_ms = (uint64_t)time_ms };
    memcpy(t.distributor, m->id.bytes, 32);
    memcpy(t.client, d->client.bytes, 32);
    sign_into(out, DOCUMENT_TIME, &t, &m->license);
}

void maker_roster(struct maker *m, const struct device *d, uint64_t sequence, struct buf *out)
{
    static doc_Roster r;
    struct buf certificate = buf(512);
    r = (doc_Roster){ .sequence = sequence,
                      .issued_ms = (uint64_t)(maker_now() - DAY_MS),
                      .ends_ms = (uint64_t)(maker_now() + DAY_MS),
                      .devices_count = 1 };
    memcpy(r.distributor, m->id.bytes, 32);
    memcpy(r.devices[0].client, d->client.bytes, 32);
    memcpy(r.devices[0].distributor, m->id.bytes, 32);
    CODEC_SET_TEXT(r.devices[0].name, "kitchen");
    CODEC_SET_TEXT(r.devices[0].distributor_name, m->keyset.name);
    maker_certificate(m, d, MAKER_LEAF, &certificate);
    check(CODEC_SET_BYTES(r.devices[0].certificate, buf_slice(&certificate)) == 0);
    buf_free(&certificate);
    sign_into(out, DOCUMENT_ROSTER, &r, &m->roster);
}

/* --- Content --- */

static void seal_blocks(struct content *c, struct slice plain)
{
    c->hashes = buf(32u * c->shape->block_count);
    c->blocks = buf((size_t)body_file_bytes(c->shape));
    for (uint32_t i = 0; i < c->shape->block_count; i++) {
        uint32_t len = body_block_len(c->shape, i);
        check(buf_reserve(&c->blocks, len) == 0 && buf_reserve(&c->hashes, 32) == 0);
        uint8_t *block = c->blocks.data + c->blocks.len;
        struct slice part = slice_sub(plain, (size_t)i * c->shape->block_bytes, len - BLOCK_OVERHEAD_BYTES);
        check(block_seal(rng_system(), &c->key, c->info.nonce, i, c->shape->block_count, part, block) == 0);
        block_hash(slice(block, len), c->hashes.data + c->hashes.len);
        c->blocks.len += len;
        c->hashes.len += 32;
    }
}

void content_init(struct content *c, const struct maker *publisher, uint8_t seed, const char *media_type,
                  struct slice plain, uint32_t block_bytes)
{
    content_init_lasting(c, publisher, seed, media_type, plain, block_bytes, 0);
}

void content_init_lasting(struct content *c, const struct maker *publisher, uint8_t seed, const char *media_type,
                          struct slice plain, uint32_t block_bytes, uint64_t duration_ms)
{
    memset(c, 0, sizeof(*c));
    struct key32 nonce;
    maker_key(&nonce, seed, 200);
    maker_key(&c->header_half, seed, 201);
    maker_key(&c->license_half, seed, 202);
    memset(c->license_id, seed, sizeof(c->license_id));
    memcpy(c->info.nonce, nonce.bytes, 32);
    contentkey_derive(&c->header_half, &c->license_half, c->info.nonce, &c->key);
    memcpy(c->info.publisher, publisher->id.bytes, 32);
    CODEC_SET_TEXT(c->info.media_type, media_type);
    CODEC_SET_TEXT(c->info.title, "A title");
    c->info.plain_bytes = plain.len;
    c->info.duration_ms = duration_ms;
    c->info.block_bytes = block_bytes;
    c->shape = calloc(1, sizeof(*c->shape));
    check(body_shape_init(c->shape, plain.len, block_bytes, 100) == 0);
    c->info.block_count = c->shape->block_count;
    c->info_bytes = buf(BODY_INFO_MAX);
    check(CODEC_ENCODE(doc_ContentInfo, &c->info_bytes, &c->info) == 0);
    check(body_shape_init(c->shape, plain.len, block_bytes, c->info_bytes.len) == 0);
    seal_blocks(c, plain);
    merkle_root(c->hashes.data, c->shape->block_count, c->list_root);
    body_content_id(buf_slice(&c->info_bytes), c->list_root, &c->id);
}

void content_deinit(struct content *c)
{
    buf_free(&c->info_bytes);
    buf_free(&c->hashes);
    buf_free(&c->blocks);
    free(c->shape);
}

struct slice content_block(const struct content *c, uint32_t index)
{
    uint64_t at = body_block_offset(c->shape, index) - body_block_offset(c->shape, 0);
    return slice_sub(buf_slice(&c->blocks), (size_t)at, body_block_len(c->shape, index));
}

/* --- What a holder has --- */

void maker_license(const struct maker *issuer, const struct maker *home, const struct device *d,
                   const struct content *c, uint64_t sequence, doc_License *out)
{
    *out = (doc_License){ .sequence = sequence,
                          .leaf = { .category = MAKER_CATEGORY, .number = MAKER_LEAF },
                          .issued_ms = (uint64_t)maker_now(),
                          .conditions = { .max_copies = 3, .copy_depth = 1, .max_removable = 1 } };
    memcpy(out->issuer, issuer->id.bytes, 32);
    memcpy(out->license_id, c->license_id, 16);
    memcpy(out->content, c->id.bytes, 32);
    memcpy(out->client, d->client.bytes, 32);
    memcpy(out->leaf.distributor, home->id.bytes, 32);
    check(contentkey_seal_license_half(d->sealing_key, &c->license_half, &c->id, out->license_half) == 0);
}

void maker_wrap(const struct key32 *block_root, const struct id *partner, const struct content *c, uint8_t out[60])
{
    struct key32 root = *block_root;
    if (partner)
        contentkey_partner_root(block_root, partner, &root);
    check(contentkey_wrap(rng_system(), &root, &c->id, c->license_id, &c->header_half, out) == 0);
}

void maker_entry(const struct maker *m, uint32_t leaf, doc_KeyBlockEntry *out)
{
    struct buf envelope = buf(512), proof = buf(32 * MERKLE_PROOF_MAX);
    sign_into(&envelope, DOCUMENT_EKB, &m->block, &m->license);
    check(CODEC_SET_BYTES(out->block, buf_slice(&envelope)) == 0);
    check(ekb_find(&m->cover, leaf, &out->index, out->entry, &proof) == 0);
    out->has_proof = proof.len > 0;
    check(CODEC_SET_BYTES(out->proof, buf_slice(&proof)) == 0);
    buf_free(&envelope);
    buf_free(&proof);
}

void maker_header(const struct maker *m, const struct content *c, doc_Header *out)
{
    *out = (doc_Header){ 0 };
    memcpy(out->content, c->id.bytes, 32);
    memcpy(out->issuer, m->id.bytes, 32);
    memcpy(out->license_id, c->license_id, 16);
    maker_wrap(&m->block_root, NULL, c, out->wrapped_half);
    maker_entry(m, MAKER_LEAF, &out->key_block);
}

void encode_header(const doc_Header *h, struct buf *out)
{
    buf_clear(out);
    check(CODEC_ENCODE(doc_Header, out, h) == 0);
}

void maker_delegation(const struct maker *delegator, const struct maker *partner, doc_Delegation *out)
{
    *out = (doc_Delegation){ .sequence = 5,
                             .max_certificate_ms = (uint64_t)(10 * DAY_MS),
                             .issued_ms = (uint64_t)(maker_now() - DAY_MS),
                             .ends_ms = (uint64_t)(maker_now() + 20 * DAY_MS) };
    memcpy(out->delegator, delegator->id.bytes, 32);
    memcpy(out->partner, partner->id.bytes, 32);
    sign_public_key(&partner->copy, out->copy_key);
}

void maker_copy_license(doc_CopyCertificate *certificate, const doc_License *license, const struct key32 *signer)
{
    struct buf envelope = buf(1024);
    sign_into(&envelope, DOCUMENT_LICENSE, license, signer);
    check(CODEC_SET_BYTES(certificate->license, buf_slice(&envelope)) == 0);
    buf_free(&envelope);
}

void maker_copy(const struct maker *issuer, const struct maker *home, const struct device *source,
                const struct device *destination, const struct content *c, uint64_t sequence, doc_CopyCertificate *out)
{
    doc_License license;
    bool foreign = !id_equal(&issuer->id, &home->id);
    *out = (doc_CopyCertificate){ .partner_root = foreign,
                                  .issued_ms = (uint64_t)(maker_now() - 1000),
                                  .ends_ms = (uint64_t)(maker_now() + 5 * DAY_MS) };
    memcpy(out->issuer, issuer->id.bytes, 32);
    put_be64(out->serial, sequence);
    memset(out->serial + 8, c->license_id[0], 8);
    memcpy(out->source, source->client.bytes, 32);
    memcpy(out->destination, destination->client.bytes, 32);
    memcpy(out->content, c->id.bytes, 32);
    maker_license(issuer, home, destination, c, sequence, &license);
    maker_copy_license(out, &license, foreign ? &issuer->copy : &issuer->license);
    maker_wrap(&home->block_root, foreign ? &issuer->id : NULL, c, out->wrapped_half);
    maker_entry(home, MAKER_LEAF, &out->key_block);
}
