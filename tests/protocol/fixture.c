/* Documents of a small world, all valid; tests break one thing at a time. */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>

#include "crypto/body.h"
#include "crypto/ekb.h"

static void must(int r)
{
    if (r != 0) {
        (void)fprintf(stderr, "fixture: %d\n", r);
        abort();
    }
}

void fixture_party_init(struct fixture_party *p, uint8_t number)
{
    memset(p->seed.bytes, number, sizeof(p->seed.bytes));
    signer_from_seed(&p->signer, &p->seed);
}

struct id fixture_id(const struct fixture_party *p) { return id_of_key(p->signer.public_key); }

static void add_key(doc_Keyset *k, enum key_purpose purpose, const struct fixture_party *p, int64_t ends_ms)
{
    doc_Key *key = &k->keys[k->keys_count++];
    key->purpose = purpose;
    memcpy(key->key, p->signer.public_key, sizeof(key->key));
    key->ends_ms = (uint64_t)ends_ms;
}

static void init_keysets(struct fixture *f)
{
    doc_Keyset *k = &f->keyset;
    memcpy(k->distributor, &f->distributor, 32);
    CODEC_SET_TEXT(k->name, "Bravo");
    k->sequence = 5;
    k->issued_ms = FIXTURE_NOW - 10 * FIXTURE_DAY;
    k->ends_ms = FIXTURE_NOW + 10 * FIXTURE_DAY;
    add_key(k, KEY_TLS, &f->tls, FIXTURE_NOW + FIXTURE_DAY);
    add_key(k, KEY_LICENSE, &f->old_license, FIXTURE_NOW - 2 * FIXTURE_DAY);
    add_key(k, KEY_LICENSE, &f->license, FIXTURE_NOW + FIXTURE_DAY);
    add_key(k, KEY_ROSTER, &f->roster, FIXTURE_NOW + FIXTURE_DAY);
    add_key(k, KEY_SEALING, &f->sealing, FIXTURE_NOW + FIXTURE_DAY);
    k->floors_count = 1;
    memcpy(k->floors[0].partner, &f->partner, 32);
    k->floors[0].lowest_sequence = 3;

    k = &f->partner_keyset;
    memcpy(k->distributor, &f->partner, 32);
    CODEC_SET_TEXT(k->name, "Alpha");
    k->sequence = 1;
    k->ends_ms = FIXTURE_NOW + 10 * FIXTURE_DAY;
    add_key(k, KEY_LICENSE, &f->partner_license, FIXTURE_NOW + FIXTURE_DAY);
}

static void init_grants(struct fixture *f)
{
    doc_Delegation *d = &f->delegation;
    memcpy(d->delegator, &f->distributor, 32);
    memcpy(d->partner, &f->partner, 32);
    memcpy(d->copy_key, f->copy_key.signer.public_key, 32);
    d->sequence = 3;
    d->max_certificate_ms = 5 * FIXTURE_DAY;
    d->issued_ms = FIXTURE_NOW - FIXTURE_DAY;
    d->ends_ms = FIXTURE_NOW + 8 * FIXTURE_DAY;

    doc_Ekb *b = &f->block;
    memcpy(b->distributor, &f->distributor, 32);
    b->category = 1;
    b->kind = EKB_KIND_COMPLETE_SUBTREE;
    b->version = 9;
    b->entry_count = 4;
    memset(b->entries_root, 0x11, 32);
    memset(b->key_check, 0x22, 32);
    b->issued_ms = FIXTURE_NOW - FIXTURE_DAY;
}

static void init_content(struct fixture *f)
{
    doc_ContentInfo *i = &f->info;
    memcpy(i->publisher, &f->partner, 32);
    CODEC_SET_TEXT(i->media_type, "audio/flac");
    CODEC_SET_TEXT(i->title, "Etude");
    i->plain_bytes = 1000000;
    i->block_bytes = 262144;
    i->block_count = 4;
    memset(i->nonce, 0x33, 32);
    memset(f->list_root, 0x44, 32);
}

