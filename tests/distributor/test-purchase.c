/* Catalogue, quote, header, license: seed S21-S23, S31-S38, S71-S85; exactly once (R5). */
#include "town.h"

#include <stdio.h>

#include "base/util.h"
#include "distributor/billing.h"
#include "distributor/devices.h"

static struct town town;
static struct gadget kitchen, attic;
static struct reply reply;
static struct id song;

static int set_up(void **state)
{
    (void)state;
    town_init(&town);
    shop_user(&town.a, "alice", 1000);
    gadget_init(&town, &kitchen, "kitchen");
    gadget_init(&town, &attic, "attic");
    assert_int_equal(gadget_register(&town.a, &kitchen, "alice", TOWN_PASSWORD), 0);
    assert_int_equal(gadget_register(&town.a, &attic, "alice", TOWN_PASSWORD), 0);
    song = shop_publish(&town.a, "Träumerei", 499, 50, 2, 1);
    reply_init(&reply);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    reply_free(&reply);
    gadget_deinit(&kitchen);
    gadget_deinit(&attic);
    town_deinit(&town);
    return 0;
}

static void what_is_bought_plays(void **state)
{
    (void)state;
    msg_Result result;
    struct key32 key, other;
    assert_int_equal(gadget_buy(&town.a, &kitchen, &song, &result), 0);
    vault_key_of_purchase(&town.a, &kitchen, &result, &key);
    assert_true(vault_plays(&town.a, &song, &key));
    other = key;
    other.bytes[0] ^= 1;
    assert_false(vault_plays(&town.a, &song, &other));
    assert_int_equal(shop_balance(&town.a, "alice"), -499);
    assert_int_equal(gadget_buy(&town.a, &kitchen, &song, &result), REASON_ALREADY);
}

static msg_Catalogue *search(struct caller *who, const char *query)
{
    static msg_Catalogue found;
    msg_CatalogueGet m = msg_CatalogueGet_init_zero;
    CODEC_SET_TEXT(m.query, query);
    assert_int_equal(RUN(&town.a, who, CATALOGUE_GET, msg_CatalogueGet, &m, &reply), 0);
    REPLY_AS(&reply, CATALOGUE, msg_Catalogue, &found);
    return &found;
}

static void the_catalogue_is_searched_by_words(void **state)
{
    (void)state;
    shop_publish(&town.a, "100% Organ_Music", 0, 0, 1, 1);
    for (int i = 0; i < 20; i++) {
        char title[32];
        snprintf(title, sizeof(title), "Étude %02d", i);
        shop_publish(&town.a, title, 100, 0, 1, 1);
    }
    assert_int_equal(search(&kitchen.who, "")->total, 22);
    assert_int_equal(search(&kitchen.who, "")->items_count, 12);
    assert_int_equal(search(&kitchen.who, "TRÄUM")->total, 1);
    assert_int_equal(search(&kitchen.who, "étude band 07")->total, 1);
    assert_int_equal(search(&kitchen.who, "%")->total, 1);
    assert_int_equal(search(&kitchen.who, "n_m")->total, 1);
    assert_int_equal(search(&kitchen.who, "\\")->total, 0);
    assert_int_equal(search(&kitchen.who, "nothing of this")->total, 0);
    char id[ID_TEXT_BYTES];
    id_text(song.bytes, id); /* a whole one: whoever knows it need not turn the pages */
    assert_int_equal(search(&kitchen.who, id)->total, 1);
    assert_memory_equal(search(&kitchen.who, id)->items[0].content, song.bytes, ID_BYTES);
    assert_int_equal(search(&kitchen.who, id)->items[0].products_count, 1);
    const struct id other = { { 1 } };
    id_text(other.bytes, id);
    assert_int_equal(search(&kitchen.who, id)->total, 0);
    msg_Result result;
    assert_false(search(&kitchen.who, "träumerei")->items[0].owned);
    assert_int_equal(gadget_buy(&town.a, &kitchen, &song, &result), 0);
    msg_Catalogue *c = search(&kitchen.who, "träumerei");
    assert_true(c->items[0].owned);
    assert_int_equal(c->items[0].products_count, 1);
    assert_int_equal(c->items[0].products[0].price, 499);
    struct caller stranger = { .role = REQUESTS_DEVICE };
    assert_false(search(&stranger, "träumerei")->items[0].owned);
}

