/* What waits for another distributor's device (copy_queue.h): who is served, what it is given, how often it is counted and paid. */
#include "town.h"

#include <stdlib.h>

#include "base/util.h"
#include "distributor/copies.h"
#include "distributor/share_rows.h"

static struct town town;
static struct gadget kitchen, attic, bedroom, thief; /* alice at A twice, alina at B, mallory at B */
static struct reply reply;
static struct id song;
static doc_CopyCertificate certificate;
static struct buf receipt;

static int set_up(void **state)
{
    (void)state;
    town_init(&town);
    shop_user(&town.a, "alice", 2000);
    shop_user(&town.b, "alina", 2000);
    shop_user(&town.b, "mallory", 2000);
    gadget_init(&town, &kitchen, "kitchen");
    gadget_init(&town, &attic, "attic");
    gadget_init(&town, &bedroom, "bedroom");
    gadget_init(&town, &thief, "thief");
    assert_int_equal(gadget_register(&town.a, &kitchen, "alice", TOWN_PASSWORD), 0);
    assert_int_equal(gadget_register(&town.a, &attic, "alice", TOWN_PASSWORD), 0);
    assert_int_equal(gadget_register(&town.b, &bedroom, "alina", TOWN_PASSWORD), 0);
    assert_int_equal(gadget_register(&town.b, &thief, "mallory", TOWN_PASSWORD), 0);
    song = shop_publish(&town.a, "Song", 499, 50, 3, 2);
    town_link(&town, &kitchen, &bedroom);
    town_share(&town);
    gadget_visit(&town.a, &bedroom);
    gadget_visit(&town.a, &thief);
    reply_init(&reply);
    receipt = buf(512);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    shop_check(&town.a);
    shop_check(&town.b);
    buf_free(&receipt);
    reply_free(&reply);
    gadget_deinit(&kitchen);
    gadget_deinit(&attic);
    gadget_deinit(&bedroom);
    gadget_deinit(&thief);
    town_deinit(&town);
    return 0;
}

/* --- Steps --------------------------------------------------------------------------------------------------------- */

static int auto_copy(const struct gadget *to, bool on, msg_AutoCopyState *now)
{
    msg_AutoCopy m = { .has_on = true, .on = on, .has_client = to != NULL };
    if (to != NULL)
        memcpy(m.client, to->client.bytes, ID_BYTES);
    int r = RUN(&town.a, &kitchen.who, AUTO_COPY, msg_AutoCopy, &m, &reply);
    if (r == 0)
        REPLY_AS(&reply, AUTO_COPY_STATE, msg_AutoCopyState, now);
    return r;
}

static void choose(const struct gadget *to)
{
    msg_AutoCopyState now;
    assert_int_equal(auto_copy(to, true, &now), 0);
}

static void buy(void)
{
    msg_Result result;
    assert_int_equal(gadget_buy(&town.a, &kitchen, &song, &result), 0);
    assert_int_equal(shop_balance(&town.a, "alice"), -499);
}

/* How much waits for the asking device. */
static int waiting(struct caller *who)
{
    msg_RestorableGet m = msg_RestorableGet_init_zero;
    msg_Restorable list;
    int r = RUN(&town.a, who, QUEUED_GET, msg_RestorableGet, &m, &reply);
    if (r != 0)
        return -r;
    REPLY_AS(&reply, QUEUED, msg_Restorable, &list);
    assert_int_equal(reply.sends_body, list.items_count > 0);
    for (pb_size_t i = 0; i < list.items_count; i++)
        assert_memory_equal(list.items[i].content, song.bytes, ID_BYTES);
    return (int)list.items_count;
}

static int take(struct gadget *g, msg_Result *out)
{
    struct order order;
    static struct results results;
    order_init(&order);
    order_restore(&order, &song);
    assert_int_equal(gadget_transact_guest(&town.a, g, &order, &results), 0);
    *out = results.results[0];
    return out->has_refusal ? (int)reason_of_code(out->refusal.code) : 0;
}

