/* In-use locks: what each end of a play costs, as only the vault can decide it; and who is refused meanwhile. Source: related system R2. */
#include "cm.h"

#include <unistd.h>

#include "base/util.h"
#include "rig.h"

#define BLOCKS 4

static struct rig rig;
static struct maker shop;
static struct content song;
static uint64_t sequence;

static int setup(void **state)
{
    (void)state;
    static uint8_t plain[BLOCKS * 4096];
    rig_init(&rig);
    maker_init(&shop, 1, "Shop");
    content_init(&song, &shop, 1, "audio/flac", slice(plain, sizeof(plain)), 4096);
    sequence = 1;
    assert_int_equal(rig_register(&rig, &shop), 0);
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

static uint64_t whole_ms(void) { return song.info.duration_ms != 0 ? song.info.duration_ms : BLOCKS * 1000; }

static void give(doc_Conditions conditions)
{
    doc_License l;
    maker_license(&shop, &shop, &rig.self, &song, ++sequence, &l);
    conditions.max_copies = l.conditions.max_copies;
    conditions.copy_depth = l.conditions.copy_depth;
    l.conditions = conditions;
    assert_int_equal(rig_give(&rig, &shop, &song, &l), 0);
}

#define COUNTED .has_max_plays = true, .max_plays = 100, .has_max_play_ms = true, .max_play_ms = 100000000

struct running {
    struct channel player;
    uint64_t play;
};

static int begin(struct running *p, unsigned blocks)
{
    struct buf plain = buf(1 << 16);
    int player;
    int r = rig_play(&rig, &song, &player, &p->play);
    if (r == 0) {
        channel_init(&p->player, player, 1 << 16);
        for (unsigned i = 0; i < blocks; i++)
            assert_int_equal(rig_open_block(&p->player, i, content_block(&song, i), &plain), 0);
    }
    buf_free(&plain);
    return r;
}

static vlt_PlayClosed end_as(struct running *p, vlt_PlayEnd end)
{
    vlt_PlayClosed closed;
    channel_deinit(&p->player);
    assert_int_equal(rig_play_end(&rig, p->play, end, &closed), 0);
    return closed;
}

static vlt_LicenseRow row(void)
{
    static vlt_Licenses all;
    vlt_LicensesGet ask = { 0 };
    uint32_t id = rig_send(&rig, vlt_Type_LICENSES_GET, vlt_LicensesGet_fields, &ask, slice(NULL, 0), -1);
    assert_int_equal(
        rig_receive(&rig, id, vlt_Type_LICENSES, vlt_Licenses_fields, vlt_Licenses_size, &all, sizeof(all)), 0);
    assert_int_equal(all.licenses_count, 1);
    return all.licenses[0];
}

/* --- What an end costs --- */

#define ALL BLOCKS
static const struct end_case {
    const char *name;
    vlt_PlayEnd end;
    unsigned blocks; /* opened of BLOCKS */
    uint32_t max_recoveries;
    unsigned charge_from; /* blocks */
    unsigned plays, used; /* blocks */
    uint32_t recoveries;
} end_cases[] = {
    { "to its end", vlt_PlayEnd_END_FINISHED, ALL, 1, 0, 1, ALL, 0 },
    { "to its end, having skipped half of it", vlt_PlayEnd_END_FINISHED, 2, 1, 0, 1, 2, 0 },
    { "to its end, which comes before a play counts", vlt_PlayEnd_END_FINISHED, 1, 1, 2, 1, 1, 0 },
    { "stopped at once", vlt_PlayEnd_END_STOPPED, 0, 1, 0, 0, 0, 0 },
    { "stopped", vlt_PlayEnd_END_STOPPED, 2, 1, 0, 1, 2, 0 },
    { "stopped before a play counts", vlt_PlayEnd_END_STOPPED, 1, 1, 2, 0, 1, 0 },
    { "stopped when a play just counts", vlt_PlayEnd_END_STOPPED, 2, 1, 2, 1, 2, 0 },
    { "the player ended by somebody", vlt_PlayEnd_END_KILLED, 2, 1, 0, 1, 2, 0 },
    { "the player crashed", vlt_PlayEnd_END_CRASHED, 2, 1, 0, 0, 0, 1 },
    { "the player crashed before anything was opened", vlt_PlayEnd_END_CRASHED, 0, 1, 0, 0, 0, 0 },
    { "the player crashed, and no recovery is allowed", vlt_PlayEnd_END_CRASHED, 2, 0, 0, 1, 2, 0 },
    { "the player hung", vlt_PlayEnd_END_HUNG, 2, 1, 0, 0, 0, 1 },
    { "the output failed", vlt_PlayEnd_END_OUTPUT_FAILED, 2, 1, 0, 0, 0, 1 },
    { "unreadable", vlt_PlayEnd_END_UNREADABLE, 1, 1, 0, 0, 0, 1 },
};

static void what_an_end_costs(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(end_cases); i++) {
        const struct end_case *c = &end_cases[i];
        uint64_t block_ms = whole_ms() / BLOCKS;
        struct running p;
        print_message("  %s\n", c->name);
        vlt_LicenseRow before = i > 0 ? row() : (vlt_LicenseRow){ 0 };
        give((doc_Conditions){ COUNTED, .has_max_recoveries = true,
                               .max_recoveries = before.recoveries + c->max_recoveries, .has_charge_from_ms = true,
                               .charge_from_ms = c->charge_from * block_ms });
        assert_int_equal(begin(&p, c->blocks), 0);
        assert_true(row().in_use);
        assert_int_equal(row().plays, before.plays + 1); /* charged beforehand */
        vlt_PlayClosed closed = end_as(&p, c->end);
        vlt_LicenseRow after = row();
        assert_false(after.in_use);
        assert_int_equal(closed.end, c->end);
        assert_int_equal(closed.counted, c->plays > 0);
        assert_int_equal(closed.recovered, c->recoveries > 0);
        assert_int_equal(after.plays - before.plays, c->plays);
        assert_in_range(after.play_ms - before.play_ms, c->used * block_ms, c->used * block_ms + (c->used > 0));
        assert_int_equal(after.recoveries - before.recoveries, c->recoveries);
        if (c->end != vlt_PlayEnd_END_FINISHED && c->blocks > 0) {
            assert_int_equal(after.end, c->end);
            assert_int_equal(after.recovered, c->recoveries > 0);
        }
    }
}