static void a_removed_device_sees_nothing(void **state)
{
    (void)state;
    msg_DeviceRemove remove;
    msg_CatalogueGet m = msg_CatalogueGet_init_zero;
    msg_BillsGet bills = msg_BillsGet_init_zero;
    memcpy(remove.client, attic.client.bytes, ID_BYTES);
    assert_int_equal(search(&attic.who, "")->total, 1);
    assert_int_equal(RUN(&town.a, &kitchen.who, DEVICE_REMOVE, msg_DeviceRemove, &remove, &reply), 0);
    assert_int_equal(RUN(&town.a, &attic.who, CATALOGUE_GET, msg_CatalogueGet, &m, &reply), REASON_DEVICE_REVOKED);
    assert_int_equal(RUN(&town.a, &attic.who, BILLS_GET, msg_BillsGet, &bills, &reply), REASON_DEVICE_REVOKED);
    gadget_hello(&town.a, &attic);
    assert_int_equal(gadget_register(&town.a, &attic, "alice", TOWN_PASSWORD), 0); /* with the password: a new leaf */
    assert_int_equal(search(&attic.who, "")->total, 1);
}

/* --- Quotes ------------------------------------------------------------------------------------------------------ */

static int buy_with(struct gadget *g, struct slice quote)
{
    struct order order;
    static struct results results;
    order_init(&order);
    order_purchase(&order, quote);
    assert_int_equal(gadget_transact(&town.a, g, &order, &results), 0);
    return results.results[0].has_refusal ? (int)reason_of_code(results.results[0].refusal.code) : 0;
}

static void refused_without_a_trace(struct gadget *g, struct slice quote, enum reason reason)
{
    uint8_t before[32], after[32];
    shop_digest(&town.a, before);
    assert_int_equal(buy_with(g, quote), reason);
    shop_digest(&town.a, after);
    assert_memory_equal(before, after, 32);
}

static void withdraw_product(uint32_t number)
{
    struct transaction t CLEANUP(transaction_end) = { 0 };
    assert_int_equal(transaction_begin(&t, town.a.o->store), 0);
    assert_int_equal(products_withdraw(town.a.o, number), 0);
    assert_int_equal(transaction_commit(&t), 0);
}

static void withdraw_content(const struct id *content)
{
    struct transaction t CLEANUP(transaction_end) = { 0 };
    assert_int_equal(transaction_begin(&t, town.a.o->store), 0);
    assert_int_equal(contents_withdraw(town.a.o, content, true), 0);
    assert_int_equal(transaction_commit(&t), 0);
}

static void a_quote_binds_device_price_and_time(void **state)
{
    (void)state;
    struct buf quote CLEANUP(buf_free) = buf(512), changed CLEANUP(buf_free) = buf(512);
    assert_int_equal(gadget_quote(&town.a, &kitchen, &song, 0, &quote), 0);
    refused_without_a_trace(&attic, buf_slice(&quote), REASON_WRONG_DESTINATION);
    assert_int_equal(buf_append(&changed, buf_slice(&quote)), 0);
    changed.data[changed.len - 1] ^= 1;
    refused_without_a_trace(&kitchen, buf_slice(&changed), REASON_SIGNATURE_INVALID);
    refused_without_a_trace(&kitchen, slice_str("not a quote"), REASON_MALFORMED);
    town.now_ms += 2 * 60 * 60 * 1000;
    refused_without_a_trace(&kitchen, buf_slice(&quote), REASON_QUOTE_CHANGED);
    assert_int_equal(gadget_quote(&town.a, &kitchen, &song, 0, &quote), 0);
    withdraw_product(1);
    refused_without_a_trace(&kitchen, buf_slice(&quote), REASON_QUOTE_CHANGED);
    assert_int_equal(gadget_quote(&town.a, &kitchen, &song, 1, &quote), REASON_QUOTE_CHANGED);
    assert_int_equal(gadget_quote(&town.a, &kitchen, &song, 0, &quote), REASON_UNKNOWN_CONTENT);
}

