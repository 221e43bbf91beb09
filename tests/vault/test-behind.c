/* Vaults that were put back from an older copy: noticing, sleeping, catching up; lies, replays and kills on the way. */
#include "cm.h"

#include "base/util.h"
#include "crypto/seal.h"
#include "crypto/sha256.h"
#include "protocol/standing.h"
#include "rig.h"

#define SEEN_LATER 20

static struct rig rig;
static struct maker shop, other; /* registered with both */
static struct content song, tune;
static struct device friend; /* source of what comes, destination of what goes */
static struct key32 friend_key;
static struct offer offer;
static doc_CopyCertificate certificate; /* to this device */
static struct buf move, sealed, receipt;
static doc_CopyCertificate move_certificate;
static uint8_t license_id[16];
static doc_Standing standing;
static vlt_Standing said;
static doc_Generation statement;
static doc_CatchUp page;
static vlt_CaughtUp taken;

static void make_offer(uint64_t sequence)
{
    maker_copy(&shop, &shop, &friend, &rig.self, &tune, sequence, &certificate);
    sign_into(&offer.certificate, DOCUMENT_COPY_CERTIFICATE, &certificate, &shop.license);
    offer.content = &tune;
    offer.presenter = &friend;
}

static void make_move(void)
{
    maker_copy(&shop, &shop, &rig.self, &friend, &song, 9, &move_certificate);
    move_certificate.move = true;
    sign_into(&move, DOCUMENT_COPY_CERTIFICATE, &move_certificate, &shop.license);
    assert_int_equal(buf_reserve(&sealed, move.len + SEAL_OVERHEAD_BYTES), 0);
    assert_int_equal(seal_to(rig.self.sealing_key, buf_slice(&move), sealed.data), 0);
    sealed.len = move.len + SEAL_OVERHEAD_BYTES;
}

static int setup(void **state)
{
    struct key32 sealing;
    (void)state;
    rig_init(&rig);
    maker_init(&shop, 1, "Shop");
    maker_init(&other, 2, "Other");
    content_init(&song, &shop, 1, "audio/flac", slice_str("some sound"), 4096);
    content_init(&tune, &shop, 2, "audio/flac", slice_str("other sound"), 4096);
    memcpy(license_id, song.license_id, 16);
    maker_key(&friend_key, 90, 1);
    maker_key(&sealing, 90, 2);
    sign_public_key(&friend_key, friend.device_key);
    friend.client = id_of_key(friend.device_key);
    seal_public_key(&sealing, friend.sealing_key);
    offer = (struct offer){ .certificate = buf(4096), .delegation = buf(1024) };
    move = buf(4096);
    sealed = buf(4096);
    receipt = buf(1024);
    assert_int_equal(rig_register(&rig, &shop), 0);
    assert_int_equal(rig_register(&rig, &other), 0);
    assert_int_equal(rig_buy(&rig, &shop, &song, 5), 0);
    make_offer(7);
    make_move();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rig_deinit(&rig);
    content_deinit(&song);
    content_deinit(&tune);
    maker_deinit(&shop);
    maker_deinit(&other);
    buf_free(&offer.certificate);
    buf_free(&offer.delegation);
    buf_free(&move);
    buf_free(&sealed);
    buf_free(&receipt);
    return 0;
}

/* --- Asking --- */

static int stand_as(const struct maker *m, const struct key32 *signer)
{
    struct buf envelope CLEANUP(buf_free) = buf(1024);
    vlt_StandingCheck ask = vlt_StandingCheck_init_zero;
    sign_into(&envelope, DOCUMENT_STANDING, &standing, signer);
    memcpy(ask.distributor, m->id.bytes, 32);
    assert_int_equal(CODEC_SET_BYTES(ask.standing, buf_slice(&envelope)), 0);
    uint32_t id = rig_send(&rig, vlt_Type_STANDING_CHECK, vlt_StandingCheck_fields, &ask, slice(NULL, 0), -1);
    int r = rig_receive(&rig, id, vlt_Type_STANDING, vlt_Standing_fields, vlt_Standing_size, &said, sizeof(said));
    if (r == 0) {
        assert_int_equal(generation_judge(CODEC_BYTES(said.statement), &rig.self.client, &m->id, &statement), 0);
        assert_int_equal(statement.session, standing.session);
        assert_int_equal(statement.current, said.current);
    }
    return r;
}

