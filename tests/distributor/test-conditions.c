/* Use conditions at their issuer: nothing sold twice over by renewing, buying again or moving to and fro. docs/USE-CONDITIONS.md. */
#include "town.h"

#include <stdio.h>

#include "base/util.h"
#include "distributor/conditions.h"
#include "crypto/seal.h"
#include "distributor/licenses.h"

enum { TEN_PLAYS = 1, A_MONTH, A_MONTH_OF_PLAYS, UNTIL_A_DAY, TO_LEND, LEASED, PRODUCT_COUNT };

static struct town town;
static struct gadget kitchen, attic, spare;
static struct id song;
static uint32_t numbers[PRODUCT_COUNT];
static uint8_t license_id[16];
static uint32_t cut_off; /* recoveries that a vault says */

static void offer_products(void)
{
    struct product plays = { .name = "Ten plays", .price = 100, .has_renew_price = true, .renew_price = 50 };
    plays.conditions.has_max_plays = true;
    plays.conditions.max_plays = 10;
    plays.conditions.has_max_recoveries = true;
    plays.conditions.max_recoveries = 3;
    struct product month = plays;
    strcpy(month.name, "A month");
    month.conditions.has_max_plays = false;
    month.conditions.max_plays = 0;
    month.has_usage_for_ms = true;
    month.usage_for_ms = 30 * TOWN_DAY_MS;
    struct product both = month;
    strcpy(both.name, "A month of plays");
    both.conditions = plays.conditions;
    struct product day = plays;
    strcpy(day.name, "Until a day");
    day.conditions = (doc_Conditions){ .has_usage_until_ms = true, .usage_until_ms = TOWN_START_MS + TOWN_DAY_MS };
    struct product lend = { .name = "To lend", .price = 100 };
    lend.conditions.has_max_checkouts = true;
    lend.conditions.max_checkouts = 5;
    struct product leased = { .name = "Leased", .price = 100, .has_lease_ms = true, .lease_ms = TOWN_DAY_MS };
    leased.conditions.has_max_play_ms = true;
    leased.conditions.max_play_ms = INT64_MAX;
    struct product *all[] = { [TEN_PLAYS] = &plays, [A_MONTH] = &month, [A_MONTH_OF_PLAYS] = &both,
                              [UNTIL_A_DAY] = &day, [TO_LEND] = &lend,  [LEASED] = &leased };
    struct transaction t CLEANUP(transaction_end) = { 0 };
    assert_int_equal(transaction_begin(&t, town.a.o->store), 0);
    for (size_t i = TEN_PLAYS; i < PRODUCT_COUNT; i++) {
        assert_int_equal(products_add(town.a.o, all[i]), 0);
        numbers[i] = all[i]->number;
    }
    assert_int_equal(contents_offer(town.a.o, &song, numbers + TEN_PLAYS, PRODUCT_COUNT - TEN_PLAYS), 0);
    assert_int_equal(transaction_commit(&t), 0);
}

static int set_up(void **state)
{
    (void)state;
    cut_off = 0;
    town_init(&town);
    shop_user(&town.a, "alice", 20000);
    gadget_init(&town, &kitchen, "kitchen");
    gadget_init(&town, &attic, "attic");
    gadget_init(&town, &spare, "spare");
    assert_int_equal(gadget_register(&town.a, &kitchen, "alice", TOWN_PASSWORD), 0);
    assert_int_equal(gadget_register(&town.a, &attic, "alice", TOWN_PASSWORD), 0);
    assert_int_equal(gadget_register(&town.a, &spare, "alice", TOWN_PASSWORD), 0);
    song = shop_publish(&town.a, "Reverie", 499, 50, 2, 1);
    shop_license_id(&town.a, &song, license_id);
    offer_products();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    shop_check(&town.a);
    gadget_deinit(&kitchen);
    gadget_deinit(&attic);
    gadget_deinit(&spare);
    town_deinit(&town);
    return 0;
}

static int only(struct gadget *g, struct order *order, msg_Result *out)
{
    static struct results results;
    assert_int_equal(gadget_transact(&town.a, g, order, &results), 0);
    *out = results.results[0];
    return out->has_refusal ? (int)reason_of_code(out->refusal.code) : 0;
}

static int quote_of(struct gadget *g, uint32_t kind, int product, msg_Quote *out)
{
    struct reply reply CLEANUP(reply_free);
    msg_QuoteGet m = { .product = numbers[product], .has_kind = true, .kind = kind };
    reply_init(&reply);
    memcpy(m.content, song.bytes, ID_BYTES);
    int r = RUN(&town.a, &g->who, QUOTE_GET, msg_QuoteGet, &m, &reply);
    if (r == 0)
        REPLY_AS(&reply, QUOTE, msg_Quote, out);
    return r;
}