static void refused_without_a_trace(struct gadget *g, enum reason reason)
{
    uint8_t before[32], after[32];
    msg_Result result;
    shop_digest(&town.a, before);
    assert_int_equal(take(g, &result), reason);
    shop_digest(&town.a, after);
    assert_memory_equal(before, after, 32);
}

static void takes_one_that_plays(msg_Result *result)
{
    struct key32 key;
    assert_int_equal(take(&bedroom, result), 0);
    assert_true(result->has_delegation);
    assert_false(result->has_license);
    assert_int_equal(vault_key_of_copy(&town.a, &town.b, &bedroom, &town.a.keys->self, result, &certificate, &key), 0);
    assert_memory_equal(certificate.source, kitchen.client.bytes, ID_BYTES);
    assert_false(certificate.removable);
    assert_true(vault_plays(&town.a, &song, &key));
}

static uint32_t copies_counted(void)
{
    struct license l;
    assert_int_equal(licenses_find_content(town.a.o, &song, &kitchen.client, &l), 0);
    return l.copies;
}

static int settle(uint32_t outcome)
{
    gadget_receipt(&bedroom, &certificate, outcome, town.now_ms, &receipt);
    if (outcome == 1)
        return gadget_redeem(&town.a, &bedroom.guest, buf_slice(&receipt));
    msg_MoveCancel m = msg_MoveCancel_init_zero;
    assert_int_equal(CODEC_SET_BYTES(m.receipt, buf_slice(&receipt)), 0);
    return RUN(&town.a, &bedroom.guest, MOVE_CANCEL, msg_MoveCancel, &m, &reply);
}

static void later(int64_t ms)
{
    bool changed;
    struct transaction t CLEANUP(transaction_end) = { 0 };
    town.now_ms += ms;
    town_restart(&town.a);
    assert_int_equal(transaction_begin(&t, town.a.o->store), 0);
    assert_int_equal(operations_tick(town.a.o, town.now_ms, &changed), 0);
    assert_int_equal(transaction_commit(&t), 0);
}

/* --- Cases --------------------------------------------------------------------------------------------------------- */

static void nobody_is_served_who_was_not_named(void **state)
{
    (void)state;
    msg_AutoCopyState now;
    assert_int_equal(auto_copy(NULL, true, &now), 0); /* the account's own */
    assert_true(now.on);
    assert_int_equal(now.devices_count, 0);
    msg_Result result;
    assert_int_equal(gadget_buy(&town.a, &kitchen, &song, &result), 0);
    assert_int_equal(waiting(&attic.who), 1);
    assert_int_equal(waiting(&bedroom.guest), 0);
    refused_without_a_trace(&bedroom, REASON_NO_LICENSE);
}

static void a_named_one_gets_a_certificate(void **state)
{
    (void)state;
    msg_AutoCopyState now;
    msg_Result result;
    assert_int_equal(auto_copy(&bedroom, true, &now), 0);
    assert_false(now.on);
    assert_int_equal(now.devices_count, 1);
    assert_memory_equal(now.devices[0].client, bedroom.client.bytes, ID_BYTES);
    buy();
    assert_int_equal(waiting(&attic.who), 0);
    assert_int_equal(waiting(&bedroom.guest), 1);
    assert_int_equal(waiting(&thief.guest), 0);
    assert_int_equal(copies_counted(), 0); /* nothing is issued before it is taken */
    refused_without_a_trace(&thief, REASON_NO_LICENSE);
    takes_one_that_plays(&result);
    assert_int_equal(shop_balance(&town.a, "alice"), -549);
    assert_int_equal(copies_counted(), 1);
    assert_int_equal(waiting(&bedroom.guest), 1); /* until it has said that it is there */
    assert_int_equal(settle(1), 0);
    assert_int_equal(waiting(&bedroom.guest), 0);
    assert_int_equal(settle(1), 0); /* its distributor may bring the receipt too */
    assert_int_equal(shop_balance(&town.a, "alice"), -549);
    refused_without_a_trace(&bedroom, REASON_NO_LICENSE);
}

