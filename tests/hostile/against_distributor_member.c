/* A registered device that turns on its distributor. */
#include <stdlib.h>

#include "base/util.h"
#include "stage.h"

/* ---- transactions --------------------------------------------------------------------------------------------- */

struct asked {
    struct line *line;
    msg_Welcome welcome;
    msg_Transact transact; /* as an honest device would ask next */
    struct buf tail;
};

static bool ask_begin(struct stage *s, struct asked *a)
{
    *a = (struct asked){ .tail = buf(512 * 1024) };
    a->line = stage_session(s, s->address, &a->welcome);
    if (!a->line)
        return false;
    if (!a->welcome.registered) {
        stage_complain(s, "the member is not registered");
        line_free(a->line);
        return false;
    }
    a->transact = (msg_Transact){ .session = a->welcome.session, .bit = a->welcome.bit ^ 1, .count = 1 };
    rng_fill(rng_system(), a->transact.transaction, sizeof(a->transact.transaction));
    return true;
}

static const char *ask_end(struct asked *a, const char *bad)
{
    line_free(a->line);
    buf_free(&a->tail);
    return bad;
}

static void put_item(struct asked *a, const msg_Item *item)
{
    struct buf bytes CLEANUP(buf_free) = buf(msg_Item_size);
    if (CODEC_ENCODE(msg_Item, &bytes, item) != 0 || codec_list_put(&a->tail, buf_slice(&bytes)) != 0)
        abort();
}

static void put_purchase(struct asked *a, struct slice quote)
{
    msg_Item item = { .has_purchase = true };
    if (CODEC_SET_BYTES(item.purchase.quote, quote) != 0)
        abort();
    put_item(a, &item);
}

static void ask(struct asked *a)
{
    line_say(a->line, msg_Type_TRANSACT, 11, msg_Transact_fields, &a->transact, buf_slice(&a->tail));
}

static const char *expect_refused(struct stage *s, struct asked *a, const char *codes)
{
    ask(a);
    return ask_end(a, stage_expect_refusal(s, a->line, 11, codes, false));
}

/* Answered as a whole; each item refused by itself, with one of the codes. */
static const char *expect_items_refused(struct stage *s, struct asked *a, const char *code, const char *other)
{
    ask(a);
    struct heard *h CLEANUP(freep) = stage_expect_answer(s, a->line, msg_Type_TRANSACTED, 11);
    msg_Transacted answer;
    if (!h || CODEC_DECODE(msg_Transacted, h->message, &answer) != 0)
        return ask_end(a, h ? stage_complain(s, "an answer that cannot be read") : s->complaint);
    struct reader r = reader(h->tail);
    struct slice item;
    uint32_t count = 0;
    while (codec_list_next(&r, msg_Result_size, &item) == 0) {
        msg_Result *result CLEANUP(freep) = malloc(sizeof(*result));
        if (!result || CODEC_DECODE(msg_Result, item, result) != 0 || !result->has_refusal)
            return ask_end(a, stage_complain(s, "item %u was not refused", count));
        if (strcmp(result->refusal.code, code) != 0 && strcmp(result->refusal.code, other) != 0)
            return ask_end(a, stage_complain(s, "item %u: %s, not %s", count, result->refusal.code, code));
        count++;
    }
    if (count != answer.count || count != a->transact.count)
        return ask_end(a, stage_complain(s, "%u results, %u said, %u asked", count, answer.count, a->transact.count));
    return ask_end(a, stage_expect_alive(s, a->line));
}

static const char *transact_count(struct stage *s, uint32_t count, size_t items)
{
    struct asked a;
    if (!ask_begin(s, &a))
        return s->complaint;
    a.transact.count = count;
    for (size_t i = 0; i < items; i++)
        put_purchase(&a, slice("garbage", 7));
    return expect_refused(s, &a, "malformed|too-large");
}

static const char *transact_count_0(struct stage *s) { return transact_count(s, 0, 0); }

static const char *transact_count_257(struct stage *s) { return transact_count(s, 257, 257); }

static const char *transact_count_huge(struct stage *s) { return transact_count(s, UINT32_MAX, 1); }

static const char *transact_count_negative(struct stage *s) { return transact_count(s, 0x80000000u, 1); }

static const char *transact_fewer_items(struct stage *s) { return transact_count(s, 3, 2); }

static const char *transact_more_items(struct stage *s) { return transact_count(s, 2, 3); }

static const char *transact_tail(struct stage *s, struct slice tail)
{
    struct asked a;
    if (!ask_begin(s, &a))
        return s->complaint;
    if (buf_append(&a.tail, tail) != 0)
        abort();
    return expect_refused(s, &a, "malformed|too-large");
}

