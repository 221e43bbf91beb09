/* Getting what a member offers: license, certificate, body. */
#include "goods.h"

#include <stdlib.h>

#include "base/util.h"

void goods_free(struct goods *g)
{
    if (!g)
        return;
    for (uint32_t i = 0; g->blocks && i < g->shape.block_count; i++)
        free(g->blocks[i]);
    free(g->blocks);
    free(g->list);
    free(g);
}

void goods_freep(struct goods **g) { goods_free(*g); }

/* ---- getting the goods ----------------------------------------------------------------------------------------- */

static bool fetch_list(struct stage *s, struct line *l, struct goods *g)
{
    msg_ListGet get = { .first = 0, .count = g->shape.block_count };
    memcpy(get.content, s->content.bytes, ID_BYTES);
    LINE_SAY(l, msg_Type_LIST_GET, 23, msg_ListGet, &get);
    struct heard *h CLEANUP(freep) = stage_expect_answer(s, l, msg_Type_LIST, 23);
    if (!h || h->tail.len != 32 * (size_t)g->shape.block_count)
        return false;
    g->list = malloc(h->tail.len);
    if (!g->list)
        abort();
    memcpy(g->list, h->tail.data, h->tail.len);
    return true;
}

static bool fetch_blocks(struct stage *s, struct line *l, struct goods *g)
{
    g->blocks = calloc(g->shape.block_count, sizeof(*g->blocks));
    if (!g->blocks)
        abort();
    for (uint32_t i = 0; i < g->shape.block_count; i++) {
        msg_BlocksGet get = { .first = i, .count = 1 };
        memcpy(get.content, s->content.bytes, ID_BYTES);
        LINE_SAY(l, msg_Type_BLOCKS_GET, 25 + 2 * i, msg_BlocksGet, &get);
        struct heard *h CLEANUP(freep) = stage_expect_answer(s, l, msg_Type_BLOCK, 25 + 2 * i);
        if (!h || h->tail.len != body_block_len(&g->shape, i) || !(g->blocks[i] = malloc(h->tail.len)))
            return false;
        memcpy(g->blocks[i], h->tail.data, h->tail.len);
    }
    return true;
}

static bool fetch_body(struct stage *s, struct line *l, struct goods *g)
{
    msg_InfoGet get;
    struct id named;
    memcpy(get.content, s->content.bytes, ID_BYTES);
    LINE_SAY(l, msg_Type_INFO_GET, 21, msg_InfoGet, &get);
    struct heard *h CLEANUP(freep) = stage_expect_answer(s, l, msg_Type_INFO, 21);
    return h && CODEC_DECODE(msg_Info, h->message, &g->info) == 0 &&
           info_judge(CODEC_BYTES(g->info.info), g->info.list_root, &g->content, &named) == 0 &&
           id_equal(&named, &s->content) &&
           body_shape_init(&g->shape, g->content.plain_bytes, g->content.block_bytes, g->info.info.size) == 0 &&
           fetch_list(s, l, g) && fetch_blocks(s, l, g);
}

/* One item in a transaction of its own; the bit follows. */
static bool transact(struct stage *s, struct line *l, msg_Welcome *w, uint32_t request, const msg_Item *item,
                     msg_Result *result)
{
    struct buf bytes CLEANUP(buf_free) = buf(msg_Item_size), tail CLEANUP(buf_free) = buf(8192);
    msg_Transact t = { .session = w->session, .bit = w->bit ^ 1, .count = 1 };
    rng_fill(rng_system(), t.transaction, sizeof(t.transaction));
    if (CODEC_ENCODE(msg_Item, &bytes, item) != 0 || codec_list_put(&tail, buf_slice(&bytes)) != 0)
        abort();
    line_say(l, msg_Type_TRANSACT, request, msg_Transact_fields, &t, buf_slice(&tail));
    struct heard *h CLEANUP(freep) = stage_expect_answer(s, l, msg_Type_TRANSACTED, request);
    struct slice item_bytes;
    if (!h)
        return false;
    w->bit ^= 1;
    struct reader r = reader(h->tail);
    return codec_list_next(&r, msg_Result_size, &item_bytes) == 0 && CODEC_DECODE(msg_Result, item_bytes, result) == 0;
}