/* What m knows: this generation, and the nonce of a statement (NULL: none). */
static void make_standing(const struct maker *m, uint64_t generation, const uint8_t *last)
{
    standing = (doc_Standing){ .session = standing.session + 1,
                               .generation = generation,
                               .has_last = last != NULL,
                               .time_ms = (uint64_t)maker_now() };
    memcpy(standing.distributor, m->id.bytes, 32);
    memcpy(standing.client, rig.self.client.bytes, 32);
    if (last)
        memcpy(standing.last, last, 16);
}

static bool stand(const struct maker *m, uint64_t generation, const uint8_t *last)
{
    uint8_t copy[16];
    if (last)
        memcpy(copy, last, 16);
    make_standing(m, generation, last ? copy : NULL);
    assert_int_equal(stand_as(m, &m->license), 0);
    return said.current;
}

static uint64_t generation(void)
{
    rig_stop(&rig);
    rig_start(&rig);
    return rig.generation;
}

static void fall_behind(void) { assert_false(stand(&shop, generation() + SEEN_LATER, NULL)); }

static void make_page(const struct maker *m)
{
    page = (doc_CatchUp){ .generation = standing.generation, .last = true, .time_ms = (uint64_t)maker_now() };
    memcpy(page.distributor, m->id.bytes, 32);
    memcpy(page.client, rig.self.client.bytes, 32);
    memcpy(page.nonce, statement.nonce, 16);
}

static void add_entry(uint32_t kind, const struct id *issuer, const uint8_t name[16])
{
    doc_CatchUpEntry *e = &page.entries[page.entries_count++];
    *e = (doc_CatchUpEntry){ .kind = kind, .has_sequence = kind != CATCH_UP_SERIAL, .sequence = 5 };
    memcpy(e->issuer, issuer->bytes, 32);
    memcpy(e->name, name, 16);
    e->has_license_id = e->has_content = e->has_destination = e->has_digest = kind == CATCH_UP_MOVE;
    if (kind != CATCH_UP_MOVE)
        return;
    memcpy(e->license_id, license_id, 16);
    memcpy(e->content, song.id.bytes, 32);
    memcpy(e->destination, friend.client.bytes, 32);
    sha256(buf_slice(&move), e->digest);
}

static int take_as(const struct maker *m, const struct key32 *signer)
{
    struct buf envelope CLEANUP(buf_free) = buf(64 * 1024);
    vlt_CatchUp ask;
    sign_into(&envelope, DOCUMENT_CATCH_UP, &page, signer);
    memcpy(ask.distributor, m->id.bytes, 32);
    uint32_t id = rig_send(&rig, vlt_Type_CATCH_UP, vlt_CatchUp_fields, &ask, buf_slice(&envelope), -1);
    return rig_receive(&rig, id, vlt_Type_CAUGHT_UP, vlt_CaughtUp_fields, vlt_CaughtUp_size, &taken, sizeof(taken));
}

static void assert_asleep(void)
{
    vlt_CertificateState reserved;
    vlt_MoveReleased released;
    assert_int_equal(rig_play(&rig, &song, NULL, NULL), REASON_VAULT_BEHIND);
    assert_non_null(strstr(rig.refusal.text, "Shop")); /* whom to connect to */
    assert_int_equal(rig_check(&rig, &offer, &reserved), REASON_VAULT_BEHIND);
    assert_int_equal(rig_move_release(&rig, buf_slice(&sealed), &released), REASON_VAULT_BEHIND);
}

static uint32_t license_state(void)
{
    vlt_Licenses all;
    assert_int_equal(rig_licenses(&rig, &all), 0);
    assert_true(all.total >= 1);
    return memcmp(all.licenses[0].license_id, license_id, 16) == 0 ? all.licenses[0].state : all.licenses[1].state;
}

/* --- Noticing --- */