static void withdrawn_content_is_not_sold_but_stays_the_owners(void **state)
{
    (void)state;
    struct buf quote CLEANUP(buf_free) = buf(512);
    msg_Result result;
    assert_int_equal(gadget_buy(&town.a, &kitchen, &song, &result), 0);
    assert_int_equal(gadget_quote(&town.a, &attic, &song, 0, &quote), 0);
    withdraw_content(&song);
    refused_without_a_trace(&attic, buf_slice(&quote), REASON_UNKNOWN_CONTENT);
    assert_int_equal(search(&kitchen.who, "")->total, 0);
    msg_HeaderGet m;
    memcpy(m.content, song.bytes, ID_BYTES);
    assert_int_equal(RUN(&town.a, &kitchen.who, HEADER_GET, msg_HeaderGet, &m, &reply), 0);
    assert_int_equal(RUN(&town.a, &attic.who, HEADER_GET, msg_HeaderGet, &m, &reply), REASON_UNKNOWN_CONTENT);
}

static void credit_is_judged_before_anything_is_issued(void **state)
{
    (void)state;
    struct buf quote CLEANUP(buf_free) = buf(512), second CLEANUP(buf_free) = buf(512);
    struct id dear = shop_publish(&town.a, "Dear", 1001, 0, 1, 1), half = shop_publish(&town.a, "Half", 501, 0, 1, 1);
    assert_int_equal(gadget_quote(&town.a, &kitchen, &dear, 0, &quote), 0);
    refused_without_a_trace(&kitchen, buf_slice(&quote), REASON_CREDIT_REFUSED);
    /* Two in one transaction: the second still fits, a third would not. */
    struct order order;
    static struct results results;
    assert_int_equal(gadget_quote(&town.a, &kitchen, &song, 0, &quote), 0);
    assert_int_equal(gadget_quote(&town.a, &kitchen, &half, 0, &second), 0);
    order_init(&order);
    order_purchase(&order, buf_slice(&quote));
    order_purchase(&order, buf_slice(&second));
    order_purchase(&order, buf_slice(&second));
    assert_int_equal(gadget_transact(&town.a, &kitchen, &order, &results), 0);
    assert_false(results.results[0].has_refusal);
    assert_false(results.results[1].has_refusal);
    assert_string_equal(results.results[2].refusal.code, "already");
    assert_int_equal(shop_balance(&town.a, "alice"), -1000);
    struct id cheap = shop_publish(&town.a, "Cheap", 1, 0, 1, 1), gift = shop_publish(&town.a, "Gift", 0, 0, 1, 1);
    msg_Result result;
    assert_int_equal(gadget_buy(&town.a, &kitchen, &cheap, &result), REASON_CREDIT_REFUSED);
    assert_int_equal(gadget_buy(&town.a, &kitchen, &gift, &result), 0);
}