static int buy(struct gadget *g, const msg_Quote *quote)
{
    struct order order;
    msg_Result result;
    order_init(&order);
    order_purchase(&order, CODEC_BYTES(quote->quote));
    return only(g, &order, &result);
}

/* Quotes and buys: a purchase (kind 1) or renewal (2) by this product. */
static int sell(struct gadget *g, uint32_t kind, int product)
{
    msg_Quote quote;
    int r = quote_of(g, kind, product, &quote);
    return r != 0 ? r : buy(g, &quote);
}

static struct license license_of(const struct gadget *g)
{
    struct license l;
    assert_int_equal(licenses_find(town.a.o, license_id, &g->client, &l), 0);
    return l;
}

static void a_license_is_renewed_by_what_limits_it_as_well(void **state)
{
    (void)state;
    assert_int_equal(sell(&kitchen, 1, TEN_PLAYS), 0);
    assert_int_equal(sell(&attic, 1, A_MONTH), 0);
    assert_int_equal(sell(&spare, 1, A_MONTH_OF_PLAYS), 0);
    int64_t spent = shop_balance(&town.a, "alice");
    assert_int_equal(sell(&kitchen, 2, A_MONTH), REASON_NOT_PERMITTED); /* neither plays nor end would be left */
    assert_int_equal(sell(&kitchen, 2, A_MONTH_OF_PLAYS), REASON_NOT_PERMITTED);
    assert_int_equal(sell(&attic, 2, TEN_PLAYS), REASON_NOT_PERMITTED);
    assert_int_equal(sell(&attic, 2, A_MONTH_OF_PLAYS), REASON_NOT_PERMITTED);
    assert_int_equal(shop_balance(&town.a, "alice"), spent);
    assert_int_equal(sell(&kitchen, 2, TEN_PLAYS), 0);
    assert_int_equal(license_of(&kitchen).conditions.max_plays, 20);
    uint64_t end = license_of(&spare).conditions.usage_until_ms;
    assert_int_equal(sell(&spare, 2, A_MONTH), 0); /* sold without counting plays, with an end */
    assert_false(license_of(&spare).conditions.has_max_plays);
    assert_int_equal(license_of(&spare).conditions.usage_until_ms, end + 30 * TOWN_DAY_MS);
    assert_int_equal(shop_balance(&town.a, "alice"), spent - 100);
}

/* Two quotes for the same renewal: the second is of an edition that is no more, and would sell what is there already. */
static void a_renewal_is_of_one_edition(void **state)
{
    (void)state;
    msg_Quote first, second;
    assert_int_equal(sell(&kitchen, 1, TEN_PLAYS), 0);
    assert_int_equal(quote_of(&kitchen, 2, TEN_PLAYS, &first), 0);
    assert_int_equal(quote_of(&kitchen, 2, TEN_PLAYS, &second), 0);
    assert_int_equal(buy(&kitchen, &first), 0);
    int64_t spent = shop_balance(&town.a, "alice");
    assert_int_equal(buy(&kitchen, &second), REASON_QUOTE_CHANGED);
    assert_int_equal(shop_balance(&town.a, "alice"), spent);
    assert_int_equal(license_of(&kitchen).conditions.max_plays, 20);
}

static void a_renewal_that_adds_nothing_is_not_sold(void **state)
{
    (void)state;
    assert_int_equal(sell(&kitchen, 1, UNTIL_A_DAY), 0);
    assert_int_equal(sell(&attic, 1, A_MONTH), 0);
    int64_t spent = shop_balance(&town.a, "alice");
    assert_int_equal(sell(&kitchen, 2, UNTIL_A_DAY), REASON_NOT_PERMITTED); /* its end does not move */
    assert_int_equal(sell(&attic, 2, UNTIL_A_DAY), REASON_NOT_PERMITTED);   /* and here would come sooner */
    assert_int_equal(shop_balance(&town.a, "alice"), spent);
}

static int add_option(int product, struct product_option option)
{
    struct transaction t CLEANUP(transaction_end) = { 0 };
    option.product = numbers[product];
    strcpy(option.name, "More");
    assert_int_equal(transaction_begin(&t, town.a.o->store), 0);
    int r = products_add_option(town.a.o, &option);
    assert_int_equal(transaction_commit(&t), 0);
    return r;
}

