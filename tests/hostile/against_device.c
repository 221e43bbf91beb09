/* Against a household device: strangers, and a device of the same household that has turned.
 *
 * Between devices everything but presenting a roster needs to be in one (design section 2), or a certificate that names both ends. */
#include <stdlib.h>

#include "base/util.h"
#include "stage.h"

#define BYTES(...) slice((const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))
#define STRANGER_CODES \
    "unknown-device|not-permitted|not-owned|not-registered|signature-invalid|malformed|delegation-invalid"

/* Both ends say DEVICE_HELLO; roster: the tail of ours. */
static struct line *meet(struct stage *s, struct slice roster)
{
    struct line *l = line_dial(&s->wire, s->address);
    if (!line_wait_open(l, WIRE_WAIT_MS)) {
        stage_complain(s, "no connection: %s", reason_code(l->why));
        line_free(l);
        return NULL;
    }
    msg_DeviceHello hello = { .name = "gremlin" };
    line_say(l, msg_Type_DEVICE_HELLO, 0, msg_DeviceHello_fields, &hello, roster);
    return l;
}

static void make_offer(struct stage *s, msg_Offer *offer)
{
    *offer = (msg_Offer)msg_Offer_init_zero;
    doc_ContentInfo info = {
        .media_type = "audio/flac", .title = "Trap", .plain_bytes = 5000, .block_bytes = 4096, .block_count = 2
    };
    struct buf bytes CLEANUP(buf_free) = buf(2048);
    if (CODEC_ENCODE(doc_ContentInfo, &bytes, &info) != 0 || CODEC_SET_BYTES(offer->info, buf_slice(&bytes)) != 0)
        abort();
    (void)s;
}

/* A certificate of our own making: well-formed, signed, worth nothing. */
static void make_forged_offer(struct stage *s, msg_Offer *offer)
{
    struct signer signer;
    struct buf license CLEANUP(buf_free) = buf(640), certificate CLEANUP(buf_free) = buf(2048);
    make_offer(s, offer);
    signer_from_pair(&signer, &s->wire.key);
    doc_License l = { .issued_ms = 1 };
    doc_CopyCertificate *c CLEANUP(freep) = calloc(1, sizeof(*c));
    if (!c || document_sign(&license, DOCUMENT_LICENSE, &l, &signer) != 0 ||
        CODEC_SET_BYTES(c->license, buf_slice(&license)) != 0)
        abort();
    memcpy(c->issuer, s->wire.id.bytes, ID_BYTES);
    memcpy(c->source, s->wire.id.bytes, ID_BYTES);
    c->ends_ms = INT64_MAX;
    if (document_sign(&certificate, DOCUMENT_COPY_CERTIFICATE, c, &signer) != 0 ||
        CODEC_SET_BYTES(offer->certificate, buf_slice(&certificate)) != 0)
        abort();
}

/* ---- strangers ------------------------------------------------------------------------------------------------ */

static const char *raw(struct stage *s, struct slice bytes, const char *codes)
{
    struct line *l = line_dial(&s->wire, s->address);
    line_say_raw(l, bytes);
    const char *bad = stage_expect_end(s, l, codes);
    line_free(l);
    return bad;
}

static const char *length_4_gib(struct stage *s)
{
    return raw(s, BYTES(255, 255, 255, 255, 0, 70, 0, 0, 0, 1, 0, 0, 0, 0), "too-large");
}

static const char *length_zero(struct stage *s)
{
    return raw(s, BYTES(0, 0, 0, 0, 0, 70, 0, 0, 0, 1, 0, 0, 0, 0), "malformed");
}

static const char *message_beyond_frame(struct stage *s)
{
    return raw(s, BYTES(0, 0, 0, 12, 0, 70, 0, 0, 0, 1, 255, 0, 0, 3), "malformed");
}