static void several_products_want_a_choice(void **state)
{
    (void)state;
    struct product rent = { .name = "Rent", .price = 99, .has_usage_for_ms = true, .usage_for_ms = 3600000 };
    struct transaction t CLEANUP(transaction_end) = { 0 };
    assert_int_equal(transaction_begin(&t, town.a.o->store), 0);
    assert_int_equal(products_add(town.a.o, &rent), 0);
    assert_int_equal(contents_offer(town.a.o, &song, (uint32_t[]){ 1, rent.number }, 2), 0);
    assert_int_equal(transaction_commit(&t), 0);
    struct buf quote CLEANUP(buf_free) = buf(512);
    assert_int_equal(gadget_quote(&town.a, &kitchen, &song, 0, &quote), REASON_CHOOSE_PRODUCT);
    assert_int_equal(gadget_quote(&town.a, &kitchen, &song, rent.number, &quote), 0);
    assert_int_equal(buy_with(&kitchen, buf_slice(&quote)), 0);
    assert_int_equal(gadget_quote(&town.a, &kitchen, &song, 1, &quote), REASON_ALREADY);
    town.now_ms += 3600001; /* the rent is over: it may be bought */
    assert_int_equal(gadget_quote(&town.a, &kitchen, &song, 1, &quote), 0);
    assert_int_equal(buy_with(&kitchen, buf_slice(&quote)), 0);
}

/* --- Headers ----------------------------------------------------------------------------------------------------- */

static void the_download_period_is_judged(void **state)
{
    (void)state;
    struct product later = { .name = "Later", .price = 1 };
    later.conditions.has_download_from_ms = later.conditions.has_download_until_ms = true;
    later.conditions.download_from_ms = TOWN_START_MS + 1000;
    later.conditions.download_until_ms = TOWN_START_MS + 5000;
    struct transaction t CLEANUP(transaction_end) = { 0 };
    assert_int_equal(transaction_begin(&t, town.a.o->store), 0);
    assert_int_equal(products_add(town.a.o, &later), 0);
    assert_int_equal(contents_offer(town.a.o, &song, &later.number, 1), 0);
    assert_int_equal(transaction_commit(&t), 0);
    msg_HeaderGet m;
    msg_Header answer;
    doc_Header header;
    memcpy(m.content, song.bytes, ID_BYTES);
    assert_int_equal(RUN(&town.a, &kitchen.who, HEADER_GET, msg_HeaderGet, &m, &reply), REASON_OUTSIDE_DOWNLOAD_PERIOD);
    town.now_ms += 2000;
    assert_int_equal(RUN(&town.a, &kitchen.who, HEADER_GET, msg_HeaderGet, &m, &reply), 0);
    REPLY_AS(&reply, HEADER, msg_Header, &answer);
    assert_int_equal(CODEC_DECODE(doc_Header, CODEC_BYTES(answer.header), &header), 0);
    assert_false(header.partner_root);
    town.now_ms += 4000;
    assert_int_equal(RUN(&town.a, &kitchen.who, HEADER_GET, msg_HeaderGet, &m, &reply), REASON_OUTSIDE_DOWNLOAD_PERIOD);
    m.content[0] ^= 1;
    assert_int_equal(RUN(&town.a, &kitchen.who, HEADER_GET, msg_HeaderGet, &m, &reply), REASON_UNKNOWN_CONTENT);
}

static void nothing_is_sold_outside_the_download_period(void **state)
{
    (void)state;
    struct product early = { .name = "Early", .price = 1 };
    early.conditions.has_download_from_ms = early.conditions.has_download_until_ms = true;
    early.conditions.download_from_ms = TOWN_START_MS + 1000;
    early.conditions.download_until_ms = TOWN_START_MS + 5000;
    struct transaction t CLEANUP(transaction_end) = { 0 };
    assert_int_equal(transaction_begin(&t, town.a.o->store), 0);
    assert_int_equal(products_add(town.a.o, &early), 0);
    assert_int_equal(contents_offer(town.a.o, &song, &early.number, 1), 0);
    assert_int_equal(transaction_commit(&t), 0);
    struct buf quote CLEANUP(buf_free) = buf(512), later CLEANUP(buf_free) = buf(512);
    town.now_ms = TOWN_START_MS;
    assert_int_equal(gadget_quote(&town.a, &kitchen, &song, 0, &quote), REASON_OUTSIDE_DOWNLOAD_PERIOD);
    town.now_ms = TOWN_START_MS + 4000;
    assert_int_equal(gadget_quote(&town.a, &kitchen, &song, early.number, &quote), 0);
    town.now_ms = TOWN_START_MS + 6000;
    assert_int_equal(gadget_quote(&town.a, &kitchen, &song, early.number, &later), REASON_OUTSIDE_DOWNLOAD_PERIOD);
    refused_without_a_trace(&kitchen, buf_slice(&quote),
                            REASON_OUTSIDE_DOWNLOAD_PERIOD); /* the quote lives on, the period does not */
    town.now_ms = TOWN_START_MS + 4000;
    assert_int_equal(buy_with(&kitchen, buf_slice(&quote)), 0);
    assert_int_equal(shop_balance(&town.a, "alice"), -1);
}