static void an_option_adds_to_what_its_product_limits(void **state)
{
    (void)state;
    assert_int_equal(add_option(TEN_PLAYS, (struct product_option){ .price = 10 }), REASON_NOT_PERMITTED);
    assert_int_equal(add_option(TEN_PLAYS, (struct product_option){ .usage_ms = 1 }), REASON_NOT_PERMITTED);
    assert_int_equal(add_option(TEN_PLAYS, (struct product_option){ .play_ms = 1 }), REASON_NOT_PERMITTED);
    assert_int_equal(add_option(A_MONTH, (struct product_option){ .plays = 1 }), REASON_NOT_PERMITTED);
    assert_int_equal(add_option(A_MONTH, (struct product_option){ .usage_ms = 1, .plays = 1 }), REASON_NOT_PERMITTED);
    assert_int_equal(add_option(LEASED, (struct product_option){ .checkouts = 1 }), REASON_NOT_PERMITTED);
    assert_int_equal(add_option(LEASED, (struct product_option){ .copies = 1 }), REASON_NOT_PERMITTED);
    assert_int_equal(add_option(LEASED, (struct product_option){ .record = true }), 0);
    assert_int_equal(add_option(TEN_PLAYS, (struct product_option){ .plays = 1, .copies = 1 }), 0);
    assert_int_equal(add_option(A_MONTH, (struct product_option){ .usage_ms = 1 }), 0);
}

static void limits_add_up_to_a_limit(void **state)
{
    (void)state;
    const struct {
        uint32_t limit, more, together;
    } cases[] = { { 2, 3, 5 },
                  { PRODUCTS_NO_LIMIT - 1, 1, PRODUCTS_NO_LIMIT - 1 },
                  { 7, PRODUCTS_NO_LIMIT - 2, PRODUCTS_NO_LIMIT - 1 },
                  { 7, PRODUCTS_NO_LIMIT, PRODUCTS_NO_LIMIT },
                  { PRODUCTS_NO_LIMIT, 7, PRODUCTS_NO_LIMIT } };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        doc_Conditions c = { .max_copies = cases[i].limit,
                             .copy_depth = cases[i].limit,
                             .max_removable = cases[i].limit };
        const struct product_option o = { .copies = cases[i].more,
                                          .copy_depth = cases[i].more,
                                          .removables = cases[i].more };
        conditions_add(&c, &o);
        assert_int_equal(c.max_copies, cases[i].together);
        assert_int_equal(c.copy_depth, cases[i].together);
        assert_int_equal(c.max_removable, cases[i].together);
    }
}

static void a_period_that_ends_before_it_begins_is_no_product(void **state)
{
    (void)state;
    struct product p = { .name = "Never", .price = 1 };
    p.conditions.has_usage_from_ms = p.conditions.has_usage_until_ms = true;
    p.conditions.usage_from_ms = 2;
    p.conditions.usage_until_ms = 1;
    assert_int_equal(products_add(town.a.o, &p), REASON_MALFORMED);
    p.conditions =
        (doc_Conditions){ .has_download_from_ms = true, .download_from_ms = 2, .has_download_until_ms = true };
    assert_int_equal(products_add(town.a.o, &p), REASON_MALFORMED);
}

/* --- Moving -------------------------------------------------------------------------------------------------------- */

static struct slice say_used(const struct gadget *g, uint32_t plays, uint64_t play_ms, bool returned, struct buf *out)
{
    const doc_Use said = { .plays = plays,
                           .play_ms = play_ms,
                           .returned = returned,
                           .recoveries = cut_off,
                           .signed_ms = (uint64_t)town.now_ms };
    return gadget_say_used(&town.a, g, license_id, &said, out);
}

static int send(struct gadget *g, const msg_Item *item, msg_Result *result)
{
    struct order order;
    struct buf bytes CLEANUP(buf_free) = buf(2048);
    assert_int_equal(CODEC_ENCODE(msg_Item, &bytes, item), 0);
    order_init(&order);
    assert_int_equal(codec_list_put(&order.tail, buf_slice(&bytes)), 0);
    order.count = 1;
    return only(g, &order, result);
}

static int ask_move(struct gadget *from, const struct gadget *to, uint32_t plays, bool checkout, msg_Result *result)
{
    msg_Item item = { .has_copy = true, .copy = { .move = true, .has_use = true } };
    struct buf envelope CLEANUP(buf_free) = buf(512);
    memcpy(item.copy.content, song.bytes, ID_BYTES);
    memcpy(item.copy.license_id, license_id, sizeof(license_id));
    memcpy(item.copy.destination, to->client.bytes, ID_BYTES);
    item.copy.has_checkout = item.copy.checkout = checkout;
    assert_int_equal(CODEC_SET_BYTES(item.copy.use, say_used(from, plays, 0, false, &envelope)), 0);
    return send(from, &item, result);
}

