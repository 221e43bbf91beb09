/* A database that was put back from an older copy: numbers go on where nothing was used, our own rows come back, and it is noticed when nobody said so. */
#include "distributor/reserve.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/util.h"
#include "distributor/devices.h"
#include "distributor/share_chain.h"
#include "distributor/share_own.h"
#include "share.pb.h"
#include "town.h"

static struct town town;
static struct gadget kitchen, attic, bedroom;
static struct reply reply;
static struct id song, tune;
static char copy[96];

static int set_up(void **state)
{
    (void)state;
    town_init(&town);
    shop_user(&town.a, "alice", 5000);
    shop_user(&town.b, "alina", 5000);
    gadget_init(&town, &kitchen, "kitchen");
    gadget_init(&town, &attic, "attic");
    gadget_init(&town, &bedroom, "bedroom");
    assert_int_equal(gadget_register(&town.a, &kitchen, "alice", TOWN_PASSWORD), 0);
    assert_int_equal(gadget_register(&town.a, &attic, "alice", TOWN_PASSWORD), 0);
    assert_int_equal(gadget_register(&town.b, &bedroom, "alina", TOWN_PASSWORD), 0);
    town_link(&town, &kitchen, &bedroom);
    song = shop_publish(&town.a, "Reverie", 499, 50, 9, 1);
    tune = shop_publish(&town.a, "Nocturne", 299, 50, 9, 1);
    msg_Result result;
    assert_int_equal(gadget_buy(&town.a, &kitchen, &song, &result), 0);
    snprintf(copy, sizeof(copy), "%s/copy.db", town.a.dir);
    reply_init(&reply);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(copy);
    shop_check(&town.a);
    reply_free(&reply);
    gadget_deinit(&kitchen);
    gadget_deinit(&attic);
    gadget_deinit(&bedroom);
    town_deinit(&town);
    return 0;
}

/* --- Copies of the database: of files only ---------------------------------------------------------------------------- */

static void keep_copy(void)
{
    unlink(copy);
    assert_int_equal(store_backup(town.a.o->store, copy), 0);
}

static void put_back(void)
{
    char path[96], more[112];
    snprintf(path, sizeof(path), "%s/operations.db", town.a.dir);
    operations_close(town.a.o);
    for (size_t i = 0; i < 2; i++) {
        snprintf(more, sizeof(more), "%s-%s", path, i == 0 ? "wal" : "shm");
        unlink(more);
    }
    assert_int_equal(rename(copy, path), 0);
    assert_int_equal(operations_open(&town.a.o, town.a.dir, town.a.keys, &town.rng.rng, 0), 0);
}

static bool clock_was_ahead;

static int leap(int64_t taken_ms, struct reserve_report *report)
{
    struct transaction t CLEANUP(transaction_end) = { 0 };
    assert_int_equal(transaction_begin(&t, town.a.o->store), 0);
    int r =
        reserve_leap(town.a.o, &(struct reserve_from){ taken_ms, town.a.dir, clock_was_ahead }, town.now_ms, report);
    return r == 0 ? transaction_commit(&t) : r;
}

static int64_t ask(const char *sql) { return shop_ask(&town.a, sql); }

static void set(const char *name, const char *value)
{
    struct transaction t CLEANUP(transaction_end) = { 0 };
    assert_int_equal(transaction_begin(&t, town.a.o->store), 0);
    assert_int_equal(operations_setting_set(town.a.o, name, value), 0);
    assert_int_equal(transaction_commit(&t), 0);
}

/* --- Numbers ----------------------------------------------------------------------------------------------------------- */

static const char *const newest[] = {
    "SELECT max(sequence) FROM license",
    "SELECT max(number) FROM ledger",
    "SELECT max(number) FROM posting",
    "SELECT max(version) FROM key_block WHERE distributor = 1",
    "SELECT keyset_sequence FROM distributor WHERE number = 1",
    "SELECT min(session) FROM device_session",
    "SELECT max(sequence) FROM roster",
};