static void a_current_vault_stays_so(void **state)
{
    uint8_t first[16], second[16];
    (void)state;
    assert_true(stand(&shop, 0, NULL));
    assert_int_equal(statement.generation, rig.generation + 1); /* the license that was bought */
    memcpy(first, statement.nonce, 16);
    assert_true(stand(&shop, statement.generation, first));
    memcpy(second, statement.nonce, 16);
    assert_memory_not_equal(first, second, 16);
    assert_true(stand(&shop, statement.generation, first)); /* the second was lost on its way */
    rig_kill(&rig);
    rig_start(&rig);
    assert_true(stand(&shop, statement.generation, first));
    assert_true(stand(&shop, statement.generation, statement.nonce)); /* taken, and its answer lost */
    assert_true(stand(&other, 0, NULL));                              /* each has its own */
    assert_int_equal(rig_play(&rig, &song, NULL, NULL), 0);
}

static void a_later_generation_is_noticed_and_kept(void **state)
{
    (void)state;
    fall_behind();
    assert_asleep();
    rig_kill(&rig);
    rig_start(&rig);
    assert_asleep();
    assert_false(stand(&shop, 0, NULL)); /* an older standing takes nothing back */
    assert_asleep();
    assert_true(stand(&other, 0, NULL)); /* nor another distributor's */
    assert_asleep();
}

/* The count may have been made to pass the one seen: a copy does not know what the other one has said. */
static void an_unknown_statement_is_noticed(void **state)
{
    uint8_t unknown[16] = "later copy said";
    (void)state;
    assert_true(stand(&shop, 0, NULL));
    assert_false(stand(&shop, 1, unknown));
    assert_asleep();
}

static void what_was_reserved_is_not_committed(void **state)
{
    vlt_CertificateState reserved, done;
    (void)state;
    assert_int_equal(rig_check(&rig, &offer, &reserved), 0);
    fall_behind();
    assert_int_equal(rig_commit(&rig, &reserved.name, &done), REASON_VAULT_BEHIND);
    make_page(&shop);
    add_entry(CATCH_UP_SERIAL, &shop.id, certificate.serial);
    assert_int_equal(take_as(&shop, &shop.license), 0);
    assert_int_equal(rig_commit(&rig, &reserved.name, &done), REASON_SERIAL_ALREADY_USED);
    assert_int_equal(rig_play(&rig, &tune, NULL, NULL), REASON_NO_LICENSE);
}

/* As many copies as one likes, and nobody counts plays: a copy would be as good as the license that is back. */
static void what_nobody_counts_plays_on(void **state)
{
    static const struct {
        const char *name;
        doc_Conditions c;
        bool sleeps;
    } cases[] = {
        { "no limit", { .max_copies = UINT32_MAX, .copy_depth = 1 }, false },
        { "no limit, but not copyable", { .max_copies = UINT32_MAX, .copy_depth = 0 }, true },
        { "so many copies", { .max_copies = UINT32_MAX - 1, .copy_depth = 2 }, true },
        { "plays", { .max_copies = UINT32_MAX, .copy_depth = 1, .has_max_plays = true, .max_plays = 9 }, true },
        { "playing time",
          { .max_copies = UINT32_MAX, .copy_depth = 1, .has_max_play_ms = true, .max_play_ms = 1 << 20 },
          true },
    };
    (void)state;
    struct buf envelope CLEANUP(buf_free) = buf(1024);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        doc_License license;
        maker_license(&shop, &shop, &rig.self, &song, 10 + i, &license);
        license.conditions = cases[i].c;
        sign_into(&envelope, DOCUMENT_LICENSE, &license, &shop.license);
        assert_int_equal(rig_license(&rig, buf_slice(&envelope), slice(NULL, 0)), 0);
        if (i == 0)
            fall_behind();
        assert_int_equal(rig_play(&rig, &song, NULL, NULL), cases[i].sleeps ? REASON_VAULT_BEHIND : 0);
    }
}

static void standings_that_prove_nothing(void **state)
{
    uint8_t before[32], after[32];
    (void)state;
    static const enum reason outcomes[] = { REASON_SIGNATURE_INVALID, REASON_SIGNATURE_INVALID,
                                            REASON_WRONG_DESTINATION, REASON_SIGNATURE_INVALID, REASON_MALFORMED };
    rig_dump(&rig, before);
    for (size_t i = 0; i < ARRAY_COUNT(outcomes); i++) {
        make_standing(&shop, rig.generation + 50, NULL);
        if (i == 2)
            memcpy(standing.client, friend.client.bytes, 32);
        if (i == 3)
            memcpy(standing.distributor, other.id.bytes, 32);
        if (i == 4) /* so high that the device would never come back */
            standing.generation = UINT64_C(1) << 62;
        assert_int_equal(stand_as(&shop, i == 0 ? &other.license : i == 1 ? &shop.roster : &shop.license), outcomes[i]);
    }
    rig_dump(&rig, after);
    assert_memory_equal(before, after, 32);
    assert_int_equal(rig_play(&rig, &song, NULL, NULL), 0);
}