static int refresh(struct gadget *g, uint32_t plays, uint64_t play_ms, bool give_back)
{
    msg_Result result;
    msg_Item item = { .has_refresh = true };
    struct buf envelope CLEANUP(buf_free) = buf(512);
    assert_int_equal(CODEC_SET_BYTES(item.refresh.use, say_used(g, plays, play_ms, give_back, &envelope)), 0);
    return send(g, &item, &result);
}

static int move(struct gadget *from, const struct gadget *to, uint32_t plays, msg_Result *result)
{
    return ask_move(from, to, plays, false, result);
}

/* What the source's vault opens. */
static void open_move(const struct gadget *from, const msg_Result *result, doc_CopyCertificate *certificate)
{
    uint8_t plain[sizeof(result->certificate.bytes)], signer[32];
    assert_int_equal(seal_open(&from->sealing, CODEC_BYTES(result->certificate), plain), 0);
    struct slice envelope = slice(plain, result->certificate.size - SEAL_OVERHEAD_BYTES);
    assert_int_equal(document_open(DOCUMENT_COPY_CERTIFICATE, envelope, certificate, sizeof(*certificate), signer), 0);
}

static void stored(struct gadget *to, const doc_CopyCertificate *certificate)
{
    struct buf receipt CLEANUP(buf_free) = buf(512);
    gadget_receipt(to, certificate, 1, town.now_ms, &receipt);
    assert_int_equal(gadget_redeem(&town.a, &to->who, buf_slice(&receipt)), 0);
}

/* An edition that hearthd holds back, to give it to the vault when the license is elsewhere. */
static void what_moves_is_the_latest_edition(void **state)
{
    (void)state;
    msg_Result result;
    struct buf envelope CLEANUP(buf_free) = buf(512);
    uint8_t before[32], after[32];
    assert_int_equal(sell(&kitchen, 1, A_MONTH), 0);
    const doc_Use old = { .sequence = license_of(&kitchen).sequence };
    assert_int_equal(sell(&kitchen, 2, A_MONTH), 0);
    assert_true(license_of(&kitchen).sequence > old.sequence);
    shop_digest(&town.a, before);
    msg_Item item = { .has_copy = true, .copy = { .move = true, .has_use = true } };
    memcpy(item.copy.content, song.bytes, ID_BYTES);
    memcpy(item.copy.license_id, license_id, sizeof(license_id));
    memcpy(item.copy.destination, attic.client.bytes, ID_BYTES);
    assert_int_equal(CODEC_SET_BYTES(item.copy.use, gadget_say_used(&town.a, &kitchen, license_id, &old, &envelope)),
                     0);
    assert_int_equal(send(&kitchen, &item, &result), REASON_OUT_OF_STEP);
    item.copy.has_use = false; /* nor without a word, though nothing of it is counted */
    assert_int_equal(send(&kitchen, &item, &result), REASON_MALFORMED);
    shop_digest(&town.a, after);
    assert_memory_equal(before, after, 32);
    assert_int_equal(move(&kitchen, &attic, 0, &result), 0);
}

static void what_was_moved_away_is_not_sold_again_beside(void **state)
{
    (void)state;
    msg_Result result;
    doc_CopyCertificate certificate;
    assert_int_equal(sell(&kitchen, 1, TEN_PLAYS), 0);
    assert_int_equal(move(&kitchen, &attic, 4, &result), 0);
    open_move(&kitchen, &result, &certificate);
    stored(&attic, &certificate);
    assert_int_equal(license_of(&attic).conditions.max_plays, 6);
    assert_int_equal(sell(&kitchen, 1, TEN_PLAYS), 0);
    assert_int_equal(license_of(&kitchen).conditions.max_plays, 14); /* its vault has counted four */
}

/* What was used is written down before the price is judged: an item that is refused takes that back as well. */
static void a_refused_move_leaves_no_trace(void **state)
{
    (void)state;
    msg_Result result;
    uint8_t before[32], after[32];
    assert_int_equal(sell(&kitchen, 1, TEN_PLAYS), 0);
    assert_true(shop_change(&town.a, "UPDATE product SET copy_price = 1000000"));
    {
        struct transaction t CLEANUP(transaction_end) = { 0 };
        assert_int_equal(transaction_begin(&t, town.a.o->store), 0);
        assert_int_equal(operations_setting_set(town.a.o, "move-charged", "yes"), 0);
        assert_int_equal(transaction_commit(&t), 0);
    }
    shop_digest(&town.a, before);
    assert_int_equal(move(&kitchen, &attic, 4, &result), REASON_CREDIT_REFUSED);
    shop_digest(&town.a, after);
    assert_memory_equal(before, after, 32);
    assert_int_equal(license_of(&kitchen).used.plays, 0);
}

