/* Counted conditions, leases, recording and the use log, as only the vault can keep them: each at its edge, after kill -9, and against whoever
 * holds the file. Source: seed Fig. 12; related system R3. */
#include "cm.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "crypto/seal.h"
#include "rig.h"

#define BLOCKS 4
#define SECOND_MS 1000u

static struct rig rig;
static struct maker shop, partner;
static struct content song;
static struct device target;
static struct buf document, sealed;

static int setup(void **state)
{
    (void)state;
    static uint8_t plain[BLOCKS * 4096];
    struct key32 key;
    rig_init(&rig);
    maker_init(&shop, 1, "Shop");
    maker_init(&partner, 2, "Partner");
    content_init(&song, &shop, 1, "audio/flac", slice(plain, sizeof(plain)), 4096);
    maker_key(&key, 90, 1);
    sign_public_key(&key, target.device_key);
    target.client = id_of_key(target.device_key);
    maker_key(&key, 90, 2);
    seal_public_key(&key, target.sealing_key);
    document = buf(8192);
    sealed = buf(4096);
    assert_int_equal(rig_register(&rig, &shop), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rig_deinit(&rig);
    content_deinit(&song);
    maker_deinit(&shop);
    maker_deinit(&partner);
    buf_free(&document);
    buf_free(&sealed);
    return 0;
}

static doc_License license_of(uint64_t sequence)
{
    doc_License l;
    maker_license(&shop, &shop, &rig.self, &song, sequence, &l);
    return l;
}

static void give(const doc_License *l) { assert_int_equal(rig_give(&rig, &shop, &song, l), 0); }

/* One play that opens the first `blocks`; what the last one was answered. */
static int play_blocks(unsigned blocks)
{
    int player;
    uint64_t play;
    struct channel channel;
    struct buf plain = buf(1 << 16);
    int r = rig_play(&rig, &song, &player, &play);
    if (r != 0)
        return r;
    channel_init(&channel, player, 1 << 16);
    for (unsigned i = 0; i < blocks && r == 0; i++)
        r = rig_open_block(&channel, i, content_block(&song, i), &plain);
    channel_deinit(&channel);
    assert_int_equal(rig_play_close(&rig, play), 0);
    buf_free(&plain);
    return r;
}

static int use_of(bool give_back, doc_Use *out) { return rig_use_sign(&rig, &shop, &song, give_back, out); }

static doc_Use used(void)
{
    doc_Use u;
    assert_int_equal(use_of(false, &u), 0);
    return u;
}

static void plays(void **state)
{
    (void)state;
    doc_License l = license_of(5);
    l.conditions.has_max_plays = true;
    l.conditions.max_plays = 3;
    give(&l);
    assert_int_equal(play_blocks(1), 0);
    assert_int_equal(play_blocks(0), 0); /* nothing was opened: none */
    assert_int_equal(used().plays, 1);
    assert_int_equal(play_blocks(BLOCKS), 0);
    rig_kill(&rig);
    rig_start(&rig);
    assert_int_equal(used().plays, 2);
    assert_int_equal(play_blocks(1), 0);
    assert_int_equal(play_blocks(1), REASON_USE_EXHAUSTED);
    give(&l); /* the same again is no new one */
    assert_int_equal(play_blocks(1), REASON_USE_EXHAUSTED);
    l = license_of(6); /* a later edition allows a total of four */
    l.conditions.has_max_plays = true;
    l.conditions.max_plays = 4;
    give(&l);
    assert_int_equal(play_blocks(1), 0);
    assert_int_equal(play_blocks(1), REASON_USE_EXHAUSTED);
}

static void a_play_cut_off_is_charged(void **state)
{
    (void)state;
    int player;
    uint64_t play;
    doc_License l = license_of(5);
    l.conditions.has_max_plays = l.conditions.has_max_play_ms = true;
    l.conditions.max_plays = 2;
    l.conditions.max_play_ms = 10000000;
    give(&l);
    assert_int_equal(rig_play(&rig, &song, &player, &play), 0);
    rig_kill(&rig);
    close(player);
    rig_start(&rig);
    doc_Use u = used();
    assert_int_equal(u.plays, 1);
    assert_true(u.play_ms > 0); /* all it could have taken */
}

/* The issuer takes no word that says less than the last: what is given back is given back before it. */
static void a_player_that_has_gone_used_nothing(void **state)
{
    (void)state;
    int player;
    uint64_t play;
    doc_Use u;
    doc_License l = license_of(5);
    l.conditions.has_max_plays = true;
    l.conditions.max_plays = 2;
    give(&l);
    assert_int_equal(rig_play(&rig, &song, &player, &play), 0);
    close(player);
    int r = use_of(false, &u);
    for (unsigned i = 0; r == REASON_IN_USE && i < 5000; i++) { /* until its thread has noticed */
        usleep(1000);
        r = use_of(false, &u);
    }
    assert_int_equal(r, 0);
    assert_int_equal(u.plays, 0);
    assert_int_equal(play_blocks(1), 0);
    assert_int_equal(used().plays, 1);
}

static void playing_time(void **state)
{
    (void)state;
    doc_License l = license_of(5);
    uint64_t whole = song.info.duration_ms != 0 ? song.info.duration_ms : (uint64_t)BLOCKS * SECOND_MS;
    l.conditions.has_max_play_ms = true;
    l.conditions.max_play_ms = whole + whole / 2;
    give(&l);
    assert_int_equal(play_blocks(BLOCKS), 0);
    assert_int_equal(used().play_ms, whole);
    assert_int_equal(play_blocks(1), 0);
    assert_int_equal(used().play_ms, whole + (whole + BLOCKS - 1) / BLOCKS);
    assert_int_equal(play_blocks(BLOCKS), REASON_USE_EXHAUSTED); /* in the middle */
    assert_int_equal(used().play_ms, whole + whole / 2);
    assert_int_equal(play_blocks(1), REASON_USE_EXHAUSTED);
}

static void counters_are_sealed(void **state)
{
    (void)state;
    doc_License l = license_of(5);
    l.conditions.has_max_plays = true;
    l.conditions.max_plays = 1;
    give(&l);
    assert_int_equal(play_blocks(1), 0);
    rig_stop(&rig);
    rig_alter_and_seal(&rig, "UPDATE use SET sealed = zeroblob(length(sealed))");
    rig_start(&rig);
    assert_int_equal(play_blocks(1), REASON_INTERNAL);
}

static void leases(void **state)
{
    (void)state;
    uint64_t now = (uint64_t)maker_now();
    doc_Use u;
    doc_License l = license_of(5);
    l.has_lease = true;
    l.lease = (doc_Lease){ .until_ms = now - 1000, .grace_ms = 3600 * 1000 };
    give(&l);
    assert_int_equal(play_blocks(1), 0); /* grace */
    l = license_of(6);
    l.has_lease = true;
    l.lease = (doc_Lease){ .until_ms = now - 3600 * 1000, .grace_ms = 1000 };
    give(&l);
    assert_int_equal(play_blocks(1), REASON_LEASE_ENDED);
    l = license_of(7);
    l.has_lease = true;
    l.lease = (doc_Lease){ .until_ms = now + 3600 * 1000, .has_max_plays = true, .max_plays = used().plays + 1 };
    give(&l);
    assert_int_equal(play_blocks(1), 0);
    assert_int_equal(play_blocks(1), REASON_LEASE_ENDED); /* its plays are used: as good as over */
    assert_int_equal(use_of(true, &u), 0);
    assert_true(u.returned && u.sequence == 7);
    assert_int_equal(play_blocks(1), REASON_NO_LICENSE);
    assert_int_equal(use_of(true, &u), 0); /* said again */
    assert_true(u.returned);
    give(&l); /* the one that was returned does not come back */
    assert_int_equal(play_blocks(1), REASON_NO_LICENSE);
    l.sequence = 8;
    l.lease.max_plays = 100;
    give(&l);
    assert_int_equal(play_blocks(1), 0);
}

static void only_leases_are_returned(void **state)
{
    (void)state;
    doc_Use u;
    int player;
    uint64_t play;
    doc_License l = license_of(5);
    give(&l);
    assert_int_equal(use_of(true, &u), REASON_NOT_PERMITTED);
    assert_int_equal(rig_play(&rig, &song, &player, &play), 0);
    assert_int_equal(use_of(false, &u), REASON_IN_USE);
    assert_int_equal(rig_play_close(&rig, play), 0);
    close(player);
}

/* What a player asks before it lets samples out. */
static int ask_to_record(int player)
{
    static const vlt_RecordAsk ask;
    struct channel c;
    struct frame f;
    msg_Refusal refusal;
    channel_init(&c, player, 0);
    assert_int_equal(channel_send(&c, vlt_Type_RECORD_ASK, 3, vlt_RecordAsk_fields, &ask, slice(NULL, 0)), 0);
    assert_int_equal(channel_read(&c, true, &f), 0);
    assert_int_equal(f.request, 3);
    int r = f.type == vlt_Type_DONE ? 0 : -1;
    if (f.type == msg_Type_REFUSAL && CODEC_DECODE(msg_Refusal, f.message, &refusal) == 0)
        r = reason_of_code(refusal.code);
    channel_deinit(&c);
    return r;
}

static int play_to_record(void)
{
    uint64_t play;
    int player;
    int r = rig_record(&rig, &song, &player, &play);
    if (r != 0)
        return r;
    assert_int_equal(ask_to_record(player), 0);
    return rig_play_close(&rig, play);
}

static void recording(void **state)
{
    (void)state;
    doc_License l = license_of(5);
    give(&l);
    assert_int_equal(play_blocks(1), 0);
    assert_int_equal(play_to_record(), REASON_NOT_PERMITTED);
    l = license_of(6);
    l.conditions.has_record = true; /* said, and no */
    give(&l);
    assert_int_equal(play_to_record(), REASON_NOT_PERMITTED);
    l = license_of(7);
    l.conditions.has_record = l.conditions.record = true;
    give(&l);
    assert_int_equal(play_to_record(), 0);

    int player; /* opened to be played: whatever hearthd tells the player, it is not recorded */
    uint64_t play;
    assert_int_equal(rig_play(&rig, &song, &player, &play), 0);
    assert_int_equal(ask_to_record(player), REASON_NOT_PERMITTED);
    assert_int_equal(rig_play_close(&rig, play), 0);
}

/* What is left is less than the track takes: refused as a whole, and nothing is charged. */
static void half_a_recording(void **state)
{
    (void)state;
    doc_License l = license_of(5);
    give(&l);
    l = license_of(6);
    l.conditions.has_record = l.conditions.record = true;
    l.conditions.has_max_plays = l.conditions.has_max_play_ms = true;
    l.conditions.max_plays = used().plays + 3;
    l.conditions.max_play_ms = used().play_ms + 1;
    give(&l);
    doc_Use before = used();
    assert_int_equal(play_to_record(), REASON_USE_EXHAUSTED);
    assert_int_equal(used().plays, before.plays);
    assert_int_equal(used().play_ms, before.play_ms);
}

static void download_period(void **state)
{
    (void)state;
    uint64_t now = (uint64_t)maker_now();
    doc_License l = license_of(5);
    l.conditions.has_download_until_ms = true;
    l.conditions.download_until_ms = now - 1000;
    give(&l);
    assert_int_equal(play_blocks(1), REASON_OUTSIDE_DOWNLOAD_PERIOD);
    l = license_of(6);
    l.conditions.has_download_until_ms = true;
    l.conditions.download_until_ms = now + 3600 * 1000;
    give(&l);
    assert_int_equal(play_blocks(1), 0); /* it was here in time */
    l = license_of(7);
    l.conditions.has_download_until_ms = true;
    l.conditions.download_until_ms = now - 1000;
    give(&l);
    assert_int_equal(play_blocks(1), 0);
}

static uint32_t recoveries_there;

static int release(uint32_t max_plays, uint32_t before, uint64_t sequence)
{
    doc_CopyCertificate c;
    doc_License inside;
    uint8_t signer[32];
    vlt_MoveReleased out;
    maker_copy(&shop, &shop, &rig.self, &target, &song, sequence, &c);
    assert_int_equal(document_open(DOCUMENT_LICENSE, CODEC_BYTES(c.license), &inside, sizeof(inside), signer), 0);
    inside.conditions.has_max_plays = true;
    inside.conditions.max_plays = max_plays;
    inside.conditions.has_max_recoveries = true;
    inside.conditions.max_recoveries = recoveries_there;
    maker_copy_license(&c, &inside, &shop.license);
    c.move = true;
    c.has_plays_before = true;
    c.plays_before = before;
    sign_into(&document, DOCUMENT_COPY_CERTIFICATE, &c, &shop.license);
    buf_clear(&sealed);
    assert_int_equal(buf_reserve(&sealed, document.len + SEAL_OVERHEAD_BYTES), 0);
    assert_int_equal(seal_to(rig.self.sealing_key, buf_slice(&document), sealed.data), 0);
    sealed.len = document.len + SEAL_OVERHEAD_BYTES;
    return rig_move_release(&rig, buf_slice(&sealed), &out);
}

/* hearthd shows the issuer how much was used, plays on, and then wants the certificate that gives more than is left. */
static void a_move_gives_what_is_left(void **state)
{
    (void)state;
    doc_License l = license_of(5);
    l.conditions.has_max_plays = true;
    l.conditions.max_plays = 3;
    l.conditions.has_max_recoveries = true;
    l.conditions.max_recoveries = 2;
    give(&l);
    assert_int_equal(used().plays, 0);
    assert_int_equal(play_blocks(1), 0);
    assert_int_equal(release(3, 0, 10), REASON_OUT_OF_STEP);
    assert_int_equal(play_blocks(1), 0); /* and the license was not suspended */
    assert_int_equal(release(5, 3, 11), REASON_OUT_OF_STEP);
    recoveries_there = 3;
    assert_int_equal(release(4, 3, 12), REASON_OUT_OF_STEP); /* two were sold with it */
    recoveries_there = 2;
    assert_int_equal(release(4, 3, 13), 0); /* one is left, beside three that were used there */
    assert_int_equal(play_blocks(1), REASON_LICENSE_SUSPENDED);
}

static int log_page(doc_UseLog *log)
{
    vlt_UseLogGet ask;
    vlt_UseLog out;
    memcpy(ask.issuer, shop.id.bytes, 32);
    uint32_t id = rig_send(&rig, vlt_Type_USE_LOG_GET, vlt_UseLogGet_fields, &ask, slice(NULL, 0), -1);
    assert_int_equal(rig_receive(&rig, id, vlt_Type_USE_LOG, vlt_UseLog_fields, vlt_UseLog_size, &out, sizeof(out)), 0);
    if (out.count > 0)
        assert_int_equal(use_log_judge(buf_slice(&rig.tail), log), 0);
    return (int)out.count;
}

static int taken(const struct maker *by, uint64_t through)
{
    doc_UseLogTaken t = { .through = through };
    vlt_UseLogTaken ask;
    memcpy(t.issuer, shop.id.bytes, 32);
    memcpy(t.client, rig.self.client.bytes, 32);
    sign_into(&document, DOCUMENT_USE_LOG_TAKEN, &t, &by->license);
    assert_int_equal(CODEC_SET_BYTES(ask.taken, buf_slice(&document)), 0);
    uint32_t id = rig_send(&rig, vlt_Type_USE_LOG_TAKEN, vlt_UseLogTaken_fields, &ask, slice(NULL, 0), -1);
    return rig_receive(&rig, id, vlt_Type_DONE, NULL, 0, NULL, 0);
}

static void the_use_log_is_owed(void **state)
{
    (void)state;
    static doc_UseLog log;
    doc_License l = license_of(5);
    l.conditions.has_use_log = l.conditions.use_log = true;
    give(&l);
    for (int i = 0; i < 200; i++)
        assert_int_equal(play_blocks(i % 2), 0);
    assert_int_equal(play_blocks(1), REASON_USE_LOG_DUE);
    assert_int_equal(log_page(&log), 32);
    assert_int_equal(log.entries[0].number, 1);
    assert_int_equal(taken(&partner, 32), REASON_SIGNATURE_INVALID); /* not the issuer's word */
    assert_int_equal(play_blocks(1), REASON_USE_LOG_DUE);
    assert_int_equal(taken(&shop, 32), 0);
    rig_kill(&rig);
    rig_start(&rig);
    assert_int_equal(log_page(&log), 32);
    assert_int_equal(log.entries[0].number, 33);
    assert_int_equal(play_blocks(1), 0);
    assert_int_equal(taken(&shop, 1000), 0);
    assert_int_equal(log_page(&log), 0);
}

/* A later edition of a license that came in a copy certificate, from its issuer, under the delegation of one's own distributor. */
static void delegated_editions(void **state)
{
    (void)state;
    struct content theirs;
    struct offer offer = {
        .certificate = buf(4096), .delegation = buf(1024), .content = &theirs, .presenter = &target
    };
    doc_CopyCertificate c;
    doc_Delegation d;
    doc_License l;
    vlt_CertificateState out;
    content_init(&theirs, &partner, 3, "audio/flac", slice_str("theirs"), 4096);
    maker_delegation(&shop, &partner, &d);
    sign_into(&offer.delegation, DOCUMENT_DELEGATION, &d, &shop.license);
    maker_copy(&partner, &shop, &target, &rig.self, &theirs, 10, &c);
    sign_into(&offer.certificate, DOCUMENT_COPY_CERTIFICATE, &c, &partner.copy);

    static vlt_LicenseStore store;
    const struct {
        const char *name;
        const struct key32 *signer;
        uint64_t sequence;
        bool held;
        int expected;
        int64_t issued_days, ended_days; /* ago */
    } cases[] = {
        { "of a license that is not here", &partner.copy, 20, false, REASON_NO_LICENSE },
        { "by the partner's license key", &partner.license, 21, true, REASON_DELEGATION_INVALID },
        { "by our own distributor", &shop.license, 22, true, REASON_DELEGATION_INVALID },
        { "as it should be", &partner.copy, 23, true, 0 },
        { "the delegation ended after it was issued", &partner.copy, 24, true, 0, 3, 2 },
        { "the delegation had ended before", &partner.copy, 25, true, REASON_DELEGATION_INVALID, 1, 2 },
        { "so long ago that it may be said only", &partner.copy, 26, true, REASON_DELEGATION_INVALID, 8, 2 },
    };
    bool held = false;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (cases[i].held && !held) {
            assert_int_equal(rig_check(&rig, &offer, &out), 0);
            assert_int_equal(rig_commit(&rig, &out.name, &out), 0);
            held = true;
        }
        maker_license(&partner, &shop, &rig.self, &theirs, cases[i].sequence, &l);
        l.issued_ms -= (uint64_t)(cases[i].issued_days * DAY_MS);
        if (cases[i].ended_days > 0) {
            d.issued_ms = (uint64_t)(maker_now() - 30 * DAY_MS);
            d.ends_ms = (uint64_t)(maker_now() - cases[i].ended_days * DAY_MS);
            sign_into(&offer.delegation, DOCUMENT_DELEGATION, &d, &shop.license);
        }
        sign_into(&document, DOCUMENT_LICENSE, &l, cases[i].signer);
        memset(&store, 0, sizeof(store));
        assert_int_equal(CODEC_SET_BYTES(store.license, buf_slice(&document)), 0);
        assert_int_equal(CODEC_SET_BYTES(store.delegation, buf_slice(&offer.delegation)), 0);
        store.has_delegation = true;
        uint32_t id = rig_send(&rig, vlt_Type_LICENSE_STORE, vlt_LicenseStore_fields, &store, slice(NULL, 0), -1);
        int r = rig_receive(&rig, id, vlt_Type_DONE, NULL, 0, NULL, 0);
        if (r != cases[i].expected)
            fail_msg("%s: %d", cases[i].name, r);
    }
    vlt_Licenses *list = calloc(1, sizeof(*list));
    assert_int_equal(rig_licenses(&rig, list), 0);
    assert_true(list->total == 1 && list->licenses[0].sequence == 24);
    free(list);
    content_deinit(&theirs);
    buf_free(&offer.certificate);
    buf_free(&offer.delegation);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(plays),
        TEST(a_play_cut_off_is_charged),
        TEST(a_player_that_has_gone_used_nothing),
        TEST(playing_time),
        TEST(leases),
        TEST(counters_are_sealed),
        TEST(only_leases_are_returned),
        TEST(recording),
        TEST(half_a_recording),
        TEST(download_period),
        TEST(a_move_gives_what_is_left),
        TEST(the_use_log_is_owed),
        TEST(delegated_editions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
