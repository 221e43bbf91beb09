/* Getting back what an account bought, and no more than that: design section 6.2. */
#include "town.h"

#include "base/util.h"

static struct town town;
static struct gadget kitchen, attic, spare, other;
static struct reply reply;
static struct id song;

static int set_up(void **state)
{
    (void)state;
    town_init(&town);
    shop_user(&town.a, "alice", 2000);
    shop_user(&town.a, "bob", 2000);
    gadget_init(&town, &kitchen, "kitchen");
    gadget_init(&town, &attic, "attic");
    gadget_init(&town, &spare, "spare");
    gadget_init(&town, &other, "other");
    assert_int_equal(gadget_register(&town.a, &kitchen, "alice", TOWN_PASSWORD), 0);
    assert_int_equal(gadget_register(&town.a, &attic, "alice", TOWN_PASSWORD), 0);
    assert_int_equal(gadget_register(&town.a, &spare, "alice", TOWN_PASSWORD), 0);
    assert_int_equal(gadget_register(&town.a, &other, "bob", TOWN_PASSWORD), 0);
    song = shop_publish(&town.a, "Reverie", 499, 50, 2, 1);
    reply_init(&reply);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    shop_check(&town.a);
    reply_free(&reply);
    gadget_deinit(&kitchen);
    gadget_deinit(&attic);
    gadget_deinit(&spare);
    gadget_deinit(&other);
    town_deinit(&town);
    return 0;
}

static int restore(struct gadget *g, msg_Result *out)
{
    struct order order;
    static struct results results;
    order_init(&order);
    order_restore(&order, &song);
    assert_int_equal(gadget_transact(&town.a, g, &order, &results), 0);
    *out = results.results[0];
    return out->has_refusal ? (int)reason_of_code(out->refusal.code) : 0;
}

static msg_Restorable *list(struct gadget *g)
{
    static msg_Restorable found;
    msg_RestorableGet m = msg_RestorableGet_init_zero;
    assert_int_equal(RUN(&town.a, &g->who, RESTORABLE_GET, msg_RestorableGet, &m, &reply), 0);
    REPLY_AS(&reply, RESTORABLE, msg_Restorable, &found);
    assert_false(found.more);
    return &found;
}

static void remove_device(struct gadget *by, struct gadget *g)
{
    msg_DeviceRemove m;
    memcpy(m.client, g->client.bytes, ID_BYTES);
    assert_int_equal(RUN(&town.a, &by->who, DEVICE_REMOVE, msg_DeviceRemove, &m, &reply), 0);
}

static void assert_plays(struct gadget *g, const msg_Result *result)
{
    struct key32 key;
    vault_key_of_purchase(&town.a, g, result, &key);
    assert_true(vault_plays(&town.a, &song, &key));
}

static void what_is_not_lost_is_not_given(void **state)
{
    (void)state;
    msg_Result result;
    assert_int_equal(gadget_buy(&town.a, &kitchen, &song, &result), 0);
    assert_int_equal(list(&spare)->items_count, 0);
    assert_int_equal(restore(&spare, &result), REASON_NO_LICENSE);
    assert_int_equal(restore(&other, &result), REASON_NO_LICENSE);
}

static void what_is_here_comes_as_it_is(void **state)
{
    (void)state;
    msg_Result bought, again;
    assert_int_equal(gadget_buy(&town.a, &kitchen, &song, &bought), 0);
    assert_int_equal(list(&kitchen)->items_count, 1);
    assert_true(list(&kitchen)->items[0].held);
    assert_int_equal(restore(&kitchen, &again), 0);
    assert_true(slice_equal(CODEC_BYTES(bought.license), CODEC_BYTES(again.license)));
    assert_int_equal(shop_balance(&town.a, "alice"), -499);
}

/* Its device takes nothing more that a withdrawn key has signed, also when it was paid for before: perhaps the answer is still on its way. */
static void what_a_withdrawn_key_has_signed_comes_anew(void **state)
{
    (void)state;
    static doc_License license;
    msg_Result bought, again;
    assert_int_equal(gadget_buy(&town.a, &kitchen, &song, &bought), 0);
    town_rotate(&town.a, KEY_LICENSE, true);
    gadget_hello(&town.a, &kitchen);
    assert_int_equal(license_judge(CODEC_BYTES(bought.license), &town.a.keyset, &license), REASON_SIGNATURE_INVALID);
    assert_int_equal(restore(&kitchen, &again), 0);
    assert_int_equal(license_judge(CODEC_BYTES(again.license), &town.a.keyset, &license), 0);
    assert_plays(&kitchen, &again);
    assert_int_equal(restore(&kitchen, &bought), 0); /* as it is, from then on */
    assert_true(slice_equal(CODEC_BYTES(bought.license), CODEC_BYTES(again.license)));
    assert_int_equal(shop_balance(&town.a, "alice"), -499);
}