static int move_cut_off(struct gadget *from, struct gadget *to, uint32_t recoveries)
{
    msg_Result result;
    doc_CopyCertificate certificate;
    cut_off = recoveries;
    int r = move(from, to, 0, &result);
    if (r != 0)
        return r;
    open_move(from, &result, &certificate);
    stored(to, &certificate);
    return 0;
}

/* R2: to and fro, no more of them than were sold. */
static void the_recoveries_that_are_left_move_along(void **state)
{
    (void)state;
    assert_int_equal(sell(&kitchen, 1, TEN_PLAYS), 0);
    assert_int_equal(move_cut_off(&kitchen, &attic, 2), 0);
    assert_int_equal(license_of(&attic).conditions.max_recoveries, 1);
    assert_int_equal(move_cut_off(&attic, &kitchen, 0), 0);
    assert_int_equal(license_of(&kitchen).conditions.max_recoveries, 3);     /* its vault has counted two */
    assert_int_equal(move_cut_off(&kitchen, &attic, 1), REASON_OUT_OF_STEP); /* it had said more */
    assert_int_equal(move_cut_off(&kitchen, &attic, 3), 0);
    assert_int_equal(license_of(&attic).conditions.max_recoveries, 0);
    assert_int_equal(move_cut_off(&attic, &kitchen, 9), 0); /* more than there were */
    assert_int_equal(license_of(&kitchen).conditions.max_recoveries, 3);
}

static void recoveries_are_sold_anew_with_a_license(void **state)
{
    (void)state;
    assert_int_equal(sell(&kitchen, 1, TEN_PLAYS), 0);
    assert_int_equal(move_cut_off(&kitchen, &attic, 2), 0);
    assert_int_equal(sell(&kitchen, 1, TEN_PLAYS), 0);
    assert_int_equal(license_of(&kitchen).conditions.max_recoveries, 5);
}

static void what_would_be_over_is_not_sold(void **state)
{
    (void)state;
    uint8_t before[32], after[32];
    town.now_ms += 2 * TOWN_DAY_MS;
    shop_digest(&town.a, before);
    assert_int_equal(sell(&kitchen, 1, UNTIL_A_DAY), REASON_LICENSE_EXPIRED);
    shop_digest(&town.a, after);
    assert_memory_equal(before, after, 32);
}

static void what_is_over_may_have_been_used_up(void **state)
{
    (void)state;
    assert_int_equal(sell(&kitchen, 1, A_MONTH_OF_PLAYS), 0);
    town.now_ms += 31 * TOWN_DAY_MS;
    assert_int_equal(sell(&kitchen, 1, A_MONTH_OF_PLAYS), 0);
    assert_int_equal(license_of(&kitchen).conditions.max_plays, 20);
}

/* Only the device knows that it is used up: what it buys then is added, of the edition that was quoted. */
static void what_is_used_up_is_bought_anew(void **state)
{
    (void)state;
    msg_Quote quote, second;
    assert_int_equal(sell(&kitchen, 4, TEN_PLAYS), 0); /* it had none: an ordinary purchase */
    assert_int_equal(quote_of(&kitchen, 1, TEN_PLAYS, &quote), REASON_ALREADY);
    assert_int_equal(quote_of(&kitchen, 4, TEN_PLAYS, &quote), 0);
    assert_int_equal(quote_of(&kitchen, 4, TEN_PLAYS, &second), 0);
    assert_true(quote.has_renewal);
    assert_int_equal(quote.renewal, quote.renew_price);
    assert_int_equal(buy(&kitchen, &quote), 0);
    assert_int_equal(license_of(&kitchen).conditions.max_plays, 20);
    assert_int_equal(buy(&kitchen, &second), REASON_QUOTE_CHANGED); /* not twice by quotes of the same moment */
    assert_int_equal(buy(&kitchen, &quote), REASON_QUOTE_CHANGED);
    assert_int_equal(license_of(&kitchen).conditions.max_plays, 20);
}

static void what_has_no_end_is_not_bought_anew(void **state)
{
    (void)state;
    msg_Quote quote;
    assert_int_equal(sell(&kitchen, 1, TO_LEND), 0);
    assert_int_equal(quote_of(&kitchen, 4, TO_LEND, &quote), REASON_ALREADY);
    assert_int_equal(quote_of(&kitchen, 4, TEN_PLAYS, &quote), REASON_ALREADY);
}