static void recoveries_end(void **state)
{
    (void)state;
    struct running p;
    give((doc_Conditions){ COUNTED, .has_max_recoveries = true, .max_recoveries = 2 });
    for (unsigned i = 1; i <= 4; i++) {
        assert_int_equal(begin(&p, 1), 0);
        vlt_PlayClosed closed = end_as(&p, vlt_PlayEnd_END_CRASHED);
        assert_int_equal(closed.recovered, i <= 2);
        assert_int_equal(closed.recoveries, i <= 2 ? i : 2);
        assert_int_equal(row().plays, i <= 2 ? 0 : i - 2);
    }
    rig_kill(&rig); /* they are remembered */
    rig_start(&rig);
    assert_int_equal(row().recoveries, 2);
    doc_Use said;
    assert_int_equal(rig_use_sign(&rig, &shop, &song, false, &said), 0);
    assert_int_equal(said.recoveries, 2); /* and told to its issuer */
    give((doc_Conditions){ COUNTED, .has_max_recoveries = true,
                           .max_recoveries = 3 }); /* a later edition allows one more */
    assert_int_equal(begin(&p, 1), 0);
    assert_true(end_as(&p, vlt_PlayEnd_END_HUNG).recovered);
}

/* Without the word of hearthd: it has gone, or the vault was. */
static void found_afterwards(void **state)
{
    (void)state;
    struct running p;
    give((doc_Conditions){ COUNTED, .has_max_recoveries = true, .max_recoveries = 2 });
    assert_int_equal(begin(&p, 1), 0);
    rig_stop(&rig); /* the channel closes, and nobody has closed the play */
    rig_start(&rig);
    channel_deinit(&p.player);
    vlt_LicenseRow l = row();
    assert_true(!l.in_use && l.recovered && l.end == vlt_PlayEnd_END_DAEMON_LOST);
    assert_true(l.plays == 0 && l.play_ms == 0 && l.recoveries == 1);

    assert_int_equal(begin(&p, 1), 0);
    rig_kill(&rig);
    rig_start(&rig);
    channel_deinit(&p.player);
    l = row();
    assert_true(!l.in_use && l.recovered && l.end == vlt_PlayEnd_END_VAULT_LOST);
    assert_true(l.plays == 0 && l.play_ms == 0 && l.recoveries == 2);

    assert_int_equal(begin(&p, 1), 0); /* none is left: all it could have taken */
    rig_kill(&rig);
    rig_start(&rig);
    channel_deinit(&p.player);
    l = row();
    assert_true(!l.in_use && !l.recovered && l.plays == 1 && l.play_ms == whole_ms() * 3 / 2 && l.recoveries == 2);
    rig_kill(&rig); /* once, and not at each start */
    rig_start(&rig);
    assert_int_equal(row().plays, 1);
}