static const char *transact_item_negative(struct stage *s)
{
    return transact_tail(s, slice("\xff\xff\xff\xff\x01", 5));
}

static const char *transact_item_beyond(struct stage *s) { return transact_tail(s, slice("\x00\x00\x00\x09\x01", 5)); }

static const char *transact_item_cut(struct stage *s) { return transact_tail(s, slice("\x00\x00", 2)); }

/* An item that is none: the whole is malformed, or that item is. */
static const char *transact_bad_item(struct stage *s, const msg_Item *item, const char *codes)
{
    struct asked a;
    if (!ask_begin(s, &a))
        return s->complaint;
    put_item(&a, item);
    ask(&a);
    struct heard *h CLEANUP(freep) = line_hear(a.line, WIRE_WAIT_MS);
    if (h && h->type == msg_Type_TRANSACTED) {
        struct reader r = reader(h->tail);
        struct slice bytes;
        msg_Result *result CLEANUP(freep) = malloc(sizeof(*result));
        bool refused = result && codec_list_next(&r, msg_Result_size, &bytes) == 0 &&
                       CODEC_DECODE(msg_Result, bytes, result) == 0 && result->has_refusal;
        return ask_end(&a, refused ? stage_expect_alive(s, a.line) : stage_complain(s, "the item was done"));
    }
    if (!h || h->type != msg_Type_REFUSAL)
        return ask_end(&a, stage_complain(s, "answered with type %d, expected %s", h ? h->type : -1, codes));
    return ask_end(&a, stage_expect_alive(s, a.line));
}

static const char *transact_empty_item(struct stage *s)
{
    msg_Item item = msg_Item_init_zero;
    return transact_bad_item(s, &item, "malformed");
}

static const char *transact_both_in_one(struct stage *s)
{
    msg_Item item = { .has_purchase = true, .has_copy = true };
    return transact_bad_item(s, &item, "malformed");
}

static const char *transact_garbage_quote(struct stage *s)
{
    struct asked a;
    if (!ask_begin(s, &a))
        return s->complaint;
    put_purchase(&a, slice("garbage", 7));
    return expect_items_refused(s, &a, "malformed", "signature-invalid");
}

/* A price of one's own making. */
static const char *transact_forged_quote(struct stage *s)
{
    struct asked a;
    struct signer signer;
    struct buf envelope CLEANUP(buf_free) = buf(1024);
    if (!ask_begin(s, &a))
        return s->complaint;
    signer_from_pair(&signer, &s->wire.key);
    doc_Quote quote = { .product = 1, .price = -1000000, .currency = "EUR", .ends_ms = INT64_MAX };
    memcpy(quote.client, s->wire.id.bytes, ID_BYTES);
    memcpy(quote.content, s->content.bytes, ID_BYTES);
    if (document_sign(&envelope, DOCUMENT_QUOTE, &quote, &signer) != 0)
        abort();
    put_purchase(&a, buf_slice(&envelope));
    return expect_items_refused(s, &a, "signature-invalid", "malformed");
}

static const char *transact_256_bad_items(struct stage *s)
{
    struct asked a;
    if (!ask_begin(s, &a))
        return s->complaint;
    a.transact.count = 256;
    for (int i = 0; i < 256; i++)
        put_purchase(&a, slice("garbage", 7));
    return expect_items_refused(s, &a, "malformed", "signature-invalid");
}

static const char *transact_copy_of_nothing(struct stage *s)
{
    struct asked a;
    if (!ask_begin(s, &a))
        return s->complaint;
    msg_Item item = { .has_copy = true };
    memset(item.copy.content, 0x5a, sizeof(item.copy.content));
    memset(item.copy.destination, 0xa5, sizeof(item.copy.destination));
    put_item(&a, &item);
    return expect_items_refused(s, &a, "no-license", "unknown-content");
}

static const char *transact_bit_2(struct stage *s)
{
    struct asked a;
    if (!ask_begin(s, &a))
        return s->complaint;
    a.transact.bit = 2;
    put_purchase(&a, slice("garbage", 7));
    return expect_refused(s, &a, "malformed");
}

static const char *transact_zero_id(struct stage *s)
{
    struct asked a;
    if (!ask_begin(s, &a))
        return s->complaint;
    memset(a.transact.transaction, 0, sizeof(a.transact.transaction));
    put_purchase(&a, slice("garbage", 7));
    return expect_refused(s, &a, "malformed");
}

static const char *transact_other_session(struct stage *s)
{
    struct asked a;
    if (!ask_begin(s, &a))
        return s->complaint;
    a.transact.session += 1;
    put_purchase(&a, slice("garbage", 7));
    return expect_refused(s, &a, "session-replaced");
}