static void test_numbers_leap(void **state)
{
    (void)state;
    struct reserve_report report;
    msg_Result result;
    int64_t before[ARRAY_COUNT(newest)];
    for (size_t i = 0; i < ARRAY_COUNT(newest); i++)
        before[i] = ask(newest[i]);
    int64_t leaf = ask("SELECT max(leaf) FROM leaf_client WHERE distributor = 1"),
            product = ask("SELECT max(number) FROM product");
    int64_t taken_ms = town.now_ms;
    town.now_ms += 60000;
    assert_int_equal(leap(taken_ms, &report), 0);
    assert_int_equal(report.epoch, 1);
    assert_int_equal(report.leap, RESERVE_LEAST + 60 * RESERVE_A_SECOND);
    gadget_hello(&town.a, &kitchen);
    assert_int_equal(gadget_buy(&town.a, &kitchen, &tune, &result), 0);
    struct gadget porch;
    gadget_init(&town, &porch, "porch");
    assert_int_equal(gadget_register(&town.a, &porch, "alice", TOWN_PASSWORD), 0);
    gadget_deinit(&porch);
    shop_publish(&town.a, "Etude", 1, 1, 1, 1);
    for (size_t i = 0; i < ARRAY_COUNT(newest); i++)
        assert_true(ask(newest[i]) > before[i] + (int64_t)RESERVE_LEAST);
    assert_true(ask("SELECT max(leaf) FROM leaf_client WHERE distributor = 1") > leaf + (int64_t)RESERVE_LEAVES_LEAST);
    assert_true(ask("SELECT max(number) FROM product") > product + RESERVE_PRODUCTS_LEAST);
    /* The device that the database had never seen has no session that it may have had before. */
    assert_true(ask("SELECT min(session) FROM device_session") > (int64_t)RESERVE_LEAST);
}

static void keep_used(int64_t used[ARRAY_COUNT(newest)])
{
    for (size_t i = 0; i < ARRAY_COUNT(newest); i++)
        used[i] = ask(newest[i]);
}

/* However fast an operator puts the same copy back again, and whatever the clock says: no number comes twice, products' neither. */
static void test_again_at_once(void **state)
{
    (void)state;
    struct reserve_report report;
    int64_t taken_ms = town.now_ms, used[ARRAY_COUNT(newest)], product = 0;
    for (int i = 0; i < 4; i++) {
        keep_copy();
        if (i == 3) {
            town.now_ms -= 5000; /* earlier than the copy: the clock was ahead */
            assert_int_equal(leap(taken_ms, &report), -ERANGE);
            clock_was_ahead = true;
        }
        assert_int_equal(leap(taken_ms, &report), 0);
        clock_was_ahead = false;
        for (size_t j = 3; i > 0 && j < ARRAY_COUNT(newest); j++)
            assert_true(ask(newest[j]) > used[j]);
        for (int j = 0; j < 20; j++) {
            char title[32];
            snprintf(title, sizeof(title), "Etude %d", j);
            shop_publish(&town.a, title, 1, 1, 1, 1);
        }
        assert_true(ask("SELECT min(number) FROM product WHERE number > 100") > product);
        product = ask("SELECT max(number) FROM product");
        keep_used(used);
        put_back();
    }
}

/* The second restore of one backup goes beyond what the first one gave out. */
static void test_twice(void **state)
{
    (void)state;
    struct reserve_report first, second;
    msg_Result result;
    int64_t taken_ms = town.now_ms;
    keep_copy();
    town.now_ms += 1000;
    assert_int_equal(leap(taken_ms, &first), 0);
    gadget_hello(&town.a, &kitchen);
    assert_int_equal(gadget_buy(&town.a, &kitchen, &tune, &result), 0);
    int64_t used[ARRAY_COUNT(newest)];
    keep_used(used);
    put_back();
    town.now_ms += 1000;
    assert_int_equal(leap(taken_ms, &second), 0);
    assert_true(second.leap > first.leap);
    for (size_t i = 3; i < ARRAY_COUNT(newest); i++) /* those that are there at once */
        assert_true(ask(newest[i]) > used[i]);
    gadget_hello(&town.a, &kitchen);
    /* The device is ahead by one transaction: it is told so, follows, and goes on. */
    uint32_t bit = kitchen.bit;
    assert_int_equal(gadget_buy(&town.a, &kitchen, &tune, &result), REASON_OUT_OF_STEP);
    kitchen.bit = bit ^ 1;
    assert_int_equal(gadget_buy(&town.a, &kitchen, &tune, &result), 0);
    for (size_t i = 0; i < ARRAY_COUNT(newest); i++)
        assert_true(ask(newest[i]) > used[i]);
}

static void test_clock(void **state)
{
    (void)state;
    struct reserve_report report;
    uint8_t before[32], after[32];
    shop_digest(&town.a, before);
    assert_int_equal(leap(town.now_ms + 1, &report), -ERANGE);
    int64_t now_ms = town.now_ms;
    town.now_ms = TOWN_START_MS - TOWN_DAY_MS; /* the database knows later times */
    assert_int_equal(leap(town.now_ms, &report), -ERANGE);
    town.now_ms = now_ms;
    shop_digest(&town.a, after);
    assert_memory_equal(before, after, sizeof(before));
}