static const char *tail_beyond_limit(struct stage *s)
{
    return raw(s, BYTES(0, 0x20, 0, 10, 0, 70, 0, 0, 0, 1, 0, 0, 0, 0), "too-large");
}

static const char *hello_that_acts(struct stage *s) /* DEVICE_HELLO with an escape sequence as its name */
{
    return raw(s, BYTES(0, 0, 0, 16, 0, 70, 0, 0, 0, 0, 0, 0, 0, 6, 10, 4, 27, '[', '2', 'J'),
               "malformed|unknown-device|not-permitted");
}

/* Everything a stranger may ask: refused or hung up on, never answered. */
static const char *stranger_asks(struct stage *s, bool greets, uint16_t type, const pb_msgdesc_t *fields,
                                 const void *message, struct slice tail)
{
    struct line *l = greets ? meet(s, slice(NULL, 0)) : line_dial(&s->wire, s->address);
    if (!l)
        return s->complaint;
    line_say(l, type, 5, fields, message, tail);
    const char *bad = NULL;
    int64_t end_ms = wire_now_ms() + WIRE_WAIT_MS;
    for (;;) {
        struct heard *h CLEANUP(freep) = line_hear(l, end_ms - wire_now_ms());
        if (!h) {
            if (l->peer)
                bad = stage_complain(s, "neither refused nor hung up on");
            break;
        }
        if (h->type == msg_Type_REFUSAL)
            break;
        if (h->type != msg_Type_DEVICE_HELLO) {
            bad = stage_complain(s, "a stranger was answered with type %u", h->type);
            break;
        }
    }
    line_free(l);
    return bad;
}

static const char *stranger_info(struct stage *s)
{
    msg_InfoGet get;
    memcpy(get.content, s->content.bytes, ID_BYTES);
    return stranger_asks(s, true, msg_Type_INFO_GET, msg_InfoGet_fields, &get, slice(NULL, 0));
}

static const char *stranger_info_before_hello(struct stage *s)
{
    msg_InfoGet get;
    memcpy(get.content, s->content.bytes, ID_BYTES);
    return stranger_asks(s, false, msg_Type_INFO_GET, msg_InfoGet_fields, &get, slice(NULL, 0));
}

static const char *stranger_blocks(struct stage *s)
{
    msg_BlocksGet get = { .count = 1 };
    memcpy(get.content, s->content.bytes, ID_BYTES);
    return stranger_asks(s, true, msg_Type_BLOCKS_GET, msg_BlocksGet_fields, &get, slice(NULL, 0));
}

static const char *stranger_fetch(struct stage *s)
{
    msg_Fetch fetch;
    memcpy(fetch.content, s->content.bytes, ID_BYTES);
    return stranger_asks(s, true, msg_Type_FETCH, msg_Fetch_fields, &fetch, slice(NULL, 0));
}

/* What the household shares is nobody else's. */
static const char *stranger_state(struct stage *s)
{
    return stranger_asks(s, true, msg_Type_STATE_GET, msg_StateGet_fields, &(msg_StateGet){ 0 }, slice(NULL, 0));
}

static const char *stranger_offer_garbage(struct stage *s)
{
    msg_Offer offer;
    make_offer(s, &offer);
    return stranger_asks(s, true, msg_Type_OFFER, msg_Offer_fields, &offer, slice(NULL, 0));
}

static const char *stranger_offer_forged(struct stage *s)
{
    msg_Offer offer;
    make_forged_offer(s, &offer);
    return stranger_asks(s, true, msg_Type_OFFER, msg_Offer_fields, &offer, slice(NULL, 0));
}

static const char *stranger_delivered(struct stage *s)
{
    msg_Delivered delivered = msg_Delivered_init_zero;
    return stranger_asks(s, true, msg_Type_DELIVERED, msg_Delivered_fields, &delivered, slice(NULL, 0));
}

static const char *stranger_withdraw(struct stage *s)
{
    msg_Withdraw withdraw = msg_Withdraw_init_zero;
    return stranger_asks(s, true, msg_Type_WITHDRAW, msg_Withdraw_fields, &withdraw, slice(NULL, 0));
}

