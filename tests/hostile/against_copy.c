/* A member that holds a good copy certificate and lets its destination down all the same: wrong content beside it, blocks that are
 * not what they should be, silence. Nothing of it may reach the library, and the certificate stays good for an honest end. */
#include <stdlib.h>

#include "base/util.h"
#include "crypto/body.h"
#include "crypto/merkle.h"
#include "stage.h"

#define OFFER_REQUEST 5
#define PIECE_MAX 64

/* What the member has: the body as the distributor gave it, and a certificate for the destination. */
struct goods {
    msg_Info info;
    doc_ContentInfo content;
    struct body_shape shape;
    uint8_t *list;
    uint8_t **blocks;
    msg_Result result;
};

static void goods_free(struct goods *g)
{
    if (!g)
        return;
    for (uint32_t i = 0; g->blocks && i < g->shape.block_count; i++)
        free(g->blocks[i]);
    free(g->blocks);
    free(g->list);
    free(g);
}

static void goods_freep(struct goods **g) { goods_free(*g); }

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

static struct goods *get_goods(struct stage *s)
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

/* ---- offering -------------------------------------------------------------------------------------------------- */

static struct line *offer(struct stage *s, const struct goods *g, const struct goods *other_content)
{
    struct line *l = stage_meet_as_member(s);
    msg_Offer o = msg_Offer_init_zero;
    if (!l)
        return NULL;
    const msg_Info *info = &(other_content ? other_content : g)->info;
    o.has_delegation = g->result.has_delegation;
    memcpy(o.list_root, info->list_root, sizeof(o.list_root));
    if (CODEC_SET_BYTES(o.certificate, CODEC_BYTES(g->result.certificate)) != 0 ||
        (o.has_delegation && CODEC_SET_BYTES(o.delegation, CODEC_BYTES(g->result.delegation)) != 0) ||
        CODEC_SET_BYTES(o.info, CODEC_BYTES(info->info)) != 0)
        abort();
    LINE_SAY(l, msg_Type_OFFER, OFFER_REQUEST, msg_Offer, &o);
    return l;
}

/* How one block is given. */
typedef void give_fn(struct line *l, uint32_t request, const struct goods *g, uint32_t index);

static void say_block(struct line *l, uint32_t request, const struct goods *g, uint32_t index, struct slice bytes)
{
    msg_Block block = { .index = index };
    struct id content;
    body_content_id(CODEC_BYTES(g->info.info), g->info.list_root, &content);
    memcpy(block.content, content.bytes, ID_BYTES);
    line_say(l, msg_Type_BLOCK, request, msg_Block_fields, &block, bytes);
}

static struct slice block_of(const struct goods *g, uint32_t index)
{
    return slice(g->blocks[index], body_block_len(&g->shape, index));
}

static void give_good(struct line *l, uint32_t request, const struct goods *g, uint32_t index)
{
    say_block(l, request, g, index, block_of(g, index));
}

static void give_flipped(struct line *l, uint32_t request, const struct goods *g, uint32_t index)
{
    g->blocks[index][20] ^= 1;
    give_good(l, request, g, index);
    g->blocks[index][20] ^= 1;
}

static void give_short(struct line *l, uint32_t request, const struct goods *g, uint32_t index)
{
    struct slice all = block_of(g, index);
    say_block(l, request, g, index, slice_sub(all, 0, all.len - 1));
}

static void give_empty(struct line *l, uint32_t request, const struct goods *g, uint32_t index)
{
    say_block(l, request, g, index, slice(NULL, 0));
}

static void give_another_index(struct line *l, uint32_t request, const struct goods *g, uint32_t index)
{
    say_block(l, request, g, index + 1, block_of(g, index));
}

static void give_index_beyond(struct line *l, uint32_t request, const struct goods *g, uint32_t index)
{
    say_block(l, request, g, UINT32_MAX, block_of(g, index));
}

static void give_each_a_hundred_times(struct line *l, uint32_t request, const struct goods *g, uint32_t index)
{
    for (int i = 0; i < 100; i++)
        give_good(l, request, g, index);
}

static void give_nothing(struct line *l, uint32_t request, const struct goods *g, uint32_t index)
{
    (void)l, (void)request, (void)g, (void)index;
}