static void test_what_ends(void **state)
{
    (void)state;
    struct reserve_report report;
    char value[32];
    msg_Result result;
    set("collect-at", "1000");
    assert_int_equal(leap(town.now_ms, &report), 0);
    assert_true(report.was_collecting && report.collect_at == 1000 && !report.catches_up);
    assert_int_equal(operations_setting(town.a.o, "collect-at", value, sizeof(value)), 0);
    assert_string_equal(value, "0");
    assert_int_equal(ask("SELECT count(*) FROM link_code"), 0);
    /* A vault that has spoken since is not taken for an older one. */
    gadget_hello(&town.a, &kitchen);
    assert_int_equal(gadget_buy(&town.a, &kitchen, &tune, &result), 0);
}

/* --- Our own rows ------------------------------------------------------------------------------------------------------ */

static int apply(struct slice rows)
{
    struct transaction t CLEANUP(transaction_end) = { 0 };
    struct reader r = reader(rows);
    struct slice envelope;
    int outcome = 0;
    assert_int_equal(transaction_begin(&t, town.a.o->store), 0);
    while (outcome == 0 && codec_list_next(&r, SHARE_ENVELOPE_MAX, &envelope) == 0)
        outcome = share_apply(town.a.o, envelope, town.now_ms);
    return outcome == 0 ? transaction_commit(&t) : outcome;
}

static void read_outbox(uint64_t after, struct buf *rows, uint32_t *count)
{
    uint64_t last;
    assert_int_equal(share_outbox_read(town.a.o, after, 100000, 1 << 22, rows, count, &last), 0);
}

static void finish(uint64_t *held)
{
    struct transaction t CLEANUP(transaction_end) = { 0 };
    assert_int_equal(transaction_begin(&t, town.a.o->store), 0);
    assert_int_equal(share_own_finish(town.a.o, held), 0);
    assert_int_equal(transaction_commit(&t), 0);
}

static void revoke_device(const struct gadget *g)
{
    struct device d;
    struct transaction t CLEANUP(transaction_end) = { 0 };
    assert_int_equal(transaction_begin(&t, town.a.o->store), 0);
    assert_int_equal(devices_find_own(town.a.o, &g->client, &d), 0);
    assert_int_equal(devices_revoke(town.a.o, &d, town.now_ms), 0);
    assert_int_equal(transaction_commit(&t), 0);
}

/* What is in nobody's hands but ours, the directory's and the devices'. */
static void test_own_rows(void **state)
{
    (void)state;
    struct reserve_report report;
    struct buf rows CLEANUP(buf_free) = buf(1 << 23), again CLEANUP(buf_free) = buf(1 << 23);
    msg_Result result;
    uint64_t before, held;
    uint32_t count, total;
    int64_t taken_ms = town.now_ms;
    set("directory-url", "hearth://127.0.0.1:1#none");
    keep_copy();
    assert_int_equal(share_outbox_last(town.a.o, &before), 0);
    assert_int_equal(gadget_copy(&town.a, &kitchen, &song, &bedroom, false, false, &result), 0);
    assert_int_equal(gadget_buy(&town.a, &kitchen, &tune, &result), 0);
    revoke_device(&attic);
    read_outbox(before, &rows, &count);
    put_back();
    assert_int_equal(apply(buf_slice(&rows)), SHARE_AHEAD); /* nobody said that it was put back */
    town.now_ms += 1000;
    assert_int_equal(leap(taken_ms, &report), 0);
    assert_true(report.catches_up);
    assert_int_equal(ask("SELECT count(*) FROM outbox WHERE sequence < 1152921504606846976"),
                     (int64_t)before); /* the keyset is held */
    gadget_hello(&town.a, &kitchen);
    assert_int_equal(apply(buf_slice(&rows)), 0);
    assert_int_equal(apply(buf_slice(&rows)), 0); /* as often as it comes */
    assert_int_equal(ask("SELECT count(*) FROM revoked_leaf"), 1);
    assert_int_equal(ask("SELECT revoked FROM client_user WHERE distributor = 1 AND name = 'attic'"), 1);
    assert_int_equal(ask("SELECT sum(copies) FROM license"), 1);
    assert_int_equal(ask("SELECT count(*) FROM certificate WHERE charge = 0 AND state = 1 AND length(document) = 0"),
                     1);
    assert_int_equal(ask("SELECT count(*) FROM license"), 1); /* the second one is with its device */
    assert_int_equal(ask("SELECT count(*) FROM user_license WHERE distributor = 1"), 2);
    /* The copy is asked for anew: what has no document is no answer. */
    assert_int_equal(gadget_copy(&town.a, &kitchen, &song, &bedroom, false, false, &result), 0);
    finish(&held);
    assert_true(held > 0);
    read_outbox(0, &again, &total);
    assert_int_equal(total, ask("SELECT value FROM counter WHERE name = 'outbox'")); /* without gaps */
    assert_int_equal(ask("SELECT count(*) FROM outbox WHERE head IS NULL OR sequence >= 1152921504606846976"), 0);
    finish(&held);
    assert_int_equal(held, 0);
    town_share(&town); /* the other one takes them all, chains and signatures */
}

