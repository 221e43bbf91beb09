/* Key files, keysets, key blocks, what lies in the database under storage.key. */
#include "town.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/util.h"
#include "distributor/keyblocks.h"

static struct town town;

static int set_up(void **state)
{
    (void)state;
    town_init(&town);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    town_deinit(&town);
    return 0;
}

static void key_files_are_private(void **state)
{
    (void)state;
    char path[128];
    struct keys *k = NULL;
    snprintf(path, sizeof(path), "%s/keys/license.key", town.a.dir);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(keys_load(&k, town.a.dir), -EPERM);
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(truncate(path, 31), 0);
    assert_int_equal(keys_load(&k, town.a.dir), -EUCLEAN);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(keys_load(&k, town.a.dir), -ENOENT);
    assert_int_equal(keys_load(&k, "/nowhere/at/all"), -ENOENT);
    struct operations *o;
    assert_int_equal(operations_open(&o, "/nowhere/at/all", town.a.keys, rng_system(), 0), -ENOENT);
    assert_int_equal(operations_open(&o, town.b.dir, town.a.keys, rng_system(), 0), -EUCLEAN);
}

static void stored_secrets_mean_one_thing(void **state)
{
    (void)state;
    struct key32 secret = { { 1, 2, 3 } }, read;
    uint8_t stored[KEYS_STORED_BYTES];
    const struct keys *k = town.a.keys;
    struct slice here = slice_str("here"), there = slice_str("there");
    assert_int_equal(keys_protect(k, rng_system(), "a label", here, &secret, stored), 0);
    assert_int_equal(keys_reveal(k, "a label", here, SLICE_ARRAY(stored), &read), 0);
    assert_memory_equal(secret.bytes, read.bytes, 32);
    assert_int_equal(keys_reveal(k, "a label", there, SLICE_ARRAY(stored), &read), -EUCLEAN);
    assert_int_equal(keys_reveal(k, "b label", here, SLICE_ARRAY(stored), &read), -EUCLEAN);
    assert_int_equal(keys_reveal(town.b.keys, "a label", here, SLICE_ARRAY(stored), &read), -EUCLEAN);
    assert_int_equal(keys_reveal(k, "a label", here, slice(stored, 31), &read), -EUCLEAN);
}

static void begin(struct transaction *t, struct shop *s) { assert_int_equal(transaction_begin(t, s->o->store), 0); }

static void keysets_are_issued_in_time(void **state)
{
    (void)state;
    struct transaction t CLEANUP(transaction_end) = { 0 };
    static doc_Keyset before, after, judged;
    struct buf envelope CLEANUP(buf_free) = buf(KEYSET_ENVELOPE_MAX);
    bool changed = true;
    assert_int_equal(keyset_own(town.a.o, &before), 0);
    begin(&t, &town.a);
    assert_int_equal(operations_tick(town.a.o, town.now_ms + 40 * TOWN_DAY_MS, &changed), 0);
    assert_false(changed);
    assert_int_equal(operations_tick(town.a.o, town.now_ms + 46 * TOWN_DAY_MS, &changed), 0);
    assert_true(changed);
    assert_int_equal(transaction_commit(&t), 0);
    assert_int_equal(keyset_own(town.a.o, &after), 0);
    assert_int_equal(after.sequence, before.sequence + 1);
    assert_int_equal(keyset_current(town.a.o, &envelope), 0);
    assert_int_equal(keyset_judge(buf_slice(&envelope), &town.a.keys->self, after.sequence, town.a.keys->tls.public_key,
                                  town.now_ms + 46 * TOWN_DAY_MS, &judged),
                     0);
}