struct service {
    give_fn *give;
    bool bad_list; /* another list than the one the content ID names */
    bool finishes; /* the copy comes through */
    bool either;   /* or not: what arrived is right, if too often */
};

static void serve_list(struct line *l, const struct heard *h, const struct goods *g, bool bad)
{
    msg_ListGet get;
    if (CODEC_DECODE(msg_ListGet, h->message, &get) != 0 || get.first > g->shape.block_count ||
        get.count > g->shape.block_count - get.first)
        return;
    msg_List list = { .first = get.first };
    memcpy(list.content, get.content, ID_BYTES);
    g->list[0] ^= bad;
    line_say(l, msg_Type_LIST, h->request, msg_List_fields, &list,
             slice(g->list + 32 * (size_t)get.first, 32 * (size_t)get.count));
    g->list[0] ^= bad;
}

static void serve_blocks(struct line *l, const struct heard *h, const struct goods *g, give_fn *give)
{
    msg_BlocksGet get;
    if (CODEC_DECODE(msg_BlocksGet, h->message, &get) != 0 || get.first > g->shape.block_count ||
        get.count > g->shape.block_count - get.first)
        return;
    for (uint32_t i = 0; i < get.count; i++)
        give(l, h->request, g, get.first + i);
}

static bool is_finished(const struct heard *h)
{
    msg_OfferTaken taken = msg_OfferTaken_init_zero;
    return CODEC_DECODE(msg_OfferTaken, h->message, &taken) == 0 && taken.has_receipt;
}

/* Serves until the destination hangs up, refuses or says DELIVERED. NULL: as the service lets expect. */
static const char *serve(struct stage *s, struct line *l, const struct goods *g, const struct service *how)
{
    int64_t end_ms = wire_now_ms() + 50000;
    bool taken = false;
    while (wire_now_ms() < end_ms) {
        struct heard *h CLEANUP(freep) = line_hear(l, end_ms - wire_now_ms());
        if (!h)
            break;
        if (h->type == msg_Type_OFFER_TAKEN && is_finished(h))
            return how->finishes ? NULL : stage_complain(s, "it was stored already");
        if (h->type == msg_Type_OFFER_TAKEN)
            taken = true;
        else if (h->type == msg_Type_LIST_GET)
            serve_list(l, h, g, how->bad_list);
        else if (h->type == msg_Type_BLOCKS_GET)
            serve_blocks(l, h, g, how->give);
        else if (h->type == msg_Type_DELIVERED)
            return how->finishes || how->either ? NULL : stage_complain(s, "it says that it has stored this");
        else if (h->type == msg_Type_REFUSAL)
            return how->finishes ? stage_complain(s, "an honest copy was refused") : NULL;
    }
    if (!taken)
        return stage_complain(s, "the offer was not even taken (%s)", l->peer ? "time is over" : reason_code(l->why));
    if (l->peer)
        return stage_complain(s, "it still waits");
    return how->finishes ? stage_complain(s, "hung up on: %s", reason_code(l->why)) : NULL;
}

static const char *offer_and_serve(struct stage *s, const struct service *how)
{
    struct goods *g CLEANUP(goods_freep) = get_goods(s);
    struct line *l = g ? offer(s, g, NULL) : NULL;
    if (!l)
        return s->complaint;
    const char *bad = serve(s, l, g, how);
    line_free(l);
    return bad;
}

#define SERVICE(name, ...)                             \
    static const char *name(struct stage *s)           \
    {                                                  \
        static const struct service how = __VA_ARGS__; \
        return offer_and_serve(s, &how);               \
    }
SERVICE(blocks_flipped, { give_flipped, false, false, false })
SERVICE(blocks_short, { give_short, false, false, false })
SERVICE(blocks_empty, { give_empty, false, false, false })
SERVICE(blocks_of_another_index, { give_another_index, false, false, false })
SERVICE(blocks_beyond_the_end, { give_index_beyond, false, false, false })
SERVICE(list_of_another_content, { give_good, true, false, false })
SERVICE(silence_after_the_list, { give_nothing, false, false, true }) /* another may give what it keeps back */