/* A stolen key that was withdrawn after the copy was taken is in use again in it: our own keysets say so when they come back. */
static void test_withdrawn_since(void **state)
{
    (void)state;
    struct reserve_report report;
    struct buf rows CLEANUP(buf_free) = buf(1 << 20);
    uint8_t stolen[3][32], kept[32];
    uint64_t before, held;
    uint32_t count;
    unsigned due = 0;
    bool gone = false;
    int64_t taken_ms = town.now_ms;
    set("directory-url", "hearth://127.0.0.1:1#none");
    keep_copy();
    assert_int_equal(share_outbox_last(town.a.o, &before), 0);
    static const enum key_purpose purposes[] = { KEY_LICENSE, KEY_TLS, KEY_ROSTER };
    memcpy(kept, keys_public(town.a.keys, KEY_SEALING), sizeof(kept));
    for (size_t i = 0; i < ARRAY_COUNT(purposes); i++) {
        memcpy(stolen[i], keys_public(town.a.keys, purposes[i]), sizeof(stolen[i]));
        town_rotate(&town.a, purposes[i], true);
    }
    town_rotate(&town.a, KEY_SEALING, false); /* another one, and nothing wrong with it */
    read_outbox(before, &rows, &count);
    put_back();
    town.now_ms += 1000;
    assert_int_equal(leap(taken_ms, &report), 0);
    for (size_t i = 0; i < ARRAY_COUNT(stolen); i++) {
        assert_int_equal(keyset_is_withdrawn(town.a.o, stolen[i], &gone), 0);
        assert_false(gone);
    }
    assert_int_equal(apply(buf_slice(&rows)), 0);
    finish(&held);
    for (size_t i = 0; i < ARRAY_COUNT(stolen); i++) {
        assert_int_equal(keyset_is_withdrawn(town.a.o, stolen[i], &gone), 0);
        assert_true(gone);
    }
    assert_int_equal(keyset_is_withdrawn(town.a.o, kept, &gone), 0);
    assert_false(gone);
    assert_int_equal(keyset_due(town.a.o, town.now_ms, &due), 0);
    assert_true(due & KEYSET_DUE_WITHDRAWN);
    struct transaction t CLEANUP(transaction_end) = { 0 }; /* with the root key here that is done by itself */
    bool changed = false;
    assert_int_equal(transaction_begin(&t, town.a.o->store), 0);
    assert_int_equal(keyset_keep_fresh(town.a.o, town.now_ms, &changed), 0);
    assert_int_equal(transaction_commit(&t), 0);
    assert_true(changed);
    assert_int_equal(keyset_due(town.a.o, town.now_ms, &due), 0);
    assert_int_equal(due, 0);
    /* One that is in use is the operator's to change. */
    assert_int_equal(transaction_begin(&t, town.a.o->store), 0);
    assert_int_equal(keyset_withdraw(town.a.o, keys_public(town.a.keys, KEY_LICENSE), town.now_ms), 0);
    changed = false;
    assert_int_equal(keyset_keep_fresh(town.a.o, town.now_ms, &changed), 0);
    assert_int_equal(transaction_commit(&t), 0);
    assert_false(changed);
    assert_int_equal(keyset_due(town.a.o, town.now_ms, &due), 0);
    assert_string_not_equal(keyset_due_asks(due, true), "");
    assert_string_equal(keyset_due_asks(KEYSET_DUE_AGE, true), "");
}

