/* A play is charged before its first block is out, for all of it that is opened, and not for less because it is done in loops or slices. */
#include "cm.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/util.h"
#include "rig.h"

#define BLOCKS 8
#define BLOCK_MS 100

static struct rig rig;
static struct maker shop;
static struct content song;
static struct buf plain;
static uint64_t sequence;

static int setup(void **state)
{
    (void)state;
    static uint8_t bytes[BLOCKS * 4096];
    signal(SIGXFSZ, SIG_IGN); /* inherited by the vault */
    plain = buf(1 << 20);
    sequence = 1;
    rig_init(&rig);
    maker_init(&shop, 1, "Shop");
    content_init_lasting(&song, &shop, 1, "audio/flac", slice(bytes, sizeof(bytes)), 4096, BLOCKS * BLOCK_MS);
    assert_int_equal(rig_register(&rig, &shop), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rig_deinit(&rig);
    content_deinit(&song);
    maker_deinit(&shop);
    buf_free(&plain);
    return 0;
}

static void give(doc_Conditions conditions)
{
    doc_License l;
    maker_license(&shop, &shop, &rig.self, &song, ++sequence, &l);
    conditions.max_copies = l.conditions.max_copies;
    conditions.copy_depth = l.conditions.copy_depth;
    l.conditions = conditions;
    assert_int_equal(rig_give(&rig, &shop, &song, &l), 0);
}

static vlt_LicenseRow row(void)
{
    static vlt_Licenses all;
    assert_int_equal(rig_licenses(&rig, &all), 0);
    assert_int_equal(all.licenses_count, 1);
    return all.licenses[0];
}

/* No write of the vault that makes a file longer than this succeeds. */
static void room(rlim_t bytes)
{
    struct rlimit limit = { bytes, RLIM_INFINITY };
    assert_int_equal(prlimit(rig.pid, RLIMIT_FSIZE, &limit, NULL), 0);
}

struct running {
    struct channel player;
    uint64_t play;
};

static void begin(struct running *p)
{
    int player;
    assert_int_equal(rig_play(&rig, &song, &player, &p->play), 0);
    channel_init(&p->player, player, 1 << 16);
}

static int open_block(struct running *p, uint32_t index)
{
    buf_clear(&plain);
    return rig_open_block(&p->player, index, content_block(&song, index), &plain);
}

/* Blocks 0, 1, 2, ... and again from 0, until one is refused or count are open. How many; *why: of the last. */
static unsigned open_round(struct running *p, unsigned count, int *why)
{
    unsigned opened = 0;
    *why = 0;
    while (opened < count && (*why = open_block(p, opened % BLOCKS)) == 0)
        opened++;
    return opened;
}

static vlt_PlayClosed end_as(struct running *p, vlt_PlayEnd end)
{
    vlt_PlayClosed closed;
    channel_deinit(&p->player);
    assert_int_equal(rig_play_end(&rig, p->play, end, &closed), 0);
    return closed;
}

/* --- Durable first --- */

static void no_block_before_the_charge_is_on_the_disk(void **state)
{
    (void)state;
    struct running p;
    vlt_PlayOpened opened;
    struct frame f;
    vlt_BlockOpen ask = { .index = 0 };
    int player, why;
    give((doc_Conditions){ .has_max_plays = true, .max_plays = 1 });
    room(4096);
    for (unsigned i = 0; i < 10; i++) {
        uint32_t id = rig_play_ask(&rig, &song, &player);
        channel_init(&p.player, player, 1 << 16);
        int sent = channel_send(&p.player, vlt_Type_BLOCK_OPEN, 1, vlt_BlockOpen_fields, &ask, slice(NULL, 0));
        assert_true(sent == 0 || sent == -EPIPE); /* closed before it was asked, maybe */
        assert_true(rig_play_opened(&rig, id, &opened) > 0);
        assert_true(channel_read(&p.player, true, &f) != 0); /* closed, without an answer */
        channel_deinit(&p.player);
    }
    room(RLIM_INFINITY);
    assert_true(row().plays == 0 && !row().in_use);
    begin(&p); /* and none of them is in the way */
    assert_int_equal(open_round(&p, BLOCKS, &why), BLOCKS);
    assert_true(end_as(&p, vlt_PlayEnd_END_FINISHED).counted);
}

static void an_end_without_room_is_said_again(void **state)
{
    (void)state;
    struct running p;
    vlt_PlayClosed closed;
    give((doc_Conditions){ .has_max_plays = true, .max_plays = 5 });
    begin(&p);
    assert_int_equal(open_block(&p, 0), 0);
    room(4096);
    assert_true(rig_play_end(&rig, p.play, vlt_PlayEnd_END_STOPPED, &closed) > 0);
    assert_int_not_equal(open_block(&p, 1), 0); /* over it is all the same */
    room(RLIM_INFINITY);
    assert_true(row().in_use);
    closed = end_as(&p, vlt_PlayEnd_END_STOPPED);
    assert_true(closed.end == vlt_PlayEnd_END_STOPPED && closed.counted);
    vlt_LicenseRow l = row();
    assert_true(!l.in_use && l.plays == 1 && l.play_ms == BLOCK_MS);
}

/* --- Over and over --- */

static void one_play_is_not_endless(void **state)
{
    (void)state;
    struct running p;
    int why;
    give((doc_Conditions){ .has_max_plays = true, .max_plays = 2 });
    begin(&p);
    assert_int_equal(open_round(&p, 10 * BLOCKS, &why), BLOCKS * 3 / 2); /* some going back is part of it */
    assert_int_equal(why, REASON_USE_EXHAUSTED);
    end_as(&p, vlt_PlayEnd_END_FINISHED);
    assert_int_equal(row().plays, 1);
    begin(&p); /* another one is another one */
    assert_int_equal(open_round(&p, BLOCKS, &why), BLOCKS);
    end_as(&p, vlt_PlayEnd_END_FINISHED);
    assert_int_equal(rig_play(&rig, &song, NULL, NULL), REASON_USE_EXHAUSTED);
}

static void reading_in_two_places_by_turns_is_not_going_back(void **state)
{
    (void)state;
    struct running p;
    give((doc_Conditions){
        .has_max_plays = true, .max_plays = 2, .has_max_play_ms = true, .max_play_ms = 100 * BLOCK_MS });
    begin(&p);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(open_block(&p, i % 2 == 0 ? 1 : 5), 0);
    end_as(&p, vlt_PlayEnd_END_STOPPED);
    assert_int_equal(row().play_ms, 2 * BLOCK_MS);
}

static void playing_time_is_what_was_opened_each_time(void **state)
{
    (void)state;
    struct running p;
    int why;
    give((doc_Conditions){ .has_max_play_ms = true, .max_play_ms = 10 * BLOCK_MS });
    begin(&p);
    assert_int_equal(open_round(&p, 100, &why), 10);
    assert_int_equal(why, REASON_USE_EXHAUSTED);
    end_as(&p, vlt_PlayEnd_END_STOPPED);
    assert_int_equal(row().play_ms, 10 * BLOCK_MS);
    assert_int_equal(rig_play(&rig, &song, NULL, NULL), REASON_USE_EXHAUSTED);
}

static void no_play_outlasts_its_license(void **state)
{
    (void)state;
    struct running p;
    int r;
    int64_t ends = maker_now() + 3000; /* so long it may take until it has begun */
    give((doc_Conditions){ .has_usage_until_ms = true, .usage_until_ms = (uint64_t)ends });
    begin(&p);
    int64_t began = maker_now();
    do
        r = open_block(&p, 3);
    while (r == 0 && maker_now() < began + 60000);
    assert_int_equal(r, REASON_LICENSE_EXPIRED);
    assert_true(maker_now() >= began + BLOCKS * BLOCK_MS); /* what begins in time may be heard to its end */
    end_as(&p, vlt_PlayEnd_END_FINISHED);
}

/* --- In slices --- */

static void slices_add_up(void **state)
{
    (void)state;
    struct running p;
    int why;
    give((doc_Conditions){
        .has_max_plays = true, .max_plays = 2, .has_charge_from_ms = true, .charge_from_ms = 5 * BLOCK_MS });
    for (unsigned i = 0; i < 6; i++) {
        begin(&p);
        assert_int_equal(open_round(&p, 2, &why), 2);
        assert_int_equal(end_as(&p, vlt_PlayEnd_END_STOPPED).counted, i % 3 == 2);
    }
    assert_int_equal(rig_play(&rig, &song, NULL, NULL), REASON_USE_EXHAUSTED);
}

static void what_does_not_count_needs_no_recovery(void **state)
{
    (void)state;
    struct running p;
    int why;
    give((doc_Conditions){ .has_max_plays = true,
                           .max_plays = 2,
                           .has_charge_from_ms = true,
                           .charge_from_ms = 3 * BLOCK_MS,
                           .has_max_recoveries = true,
                           .max_recoveries = 1 });
    begin(&p);
    assert_int_equal(open_round(&p, 1, &why), 1);
    vlt_PlayClosed closed = end_as(&p, vlt_PlayEnd_END_OUTPUT_FAILED);
    assert_true(!closed.counted && !closed.recovered && closed.recoveries == 0);
    begin(&p);
    assert_int_equal(open_round(&p, 4, &why), 4);
    closed = end_as(&p, vlt_PlayEnd_END_OUTPUT_FAILED);
    assert_true(!closed.counted && closed.recovered && closed.recoveries == 1);
}

/* What was recorded is kept: it counts however early it was cut off, and whoever cut it off. */
static void a_recording_is_never_too_early(void **state)
{
    (void)state;
    static const vlt_PlayEnd ends[] = { vlt_PlayEnd_END_STOPPED, vlt_PlayEnd_END_CRASHED };
    struct running p;
    int player;
    give((doc_Conditions){ .has_record = true,
                           .record = true,
                           .has_max_plays = true,
                           .max_plays = 9,
                           .has_charge_from_ms = true,
                           .charge_from_ms = 5 * BLOCK_MS,
                           .has_max_recoveries = true,
                           .max_recoveries = 9 });
    for (unsigned i = 0; i < ARRAY_COUNT(ends); i++) {
        assert_int_equal(rig_record(&rig, &song, &player, &p.play), 0);
        channel_init(&p.player, player, 1 << 16);
        assert_int_equal(open_block(&p, 0), 0);
        vlt_PlayClosed closed = end_as(&p, ends[i]);
        assert_true(closed.counted && !closed.recovered);
        assert_int_equal(row().plays, i + 1);
    }
}

/* --- The log --- */

static unsigned owed(doc_UseLog *log)
{
    vlt_UseLogGet ask;
    vlt_UseLog out;
    memcpy(ask.issuer, shop.id.bytes, 32);
    uint32_t id = rig_send(&rig, vlt_Type_USE_LOG_GET, vlt_UseLogGet_fields, &ask, slice(NULL, 0), -1);
    assert_int_equal(rig_receive(&rig, id, vlt_Type_USE_LOG, vlt_UseLog_fields, vlt_UseLog_size, &out, sizeof(out)), 0);
    if (out.count > 0)
        assert_int_equal(use_log_judge(buf_slice(&rig.tail), log), 0);
    return out.count;
}

static void a_play_is_logged_when_it_is_over(void **state)
{
    (void)state;
    static doc_UseLog log;
    struct running p;
    int why;
    give((doc_Conditions){ .has_use_log = true, .use_log = true });
    begin(&p);
    assert_int_equal(open_round(&p, 3, &why), 3);
    assert_int_equal(owed(&log), 0); /* its issuer would take it as it is */
    end_as(&p, vlt_PlayEnd_END_STOPPED);
    assert_int_equal(owed(&log), 1);
    assert_int_equal(log.entries[0].play_ms, 3 * BLOCK_MS);
    begin(&p);
    assert_int_equal(open_round(&p, 3, &why), 3);
    rig_kill(&rig);
    channel_deinit(&p.player);
    rig_start(&rig);
    assert_int_equal(owed(&log), 2);
    assert_int_equal(log.entries[1].play_ms, BLOCKS * BLOCK_MS); /* all that it could have been */
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(no_block_before_the_charge_is_on_the_disk),
        CASE(an_end_without_room_is_said_again),
        CASE(one_play_is_not_endless),
        CASE(reading_in_two_places_by_turns_is_not_going_back),
        CASE(playing_time_is_what_was_opened_each_time),
        CASE(no_play_outlasts_its_license),
        CASE(slices_add_up),
        CASE(what_does_not_count_needs_no_recovery),
        CASE(a_recording_is_never_too_early),
        CASE(a_play_is_logged_when_it_is_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
