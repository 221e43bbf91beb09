/* A member that holds a good copy certificate and lets its destination down all the same: wrong content beside it, blocks that are
 * not what they should be, silence. Nothing of it may reach the library, and the certificate stays good for an honest end. */
#include <stdlib.h>

#include "base/util.h"
#include "crypto/merkle.h"
#include "goods.h"

#define OFFER_REQUEST 5
#define PIECE_MAX 64

/* ---- offering -------------------------------------------------------------------------------------------------- */

static struct line *offer(struct stage *s, const struct goods *g, const struct goods *other_content)
{
    struct line *l = stage_meet_as_member(s);
    msg_Offer o;
    if (!l)
        return NULL;
    goods_offer(g, other_content ? &other_content->info : NULL, &o);
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