static void what_moves_is_not_bought_anew(void **state)
{
    (void)state;
    msg_Quote quote;
    msg_Result result;
    assert_int_equal(sell(&kitchen, 1, TEN_PLAYS), 0);
    assert_int_equal(move(&kitchen, &attic, 1, &result), 0);
    assert_int_equal(quote_of(&kitchen, 4, TEN_PLAYS, &quote), REASON_LICENSE_SUSPENDED);
}

static int terms_of(struct gadget *g, msg_Terms *out)
{
    struct reply reply CLEANUP(reply_free);
    msg_TermsGet m;
    reply_init(&reply);
    memcpy(m.content, song.bytes, ID_BYTES);
    int r = RUN(&town.a, &g->who, TERMS_GET, msg_TermsGet, &m, &reply);
    if (r == 0)
        REPLY_AS(&reply, TERMS, msg_Terms, out);
    return r;
}

static void the_holder_is_told_what_more_costs(void **state)
{
    (void)state;
    msg_Terms terms;
    msg_Quote quote;
    assert_int_equal(terms_of(&kitchen, &terms), REASON_NO_LICENSE);
    assert_int_equal(quote_of(&kitchen, 1, TEN_PLAYS, &quote), 0);
    assert_true(quote.has_renew_price);
    assert_false(quote.has_copy_price); /* it allows none */
    assert_int_equal(buy(&kitchen, &quote), 0);
    assert_int_equal(terms_of(&kitchen, &terms), 0);
    assert_int_equal(terms.renew_price, quote.renew_price);
    assert_int_equal(terms.copies + terms.removables + terms.checkouts, 0);
    assert_int_equal(terms.move_price, 0);
    assert_int_equal(terms_of(&spare, &terms), REASON_NO_LICENSE); /* another's */
    assert_int_equal(sell(&attic, 1, TO_LEND), 0);
    assert_int_equal(terms_of(&attic, &terms), 0);
    assert_false(terms.has_renew_price); /* it has no end */
}

/* Used there meanwhile: the certificate may have been stored there, so it is not voided. */
static void a_certificate_is_voided_by_use_at_its_source_alone(void **state)
{
    (void)state;
    msg_Result result;
    doc_CopyCertificate first, again;
    assert_int_equal(sell(&kitchen, 1, TEN_PLAYS), 0);
    assert_int_equal(sell(&kitchen, 2, TEN_PLAYS), 0);
    assert_int_equal(sell(&attic, 1, TEN_PLAYS), 0);
    assert_int_equal(move(&kitchen, &attic, 1, &result), 0);
    open_move(&kitchen, &result, &first);
    assert_int_equal(move(&attic, &spare, 3, &result), 0); /* says how much attic has used of what it had */
    assert_int_equal(move(&kitchen, &attic, 1, &result), 0);
    open_move(&kitchen, &result, &again);
    assert_memory_equal(again.serial, first.serial, sizeof(first.serial));
    stored(&attic, &first);
    assert_int_equal(license_of(&kitchen).state, LICENSE_GONE);
    assert_int_equal(license_of(&attic).conditions.max_plays, 19);
}

static void a_certificate_that_gives_more_than_is_left_is_voided(void **state)
{
    (void)state;
    msg_Result result;
    doc_CopyCertificate first, again;
    assert_int_equal(sell(&kitchen, 1, TEN_PLAYS), 0);
    assert_int_equal(move(&kitchen, &attic, 1, &result), 0);
    open_move(&kitchen, &result, &first);
    assert_int_equal(move(&kitchen, &attic, 2, &result), 0);
    open_move(&kitchen, &result, &again);
    assert_memory_not_equal(again.serial, first.serial, sizeof(first.serial));
    stored(&attic, &again);
    assert_int_equal(license_of(&attic).conditions.max_plays, 8);
}

/* --- Lending ------------------------------------------------------------------------------------------------------- */

/* Out or back, and stored there. */
static void lend(struct gadget *from, struct gadget *to)
{
    msg_Result result;
    doc_CopyCertificate certificate;
    assert_int_equal(ask_move(from, to, 0, true, &result), 0);
    open_move(from, &result, &certificate);
    stored(to, &certificate);
}

static void remove_device(struct gadget *g)
{
    struct reply reply CLEANUP(reply_free);
    msg_DeviceRemove m;
    reply_init(&reply);
    memcpy(m.client, g->client.bytes, ID_BYTES);
    assert_int_equal(RUN(&town.a, &kitchen.who, DEVICE_REMOVE, msg_DeviceRemove, &m, &reply), 0);
}

static int restore(struct gadget *g)
{
    struct order order;
    msg_Result result;
    order_init(&order);
    order_restore(&order, &song);
    return only(g, &order, &result);
}