static uint32_t find_product(struct stage *s, struct line *l)
{
    msg_CatalogueGet browse = { .query = "" };
    msg_Catalogue *catalogue CLEANUP(freep) = malloc(sizeof(*catalogue));
    LINE_SAY(l, msg_Type_CATALOGUE_GET, 11, msg_CatalogueGet, &browse);
    struct heard *h CLEANUP(freep) = stage_expect_answer(s, l, msg_Type_CATALOGUE, 11);
    if (!h || !catalogue || CODEC_DECODE(msg_Catalogue, h->message, catalogue) != 0)
        return 0;
    for (size_t i = 0; i < catalogue->items_count; i++)
        if (id_equal(catalogue->items[i].content, &s->content) && catalogue->items[i].products_count > 0)
            return catalogue->items[i].products[0].product;
    return 0;
}

/* Bought, unless the member has a license already. */
static bool buy(struct stage *s, struct line *l, msg_Welcome *w)
{
    msg_QuoteGet get = { .product = find_product(s, l) };
    memcpy(get.content, s->content.bytes, ID_BYTES);
    LINE_SAY(l, msg_Type_QUOTE_GET, 13, msg_QuoteGet, &get);
    struct heard *h CLEANUP(freep) = line_hear(l, WIRE_WAIT_MS);
    msg_Quote quote;
    if (h && h->type == msg_Type_REFUSAL)
        return true;
    if (!h || CODEC_DECODE(msg_Quote, h->message, &quote) != 0)
        return false;
    msg_Item item = { .has_purchase = true };
    msg_Result *bought CLEANUP(freep) = malloc(sizeof(*bought));
    return bought && CODEC_SET_BYTES(item.purchase.quote, CODEC_BYTES(quote.quote)) == 0 &&
           transact(s, l, w, 15, &item, bought);
}

/* The license ID stands in the header. */
static bool get_license(struct stage *s, struct line *l, msg_Welcome *w, uint8_t license_id[16])
{
    msg_HeaderGet get;
    msg_Header header;
    doc_Header *read CLEANUP(freep) = malloc(sizeof(*read));
    if (!buy(s, l, w))
        return false;
    memcpy(get.content, s->content.bytes, ID_BYTES);
    LINE_SAY(l, msg_Type_HEADER_GET, 19, msg_HeaderGet, &get);
    struct heard *h CLEANUP(freep) = stage_expect_answer(s, l, msg_Type_HEADER, 19);
    if (!h || !read || CODEC_DECODE(msg_Header, h->message, &header) != 0 ||
        CODEC_DECODE(doc_Header, CODEC_BYTES(header.header), read) != 0)
        return false;
    memcpy(license_id, read->license_id, 16);
    return true;
}

static bool get_certificate(struct stage *s, struct line *l, msg_Welcome *w, struct goods *g)
{
    msg_Item item = { .has_copy = true };
    if (!get_license(s, l, w, item.copy.license_id))
        return false;
    memcpy(item.copy.content, s->content.bytes, ID_BYTES);
    memcpy(item.copy.destination, s->destination.bytes, ID_BYTES);
    if (!transact(s, l, w, 17, &item, &g->result))
        return false;
    if (!g->result.has_certificate)
        stage_complain(s, "no certificate: %s", g->result.refusal.code);
    return g->result.has_certificate;
}

struct goods *get_goods(struct stage *s)
{
    msg_Welcome welcome;
    struct goods *g = calloc(1, sizeof(*g));
    struct line *l = stage_session(s, s->distributor, &welcome);
    if (!g || !l) {
        goods_free(g);
        line_free(l);
        return NULL;
    }
    s->complaint[0] = '\0';
    bool got = get_certificate(s, l, &welcome, g) && fetch_body(s, l, g);
    line_free(l);
    if (got)
        return g;
    if (!s->complaint[0])
        stage_complain(s, "the member does not get what it is to offer");
    goods_free(g);
    return NULL;
}

void goods_offer(const struct goods *g, const msg_Info *other_info, msg_Offer *out)
{
    const msg_Info *info = other_info ? other_info : &g->info;
    *out = (msg_Offer)msg_Offer_init_zero;
    out->has_delegation = g->result.has_delegation;
    memcpy(out->list_root, info->list_root, sizeof(out->list_root));
    if (CODEC_SET_BYTES(out->certificate, CODEC_BYTES(g->result.certificate)) != 0 ||
        (out->has_delegation && CODEC_SET_BYTES(out->delegation, CODEC_BYTES(g->result.delegation)) != 0) ||
        CODEC_SET_BYTES(out->info, CODEC_BYTES(info->info)) != 0)
        abort();
}