static const char *refused(struct stage *s, struct line *l, const char *codes)
{
    struct heard *h CLEANUP(freep) = line_hear(l, WIRE_WAIT_MS);
    if (!h || h->type != msg_Type_REFUSAL)
        return stage_complain(s, "not refused: type %d", h ? h->type : -1);
    struct frame f = { h->type, h->request, h->message, h->tail };
    msg_Refusal refusal = msg_Refusal_init_zero;
    peer_refusal(&f, msg_Type_NONE, &refusal);
    return strstr(codes, refusal.code) ? NULL : stage_complain(s, "refused with %s, not %s", refusal.code, codes);
}

/* The good certificate, beside content of the member's own making. */
static const char *certificate_beside_other_content(struct stage *s)
{
    struct goods *g CLEANUP(goods_freep) = get_goods(s);
    struct goods other = { .content = { .media_type = "audio/flac",
                                        .title = "Trap",
                                        .plain_bytes = 5000,
                                        .block_bytes = 4096,
                                        .block_count = 2 } };
    struct buf info CLEANUP(buf_free) = buf(2048);
    if (!g)
        return s->complaint;
    if (CODEC_ENCODE(doc_ContentInfo, &info, &other.content) != 0 ||
        CODEC_SET_BYTES(other.info.info, buf_slice(&info)) != 0)
        abort();
    struct line *l = offer(s, g, &other);
    if (!l)
        return s->complaint;
    const char *bad = refused(s, l, "content-id-mismatch|delegation-invalid");
    line_free(l);
    return bad;
}

static const char *certificate_touched(struct stage *s)
{
    struct goods *g CLEANUP(goods_freep) = get_goods(s);
    if (!g)
        return s->complaint;
    g->result.certificate.bytes[g->result.certificate.size / 2] ^= 1;
    struct line *l = offer(s, g, NULL);
    if (!l)
        return s->complaint;
    const char *bad = refused(s, l, "signature-invalid|malformed");
    line_free(l);
    return bad;
}

/* Somebody else of the household brings what was made out to the member. */
static const char *certificate_by_another_presenter(struct stage *s)
{
    struct goods *g CLEANUP(goods_freep) = get_goods(s);
    struct stage thief = *s;
    msg_Registered registered;
    if (!g)
        return s->complaint;
    wire_init(&thief.wire, s->seed + 1);
    struct line *l = stage_register(&thief, s->distributor, "magpie", &registered);
    line_free(l);
    l = l ? offer(&thief, g, NULL) : NULL;
    const char *bad = l ? refused(&thief, l, "not-permitted|unknown-device|wrong-destination") : thief.complaint;
    line_free(l);
    wire_deinit(&thief.wire);
    return bad ? stage_complain(s, "%s", bad) : NULL;
}

SERVICE(each_block_a_hundred_times, { give_each_a_hundred_times, false, false, true })
/* Honest in the end; then offered again as if the receipt had been lost: the same receipt, and nothing is asked for. */
static const char *an_honest_end(struct stage *s)
{
    static const struct service how = { give_good, false, true, false };
    struct goods *g CLEANUP(goods_freep) = get_goods(s);
    struct line *l = g ? offer(s, g, NULL) : NULL;
    if (!l)
        return s->complaint;
    const char *bad = serve(s, l, g, &how);
    line_free(l);
    l = bad ? NULL : offer(s, g, NULL);
    if (!l)
        return bad ? bad : s->complaint;
    struct heard *h CLEANUP(freep) = line_hear(l, WIRE_WAIT_MS);
    if (!h || h->type != msg_Type_OFFER_TAKEN || !is_finished(h))
        bad = stage_complain(s, "no receipt: type %d", h ? h->type : -1);
    line_free(l);
    return bad;
}

#define MEMBER(function)          \
    {                             \
#function, function, true \
    }
static const struct hostile_case cases[] = {
    MEMBER(certificate_touched),
    MEMBER(certificate_beside_other_content),
    MEMBER(certificate_by_another_presenter),
    MEMBER(list_of_another_content),
    MEMBER(blocks_flipped),
    MEMBER(blocks_short),
    MEMBER(blocks_empty),
    MEMBER(blocks_of_another_index),
    MEMBER(blocks_beyond_the_end),
    MEMBER(silence_after_the_list),
    MEMBER(each_block_a_hundred_times),
    MEMBER(an_honest_end),
};
const struct hostile_cases against_copy = { "copy", cases, ARRAY_COUNT(cases) };