static void what_is_lent_to_a_lost_device_comes_back_once(void **state)
{
    (void)state;
    assert_int_equal(sell(&kitchen, 1, TO_LEND), 0);
    lend(&kitchen, &attic);
    assert_int_equal(restore(&kitchen), REASON_NO_LICENSE);
    remove_device(&attic);
    assert_int_equal(restore(&kitchen), 0);
    lend(&kitchen, &spare);
    assert_int_equal(restore(&kitchen), REASON_NO_LICENSE); /* spare has it, whatever attic had */
    assert_int_equal(license_of(&kitchen).state, LICENSE_LENT);
    lend(&spare, &kitchen);
    assert_int_equal(license_of(&kitchen).state, LICENSE_LIVE);
    assert_int_equal(license_of(&kitchen).checkouts, 2);
}

static void what_came_back_from_a_device_is_not_lost_with_it(void **state)
{
    (void)state;
    assert_int_equal(sell(&kitchen, 1, TO_LEND), 0);
    lend(&kitchen, &attic);
    lend(&attic, &kitchen);
    remove_device(&attic);
    lend(&kitchen, &spare);
    assert_int_equal(restore(&kitchen), REASON_NO_LICENSE);
    remove_device(&spare);
    assert_int_equal(restore(&kitchen), 0);
}

/* On its way back it may arrive yet. */
static void what_is_being_checked_in_is_lost_when_its_certificate_has_ended(void **state)
{
    (void)state;
    msg_Result result;
    doc_CopyCertificate certificate;
    struct buf receipt CLEANUP(buf_free) = buf(512);
    assert_int_equal(sell(&kitchen, 1, TO_LEND), 0);
    lend(&kitchen, &attic);
    assert_int_equal(ask_move(&attic, &kitchen, 0, true, &result), 0);
    open_move(&attic, &result, &certificate);
    remove_device(&attic);
    assert_int_equal(restore(&spare), REASON_NO_LICENSE);
    town.now_ms += 8 * TOWN_DAY_MS;
    gadget_hello(&town.a, &spare);
    assert_int_equal(restore(&spare), 0);
    gadget_receipt(&kitchen, &certificate, 1, town.now_ms, &receipt);
    assert_int_equal(gadget_redeem(&town.a, &kitchen.who, buf_slice(&receipt)), REASON_NOT_PERMITTED);
    assert_int_not_equal(license_of(&kitchen).state, LICENSE_LIVE);
}

/* --- Leases -------------------------------------------------------------------------------------------------------- */

static void no_word_of_a_device_is_too_large(void **state)
{
    (void)state;
    assert_int_equal(sell(&kitchen, 1, LEASED), 0);
    assert_int_equal(refresh(&kitchen, 1, UINT64_MAX, false), REASON_MALFORMED);
    assert_int_equal(refresh(&kitchen, UINT32_MAX, INT64_MAX, false), 0);
    assert_int_equal(refresh(&kitchen, UINT32_MAX, INT64_MAX, true), 0);
    assert_int_equal(restore(&attic), 0);
    assert_int_equal(refresh(&attic, UINT32_MAX, INT64_MAX, false), 0);
    assert_int_equal(refresh(&attic, UINT32_MAX, INT64_MAX, true), 0);
    assert_int_equal(restore(&kitchen), 0);
}

static void a_return_and_a_refresh_are_of_one_edition(void **state)
{
    (void)state;
    struct buf envelope CLEANUP(buf_free) = buf(512);
    msg_Result result;
    msg_Item item = { .has_refresh = true };
    assert_int_equal(sell(&kitchen, 1, LEASED), 0);
    assert_int_equal(CODEC_SET_BYTES(item.refresh.use, say_used(&kitchen, 0, 0, false, &envelope)), 0);
    assert_int_equal(refresh(&kitchen, 0, 0, true), 0);
    assert_int_equal(send(&kitchen, &item, &result),
                     REASON_NO_LICENSE); /* signed before it was returned, brought after */
    assert_int_equal(restore(&attic), 0);
    assert_int_equal(send(&kitchen, &item, &result), REASON_NO_LICENSE);
    assert_int_equal(restore(&kitchen), REASON_NO_LICENSE);
    assert_int_equal(refresh(&attic, 0, 0, true), 0);
    assert_int_equal(restore(&kitchen), 0);
    assert_int_equal(send(&kitchen, &item, &result), REASON_OUT_OF_STEP);
}

/* --- The use log --------------------------------------------------------------------------------------------------- */