/* --- Who is refused --- */

static void one_play_at_a_time(void **state)
{
    (void)state;
    struct running p, second;
    give((doc_Conditions){ COUNTED });
    assert_int_equal(begin(&p, 1), 0);
    assert_int_equal(begin(&second, 0), REASON_IN_USE);
    assert_int_equal(row().plays, 1); /* and it costs nothing */
    (void)end_as(&p, vlt_PlayEnd_END_FINISHED);
    assert_int_equal(begin(&p, 1), 0);
    (void)end_as(&p, vlt_PlayEnd_END_FINISHED);
    assert_int_equal(row().plays, 2);
}

static void a_timed_license_is_locked(void **state)
{
    (void)state;
    struct running p, second;
    give((doc_Conditions){ .has_usage_until_ms = true, .usage_until_ms = (uint64_t)maker_now() + 3600000 });
    assert_int_equal(begin(&p, 1), 0);
    assert_int_equal(begin(&second, 0), REASON_IN_USE);
    vlt_PlayClosed closed = end_as(&p, vlt_PlayEnd_END_CRASHED);
    assert_true(!closed.counted && !closed.recovered); /* nothing is counted, so there is nothing to recover */
    assert_int_equal(row().recoveries, 0);
}

static void an_unlimited_one_is_not(void **state)
{
    (void)state;
    struct running p, second;
    give((doc_Conditions){ 0 });
    assert_int_equal(begin(&p, 1), 0);
    assert_false(row().in_use);
    assert_int_equal(begin(&second, 1), 0);
    (void)end_as(&p, vlt_PlayEnd_END_CRASHED);
    (void)end_as(&second, vlt_PlayEnd_END_FINISHED);
    assert_false(row().has_end);
}

/* A player that has gone: how is for hearthd to say, and until it has the license is in use. */
static void a_lock_waits_for_the_word(void **state)
{
    (void)state;
    struct running p, second;
    give((doc_Conditions){ COUNTED });
    assert_int_equal(begin(&p, 1), 0);
    channel_deinit(&p.player);
    usleep(1000); /* whether its thread has noticed or not */
    assert_int_equal(begin(&second, 0), REASON_IN_USE);
    vlt_PlayClosed closed;
    assert_int_equal(rig_play_end(&rig, p.play, vlt_PlayEnd_END_STOPPED, &closed), 0);
    assert_true(closed.counted);
    assert_int_equal(rig_play_end(&rig, p.play, vlt_PlayEnd_END_STOPPED, &closed), 0); /* once */
    assert_int_equal(closed.end, vlt_PlayEnd_END_NONE);
    assert_int_equal(row().plays, 1);
}

