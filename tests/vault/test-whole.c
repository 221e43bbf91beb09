/* A row of vault.db that anybody but the vault changed, added, removed or put back, one by one or several: nothing is done with it any more, until it
 * is as it was. */
#include "cm.h"

#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "rig.h"

#define BLOCKS 4

static struct rig rig;
static struct maker shop;
static struct content song;

/* Of the vault's folder. */
static void copy(const char *from, const char *to)
{
    char command[512];
    snprintf(command, sizeof(command), "cp '%s/%s' '%s/%s'", rig.dir, from, rig.dir, to);
    assert_int_equal(system(command), 0);
}

static int one_play(void)
{
    int player;
    uint64_t play;
    struct channel channel;
    struct buf plain = buf(1 << 16);
    int r = rig_play(&rig, &song, &player, &play);
    if (r != 0)
        return r;
    channel_init(&channel, player, 1 << 16);
    r = rig_open_block(&channel, 0, content_block(&song, 0), &plain);
    channel_deinit(&channel);
    assert_int_equal(rig_play_close(&rig, play), 0);
    buf_free(&plain);
    return r;
}

/* Two counted plays, one of which was used, with a line in the use log. */
static int setup(void **state)
{
    (void)state;
    static uint8_t plain[BLOCKS * 4096];
    doc_License l;
    rig_init(&rig);
    maker_init(&shop, 1, "Shop");
    content_init(&song, &shop, 1, "audio/flac", slice(plain, sizeof(plain)), 4096);
    assert_int_equal(rig_register(&rig, &shop), 0);
    maker_license(&shop, &shop, &rig.self, &song, 1, &l);
    l.conditions.has_max_plays = true;
    l.conditions.max_plays = 3;
    l.conditions.has_use_log = l.conditions.use_log = true;
    assert_int_equal(rig_give(&rig, &shop, &song, &l), 0);
    assert_int_equal(one_play(), 0);
    rig_stop(&rig);
    copy("vault.db", "earlier");
    rig_start(&rig);
    assert_int_equal(one_play(), 0);
    rig_stop(&rig);
    copy("vault.db", "kept");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rig_deinit(&rig);
    content_deinit(&song);
    maker_deinit(&shop);
    return 0;
}

static void nothing_is_done(void)
{
    static vlt_Licenses all;
    rig_start(&rig); /* who it is, it says */
    assert_int_equal(rig_play(&rig, &song, NULL, NULL), REASON_VAULT_ALTERED);
    assert_int_equal(rig_licenses(&rig, &all), REASON_VAULT_ALTERED);
    rig_stop(&rig);
    rig_start(&rig); /* also at the next start */
    assert_int_equal(rig_play(&rig, &song, NULL, NULL), REASON_VAULT_ALTERED);
    rig_stop(&rig);
}

static void no_row_is_touched(void **state)
{
    (void)state;
    static const char *const changes[] = {
        "UPDATE use_log SET play_ms = 1",
        "UPDATE use_log SET taken = 1 WHERE number = 1",
        "DELETE FROM use_log WHERE number = 2",
        "INSERT INTO use_log (issuer, number, license_id, content, began_ms, play_ms) SELECT issuer, 9, license_id, content, 5, 5 FROM use_log LIMIT 1",
        "DELETE FROM use",
        "DELETE FROM in_use",
        "UPDATE in_use SET locked = 0, sealed = zeroblob(length(sealed))",
        "UPDATE license SET state = 3",
        "UPDATE license SET conditions = zeroblob(5)",
        "DELETE FROM license",
        "UPDATE changes SET count = count + 1",
        "UPDATE distributor SET time_ms = 1",
        "UPDATE distributor SET keyset_sequence = keyset_sequence + 1",
        "INSERT INTO used_serial VALUES (zeroblob(32), zeroblob(16), zeroblob(32))",
        "UPDATE device SET generation = generation + 1; UPDATE device SET generation = generation - 1; DELETE FROM header",
    };
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        rig_alter(&rig, changes[i]);
        nothing_is_done();
        copy("kept", "vault.db");
    }
    rig_start(&rig);
    assert_int_equal(one_play(), 0); /* the third */
    assert_int_equal(one_play(), REASON_USE_EXHAUSTED);
}

/* What it was when one play less had been used, with all that the vault has sealed in that row. */
static void no_row_is_put_back(void **state)
{
    (void)state;
    static const char *const rows[] = { "use", "in_use", "changes", "whole" };
    char sql[512];
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        snprintf(sql, sizeof(sql),
                 "ATTACH '%s/earlier' AS earlier; DELETE FROM main.%s; INSERT INTO main.%s SELECT * FROM earlier.%s",
                 rig.dir, rows[i], rows[i], rows[i]);
        rig_alter(&rig, sql);
        nothing_is_done();
        copy("kept", "vault.db");
    }
    /* All of it is another matter: it is an older copy, which is met at the distributor (test-behind.c). */
    copy("earlier", "vault.db");
    rig_start(&rig);
    assert_int_equal(one_play(), 0);
}

static void the_sum_is_not_taken_away(void **state)
{
    (void)state;
    static const char *const changes[] = { "DELETE FROM whole", "UPDATE whole SET sealed = zeroblob(60)",
                                           "DELETE FROM whole; DELETE FROM use" };
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        rig_alter(&rig, changes[i]);
        assert_int_equal(rig_start_fails(&rig), EX_DATAERR);
        copy("kept", "vault.db");
    }
    rig_start(&rig);
    assert_int_equal(one_play(), 0);
}

/* From before there was one: taken as it is, once. */
static void a_database_without_a_sum_gets_one(void **state)
{
    (void)state;
    rig_alter_and_seal(&rig, "UPDATE use_log SET play_ms = 1 WHERE number = 1");
    rig_start(&rig);
    assert_int_equal(one_play(), 0);
    rig_stop(&rig);
    rig_alter(&rig, "UPDATE use_log SET play_ms = 2 WHERE number = 1");
    nothing_is_done();
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(no_row_is_touched),
        CASE(no_row_is_put_back),
        CASE(the_sum_is_not_taken_away),
        CASE(a_database_without_a_sum_gets_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