/* --- Exactly once ------------------------------------------------------------------------------------------------ */

static const uint8_t id_one[16] = { 1 }, id_two[16] = { 2 }, id_none[16];

static void a_repeat_gets_the_same_bytes(void **state)
{
    (void)state;
    struct buf quote CLEANUP(buf_free) = buf(512);
    struct buf message CLEANUP(buf_free) = buf(1024), tail CLEANUP(buf_free) = buf(1 << 16);
    struct order order;
    uint8_t before[32], after[32];
    order_init(&order);
    assert_int_equal(gadget_quote(&town.a, &kitchen, &song, 0, &quote), 0);
    order_purchase(&order, buf_slice(&quote));
    order_purchase(&order, buf_slice(&quote)); /* a refusal is part of the answer */
    uint64_t session = kitchen.who.session;
    assert_int_equal(gadget_transact_as(&town.a, &kitchen.who, session, 1, id_one, &order, &reply), 0);
    assert_int_equal(buf_append(&message, buf_slice(&reply.message)), 0);
    assert_int_equal(buf_append(&tail, buf_slice(&reply.tail)), 0);
    shop_digest(&town.a, before);
    for (int i = 0; i < 3; i++) {
        town.now_ms += TOWN_DAY_MS; /* the quote is long over */
        gadget_hello(&town.a, &kitchen);
        assert_int_equal(gadget_transact_as(&town.a, &kitchen.who, kitchen.who.session, 1, id_one, &order, &reply), 0);
        assert_int_equal(reply.type, msg_Type_TRANSACTED);
        assert_true(slice_equal(buf_slice(&message), buf_slice(&reply.message)));
        assert_true(slice_equal(buf_slice(&tail), buf_slice(&reply.tail)));
    }
    shop_digest(&town.a, after);
    assert_memory_equal(before, after, 32);
    assert_int_equal(shop_balance(&town.a, "alice"), -499);
    buf_free(&order.tail);
}

static void who_is_out_of_step_learns_where_the_server_stands(void **state)
{
    (void)state;
    struct buf quote CLEANUP(buf_free) = buf(512), kept CLEANUP(buf_free) = buf(1 << 16);
    struct order order;
    struct slice item;
    msg_Transacted answer;
    order_init(&order);
    assert_int_equal(gadget_quote(&town.a, &kitchen, &song, 0, &quote), 0);
    order_purchase(&order, buf_slice(&quote));
    uint64_t session = kitchen.who.session;
    assert_int_equal(gadget_transact_as(&town.a, &kitchen.who, session, 0, id_one, &order, &reply), REASON_OUT_OF_STEP);
    struct reader r = reader(buf_slice(&reply.tail));
    assert_int_equal(codec_list_next(&r, msg_Transacted_size, &item), 0);
    assert_int_equal(CODEC_DECODE(msg_Transacted, item, &answer), 0);
    assert_int_equal(answer.bit, 0);
    assert_int_equal(answer.count, 0);

    assert_int_equal(gadget_transact_as(&town.a, &kitchen.who, session, 1, id_one, &order, &reply), 0);
    assert_int_equal(buf_append(&kept, buf_slice(&reply.tail)), 0);
    assert_int_equal(gadget_transact_as(&town.a, &kitchen.who, session, 1, id_two, &order, &reply), REASON_OUT_OF_STEP);
    r = reader(buf_slice(&reply.tail));
    assert_int_equal(codec_list_next(&r, msg_Transacted_size, &item), 0);
    assert_int_equal(CODEC_DECODE(msg_Transacted, item, &answer), 0);
    assert_int_equal(answer.bit, 1);
    assert_memory_equal(answer.transaction, id_one, 16);
    assert_true(slice_equal(r.rest, buf_slice(&kept)));

    msg_Commit commit = { .session = session, .bit = 1 };
    memcpy(commit.transaction, id_one, 16);
    assert_int_equal(RUN(&town.a, &kitchen.who, COMMIT, msg_Commit, &commit, &reply), 0);
    assert_int_equal(reply.type, msg_Type_NONE);
    assert_int_equal(RUN(&town.a, &kitchen.who, COMMIT, msg_Commit, &commit, &reply), 0);
    assert_int_equal(gadget_transact_as(&town.a, &kitchen.who, session, 1, id_one, &order, &reply), REASON_OUT_OF_STEP);
    buf_free(&order.tail);
}