/* What a thief signs as a row of ours, and a directory that is his gives us: it stops the server only for as long as the key counts. */
static void test_row_under_a_withdrawn_key(void **state)
{
    (void)state;
    struct sign_pair stolen = town.a.keys->license;
    struct buf envelope CLEANUP(buf_free) = buf(SHARE_ENVELOPE_MAX), row CLEANUP(buf_free) = buf(256),
                        rows CLEANUP(buf_free) = buf(2 * SHARE_ENVELOPE_MAX);
    doc_Share *share CLEANUP(freep) = calloc(1, sizeof(*share));
    share_KeyBlock block = { .version = 7 };
    struct signer signer;
    uint64_t last;
    assert_int_equal(CODEC_ENCODE(share_KeyBlock, &row, &block), 0);
    assert_int_equal(share_outbox_last(town.a.o, &last), 0);
    memcpy(share->origin, town.a.keys->self.bytes, ID_BYTES);
    share->table = share_Table_KEY_BLOCK;
    share->sequence = last + 100;
    assert_int_equal(CODEC_SET_BYTES(share->row, buf_slice(&row)), 0);
    signer_from_pair(&signer, &stolen);
    assert_int_equal(document_sign(&envelope, DOCUMENT_SHARE, share, &signer), 0);
    assert_int_equal(codec_list_put(&rows, buf_slice(&envelope)), 0);
    assert_int_equal(apply(buf_slice(&rows)), SHARE_AHEAD);
    town_rotate(&town.a, KEY_LICENSE, true);
    assert_int_equal(apply(buf_slice(&rows)), REASON_SIGNATURE_INVALID);
    secret_wipe(&stolen, sizeof(stolen));
}

/* --- Without a directory ----------------------------------------------------------------------------------------------- */

static int64_t removed_at_b(void)
{
    return shop_ask(&town.b, "SELECT revoked FROM client_user WHERE distributor > 1 AND name = 'attic'");
}

/* A head of a's, as b keeps it and shows it to whom it tells its rows. */
static int take_own_head(struct slice envelope)
{
    struct transaction t CLEANUP(transaction_end) = { 0 };
    share_Head head;
    int64_t number;
    assert_int_equal(transaction_begin(&t, town.a.o->store), 0);
    int r = share_head_take(town.a.o, envelope, &number, &head);
    assert_int_equal(transaction_commit(&t), 0);
    return r;
}

/* What is done by hand after the restore counts at a partner that has rows which are unknown here. */
static void test_partner_knows_more(void **state)
{
    (void)state;
    struct reserve_report report;
    struct buf head CLEANUP(buf_free) = buf(SHARE_HEAD_ENVELOPE_MAX),
                    now CLEANUP(buf_free) = buf(SHARE_HEAD_ENVELOPE_MAX);
    uint64_t before, lost, last;
    int64_t taken_ms = town.now_ms;
    town_share(&town);
    keep_copy();
    assert_int_equal(share_outbox_last(town.a.o, &before), 0);
    for (int i = 0; i < 6; i++) {
        char name[16];
        struct gadget late;
        snprintf(name, sizeof(name), "late%d", i);
        gadget_init(&town, &late, name);
        assert_int_equal(gadget_register(&town.a, &late, "alice", TOWN_PASSWORD), 0);
        gadget_deinit(&late);
    }
    town_share(&town);
    assert_int_equal(share_outbox_last(town.a.o, &lost), 0);
    assert_true(lost > before + 6);
    assert_int_equal(share_head_sign(town.a.o, lost, town.now_ms, &head), 0);
    put_back();
    town.now_ms += 1000;
    assert_int_equal(leap(taken_ms, &report), 0);
    assert_false(report.catches_up);
    revoke_device(&attic); /* by hand, before b was asked */
    assert_int_equal(share_outbox_last(town.a.o, &last), 0);
    assert_true(last < lost);
    town_share(&town);
    assert_int_equal(removed_at_b(), 0); /* it has other rows of these numbers */
    assert_int_equal(share_head_sign(town.a.o, last, town.now_ms, &now), 0);
    assert_int_equal(take_own_head(buf_slice(&now)), 0); /* one of now says nothing of before */
    uint64_t same;
    assert_int_equal(share_outbox_last(town.a.o, &same), 0);
    assert_int_equal(same, last);
    assert_int_equal(take_own_head(buf_slice(&head)), 0);
    town_share(&town);
    assert_int_equal(removed_at_b(), 1);
    assert_int_equal(share_outbox_last(town.a.o, &last), 0);
    assert_true(last > lost);
    assert_int_equal(take_own_head(buf_slice(&head)), 0); /* as often as it is shown */
    assert_int_equal(share_outbox_last(town.a.o, &same), 0);
    assert_int_equal(same, last);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = { CASE(test_numbers_leap),      CASE(test_clock),
                                        CASE(test_what_ends),         CASE(test_twice),
                                        CASE(test_again_at_once),     CASE(test_own_rows),
                                        CASE(test_withdrawn_since),   CASE(test_row_under_a_withdrawn_key),
                                        CASE(test_partner_knows_more) };
    const struct CMUnitTest anywhere[] = { CASE(test_numbers_leap), CASE(test_clock), CASE(test_what_ends) };
    if (town_on_postgres()) /* the others put copies of files back */
        return cmocka_run_group_tests(anywhere, NULL, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