static void an_older_keyset_never_replaces_a_newer(void **state)
{
    (void)state;
    struct buf old CLEANUP(buf_free) = buf(KEYSET_ENVELOPE_MAX), new CLEANUP(buf_free) = buf(KEYSET_ENVELOPE_MAX);
    struct transaction t CLEANUP(transaction_end) = { 0 };
    int64_t number;
    uint64_t lowest;
    assert_int_equal(keyset_current(town.b.o, &old), 0);
    begin(&t, &town.b);
    assert_int_equal(keyset_issue(town.b.o, NULL, town.now_ms), 0);
    assert_int_equal(transaction_commit(&t), 0);
    assert_int_equal(keyset_current(town.b.o, &new), 0);
    begin(&t, &town.a);
    assert_int_equal(keyset_store(town.a.o, &town.b.keys->self, buf_slice(&new), town.now_ms, &number), 0);
    assert_int_equal(keyset_store(town.a.o, &town.b.keys->self, buf_slice(&old), town.now_ms, &number), 0);
    assert_int_equal(keyset_lowest(town.a.o, &town.b.keys->self, &lowest), 0);
    assert_int_equal(lowest, 2);
    assert_int_equal(
        keyset_store(town.a.o, &town.b.keys->self, buf_slice(&new), town.now_ms + 100 * TOWN_DAY_MS, &number),
        REASON_KEYSET_INVALID);
    assert_int_equal(keyset_store(town.a.o, &town.a.keys->self, buf_slice(&new), town.now_ms, &number),
                     REASON_KEYSET_INVALID);
    assert_int_equal(transaction_commit(&t), 0);
}

static void a_rolled_back_block_is_not_remembered(void **state)
{
    (void)state;
    doc_KeyBlockEntry first, second, third;
    struct transaction t CLEANUP(transaction_end) = { 0 };
    assert_int_equal(keyblocks_entry(town.a.o, OPERATIONS_SELF, 5, &first), 0);
    begin(&t, &town.a);
    assert_int_equal(keyblocks_issue(town.a.o, town.now_ms), 0);
    assert_int_equal(keyblocks_entry(town.a.o, OPERATIONS_SELF, 5, &second), 0);
    assert_memory_not_equal(first.entry, second.entry, sizeof(first.entry));
    transaction_end(&t);
    begin(&t, &town.a);
    assert_int_equal(keyblocks_issue(town.a.o, town.now_ms), 0); /* the same version number again */
    assert_int_equal(keyblocks_entry(town.a.o, OPERATIONS_SELF, 5, &third), 0);
    assert_memory_not_equal(second.entry, third.entry, sizeof(third.entry));
    assert_int_equal(transaction_commit(&t), 0);
    struct keyblocks_newest newest CLEANUP(keyblocks_newest_wipe) = { 0 };
    assert_int_equal(keyblocks_newest(town.a.o, OPERATIONS_SELF, &newest), 0);
    assert_int_equal(newest.version, 2);
}

static void settings_have_defaults(void **state)
{
    (void)state;
    char value[64];
    int64_t number;
    struct transaction t CLEANUP(transaction_end) = { 0 };
    assert_int_equal(operations_setting(town.a.o, "registration", value, sizeof(value)), 0);
    assert_string_equal(value, "invite");
    assert_int_equal(operations_setting_i64(town.a.o, "credit-limit", &number), 0);
    assert_int_equal(number, 5000);
    assert_int_equal(operations_setting(town.a.o, "no-such", value, sizeof(value)), -EINVAL);
    begin(&t, &town.a);
    assert_int_equal(operations_setting_set(town.a.o, "no-such", "x"), -EINVAL);
    assert_int_equal(operations_setting_set(town.a.o, "credit-limit", "much"), 0);
    assert_int_equal(operations_setting_i64(town.a.o, "credit-limit", &number), -EUCLEAN);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(key_files_are_private),
        TEST(stored_secrets_mean_one_thing),
        TEST(keysets_are_issued_in_time),
        TEST(an_older_keyset_never_replaces_a_newer),
        TEST(a_rolled_back_block_is_not_remembered),
        TEST(settings_have_defaults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