/* Only whoever this device is registered with; and leaving for a while is no way out. */
static void being_registered_decides(void **state)
{
    (void)state;
    assert_false(stand(&other, generation() + SEEN_LATER, NULL));
    assert_int_equal(rig_play(&rig, &song, NULL, NULL), REASON_VAULT_BEHIND);
    assert_int_equal(rig_drop(&rig, &other), 0);
    assert_int_equal(rig_play(&rig, &song, NULL, NULL), 0);
    assert_int_equal(rig_register(&rig, &other), 0);
    assert_int_equal(rig_play(&rig, &song, NULL, NULL), REASON_VAULT_BEHIND);
}

/* --- Catching up --- */

static void nothing_was_used_up(void **state)
{
    (void)state;
    fall_behind();
    uint64_t seen = standing.generation;
    make_page(&shop);
    assert_int_equal(take_as(&shop, &shop.license), 0);
    assert_true(taken.done);
    assert_true(generation() > seen);
    assert_int_equal(rig_play(&rig, &song, NULL, NULL), 0);
    assert_true(stand(&shop, seen, NULL)); /* the same session's standing again: it is current */
    assert_true(statement.generation > seen);
}

static void the_copy_that_said_it_is_known_from_then_on(void **state)
{
    uint8_t last[16] = "later copy said";
    (void)state;
    assert_false(stand(&shop, 1, last));
    make_page(&shop);
    assert_int_equal(take_as(&shop, &shop.license), 0);
    assert_true(stand(&shop, 1, last));
    assert_true(stand(&shop, 1, statement.nonce));
    assert_false(stand(&shop, 1, (const uint8_t *)"another copy is.")); /* not any other */
}

static void what_was_used_up_is_so_again(void **state)
{
    vlt_CertificateState reserved;
    (void)state;
    fall_behind();
    make_page(&shop);
    add_entry(CATCH_UP_SERIAL, &shop.id, certificate.serial);
    add_entry(CATCH_UP_LICENSE, &shop.id, license_id);
    assert_int_equal(take_as(&shop, &shop.license), 0);
    assert_true(taken.done);
    assert_int_equal(rig_check(&rig, &offer, &reserved), REASON_SERIAL_ALREADY_USED);
    assert_int_equal(rig_refuse(&rig, &offer, &reserved),
                     REASON_SERIAL_ALREADY_USED); /* nor is count or price given back */
    assert_int_equal(rig_play(&rig, &song, NULL, NULL), REASON_NO_LICENSE);
    assert_int_equal(license_state(), 3);
    assert_int_equal(rig_buy(&rig, &shop, &song, 5), 0); /* the answer of then, once more */
    assert_int_equal(rig_play(&rig, &song, NULL, NULL), REASON_NO_LICENSE);
    assert_int_equal(rig_buy(&rig, &shop, &song, 6), 0); /* what it is given now */
    assert_int_equal(rig_play(&rig, &song, NULL, NULL), 0);
    make_offer(8);
    assert_int_equal(rig_check(&rig, &offer, &reserved), 0);
    assert_int_equal(rig_commit(&rig, &reserved.name, &reserved), 0);
}

/* The copy is from before it was bought: the license is not there to be given up, and must not come in later. */
static void a_license_that_is_not_there(void **state)
{
    (void)state;
    fall_behind();
    make_page(&shop);
    add_entry(CATCH_UP_LICENSE, &shop.id, tune.license_id);
    assert_int_equal(take_as(&shop, &shop.license), 0);
    assert_int_equal(rig_buy(&rig, &shop, &tune, 5), 0);
    assert_int_equal(rig_play(&rig, &tune, NULL, NULL), REASON_NO_LICENSE);
    vlt_CertificateState reserved;
    make_offer(4); /* an old one that nobody has used */
    assert_int_equal(rig_check(&rig, &offer, &reserved), 0);
    assert_int_equal(rig_commit(&rig, &reserved.name, &reserved), REASON_NOT_PERMITTED);
}