static const char *transact_old_connection(struct stage *s)
{
    struct asked a;
    msg_Welcome later;
    if (!ask_begin(s, &a))
        return s->complaint;
    struct line *second = stage_session(s, s->address, &later);
    put_purchase(&a, slice("garbage", 7));
    if (!second)
        return ask_end(&a, s->complaint);
    const char *bad = expect_refused(s, &a, "session-replaced");
    line_free(second);
    return bad;
}

static const char *transact_same_bit_other_id(struct stage *s)
{
    struct asked a;
    if (!ask_begin(s, &a))
        return s->complaint;
    a.transact.bit ^= 1;
    put_purchase(&a, slice("garbage", 7));
    return expect_refused(s, &a, "out-of-step");
}

static const char *commit_of_nothing(struct stage *s)
{
    struct asked a;
    if (!ask_begin(s, &a))
        return s->complaint;
    msg_Commit commit = { .session = UINT64_MAX, .bit = UINT32_MAX };
    LINE_SAY(a.line, msg_Type_COMMIT, 11, msg_Commit, &commit);
    return ask_end(&a, stage_expect_alive(s, a.line));
}

/* ---- other requests ------------------------------------------------------------------------------------------- */

static const char *request(struct stage *s, uint16_t type, const pb_msgdesc_t *fields, const void *message,
                           struct slice tail, const char *codes)
{
    msg_Welcome welcome;
    struct line *l = stage_session(s, s->address, &welcome);
    if (!l)
        return s->complaint;
    line_say(l, type, 5, fields, message, tail);
    const char *bad = stage_expect_refusal(s, l, 5, codes, false);
    line_free(l);
    return bad;
}

static const char *redeem_garbage(struct stage *s)
{
    msg_Redeem redeem = msg_Redeem_init_zero;
    return request(s, msg_Type_REDEEM, msg_Redeem_fields, &redeem, slice(NULL, 0), "malformed|signature-invalid");
}

/* A receipt for a certificate that was never issued, by this device itself. */
static const char *redeem_own_invention(struct stage *s)
{
    struct signer signer;
    struct buf envelope CLEANUP(buf_free) = buf(1024);
    msg_Redeem redeem = msg_Redeem_init_zero;
    signer_from_pair(&signer, &s->wire.key);
    doc_Receipt receipt = { .outcome = RECEIPT_STORED };
    memcpy(receipt.destination, s->wire.id.bytes, ID_BYTES);
    if (document_sign(&envelope, DOCUMENT_RECEIPT, &receipt, &signer) != 0 ||
        CODEC_SET_BYTES(redeem.receipt, buf_slice(&envelope)) != 0)
        abort();
    msg_Welcome welcome;
    struct line *l = stage_session(s, s->address, &welcome);
    if (!l)
        return s->complaint;
    LINE_SAY(l, msg_Type_REDEEM, 5, msg_Redeem, &redeem);
    struct heard *h CLEANUP(freep) =
        line_hear(l, WIRE_WAIT_MS); /* refused, or taken note of for an issuer nobody knows */
    const char *bad = h ? stage_expect_alive(s, l) : stage_complain(s, "no answer");
    line_free(l);
    return bad;
}

static const char *move_done_garbage(struct stage *s)
{
    msg_MoveDone done = msg_MoveDone_init_zero;
    return request(s, msg_Type_MOVE_DONE, msg_MoveDone_fields, &done, slice(NULL, 0), "malformed|signature-invalid");
}

static const char *move_cancel_garbage(struct stage *s)
{
    msg_MoveCancel cancel = msg_MoveCancel_init_zero;
    return request(s, msg_Type_MOVE_CANCEL, msg_MoveCancel_fields, &cancel, slice(NULL, 0),
                   "malformed|signature-invalid");
}

static const char *remove_a_stranger(struct stage *s)
{
    msg_DeviceRemove remove = { { 0x42 } };
    return request(s, msg_Type_DEVICE_REMOVE, msg_DeviceRemove_fields, &remove, slice(NULL, 0),
                   "unknown-device|not-found|not-permitted|not-owned");
}

static const char *rename_a_stranger(struct stage *s)
{
    msg_DeviceRename rename = { { 0x42 }, "mine" };
    return request(s, msg_Type_DEVICE_RENAME, msg_DeviceRename_fields, &rename, slice(NULL, 0),
                   "unknown-device|not-found|not-permitted|not-owned");
}

static const char *link_a_wrong_code(struct stage *s)
{
    msg_Link link = { .address = "127.0.0.1:1", .code = "abcdefgh" };
    return request(s, msg_Type_LINK, msg_Link_fields, &link, slice(NULL, 0),
                   "unknown-distributor|not-permitted|offline|not-found|bad-credentials");
}