static void who_is_to_be_told(void **state)
{
    (void)state;
    struct buf quote CLEANUP(buf_free) = buf(1024);
    struct order order;
    choose(&bedroom);
    assert_int_equal(gadget_quote(&town.a, &kitchen, &song, 0, &quote), 0);
    order_init(&order);
    order_purchase(&order, buf_slice(&quote));
    uint8_t id[16] = { 1 };
    assert_int_equal(
        gadget_transact_as(&town.a, &kitchen.who, kitchen.who.session, kitchen.bit ^ 1, id, &order, &reply), 0);
    buf_free(&order.tail);
    assert_string_equal(reply.queued_user, "alice");
    assert_int_equal(reply.queued_guest_count, 1);
    assert_memory_equal(reply.queued_guests[0].bytes, bedroom.client.bytes, ID_BYTES);
}

static void the_same_again_until_it_is_settled(void **state)
{
    (void)state;
    msg_Result first, again;
    choose(&bedroom);
    buy();
    takes_one_that_plays(&first);
    gadget_visit(&town.a, &bedroom); /* killed, and there again */
    takes_one_that_plays(&again);
    assert_true(slice_equal(CODEC_BYTES(first.certificate), CODEC_BYTES(again.certificate)));
    assert_true(slice_equal(CODEC_BYTES(first.delegation), CODEC_BYTES(again.delegation)));
    /* Its source may bring it too: the same copy. */
    assert_int_equal(gadget_copy(&town.a, &kitchen, &song, &bedroom, false, false, &again), 0);
    assert_true(slice_equal(CODEC_BYTES(first.certificate), CODEC_BYTES(again.certificate)));
    assert_int_equal(copies_counted(), 1);
    assert_int_equal(shop_balance(&town.a, "alice"), -549);
}

static void what_the_source_has_asked_for_is_given(void **state)
{
    (void)state;
    msg_Result first, again;
    choose(&bedroom);
    buy();
    assert_int_equal(gadget_copy(&town.a, &kitchen, &song, &bedroom, false, false, &first), 0);
    takes_one_that_plays(&again);
    assert_true(slice_equal(CODEC_BYTES(first.certificate), CODEC_BYTES(again.certificate)));
    assert_int_equal(shop_balance(&town.a, "alice"), -549);
    assert_int_equal(settle(1), 0); /* whoever brought it */
    assert_int_equal(waiting(&bedroom.guest), 0);
}

static void one_that_ended_is_refused_and_made_anew(void **state)
{
    (void)state;
    msg_Result first, again;
    choose(&bedroom);
    buy();
    takes_one_that_plays(&first);
    later(8 * TOWN_DAY_MS);
    assert_int_equal(waiting(&bedroom.guest), 1);
    assert_int_equal(take(&bedroom, &again), 0); /* the same: its vault is to say that it did not store it */
    assert_true(slice_equal(CODEC_BYTES(first.certificate), CODEC_BYTES(again.certificate)));
    assert_int_equal(copies_counted(), 1);
    assert_int_equal(settle(2), 0);
    assert_int_equal(copies_counted(), 0);
    assert_int_equal(shop_balance(&town.a, "alice"), -499);
    takes_one_that_plays(&again);
    assert_false(slice_equal(CODEC_BYTES(first.certificate), CODEC_BYTES(again.certificate)));
    assert_int_equal(copies_counted(), 1);
    assert_int_equal(shop_balance(&town.a, "alice"), -549);
    assert_int_equal(settle(1), 0);
    assert_int_equal(waiting(&bedroom.guest), 0);
}