static const char *stranger_unknown_type(struct stage *s)
{
    return stranger_asks(s, true, 60000, NULL, NULL, slice("tail", 4));
}

static const char *stranger_as_distributor(struct stage *s)
{
    return stranger_asks(s, false, msg_Type_KEYSET, NULL, NULL, slice("garbage", 7));
}

static const char *stranger_to_the_vault(struct stage *s) /* types of another interface: PLAY_OPEN, GET of the CLI */
{
    const char *bad = stranger_asks(s, true, 127, NULL, NULL, slice(NULL, 0));
    return bad ? bad : stranger_asks(s, true, 234, NULL, NULL, slice(NULL, 0));
}

static const char *roster_presented(struct stage *s, struct slice roster)
{
    struct line *l = meet(s, roster);
    if (!l)
        return s->complaint;
    msg_Fetch fetch;
    memcpy(fetch.content, s->content.bytes, ID_BYTES);
    LINE_SAY(l, msg_Type_FETCH, 5, msg_Fetch, &fetch);
    struct heard *h;
    const char *bad = NULL;
    while (!bad && (h = line_hear(l, WIRE_WAIT_MS))) {
        bool refused = h->type == msg_Type_REFUSAL;
        if (!refused && h->type != msg_Type_DEVICE_HELLO)
            bad = stage_complain(s, "answered with type %u", h->type);
        free(h);
        if (refused)
            break;
    }
    line_free(l);
    return bad;
}

static const char *roster_garbage(struct stage *s)
{
    uint8_t noise[9000];
    rng_fill(rng_system(), noise, sizeof(noise));
    return roster_presented(s, SLICE_ARRAY(noise));
}

/* A roster of one's own making that lists oneself. */
static const char *roster_forged(struct stage *s)
{
    struct signer signer;
    struct buf envelope CLEANUP(buf_free) = buf(32 * 1024);
    doc_Roster *r CLEANUP(freep) = calloc(1, sizeof(*r));
    if (!r)
        abort();
    signer_from_pair(&signer, &s->wire.key);
    memcpy(r->distributor, s->wire.id.bytes, ID_BYTES);
    r->sequence = INT64_MAX;
    r->ends_ms = INT64_MAX;
    r->devices_count = 1;
    memcpy(r->devices[0].client, s->wire.id.bytes, ID_BYTES);
    if (document_sign(&envelope, DOCUMENT_ROSTER, r, &signer) != 0)
        abort();
    return roster_presented(s, buf_slice(&envelope));
}

/* ---- a member that has turned ---------------------------------------------------------------------------------- */

static const char *member_asks(struct stage *s, uint16_t type, const pb_msgdesc_t *fields, const void *message,
                               struct slice tail, const char *codes)
{
    struct line *l = stage_meet_as_member(s);
    if (!l)
        return s->complaint;
    line_say(l, type, 5, fields, message, tail);
    struct heard *h CLEANUP(freep) = line_hear(l, WIRE_WAIT_MS);
    const char *bad = NULL;
    if (h && h->type != msg_Type_REFUSAL)
        bad = stage_complain(s, "answered with type %u, expected %s", h->type, codes);
    else if (!h && l->peer)
        bad = stage_complain(s, "neither refused nor hung up on");
    line_free(l);
    return bad;
}

static const char *list(struct stage *s, uint32_t first, uint32_t count)
{
    msg_ListGet get = { .first = first, .count = count };
    memcpy(get.content, s->content.bytes, ID_BYTES);
    return member_asks(s, msg_Type_LIST_GET, msg_ListGet_fields, &get, slice(NULL, 0), "malformed");
}

static const char *blocks(struct stage *s, uint32_t first, uint32_t count)
{
    msg_BlocksGet get = { .first = first, .count = count };
    memcpy(get.content, s->content.bytes, ID_BYTES);
    return member_asks(s, msg_Type_BLOCKS_GET, msg_BlocksGet_fields, &get, slice(NULL, 0), "malformed");
}

