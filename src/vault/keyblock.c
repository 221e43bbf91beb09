/* Root keys of enabling key blocks (table root). Whether a block is authentic is judged before (protocol/documents.h). */
#include "vault/keyblock.h"

#include "crypto/contentkey.h"
#include "crypto/ekb_parts.h"
#include "vault/db.h"
#include "vault/sealed.h"

#define LABEL "hearth vault root"
#define BOUND_BYTES (ID_BYTES + 4 + 8 + 32)

/* Distributor, category, version and key check: a version number issued twice does not mix up two root keys. */
static void bind_key(struct query *q, const struct service *s, const doc_Ekb *block)
{
    query_bind_blob(q, 1, SLICE_ARRAY(s->distributor.bytes));
    query_bind_i64(q, 2, block->category);
    query_bind_u64(q, 3, block->version);
    query_bind_blob(q, 4, SLICE_ARRAY(block->key_check));
}

static void bound_to(const struct service *s, const doc_Ekb *block, uint8_t out[BOUND_BYTES])
{
    memcpy(out, s->distributor.bytes, ID_BYTES);
    put_be32(out + ID_BYTES, block->category);
    put_be64(out + ID_BYTES + 4, block->version);
    memcpy(out + ID_BYTES + 12, block->key_check, 32);
}

static int cached_root(const struct vault *v, const struct service *s, const doc_Ekb *block, struct key32 *root)
{
    uint8_t bound[BOUND_BYTES];
    struct query q CLEANUP(query_end) = query(v->store, DB_ROOT_GET);
    bind_key(&q, s, block);
    int r = query_one(&q);
    if (r != 0)
        return r;
    struct slice sealed = query_blob(&q, 0);
    r = query_check(&q);
    if (r == 0 && sealed.len != sizeof(root->bytes) + SEALED_OVERHEAD_BYTES)
        r = -EUCLEAN;
    bound_to(s, block, bound);
    return r != 0 ? r : sealed_open(v, LABEL, SLICE_ARRAY(bound), sealed, root->bytes);
}

static int cache_root(const struct vault *v, const struct service *s, const doc_Ekb *block, const struct key32 *root)
{
    uint8_t bound[BOUND_BYTES];
    struct buf sealed CLEANUP(buf_free) = buf(sizeof(root->bytes) + SEALED_OVERHEAD_BYTES);
    bound_to(s, block, bound);
    int r = sealed_put(v, LABEL, SLICE_ARRAY(bound), SLICE_ARRAY(root->bytes), &sealed);
    if (r != 0)
        return r > 0 ? -ENOBUFS : r;
    struct query q CLEANUP(query_end) = query(v->store, DB_ROOT_PUT);
    bind_key(&q, s, block);
    query_bind_blob(&q, 5, buf_slice(&sealed));
    r = query_run(&q);
    return r > 0 ? -EUCLEAN : r;
}

static struct slice proof_of(const doc_KeyBlockEntry *e)
{
    return e->has_proof ? CODEC_BYTES(e->proof) : slice(NULL, 0);
}

static int open_in_part(const struct keyblock_half *h, struct key32 *root)
{
    const doc_KeyBlockEntry *e = h->entry;
    struct ekb_place place CLEANUP(ekb_place_deinit) = ekb_place();
    int r = ekb_place_decode(CODEC_BYTES(e->part), &place);
    if (r == 0)
        r = buf_append(&place.proof, proof_of(e));
    if (r != 0)
        return r > 0 ? EKB_MALFORMED : r;
    place.index = e->index;
    memcpy(place.top, e->entry, sizeof(place.top));
    return ekb_parts_open(service_set(h->service), h->block->version, h->block->entry_count, h->block->entries_root,
                          h->block->key_check, &place, root);
}

static int open_complete(const struct keyblock_half *h, struct key32 *root)
{
    return ekb_open(service_set(h->service), h->block->version, h->block->entry_count, h->block->entries_root,
                    h->block->key_check, h->entry->index, SLICE_ARRAY(h->entry->entry), proof_of(h->entry), root);
}

static int open_root(const struct keyblock_half *h, struct key32 *root)
{
    int r = h->entry->has_part ? open_in_part(h, root) : open_complete(h, root);
    switch (r) {
    case EKB_NOT_COVERED:
        return REASON_DEVICE_REVOKED;
    case EKB_FORGED:
        return REASON_SIGNATURE_INVALID;
    case EKB_MALFORMED:
        return REASON_MALFORMED;
    default:
        return r;
    }
}

static int get_root(struct vault *v, const struct keyblock_half *h, struct key32 *root)
{
    struct key32 known CLEANUP(key32_wipe) = { 0 };
    int cached = cached_root(v, h->service, h->block, &known);
    if (cached != 0 && cached != STORE_ABSENT)
        return cached > 0 ? -EUCLEAN : cached;
    if (cached == 0 && !h->is_new) {
        *root = known;
        return 0;
    }
    if (h->block->version > VAULT_NUMBER_MAX || h->block->category != h->service->leaf.category)
        return REASON_MALFORMED;
    int r = open_root(h, root);
    return r != 0 || cached == 0 ? r : cache_root(v, h->service, h->block, root);
}

int keyblock_open_half(struct vault *v, const struct keyblock_half *h, struct key32 *header_half)
{
    struct key32 root CLEANUP(key32_wipe) = { 0 }, partner_root CLEANUP(key32_wipe) = { 0 };
    int r = get_root(v, h, &root);
    if (r != 0)
        return r;
    if (h->partner)
        contentkey_partner_root(&root, h->partner, &partner_root);
    r = contentkey_unwrap(h->partner ? &partner_root : &root, &h->content, h->license_id,
                          slice(h->wrapped, CONTENTKEY_WRAPPED_BYTES), header_half);
    return r == CONTENTKEY_FORGED ? REASON_MALFORMED : r;
}

int keyblock_seen(struct vault *v, const struct service *s, uint64_t version)
{
    if (version <= s->block_version)
        return 0;
    struct query q CLEANUP(query_end) = query(v->store, DB_BLOCK_VERSION_RAISE);
    query_bind_blob(&q, 1, SLICE_ARRAY(s->distributor.bytes));
    query_bind_u64(&q, 2, version);
    int r = query_run(&q);
    services_forget(v); /* s is gone */
    return r > 0 ? -EUCLEAN : r;
}