static void what_nobody_fetches_costs_nothing(void **state)
{
    (void)state;
    choose(&bedroom);
    buy();
    later(29 * TOWN_DAY_MS);
    assert_int_equal(waiting(&bedroom.guest), 1);
    later(2 * TOWN_DAY_MS);
    assert_int_equal(waiting(&bedroom.guest), 0);
    assert_int_equal(shop_ask(&town.a, "SELECT count(*) FROM copy_queue"), 0);
    refused_without_a_trace(&bedroom, REASON_NO_LICENSE);
    assert_int_equal(shop_balance(&town.a, "alice"), -499);
    assert_int_equal(copies_counted(), 0);
}

static void what_was_taken_stays_until_it_can_be_settled(void **state)
{
    (void)state;
    msg_Result first, again;
    choose(&bedroom);
    buy();
    later(29 * TOWN_DAY_MS);
    takes_one_that_plays(&first);
    later(36 * TOWN_DAY_MS); /* 7 of the certificate, 30 to come again */
    assert_int_equal(take(&bedroom, &again), 0);
    assert_true(slice_equal(CODEC_BYTES(first.certificate), CODEC_BYTES(again.certificate)));
    assert_int_equal(settle(2), 0);
    assert_int_equal(shop_balance(&town.a, "alice"), -499);
}

static void switched_off_nothing_waits(void **state)
{
    (void)state;
    msg_AutoCopyState now;
    choose(&bedroom);
    choose(&attic);
    buy();
    assert_int_equal(waiting(&attic.who), 1);
    assert_int_equal(auto_copy(&bedroom, false, &now), 0);
    assert_int_equal(now.devices_count, 1);
    assert_int_equal(waiting(&attic.who), 1);
    assert_int_equal(waiting(&bedroom.guest), 0);
    refused_without_a_trace(&bedroom, REASON_NO_LICENSE);
    assert_int_equal(auto_copy(NULL, false, &now), 0);
    assert_int_equal(now.devices_count, 0);
    assert_int_equal(waiting(&attic.who), 0);
    assert_int_equal(shop_ask(&town.a, "SELECT count(*) FROM copy_queue"), 0);
}

static void one_of_ours_that_is_unnamed_is_still_the_accounts(void **state)
{
    (void)state;
    msg_AutoCopyState now;
    choose(NULL);
    choose(&attic);
    buy();
    assert_int_equal(shop_ask(&town.a, "SELECT count(*) FROM copy_queue"), 1);
    assert_int_equal(auto_copy(&attic, false, &now), 0);
    assert_true(now.on);
    assert_int_equal(waiting(&attic.who), 1);
}

static void unlink_from_a(void)
{
    msg_Unlink m;
    memcpy(m.distributor, town.a.keys->self.bytes, ID_BYTES);
    assert_int_equal(RUN(&town.b, &bedroom.who, UNLINK, msg_Unlink, &m, &reply), 0);
    town_share(&town);
}

static void only_the_household_is_served(void **state)
{
    (void)state;
    msg_AutoCopyState now;
    msg_Result result;
    assert_int_equal(auto_copy(&thief, true, &now), REASON_NOT_OWNED);
    choose(&bedroom);
    buy();
    takes_one_that_plays(&result);
    unlink_from_a();
    assert_int_equal(waiting(&bedroom.guest), 0);
    refused_without_a_trace(&bedroom, REASON_NO_LICENSE);
    msg_AutoCopy ask = msg_AutoCopy_init_zero;
    assert_int_equal(RUN(&town.a, &kitchen.who, AUTO_COPY, msg_AutoCopy, &ask, &reply), 0);
    REPLY_AS(&reply, AUTO_COPY_STATE, msg_AutoCopyState, &now);
    assert_int_equal(now.devices_count, 0);
    assert_int_equal(auto_copy(&bedroom, true, &now), REASON_NOT_OWNED);
}