static const char *list_beyond(struct stage *s) { return list(s, UINT32_MAX, 1); }

static const char *list_wraps(struct stage *s) { return list(s, 1, UINT32_MAX); }

static const char *list_none(struct stage *s) { return list(s, 0, 0); }

static const char *blocks_beyond(struct stage *s) { return blocks(s, UINT32_MAX, 1); }

static const char *blocks_wrap(struct stage *s) { return blocks(s, 1, UINT32_MAX); }

static const char *blocks_all_and_more(struct stage *s) { return blocks(s, 0, UINT32_MAX); }

static const char *blocks_none(struct stage *s) { return blocks(s, 0, 0); }

static const char *offer_garbage(struct stage *s)
{
    msg_Offer offer;
    make_offer(s, &offer);
    return member_asks(s, msg_Type_OFFER, msg_Offer_fields, &offer, slice(NULL, 0), STRANGER_CODES);
}

static const char *offer_forged(struct stage *s)
{
    msg_Offer offer;
    make_forged_offer(s, &offer);
    return member_asks(s, msg_Type_OFFER, msg_Offer_fields, &offer, slice(NULL, 0), STRANGER_CODES);
}

static const char *delivered_nothing(struct stage *s)
{
    msg_Delivered delivered = msg_Delivered_init_zero;
    return member_asks(s, msg_Type_DELIVERED, msg_Delivered_fields, &delivered, slice(NULL, 0),
                       "malformed|signature-invalid");
}

static const char *delivered_own_invention(struct stage *s)
{
    struct signer signer;
    struct buf envelope CLEANUP(buf_free) = buf(384);
    msg_Delivered delivered = msg_Delivered_init_zero;
    signer_from_pair(&signer, &s->wire.key);
    doc_Receipt receipt = { .outcome = RECEIPT_STORED };
    memcpy(receipt.destination, s->wire.id.bytes, ID_BYTES);
    if (document_sign(&envelope, DOCUMENT_RECEIPT, &receipt, &signer) != 0 ||
        CODEC_SET_BYTES(delivered.receipt, buf_slice(&envelope)) != 0)
        abort();
    struct line *l = stage_meet_as_member(s);
    if (!l)
        return s->complaint;
    LINE_SAY(l, msg_Type_DELIVERED, 5, msg_Delivered, &delivered);
    struct heard *h CLEANUP(freep) = line_hear(l, WIRE_WAIT_MS); /* OK for something unknown would do no harm */
    const char *bad = h || !l->peer ? NULL : stage_complain(s, "neither answered nor hung up on");
    line_free(l);
    return bad;
}

static const char *withdraw_garbage(struct stage *s)
{
    msg_Withdraw withdraw = msg_Withdraw_init_zero;
    return member_asks(s, msg_Type_WITHDRAW, msg_Withdraw_fields, &withdraw, slice(NULL, 0),
                       "malformed|signature-invalid");
}

static const char *fetch_of_nothing(struct stage *s)
{
    msg_Fetch fetch = { { 0x17 } };
    return member_asks(s, msg_Type_FETCH, msg_Fetch_fields, &fetch, slice(NULL, 0),
                       "no-license|unknown-content|not-found");
}

static const char *unknown_type(struct stage *s)
{
    return member_asks(s, 60000, NULL, NULL, slice("tail", 4), "not-permitted|malformed");
}

static const char *second_hello(struct stage *s)
{
    msg_DeviceHello hello = { .name = "again" };
    struct line *l = stage_meet_as_member(s);
    if (!l)
        return s->complaint;
    line_say(l, msg_Type_DEVICE_HELLO, 0, msg_DeviceHello_fields, &hello, slice(NULL, 0));
    const char *bad = stage_expect_alive(s, l); /* passed over, or hung up on: it changes nothing */
    if (bad && !l->peer)
        bad = NULL;
    line_free(l);
    return bad;
}

