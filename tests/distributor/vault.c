/* Opening content keys as a vault does, out of documents and one device's keys. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/util.h"
#include "crypto/body.h"
#include "crypto/contentkey.h"
#include "crypto/keytree.h"
#include "crypto/seal.h"
#include "distributor/publish.h"
#include "town.h"

struct body {
    int fd;
    uint8_t info_bytes[BODY_INFO_MAX], list_root[32];
    size_t info_len;
    doc_ContentInfo info;
    struct body_shape shape;
};

static void body_close(struct body *b) { closep(&b->fd); }

static void body_open(struct shop *s, const struct id *content, struct body *b)
{
    char path[256];
    uint8_t head[12];
    assert_int_equal(publish_body_path(s->o, content, path, sizeof(path)), 0);
    b->fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(b->fd >= 0);
    assert_int_equal(file_pread_all(b->fd, head, sizeof(head), 0), 0);
    assert_memory_equal(head, BODY_MAGIC, 8);
    b->info_len = get_be32(head + 8);
    assert_true(b->info_len <= sizeof(b->info_bytes));
    assert_int_equal(file_pread_all(b->fd, b->info_bytes, b->info_len, 12), 0);
    assert_int_equal(CODEC_DECODE(doc_ContentInfo, slice(b->info_bytes, b->info_len), &b->info), 0);
    assert_int_equal(body_shape_init(&b->shape, b->info.plain_bytes, b->info.block_bytes, b->info_len), 0);
    uint8_t *hashes CLEANUP(freep) = malloc((size_t)b->shape.block_count * 32);
    assert_int_equal(file_pread_all(b->fd, hashes, (size_t)b->shape.block_count * 32, body_list_offset(&b->shape)), 0);
    merkle_root(hashes, b->shape.block_count, b->list_root);
    struct id id;
    body_content_id(slice(b->info_bytes, b->info_len), b->list_root, &id);
    assert_true(id_equal(&id, content));
}

void vault_body_head(struct shop *s, const struct id *content, struct buf *info, uint8_t list_root[32])
{
    struct body b CLEANUP(body_close) = { .fd = -1 };
    body_open(s, content, &b);
    assert_int_equal(buf_append(info, slice(b.info_bytes, b.info_len)), 0);
    memcpy(list_root, b.list_root, sizeof(b.list_root));
}

bool vault_plays(struct shop *issuer, const struct id *content, const struct key32 *key)
{
    struct body b CLEANUP(body_close) = { .fd = -1 };
    body_open(issuer, content, &b);
    for (uint32_t i = 0; i < b.shape.block_count; i++) {
        uint32_t len = body_block_len(&b.shape, i);
        uint8_t *block CLEANUP(freep) = malloc(len), *plain CLEANUP(freep) = malloc(len);
        assert_int_equal(file_pread_all(b.fd, block, len, body_block_offset(&b.shape, i)), 0);
        if (block_open(key, b.info.nonce, i, b.shape.block_count, slice(block, len), plain) != 0)
            return false;
    }
    return true;
}

/* The root key (or partner root) that a header half is wrapped under. */
static void open_root(struct shop *own, struct gadget *g, const doc_KeyBlockEntry *entry, const struct id *partner,
                      struct key32 *root)
{
    doc_Ekb block;
    assert_int_equal(ekb_judge(CODEC_BYTES(entry->block), &own->keyset, &block), 0);
    struct key32 block_root;
    assert_int_equal(ekb_open(slice(g->set, g->set_len), block.version, block.entry_count, block.entries_root,
                              block.key_check, entry->index, SLICE_ARRAY(entry->entry),
                              entry->has_proof ? CODEC_BYTES(entry->proof) : slice(NULL, 0), &block_root),
                     0);
    if (partner)
        contentkey_partner_root(&block_root, partner, root);
    else
        *root = block_root;
}

static void derive(const doc_License *license, const struct gadget *g, const struct key32 *header_half,
                   const uint8_t nonce[32], struct key32 *key)
{
    struct key32 license_half;
    struct id content = id_from(license->content);
    assert_int_equal(
        contentkey_open_license_half(&g->sealing, &content, SLICE_ARRAY(license->license_half), &license_half), 0);
    contentkey_derive(header_half, &license_half, nonce, key);
}

void vault_key_of_purchase(struct shop *s, struct gadget *g, const msg_Result *result, struct key32 *key)
{
    doc_License license;
    doc_Header header;
    assert_true(result->has_license && result->has_header);
    assert_int_equal(license_judge(CODEC_BYTES(result->license), &s->keyset, &license), 0);
    assert_int_equal(CODEC_DECODE(doc_Header, CODEC_BYTES(result->header), &header), 0);
    assert_memory_equal(license.license_id, header.license_id, 16);
    assert_true(id_equal(license.client, &g->client));
    struct key32 root, header_half;
    struct id content = id_from(header.content);
    open_root(s, g, &header.key_block, header.partner_root ? &s->keys->self : NULL, &root);
    assert_int_equal(
        contentkey_unwrap(&root, &content, header.license_id, SLICE_ARRAY(header.wrapped_half), &header_half), 0);
    struct body b CLEANUP(body_close) = { .fd = -1 };
    body_open(s, &content, &b);
    derive(&license, g, &header_half, b.info.nonce, key);
}

int vault_key_of_copy(struct shop *issuer, struct shop *own, struct gadget *destination, const struct id *presenter,
                      const msg_Result *result, doc_CopyCertificate *certificate, struct key32 *key)
{
    uint8_t signer[32];
    assert_true(result->has_certificate);
    assert_int_equal(document_open(DOCUMENT_COPY_CERTIFICATE, CODEC_BYTES(result->certificate), certificate,
                                   sizeof(*certificate), signer),
                     0);
    struct body b CLEANUP(body_close) = { .fd = -1 };
    struct id content = id_from(certificate->content);
    body_open(issuer, &content, &b);
    struct certificate_case c = { .keyset = &own->keyset,
                                  .self = destination->client,
                                  .presenter = presenter,
                                  .certificate = CODEC_BYTES(result->certificate),
                                  .delegation =
                                      result->has_delegation ? CODEC_BYTES(result->delegation) : slice(NULL, 0),
                                  .info = slice(b.info_bytes, b.info_len),
                                  .list_root = b.list_root,
                                  .now_ms = own->town->now_ms };
    struct certificate_facts *facts CLEANUP(freep) = calloc(1, sizeof(*facts));
    int r = certificate_judge(&c, facts);
    if (r != 0)
        return r;
    struct key32 root, header_half;
    open_root(own, destination, &certificate->key_block, certificate->partner_root ? &issuer->keys->self : NULL, &root);
    assert_int_equal(contentkey_unwrap(&root, &content, facts->license.license_id,
                                       SLICE_ARRAY(certificate->wrapped_half), &header_half),
                     0);
    derive(&facts->license, destination, &header_half, b.info.nonce, key);
    return 0;
}