static void only_the_current_session_and_good_frames_count(void **state)
{
    (void)state;
    struct buf quote CLEANUP(buf_free) = buf(512);
    struct order order;
    uint8_t before[32], after[32];
    order_init(&order);
    assert_int_equal(gadget_quote(&town.a, &kitchen, &song, 0, &quote), 0);
    order_purchase(&order, buf_slice(&quote));
    struct caller old = kitchen.who;
    gadget_hello(&town.a, &kitchen);
    shop_digest(&town.a, before);
    assert_int_equal(gadget_transact_as(&town.a, &old, old.session, 1, id_one, &order, &reply),
                     REASON_SESSION_REPLACED);
    assert_int_equal(gadget_transact_as(&town.a, &old, kitchen.who.session, 1, id_one, &order, &reply),
                     REASON_SESSION_REPLACED);
    uint64_t session = kitchen.who.session;
    assert_int_equal(gadget_transact_as(&town.a, &kitchen.who, session, 1, id_none, &order, &reply), REASON_MALFORMED);
    assert_int_equal(gadget_transact_as(&town.a, &kitchen.who, session, 2, id_one, &order, &reply), REASON_MALFORMED);
    order.count = 2; /* one more than there is */
    assert_int_equal(gadget_transact_as(&town.a, &kitchen.who, session, 1, id_one, &order, &reply), REASON_MALFORMED);
    order.count = 0;
    assert_int_equal(gadget_transact_as(&town.a, &kitchen.who, session, 1, id_one, &order, &reply), REASON_MALFORMED);
    order.count = 1;
    order.tail.len--;
    assert_int_equal(gadget_transact_as(&town.a, &kitchen.who, session, 1, id_one, &order, &reply), REASON_MALFORMED);
    order.tail.len++;
    struct caller nobody = { .role = REQUESTS_DEVICE };
    assert_int_equal(gadget_transact_as(&town.a, &nobody, 1, 1, id_one, &order, &reply), REASON_NOT_REGISTERED);
    shop_digest(&town.a, after);
    assert_memory_equal(before, after, 32);
    assert_int_equal(gadget_transact_as(&town.a, &kitchen.who, session, 1, id_one, &order, &reply), 0);
    buf_free(&order.tail);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_bought_plays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_catalogue_is_searched_by_words, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_removed_device_sees_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_quote_binds_device_price_and_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(withdrawn_content_is_not_sold_but_stays_the_owners, set_up, tear_down),
        cmocka_unit_test_setup_teardown(credit_is_judged_before_anything_is_issued, set_up, tear_down),
        cmocka_unit_test_setup_teardown(several_products_want_a_choice, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_download_period_is_judged, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_is_sold_outside_the_download_period, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_repeat_gets_the_same_bytes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_is_out_of_step_learns_where_the_server_stands, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_the_current_session_and_good_frames_count, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