static void a_later_edition_is_not_given_up(void **state)
{
    (void)state;
    assert_int_equal(rig_buy(&rig, &shop, &song, 6), 0);
    fall_behind();
    make_page(&shop);
    add_entry(CATCH_UP_LICENSE, &shop.id, license_id); /* editions up to 5 */
    add_entry(CATCH_UP_MOVE, &shop.id, move_certificate.serial);
    assert_int_equal(take_as(&shop, &shop.license), 0);
    assert_int_equal(rig_play(&rig, &song, NULL, NULL), 0);
}

static void sign_receipt(uint32_t outcome)
{
    doc_Receipt r = { .outcome = outcome, .signed_ms = (uint64_t)maker_now() };
    memcpy(r.issuer, move_certificate.issuer, 32);
    memcpy(r.serial, move_certificate.serial, 16);
    memcpy(r.content, move_certificate.content, 32);
    memcpy(r.source, move_certificate.source, 32);
    memcpy(r.destination, move_certificate.destination, 32);
    sign_into(&receipt, DOCUMENT_RECEIPT, &r, &friend_key);
}

/* Forgotten in the middle of a move: it goes on, with the same certificate, and ends either way. */
static void a_move_goes_on(void **state)
{
    vlt_MoveReleased released;
    vlt_MoveFinished finished;
    doc_Surrender surrender;
    (void)state;
    fall_behind();
    make_page(&shop);
    add_entry(CATCH_UP_MOVE, &shop.id, move_certificate.serial);
    assert_int_equal(take_as(&shop, &shop.license), 0);
    assert_int_equal(license_state(), 2);
    assert_int_equal(rig_play(&rig, &song, NULL, NULL), REASON_LICENSE_SUSPENDED);
    assert_int_equal(rig_move_release(&rig, buf_slice(&sealed), &released), 0);
    assert_true(slice_equal(CODEC_BYTES(released.certificate), buf_slice(&move)));
    sign_receipt(RECEIPT_STORED);
    assert_int_equal(rig_move_finish(&rig, buf_slice(&receipt), &finished), 0);
    assert_int_equal(surrender_judge(CODEC_BYTES(finished.surrender), &surrender), 0);
    assert_int_equal(license_state(), 3);
}

static void a_move_is_taken_back(void **state)
{
    (void)state;
    fall_behind();
    make_page(&shop);
    add_entry(CATCH_UP_MOVE, &shop.id, move_certificate.serial);
    assert_int_equal(take_as(&shop, &shop.license), 0);
    sign_receipt(RECEIPT_REFUSED);
    assert_int_equal(rig_move_cancel(&rig, buf_slice(&receipt)), 0);
    assert_int_equal(rig_play(&rig, &song, NULL, NULL), 0);
}

/* A distributor's word on another issuer's serials counts for certificates under its own keyset alone. */
static void anothers_serials(void **state)
{
    vlt_CertificateState reserved;
    (void)state;
    assert_false(stand(&other, generation() + SEEN_LATER, NULL));
    make_page(&other);
    add_entry(CATCH_UP_SERIAL, &shop.id, certificate.serial);
    assert_int_equal(take_as(&other, &other.license), 0);
    assert_int_equal(rig_check(&rig, &offer, &reserved), 0);
}

/* --- Lies --- */