/* hearthd had given up waiting, and does not know that there is such a play: it has lost nothing, and holds nothing up. */
static void a_play_that_nobody_knows_of(void **state)
{
    (void)state;
    struct running p, second;
    give((doc_Conditions){ COUNTED });
    assert_int_equal(begin(&p, 0), 0);
    channel_deinit(&p.player);
    int r = begin(&second, 1);
    for (unsigned i = 0; r == REASON_IN_USE && i < 5000; i++) { /* its thread notices in its own time */
        usleep(1000);
        r = begin(&second, 1);
    }
    assert_int_equal(r, 0);
    assert_int_equal(row().plays, 1);
    (void)end_as(&second, vlt_PlayEnd_END_FINISHED);
    vlt_PlayClosed closed;
    assert_int_equal(rig_play_end(&rig, p.play, vlt_PlayEnd_END_CRASHED, &closed), 0);
    assert_int_equal(closed.end, vlt_PlayEnd_END_NONE); /* and no word about it counts any more */
    assert_int_equal(row().plays, 1);
    assert_int_equal(row().recoveries, 0);
}

/* --- Hostile --- */

static void not_for_hearthd_to_say(void **state)
{
    (void)state;
    static const uint32_t ends[] = { vlt_PlayEnd_END_NONE,
                                     vlt_PlayEnd_END_DAEMON_LOST,
                                     vlt_PlayEnd_END_VAULT_LOST,
                                     vlt_PlayEnd_END_POWER_LOST,
                                     11,
                                     UINT32_MAX };
    struct running p;
    vlt_PlayClosed closed;
    give((doc_Conditions){ COUNTED, .has_max_recoveries = true, .max_recoveries = 9 });
    assert_int_equal(begin(&p, 1), 0);
    for (size_t i = 0; i < ARRAY_COUNT(ends); i++)
        assert_int_equal(rig_play_end(&rig, p.play, (vlt_PlayEnd)ends[i], &closed), REASON_MALFORMED);
    assert_true(row().in_use);
    (void)end_as(&p, vlt_PlayEnd_END_STOPPED);
    assert_int_equal(row().plays, 1);
}

static void locks_are_sealed(void **state)
{
    (void)state;
    struct running p;
    give((doc_Conditions){ COUNTED, .has_max_recoveries = true, .max_recoveries = 1 });
    assert_int_equal(begin(&p, 1), 0);
    (void)end_as(&p, vlt_PlayEnd_END_CRASHED);
    rig_stop(&rig);
    rig_alter_and_seal(&rig, "UPDATE in_use SET sealed = zeroblob(length(sealed))");
    rig_start(&rig);
    assert_int_equal(begin(&p, 1), REASON_INTERNAL);
}

/* The column that finds locks says nothing by itself: without it the lock is met at the next play. */
static void a_hidden_lock_stays_one(void **state)
{
    (void)state;
    struct running p;
    give((doc_Conditions){ COUNTED });
    assert_int_equal(begin(&p, 1), 0);
    rig_kill(&rig);
    rig_alter_and_seal(&rig, "UPDATE in_use SET locked = 0");
    rig_start(&rig);
    channel_deinit(&p.player);
    assert_int_equal(row().plays, 1);
    assert_int_equal(begin(&p, 1), REASON_IN_USE);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_an_end_costs),         TEST(recoveries_end),
        TEST(found_afterwards),          TEST(one_play_at_a_time),
        TEST(a_timed_license_is_locked), TEST(an_unlimited_one_is_not),
        TEST(a_lock_waits_for_the_word), TEST(a_play_that_nobody_knows_of),
        TEST(not_for_hearthd_to_say),    TEST(locks_are_sealed),
        TEST(a_hidden_lock_stays_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