static const char *unlink_nobody(struct stage *s)
{
    msg_Unlink unlink = { { 1 } };
    return request(s, msg_Type_UNLINK, msg_Unlink_fields, &unlink, slice(NULL, 0),
                   "unknown-distributor|not-found|not-permitted|already");
}

static const char *quote_of_nothing(struct stage *s)
{
    msg_QuoteGet get = { .product = UINT32_MAX };
    return request(s, msg_Type_QUOTE_GET, msg_QuoteGet_fields, &get, slice(NULL, 0),
                   "unknown-content|not-found|choose-product");
}

static const char *catalogue_beyond_the_end(struct stage *s)
{
    msg_Welcome welcome;
    msg_CatalogueGet get = { .query = "%_\\' \"; DROP TABLE users; --", .offset = UINT32_MAX };
    struct line *l = stage_session(s, s->address, &welcome);
    if (!l)
        return s->complaint;
    LINE_SAY(l, msg_Type_CATALOGUE_GET, 5, msg_CatalogueGet, &get);
    struct heard *h CLEANUP(freep) = stage_expect_answer(s, l, msg_Type_CATALOGUE, 5);
    const char *bad = h ? stage_expect_alive(s, l) : s->complaint;
    line_free(l);
    return bad;
}

/* ---- bodies --------------------------------------------------------------------------------------------------- */

static const char *list(struct stage *s, uint32_t first, uint32_t count)
{
    msg_ListGet get = { .first = first, .count = count };
    memcpy(get.content, s->content.bytes, ID_BYTES);
    return request(s, msg_Type_LIST_GET, msg_ListGet_fields, &get, slice(NULL, 0), "malformed|too-large|not-found");
}

static const char *blocks(struct stage *s, uint32_t first, uint32_t count)
{
    msg_BlocksGet get = { .first = first, .count = count };
    memcpy(get.content, s->content.bytes, ID_BYTES);
    return request(s, msg_Type_BLOCKS_GET, msg_BlocksGet_fields, &get, slice(NULL, 0), "malformed|too-large|not-found");
}

static const char *list_beyond(struct stage *s) { return list(s, UINT32_MAX, 1); }

static const char *list_wraps(struct stage *s) { return list(s, 1, UINT32_MAX); }

static const char *list_all_and_more(struct stage *s) { return list(s, 0, UINT32_MAX); }

static const char *list_none(struct stage *s) { return list(s, 0, 0); }

static const char *blocks_beyond(struct stage *s) { return blocks(s, UINT32_MAX, 1); }

static const char *blocks_wrap(struct stage *s) { return blocks(s, 1, UINT32_MAX); }

static const char *blocks_all_and_more(struct stage *s) { return blocks(s, 0, UINT32_MAX); }

static const char *blocks_none(struct stage *s) { return blocks(s, 0, 0); }

static const char *blocks_of_nothing(struct stage *s)
{
    msg_BlocksGet get = { .content = { 7 }, .count = 1 };
    return request(s, msg_Type_BLOCKS_GET, msg_BlocksGet_fields, &get, slice(NULL, 0), "unknown-content");
}

#define CASE(function)            \
    {                             \
#function, function, true \
    }
static const struct hostile_case cases[] = {
    CASE(transact_count_0),
    CASE(transact_count_257),
    CASE(transact_count_huge),
    CASE(transact_count_negative),
    CASE(transact_fewer_items),
    CASE(transact_more_items),
    CASE(transact_item_negative),
    CASE(transact_item_beyond),
    CASE(transact_item_cut),
    CASE(transact_empty_item),
    CASE(transact_both_in_one),
    CASE(transact_garbage_quote),
    CASE(transact_forged_quote),
    CASE(transact_256_bad_items),
    CASE(transact_copy_of_nothing),
    CASE(transact_bit_2),
    CASE(transact_zero_id),
    CASE(transact_other_session),
    CASE(transact_old_connection),
    CASE(transact_same_bit_other_id),
    CASE(commit_of_nothing),
    CASE(redeem_garbage),
    CASE(redeem_own_invention),
    CASE(move_done_garbage),
    CASE(move_cancel_garbage),
    CASE(remove_a_stranger),
    CASE(rename_a_stranger),
    CASE(link_a_wrong_code),
    CASE(unlink_nobody),
    CASE(quote_of_nothing),
    CASE(catalogue_beyond_the_end),
    CASE(list_beyond),
    CASE(list_wraps),
    CASE(list_all_and_more),
    CASE(list_none),
    CASE(blocks_beyond),
    CASE(blocks_wrap),
    CASE(blocks_all_and_more),
    CASE(blocks_none),
    CASE(blocks_of_nothing),
};
const struct hostile_cases against_distributor_member = { "distributor-member", cases, ARRAY_COUNT(cases) };