static void pages_that_prove_nothing(void **state)
{
    static const struct {
        const char *name;
        enum reason outcome;
    } cases[] = {
        { "to another device", REASON_WRONG_DESTINATION },
        { "signed by another distributor", REASON_SIGNATURE_INVALID },
        { "signed by another of its keys", REASON_SIGNATURE_INVALID },
        { "named after another distributor", REASON_SIGNATURE_INVALID },
        { "for another statement", REASON_OUT_OF_STEP },
        { "not the first page", REASON_OUT_OF_STEP },
        { "another's license", REASON_MALFORMED },
        { "out of order", REASON_MALFORMED },
        { "absurd generation", REASON_MALFORMED },
        { "absurd sequence", REASON_MALFORMED },
    };
    uint8_t before[32], after[32];
    (void)state;
    fall_behind();
    rig_dump(&rig, before);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        make_page(&shop);
        add_entry(CATCH_UP_SERIAL, &shop.id, certificate.serial);
        add_entry(CATCH_UP_LICENSE, i == 6 ? &other.id : &shop.id, license_id);
        if (i == 0)
            memcpy(page.client, friend.client.bytes, 32);
        if (i == 3)
            memcpy(page.distributor, other.id.bytes, 32);
        if (i == 4)
            page.nonce[0] ^= 1;
        if (i == 5)
            page.after[49 - 1] = 1;
        if (i == 7)
            page.entries[1].kind = 0;
        if (i == 8)
            page.generation = UINT64_C(1) << 62;
        if (i == 9)
            page.entries[1].sequence = UINT64_MAX;
        int r = take_as(&shop, i == 1 ? &other.license : i == 2 ? &shop.roster : &shop.license);
        if (r != (int)cases[i].outcome)
            fail_msg("%s: %s", cases[i].name, reason_code((enum reason)r));
    }
    rig_dump(&rig, after);
    assert_memory_equal(before, after, 32);
    assert_asleep();
}

/* A page for an earlier question is worth nothing later, when more has been used up. */
static void an_old_page_is_not_taken_again(void **state)
{
    (void)state;
    fall_behind();
    make_page(&shop);
    static doc_CatchUp old;
    old = page;
    assert_int_equal(take_as(&shop, &shop.license), 0);
    assert_int_equal(take_as(&shop, &shop.license), REASON_OUT_OF_STEP);
    fall_behind();
    page = old;
    assert_int_equal(take_as(&shop, &shop.license), REASON_OUT_OF_STEP);
    assert_asleep();
}

static void nobody_asked(void **state)
{
    (void)state;
    make_page(&shop);
    assert_int_equal(take_as(&shop, &shop.license), REASON_OUT_OF_STEP);
}

/* Killed after each page: what was taken stays, being behind stays, and it begins anew. */
static void killed_between_pages(void **state)
{
    uint8_t serial[16] = { 0 };
    vlt_CertificateState reserved;
    (void)state;
    fall_behind();
    for (int pages = 1; pages <= 4; pages++) {
        make_page(&shop);
        memset(serial, 0, sizeof(serial));
        for (int i = 0; i < pages; i++) {
            uint8_t place[49];
            memcpy(place, i == 0 ? page.after : taken.after, sizeof(place));
            make_page(&shop);
            memcpy(page.after, place, sizeof(place));
            page.last = i == 3;
            serial[0] = (uint8_t)(i + 1);
            add_entry(CATCH_UP_SERIAL, &other.id, serial);
            if (i == 3)
                add_entry(CATCH_UP_LICENSE, &shop.id, license_id);
            assert_int_equal(take_as(&shop, &shop.license), 0);
            assert_int_equal(taken.done, i == 3);
        }
        rig_kill(&rig);
        rig_start(&rig);
        assert_int_equal(take_as(&shop, &shop.license), REASON_OUT_OF_STEP);
        if (pages < 4) {
            assert_asleep();
            assert_false(stand(&shop, standing.generation, NULL));
        }
    }
    assert_int_equal(rig_play(&rig, &song, NULL, NULL), REASON_NO_LICENSE);
    assert_int_equal(rig_check(&rig, &offer, &reserved), 0);
    assert_true(stand(&shop, standing.generation, NULL));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_current_vault_stays_so),
        T(a_later_generation_is_noticed_and_kept),
        T(an_unknown_statement_is_noticed),
        T(what_was_reserved_is_not_committed),
        T(what_nobody_counts_plays_on),
        T(standings_that_prove_nothing),
        T(being_registered_decides),
        T(nothing_was_used_up),
        T(the_copy_that_said_it_is_known_from_then_on),
        T(what_was_used_up_is_so_again),
        T(a_license_that_is_not_there),
        T(a_later_edition_is_not_given_up),
        T(a_move_goes_on),
        T(a_move_is_taken_back),
        T(anothers_serials),
        T(pages_that_prove_nothing),
        T(an_old_page_is_not_taken_again),
        T(nobody_asked),
        T(killed_between_pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
