/* Judging, keeping and opening headers (table header). */
#include "vault/headers.h"

#include "crypto/contentkey.h"
#include "crypto/ekb.h"
#include "vault/db.h"
#include "vault/keyblock.h"

static int open_half(struct vault *v, const struct service *s, const doc_Header *h, const doc_Ekb *block, bool is_new,
                     struct key32 *half)
{
    struct id issuer = id_from(h->issuer);
    const struct keyblock_half case_of = {
        .service = s,
        .block = block,
        .entry = &h->key_block,
        .wrapped = h->wrapped_half,
        .partner = h->partner_root ? &issuer : NULL,
        .content = id_from(h->content),
        .license_id = h->license_id,
        .is_new = is_new,
    };
    return keyblock_open_half(v, &case_of, half);
}

static int judge_block(const struct service *s, const doc_KeyBlockEntry *entry, doc_Ekb *block)
{
    int r = ekb_judge(CODEC_BYTES(entry->block), &s->keyset, block);
    if (r != 0)
        return r;
    if (block->version > VAULT_NUMBER_MAX || block->category != s->leaf.category)
        return REASON_MALFORMED;
    r = ekb_entry_judge(block, entry);
    if (r != 0)
        return r;
    return block->version < s->block_version ? REASON_KEY_BLOCK_OUTDATED : 0;
}

int headers_put(struct vault *v, const doc_Header *header, const struct service *s, uint64_t version)
{
    struct buf encoded CLEANUP(buf_free) = buf(doc_Header_size);
    int r = CODEC_ENCODE(doc_Header, &encoded, header);
    if (r != 0)
        return r > 0 ? -ENOBUFS : r;
    struct query q CLEANUP(query_end) = query(v->store, DB_HEADER_PUT);
    query_bind_blob(&q, 1, SLICE_ARRAY(header->issuer));
    query_bind_blob(&q, 2, SLICE_ARRAY(header->license_id));
    query_bind_blob(&q, 3, SLICE_ARRAY(header->content));
    query_bind_blob(&q, 4, SLICE_ARRAY(s->distributor.bytes));
    query_bind_u64(&q, 5, version);
    query_bind_blob(&q, 6, buf_slice(&encoded));
    r = query_run(&q);
    return r > 0 ? -EUCLEAN : r;
}

static bool belongs_to(const doc_Header *h, const doc_License *l)
{
    return id_equal(h->issuer, l->issuer) && id_equal(h->content, l->content) &&
           memcmp(h->license_id, l->license_id, sizeof(h->license_id)) == 0;
}

int headers_accept(struct vault *v, struct slice header, const doc_License *license)
{
    doc_Header h;
    doc_Ekb block;
    const struct service *s;
    struct key32 half CLEANUP(key32_wipe) = { 0 };
    int r = CODEC_DECODE(doc_Header, header, &h);
    if (r != 0)
        return r > 0 ? REASON_MALFORMED : r;
    if (license && !belongs_to(&h, license))
        return REASON_CONTENT_ID_MISMATCH;
    if (h.partner_root) /* only a copy certificate brings such a one, signed */
        return REASON_NOT_PERMITTED;
    r = services_find_current(v, h.issuer, &s);
    if (r == 0)
        r = judge_block(s, &h.key_block, &block);
    if (r == 0)
        r = open_half(v, s, &h, &block, true, &half);
    if (r == 0)
        r = headers_put(v, &h, s, block.version);
    return r != 0 ? r : keyblock_seen(v, s, block.version);
}

int headers_store(struct vault *v, const struct request *rq, struct reply *reply)
{
    (void)reply;
    const vlt_HeaderStore *m = rq->message;
    return headers_accept(v, CODEC_BYTES(m->header), NULL);
}

/* The stored row, decoded. 0, REASON_NOT_FOUND, -errno. */
static int load(const struct vault *v, const doc_License *license, struct id *distributor, doc_Header *h)
{
    struct query q CLEANUP(query_end) = query(v->store, DB_HEADER_GET);
    query_bind_blob(&q, 1, SLICE_ARRAY(license->issuer));
    query_bind_blob(&q, 2, SLICE_ARRAY(license->license_id));
    int r = query_one(&q);
    if (r == STORE_ABSENT)
        return REASON_NOT_FOUND;
    if (r != 0)
        return r > 0 ? -EUCLEAN : r;
    query_fixed(&q, 0, distributor->bytes, sizeof(distributor->bytes));
    struct slice bytes = query_blob(&q, 2);
    r = query_check(&q);
    if (r == 0)
        r = CODEC_DECODE(doc_Header, bytes, h);
    return r > 0 ? -EUCLEAN : r;
}

int headers_open(struct vault *v, const doc_License *license, struct key32 *header_half)
{
    struct id distributor;
    doc_Header h;
    doc_Ekb block;
    uint8_t signer[32];
    const struct service *s;
    int r = load(v, license, &distributor, &h);
    if (r == 0)
        r = services_find(v, &distributor, &s);
    if (r != 0)
        return r;
    if (!belongs_to(&h, license))
        return -EUCLEAN;
    /* It was judged when it came. The key that signed it may have left the keyset since; what it opens stays ours. */
    r = document_open(DOCUMENT_EKB, CODEC_BYTES(h.key_block.block), &block, sizeof(block), signer);
    return r != 0 ? r : open_half(v, s, &h, &block, false, header_half);
}