static void init_certificate(struct fixture *f)
{
    doc_License *l = &f->license_doc;
    memcpy(l->issuer, &f->partner, 32);
    memset(l->license_id, 0x55, 16);
    l->sequence = 77;
    memcpy(l->client, &f->destination_id, 32);
    memcpy(l->leaf.distributor, &f->distributor, 32);
    l->leaf.category = 1;
    l->leaf.number = 12;
    l->issued_ms = FIXTURE_NOW;
    l->conditions.max_copies = 2;
    l->conditions.copy_depth = 1;

    doc_CopyCertificate *c = &f->certificate;
    memcpy(c->issuer, &f->partner, 32);
    memset(c->serial, 0x66, 16);
    memcpy(c->source, &f->source_id, 32);
    memcpy(c->destination, &f->destination_id, 32);
    c->partner_root = true;
    c->key_block.index = 3;
    memset(c->key_block.entry, 0x77, sizeof(c->key_block.entry));
    c->issued_ms = FIXTURE_NOW;
    c->ends_ms = FIXTURE_NOW + 2 * FIXTURE_DAY;
}

void fixture_init(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    struct fixture_party *const parties[] = { &f->root,     &f->tls,     &f->license,      &f->old_license,
                                              &f->roster,   &f->sealing, &f->partner_root, &f->partner_license,
                                              &f->copy_key, &f->source,  &f->destination,  &f->stranger };
    for (size_t i = 0; i < sizeof(parties) / sizeof(parties[0]); i++)
        fixture_party_init(parties[i], (uint8_t)(i + 1));
    f->distributor = fixture_id(&f->root);
    f->partner = fixture_id(&f->partner_root);
    f->source_id = fixture_id(&f->source);
    f->destination_id = fixture_id(&f->destination);
    f->license_signer = f->certificate_signer = &f->copy_key.signer;
    f->block_signer = f->delegation_signer = &f->license.signer;
    f->info_bytes = f->license_bytes = f->block_bytes = f->delegation_bytes = f->certificate_bytes = buf(64 * 1024);
    init_keysets(f);
    init_grants(f);
    init_content(f);
    init_certificate(f);
}

void fixture_deinit(struct fixture *f)
{
    buf_free(&f->info_bytes);
    buf_free(&f->license_bytes);
    buf_free(&f->block_bytes);
    buf_free(&f->delegation_bytes);
    buf_free(&f->certificate_bytes);
}

void fixture_own(struct fixture *f)
{
    memcpy(f->certificate.issuer, &f->distributor, 32);
    memcpy(f->license_doc.issuer, &f->distributor, 32);
    f->certificate.partner_root = false;
    f->certificate_signer = f->license_signer = &f->license.signer;
}

static void sign(struct buf *out, enum document d, const void *payload, const struct signer *by)
{
    buf_clear(out);
    must(document_sign(out, d, payload, by));
}

void fixture_sign(struct buf *out, enum document d, const void *payload, const struct fixture_party *by)
{
    sign(out, d, payload, &by->signer);
}

void fixture_seal(struct fixture *f, bool keep_content)
{
    buf_clear(&f->info_bytes);
    must(CODEC_ENCODE(doc_ContentInfo, &f->info_bytes, &f->info));
    if (!keep_content) {
        struct id content;
        body_content_id(buf_slice(&f->info_bytes), f->list_root, &content);
        memcpy(f->certificate.content, &content, 32);
        memcpy(f->license_doc.content, &content, 32);
    }
    sign(&f->license_bytes, DOCUMENT_LICENSE, &f->license_doc, f->license_signer);
    sign(&f->block_bytes, DOCUMENT_EKB, &f->block, f->block_signer);
    sign(&f->delegation_bytes, DOCUMENT_DELEGATION, &f->delegation, f->delegation_signer);
    must(CODEC_SET_BYTES(f->certificate.license, buf_slice(&f->license_bytes)));
    must(CODEC_SET_BYTES(f->certificate.key_block.block, buf_slice(&f->block_bytes)));
    sign(&f->certificate_bytes, DOCUMENT_COPY_CERTIFICATE, &f->certificate, f->certificate_signer);
}