static void remove_device(struct shop *s, struct gadget *by, const struct gadget *g)
{
    msg_DeviceRemove m;
    memcpy(m.client, g->client.bytes, ID_BYTES);
    assert_int_equal(RUN(s, &by->who, DEVICE_REMOVE, msg_DeviceRemove, &m, &reply), 0);
    town_share(&town);
}

static void a_link_that_is_on_its_way_is_asked_for(void **state)
{
    (void)state;
    msg_Result result;
    choose(&bedroom);
    buy();
    unlink_from_a();
    town.directory = false;
    town_link(&town, &kitchen, &bedroom);
    assert_int_equal(waiting(&bedroom.guest), 0);
    town.directory = true;
    assert_int_equal(waiting(&bedroom.guest), 1);
    takes_one_that_plays(&result);
}

static void a_removed_device_gets_nothing(void **state)
{
    (void)state;
    msg_RestorableGet m = msg_RestorableGet_init_zero;
    choose(&bedroom);
    buy();
    remove_device(&town.b, &bedroom, &bedroom);
    assert_int_equal(RUN(&town.a, &bedroom.guest, QUEUED_GET, msg_RestorableGet, &m, &reply), REASON_DEVICE_REVOKED);
    refused_without_a_trace(&bedroom, REASON_DEVICE_REVOKED);
    assert_int_equal(shop_ask(&town.a, "SELECT count(*) FROM copy_queue"), 0);
    assert_int_equal(shop_ask(&town.a, "SELECT count(*) FROM auto_copy_to"), 0);
}

#define MALLET 0

/* A row of some member of the directory that is nobody's partner, as if it had signed it; known for longer than everybody else. */
static void mallet_says(const struct gadget *g, bool revoked)
{
    share_ClientUser m = { .user = "x", .name = "mine", .registered_ms = 1, .revoked = revoked };
    doc_Share *share CLEANUP(freep) = calloc(1, sizeof(*share));
    struct buf row CLEANUP(buf_free) = buf(512);
    assert_non_null(share);
    memcpy(m.client, g->client.bytes, ID_BYTES);
    assert_int_equal(CODEC_ENCODE(share_ClientUser, &row, &m), 0);
    share->table = share_Table_CLIENT_USER;
    assert_int_equal(CODEC_SET_BYTES(share->row, buf_slice(&row)), 0);
    struct transaction t CLEANUP(transaction_end) = { 0 };
    assert_int_equal(transaction_begin(&t, town.a.o->store), 0);
    assert_int_equal(share_apply_row(town.a.o, MALLET, share, town.now_ms), 0);
    assert_int_equal(transaction_commit(&t), 0);
    assert_int_equal(shop_ask(&town.a, "SELECT count(*) FROM client_user WHERE name = 'mine'"), 1);
}

static void a_stranger_that_claims_a_device_keeps_nothing_from_it(void **state)
{
    (void)state;
    msg_Result result;
    int64_t number;
    struct transaction t CLEANUP(transaction_end) = { 0 };
    assert_int_equal(transaction_begin(&t, town.a.o->store), 0);
    assert_int_equal(operations_distributor_add(town.a.o, &thief.client, "mallet", &number), 0);
    assert_int_equal(transaction_commit(&t), 0);
    assert_true(shop_change(&town.a, "UPDATE distributor SET number = 0 WHERE name = 'mallet'"));
    choose(&bedroom);
    buy();
    mallet_says(&bedroom, false);
    assert_int_equal(waiting(&bedroom.guest), 1);
    takes_one_that_plays(&result);
    mallet_says(&bedroom, true);
    assert_int_equal(shop_ask(&town.a, "SELECT count(*) FROM copy_queue WHERE serial IS NOT NULL"), 1);
    assert_int_equal(shop_ask(&town.a, "SELECT count(*) FROM auto_copy_to"), 1);
    takes_one_that_plays(&result); /* the same again */
}