static void the_license_of_a_removed_device_is_given_once(void **state)
{
    (void)state;
    msg_Result result;
    assert_int_equal(gadget_buy(&town.a, &attic, &song, &result), 0);
    remove_device(&kitchen, &attic);
    assert_int_equal(list(&other)->items_count, 0); /* of another account */
    assert_int_equal(restore(&other, &result), REASON_NO_LICENSE);
    assert_int_equal(list(&spare)->items_count, 1);
    assert_false(list(&spare)->items[0].held);
    assert_int_equal(restore(&spare, &result), 0);
    assert_plays(&spare, &result);
    assert_int_equal(restore(&kitchen, &result), REASON_NO_LICENSE);
    assert_int_equal(gadget_register(&town.a, &attic, "alice", TOWN_PASSWORD), 0);
    assert_int_equal(restore(&attic, &result), REASON_NO_LICENSE);
    assert_int_equal(shop_balance(&town.a, "alice"), -499);
}

static void two_that_were_bought_come_back_as_two(void **state)
{
    (void)state;
    msg_Result result;
    assert_int_equal(gadget_buy(&town.a, &attic, &song, &result), 0);
    assert_int_equal(gadget_buy(&town.a, &spare, &song, &result), 0);
    remove_device(&kitchen, &attic);
    remove_device(&kitchen, &spare);
    assert_int_equal(restore(&kitchen, &result), 0);
    gadget_hello(&town.a, &spare);
    assert_int_equal(gadget_register(&town.a, &spare, "alice", TOWN_PASSWORD), 0);
    assert_int_equal(restore(&spare, &result), 0);
    assert_plays(&spare, &result);
    gadget_hello(&town.a, &attic);
    assert_int_equal(gadget_register(&town.a, &attic, "alice", TOWN_PASSWORD), 0);
    assert_int_equal(restore(&attic, &result), REASON_NO_LICENSE);
}

/* Copies that were made of it stay made. */
static void what_is_left_of_the_copies_comes_along(void **state)
{
    (void)state;
    msg_Result result;
    assert_int_equal(gadget_buy(&town.a, &attic, &song, &result), 0);
    assert_int_equal(gadget_copy(&town.a, &attic, &song, &kitchen, false, false, &result), 0);
    remove_device(&kitchen, &attic);
    assert_int_equal(restore(&spare, &result), 0);
    gadget_hello(&town.a, &attic);
    assert_int_equal(gadget_register(&town.a, &attic, "alice", TOWN_PASSWORD), 0);
    assert_int_equal(gadget_copy(&town.a, &spare, &song, &attic, false, false, &result), 0); /* the second of two */
    remove_device(&kitchen, &attic);
    gadget_hello(&town.a, &attic);
    assert_int_equal(gadget_register(&town.a, &attic, "alice", TOWN_PASSWORD), 0);
    /* The certificate of a removed device counts no more, once for each license (copy_removed.c). */
    assert_int_equal(gadget_copy(&town.a, &spare, &song, &attic, false, false, &result), 0);
    remove_device(&kitchen, &attic);
    gadget_hello(&town.a, &attic);
    assert_int_equal(gadget_register(&town.a, &attic, "alice", TOWN_PASSWORD), 0);
    assert_int_equal(gadget_copy(&town.a, &spare, &song, &attic, false, false, &result), REASON_COPY_COUNT_EXHAUSTED);
}

static void a_move_under_way_is_not_written_over(void **state)
{
    (void)state;
    msg_Result result;
    assert_int_equal(gadget_buy(&town.a, &kitchen, &song, &result), 0);
    assert_int_equal(gadget_buy(&town.a, &attic, &song, &result), 0);
    assert_int_equal(gadget_copy(&town.a, &kitchen, &song, &spare, true, false, &result), 0);
    remove_device(&kitchen, &attic);
    assert_int_equal(restore(&kitchen, &result), REASON_ALREADY);
}

/* The certificate was let out before, perhaps: its destination may take it as long as it lasts, from whoever brings it. */
static void what_a_removed_device_had_begun_to_move_may_arrive(void **state)
{
    (void)state;
    msg_Result result;
    assert_int_equal(gadget_buy(&town.a, &attic, &song, &result), 0);
    assert_int_equal(gadget_copy(&town.a, &attic, &song, &spare, true, false, &result), 0);
    remove_device(&kitchen, &attic);
    assert_int_equal(list(&kitchen)->items_count, 0);
    assert_int_equal(restore(&kitchen, &result), REASON_NO_LICENSE);
    town.now_ms += 8 * INT64_C(86400000); /* certificates last seven days */
    assert_int_equal(list(&kitchen)->items_count, 1);
    assert_int_equal(restore(&kitchen, &result), 0);
    assert_plays(&kitchen, &result);
    assert_int_equal(restore(&spare, &result), REASON_NO_LICENSE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_not_lost_is_not_given, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_here_comes_as_it_is, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_a_withdrawn_key_has_signed_comes_anew, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_license_of_a_removed_device_is_given_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(two_that_were_bought_come_back_as_two, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_left_of_the_copies_comes_along, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_move_under_way_is_not_written_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_a_removed_device_had_begun_to_move_may_arrive, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