static int bring_log_of(struct gadget *g, struct gadget *by, uint64_t number, const uint8_t license[16])
{
    struct reply reply CLEANUP(reply_free);
    struct buf envelope CLEANUP(buf_free) = buf(1024);
    struct signer signer;
    static const msg_UseLog message;
    doc_UseLog log = { .signed_ms = (uint64_t)town.now_ms, .entries_count = 1, .entries = { { .number = number } } };
    reply_init(&reply);
    memcpy(log.issuer, town.a.keys->self.bytes, ID_BYTES);
    memcpy(log.client, g->client.bytes, ID_BYTES);
    memcpy(log.entries[0].license_id, license, 16);
    memcpy(log.entries[0].content, song.bytes, ID_BYTES);
    signer_from_pair(&signer, &g->pair);
    assert_int_equal(document_sign(&envelope, DOCUMENT_USE_LOG, &log, &signer), 0);
    int r = town_run(&town.a, &by->who, msg_Type_USE_LOG, msg_UseLog_fields, &message, buf_slice(&envelope), &reply);
    if (r != 0)
        return r;
    msg_UseLogTaken answer;
    doc_UseLogTaken taken;
    REPLY_AS(&reply, USE_LOG_TAKEN, msg_UseLogTaken, &answer);
    assert_int_equal(use_log_taken_judge(CODEC_BYTES(answer.taken), &town.a.keyset, &g->client, &taken), 0);
    assert_true(taken.through >= number);
    return 0;
}

static int bring_log(struct gadget *g, uint64_t number, const uint8_t license[16])
{
    return bring_log_of(g, g, number, license);
}

static int64_t entries_of(const char *account)
{
    char statement[128];
    snprintf(statement, sizeof(statement), "SELECT count(*) FROM use_log WHERE account = '%s'", account);
    return shop_ask(&town.a, statement);
}

/* The vault lets nothing play when its log is not taken: no entry may stop it for ever. */
static void no_entry_of_a_use_log_stops_the_others(void **state)
{
    (void)state;
    msg_Result result;
    uint8_t unknown[16] = { 9 };
    struct gadget stranger;
    assert_int_equal(sell(&kitchen, 1, TEN_PLAYS), 0);
    assert_int_equal(bring_log(&kitchen, 1, license_id), 0);
    assert_int_equal(bring_log(&kitchen, 1, license_id), 0); /* again */
    assert_int_equal(entries_of("alice"), 1);
    assert_int_equal(move(&kitchen, &attic, 0, &result), 0);
    assert_int_equal(bring_log(&attic, 1, license_id), 0); /* it plays there before the receipt is here */
    assert_int_equal(entries_of("alice"), 2);
    assert_int_equal(bring_log(&attic, 2, unknown), 0);
    assert_int_equal(bring_log(&attic, 7, license_id), 0); /* three to six were here before the database was restored */
    assert_int_equal(entries_of("alice"), 3);
    assert_int_equal(entries_of(""), 1);
    gadget_init(&town, &stranger, "stranger");
    gadget_hello(&town.a, &stranger);
    assert_int_equal(bring_log(&stranger, 1, license_id), REASON_NO_LICENSE);
    assert_int_equal(bring_log_of(&kitchen, &attic, 2, license_id), REASON_WRONG_DESTINATION); /* each its own */
    gadget_deinit(&stranger);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_license_is_renewed_by_what_limits_it_as_well),
        TEST(a_renewal_is_of_one_edition),
        TEST(a_renewal_that_adds_nothing_is_not_sold),
        TEST(an_option_adds_to_what_its_product_limits),
        TEST(limits_add_up_to_a_limit),
        TEST(a_period_that_ends_before_it_begins_is_no_product),
        TEST(what_moves_is_the_latest_edition),
        TEST(what_was_moved_away_is_not_sold_again_beside),
        TEST(a_refused_move_leaves_no_trace),
        TEST(the_recoveries_that_are_left_move_along),
        TEST(recoveries_are_sold_anew_with_a_license),
        TEST(what_would_be_over_is_not_sold),
        TEST(what_is_over_may_have_been_used_up),
        TEST(what_is_used_up_is_bought_anew),
        TEST(what_has_no_end_is_not_bought_anew),
        TEST(what_moves_is_not_bought_anew),
        TEST(the_holder_is_told_what_more_costs),
        TEST(a_certificate_is_voided_by_use_at_its_source_alone),
        TEST(a_certificate_that_gives_more_than_is_left_is_voided),
        TEST(what_is_lent_to_a_lost_device_comes_back_once),
        TEST(what_came_back_from_a_device_is_not_lost_with_it),
        TEST(what_is_being_checked_in_is_lost_when_its_certificate_has_ended),
        TEST(no_word_of_a_device_is_too_large),
        TEST(a_return_and_a_refresh_are_of_one_edition),
        TEST(no_entry_of_a_use_log_stops_the_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