/* Blocks, lists, answers for which nobody asked: hung up on, or not heard; never stored. */
static const char *unasked(struct stage *s, uint16_t type, uint32_t id, const pb_msgdesc_t *fields, const void *message,
                           struct slice tail)
{
    struct line *l = stage_meet_as_member(s);
    if (!l)
        return s->complaint;
    for (int i = 0; i < 20; i++)
        line_say(l, type, id, fields, message, tail);
    line_flush(l, WIRE_WAIT_MS);
    const char *bad = l->peer ? stage_expect_alive(s, l) : NULL;
    if (bad && !l->peer)
        bad = NULL; /* hung up on meanwhile */
    line_free(l);
    return bad;
}

static const char *blocks_nobody_asked_for(struct stage *s)
{
    uint8_t bytes[4140] = { 0 };
    msg_Block block = { .index = UINT32_MAX };
    memcpy(block.content, s->content.bytes, ID_BYTES);
    const char *bad = unasked(s, msg_Type_BLOCK, 2, msg_Block_fields, &block, SLICE_ARRAY(bytes));
    return bad ? bad : unasked(s, msg_Type_BLOCK, 3, msg_Block_fields, &block, SLICE_ARRAY(bytes));
}

static const char *list_nobody_asked_for(struct stage *s)
{
    uint8_t bytes[3200] = { 0 };
    msg_List answer = { .first = UINT32_MAX };
    return unasked(s, msg_Type_LIST, 2, msg_List_fields, &answer, SLICE_ARRAY(bytes));
}

static const char *offer_taken_nobody_asked_for(struct stage *s)
{
    msg_OfferTaken taken = msg_OfferTaken_init_zero;
    return unasked(s, msg_Type_OFFER_TAKEN, 2, msg_OfferTaken_fields, &taken, slice(NULL, 0));
}

#define STRANGER(function)         \
    {                              \
#function, function, false \
    }
static const struct hostile_case strangers[] = {
    STRANGER(length_4_gib),
    STRANGER(length_zero),
    STRANGER(message_beyond_frame),
    STRANGER(tail_beyond_limit),
    STRANGER(hello_that_acts),
    STRANGER(stranger_info),
    STRANGER(stranger_info_before_hello),
    STRANGER(stranger_blocks),
    STRANGER(stranger_fetch),
    STRANGER(stranger_state),
    STRANGER(stranger_offer_garbage),
    STRANGER(stranger_offer_forged),
    STRANGER(stranger_delivered),
    STRANGER(stranger_withdraw),
    STRANGER(stranger_unknown_type),
    STRANGER(stranger_as_distributor),
    STRANGER(stranger_to_the_vault),
    STRANGER(roster_garbage),
    STRANGER(roster_forged),
};
const struct hostile_cases against_device = { "device", strangers, ARRAY_COUNT(strangers) };

#define MEMBER(function)          \
    {                             \
#function, function, true \
    }
static const struct hostile_case members[] = {
    MEMBER(list_beyond),
    MEMBER(list_wraps),
    MEMBER(list_none),
    MEMBER(blocks_beyond),
    MEMBER(blocks_wrap),
    MEMBER(blocks_all_and_more),
    MEMBER(blocks_none),
    MEMBER(offer_garbage),
    MEMBER(offer_forged),
    MEMBER(delivered_nothing),
    MEMBER(delivered_own_invention),
    MEMBER(withdraw_garbage),
    MEMBER(fetch_of_nothing),
    MEMBER(unknown_type),
    MEMBER(second_hello),
    MEMBER(blocks_nobody_asked_for),
    MEMBER(list_nobody_asked_for),
    MEMBER(offer_taken_nobody_asked_for),
};
const struct hostile_cases against_device_member = { "device-member", members, ARRAY_COUNT(members) };