static void nothing_of_a_removed_source(void **state)
{
    (void)state;
    choose(&bedroom);
    buy();
    remove_device(&town.a, &attic, &kitchen);
    assert_int_equal(waiting(&bedroom.guest), 0);
    refused_without_a_trace(&bedroom, REASON_DEVICE_REVOKED);
}

static void within_the_copies_and_the_credit(void **state)
{
    (void)state;
    msg_Result result;
    choose(&bedroom);
    buy();
    town_ask(&town.a, &town.b); /* what it learns by that stays */
    assert_true(shop_change(&town.a, "UPDATE license SET copies = max_copies"));
    assert_int_equal(waiting(&bedroom.guest), 0);
    refused_without_a_trace(&bedroom, REASON_COPY_COUNT_EXHAUSTED);
    assert_true(shop_change(&town.a, "UPDATE license SET copies = 0"));
    assert_true(shop_change(&town.a, "UPDATE account SET credit_limit = 520"));
    assert_int_equal(waiting(&bedroom.guest), 1);
    refused_without_a_trace(&bedroom, REASON_CREDIT_REFUSED);
    assert_true(shop_change(&town.a, "UPDATE account SET credit_limit = 2000"));
    takes_one_that_plays(&result);
}

static void a_partner_that_allows_nothing(void **state)
{
    (void)state;
    msg_Result result;
    choose(&bedroom);
    buy();
    town.b.unreachable = true;
    refused_without_a_trace(&bedroom, REASON_DELEGATION_INVALID);
    town.b.unreachable = false;
    takes_one_that_plays(&result);
}

static void a_receipt_is_the_destinations(void **state)
{
    (void)state;
    msg_Result result;
    choose(&bedroom);
    buy();
    takes_one_that_plays(&result);
    gadget_receipt(&thief, &certificate, 1, town.now_ms, &receipt);
    assert_int_not_equal(gadget_redeem(&town.a, &thief.guest, buf_slice(&receipt)), 0);
    assert_int_equal(waiting(&bedroom.guest), 1);
    msg_QueuedDone done; /* a word that nobody signed settles nothing */
    memcpy(done.content, song.bytes, ID_BYTES);
    assert_int_equal(RUN(&town.a, &bedroom.guest, QUEUED_DONE, msg_QueuedDone, &done, &reply), REASON_NOT_REGISTERED);
    assert_int_equal(waiting(&bedroom.guest), 1);
}

static void bought_again_a_certificate_waits_on(void **state)
{
    (void)state;
    msg_Result first, again;
    choose(&bedroom);
    buy();
    takes_one_that_plays(&first);
    assert_int_equal(gadget_buy(&town.a, &attic, &song, &again), 0);
    takes_one_that_plays(&again);
    assert_true(slice_equal(CODEC_BYTES(first.certificate), CODEC_BYTES(again.certificate)));
    assert_int_equal(shop_balance(&town.a, "alice"), -499 - 50 - 499);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(nobody_is_served_who_was_not_named),
        CASE(a_named_one_gets_a_certificate),
        CASE(who_is_to_be_told),
        CASE(the_same_again_until_it_is_settled),
        CASE(what_the_source_has_asked_for_is_given),
        CASE(one_that_ended_is_refused_and_made_anew),
        CASE(what_nobody_fetches_costs_nothing),
        CASE(what_was_taken_stays_until_it_can_be_settled),
        CASE(switched_off_nothing_waits),
        CASE(one_of_ours_that_is_unnamed_is_still_the_accounts),
        CASE(only_the_household_is_served),
        CASE(a_link_that_is_on_its_way_is_asked_for),
        CASE(a_removed_device_gets_nothing),
        CASE(a_stranger_that_claims_a_device_keeps_nothing_from_it),
        CASE(nothing_of_a_removed_source),
        CASE(within_the_copies_and_the_credit),
        CASE(a_partner_that_allows_nothing),
        CASE(a_receipt_is_the_destinations),
        CASE(bought_again_a_certificate_waits_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
