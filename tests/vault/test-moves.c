/* Moves: suspend, release, finish, cancel; each repeated, each out of order. */
#include "cm.h"

#include <unistd.h>

#include "crypto/seal.h"
#include "rig.h"

static struct rig rig;
static struct maker shop;
static struct content song;
static struct device target;
static struct key32 target_key;
static doc_CopyCertificate certificate;
static struct buf envelope, sealed, receipt;

static int setup(void **state)
{
    (void)state;
    rig_init(&rig);
    maker_init(&shop, 1, "Shop");
    content_init(&song, &shop, 1, "audio/flac", slice_str("some sound"), 4096);
    maker_key(&target_key, 90, 1);
    sign_public_key(&target_key, target.device_key);
    target.client = id_of_key(target.device_key);
    struct key32 sealing;
    maker_key(&sealing, 90, 2);
    seal_public_key(&sealing, target.sealing_key);
    envelope = buf(4096);
    sealed = buf(4096);
    receipt = buf(1024);
    assert_int_equal(rig_register(&rig, &shop), 0);
    assert_int_equal(rig_buy(&rig, &shop, &song, 5), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rig_deinit(&rig);
    content_deinit(&song);
    maker_deinit(&shop);
    buf_free(&envelope);
    buf_free(&sealed);
    buf_free(&receipt);
    return 0;
}

static void seal_certificate_by(const struct key32 *signer)
{
    sign_into(&envelope, DOCUMENT_COPY_CERTIFICATE, &certificate, signer);
    buf_clear(&sealed);
    assert_int_equal(buf_reserve(&sealed, envelope.len + SEAL_OVERHEAD_BYTES), 0);
    assert_int_equal(seal_to(rig.self.sealing_key, buf_slice(&envelope), sealed.data), 0);
    sealed.len = envelope.len + SEAL_OVERHEAD_BYTES;
}

static void seal_certificate(void) { seal_certificate_by(&shop.license); }

static void make_move(uint64_t sequence)
{
    maker_copy(&shop, &shop, &rig.self, &target, &song, sequence, &certificate);
    certificate.move = true;
    seal_certificate();
}

static void make_receipt(uint32_t outcome, const struct key32 *signer)
{
    doc_Receipt r = { .outcome = outcome, .signed_ms = (uint64_t)maker_now() };
    memcpy(r.issuer, certificate.issuer, 32);
    memcpy(r.serial, certificate.serial, 16);
    memcpy(r.content, certificate.content, 32);
    memcpy(r.source, certificate.source, 32);
    memcpy(r.destination, certificate.destination, 32);
    sign_into(&receipt, DOCUMENT_RECEIPT, &r, signer);
}

static uint32_t license_state(void)
{
    vlt_Licenses all;
    assert_int_equal(rig_licenses(&rig, &all), 0);
    assert_int_equal(all.total, 1);
    return all.licenses[0].state;
}

static void release(void)
{
    vlt_MoveReleased out;
    assert_int_equal(rig_move_release(&rig, buf_slice(&sealed), &out), 0);
    assert_true(slice_equal(CODEC_BYTES(out.certificate), buf_slice(&envelope)));
}

/* Who plays on while the license is on its way has it twice. Source: related system R2. */
static void not_while_playing(void **state)
{
    (void)state;
    uint64_t play;
    int player;
    assert_int_equal(rig_play(&rig, &song, &player, &play), 0);
    make_move(10);
    assert_int_equal(rig_move_release(&rig, buf_slice(&sealed), NULL), REASON_IN_USE);
    assert_int_equal(license_state(), 1);
    assert_int_equal(rig_play_close(&rig, play), 0);
    close(player);
    release();
    assert_int_equal(license_state(), 2);
}

static void finished(void **state)
{
    (void)state;
    vlt_MoveFinished first, again;
    vlt_MoveReleased out;
    doc_Surrender surrender;
    make_move(10);
    assert_int_equal(license_state(), 1);
    release();
    rig_kill(&rig);
    rig_start(&rig);
    assert_int_equal(license_state(), 2);
    assert_int_equal(rig_play(&rig, &song, NULL, NULL), REASON_LICENSE_SUSPENDED);
    release(); /* again: the same */
    make_receipt(1, &target_key);
    assert_int_equal(rig_move_finish(&rig, buf_slice(&receipt), &first), 0);
    assert_int_equal(surrender_judge(CODEC_BYTES(first.surrender), &surrender), 0);
    assert_memory_equal(surrender.issuer, shop.id.bytes, 32);
    assert_memory_equal(surrender.license_id, song.license_id, 16);
    assert_memory_equal(surrender.serial, certificate.serial, 16);
    assert_memory_equal(surrender.client, rig.self.client.bytes, 32);
    assert_int_equal(license_state(), 3);
    assert_int_equal(rig_play(&rig, &song, NULL, NULL), REASON_NO_LICENSE);
    rig_kill(&rig);
    rig_start(&rig);
    assert_int_equal(rig_move_finish(&rig, buf_slice(&receipt), &again), 0);
    assert_true(slice_equal(CODEC_BYTES(first.surrender), CODEC_BYTES(again.surrender)));
    assert_int_equal(rig_move_release(&rig, buf_slice(&sealed), &out), REASON_ALREADY);
    make_receipt(2, &target_key);
    assert_int_equal(rig_move_cancel(&rig, buf_slice(&receipt)), REASON_ALREADY);
    /* Neither the license that was given up comes back, nor an earlier one. */
    assert_int_equal(rig_buy(&rig, &shop, &song, 5), 0);
    assert_int_equal(license_state(), 3);
    assert_int_equal(rig_buy(&rig, &shop, &song, 12), 0); /* bought again */
    assert_int_equal(license_state(), 1);
}

/* The lender in the certificate's license says whether it comes back, and to whom. */
static void lend(const struct id *lender, uint64_t sequence)
{
    vlt_MoveFinished out;
    doc_License inside;
    uint8_t signer[32];
    make_move(sequence);
    assert_int_equal(document_open(DOCUMENT_LICENSE, CODEC_BYTES(certificate.license), &inside, sizeof(inside), signer),
                     0);
    inside.has_lender = true;
    memcpy(inside.lender, lender->bytes, sizeof(inside.lender));
    maker_copy_license(&certificate, &inside, &shop.license);
    seal_certificate();
    release();
    assert_int_equal(rig_play(&rig, &song, NULL, NULL), REASON_LICENSE_SUSPENDED);
    make_receipt(1, &target_key);
    assert_int_equal(rig_move_finish(&rig, buf_slice(&receipt), &out), 0);
}

static void lent(void **state)
{
    (void)state;
    vlt_Licenses all;
    lend(&rig.self.client, 10);
    rig_kill(&rig);
    rig_start(&rig);
    assert_int_equal(rig_play(&rig, &song, NULL, NULL), REASON_IN_USE);
    assert_int_equal(rig_licenses(&rig, &all), 0);
    assert_true(all.licenses[0].has_borrower && !all.licenses[0].has_moved_to);
    assert_memory_equal(all.licenses[0].borrower, target.client.bytes, 32);
    assert_int_equal(rig_buy(&rig, &shop, &song, 5),
                     0); /* the edition that was lent is not brought back by showing it again */
    assert_int_equal(rig_play(&rig, &song, NULL, NULL), REASON_IN_USE);
    assert_int_equal(rig_buy(&rig, &shop, &song, 12), 0); /* the later one, with which it comes back */
    assert_int_equal(rig_play(&rig, &song, NULL, NULL), 0);
    assert_int_equal(rig_licenses(&rig, &all), 0);
    assert_false(all.licenses[0].has_borrower);
}

/* On its way back from a borrower: it is gone from there for good. */
static void given_back(void **state)
{
    (void)state;
    vlt_Licenses all;
    lend(&target.client, 10);
    assert_int_equal(rig_play(&rig, &song, NULL, NULL), REASON_NO_LICENSE);
    assert_int_equal(rig_licenses(&rig, &all), 0);
    assert_false(all.licenses[0].has_borrower);
    assert_true(all.licenses[0].has_moved_to);
    assert_memory_equal(all.licenses[0].moved_to, target.client.bytes, 32);
}

static void cancelled(void **state)
{
    (void)state;
    vlt_MoveReleased out;
    vlt_MoveFinished finish;
    make_move(10);
    release();
    make_receipt(2, &target_key);
    assert_int_equal(rig_move_finish(&rig, buf_slice(&receipt), &finish), REASON_NOT_PERMITTED);
    assert_int_equal(license_state(), 2);
    assert_int_equal(rig_move_cancel(&rig, buf_slice(&receipt)), 0);
    assert_int_equal(license_state(), 1);
    assert_int_equal(rig_play(&rig, &song, NULL, NULL), 0);
    assert_int_equal(rig_move_cancel(&rig, buf_slice(&receipt)), 0);
    assert_int_equal(rig_move_release(&rig, buf_slice(&sealed), &out), REASON_SERIAL_ALREADY_USED);
    make_receipt(1, &target_key);
    assert_int_equal(rig_move_finish(&rig, buf_slice(&receipt), &finish), REASON_CANCELLED);
    make_move(11); /* another try */
    release();
    assert_int_equal(license_state(), 2);
    make_receipt(2, &target_key);
    assert_int_equal(rig_move_cancel(&rig, buf_slice(&receipt)), 0);
    assert_int_equal(license_state(), 1);
}

static void release_refusals(void **state)
{
    (void)state;
    vlt_MoveReleased out;
    uint8_t before[32], after[32];
    rig_dump(&rig, before);
    make_move(10);
    sealed.data[60] ^= 1;
    assert_int_equal(rig_move_release(&rig, buf_slice(&sealed), &out), REASON_MALFORMED);
    assert_int_equal(rig_move_release(&rig, slice_str("short"), &out), REASON_MALFORMED);
    make_move(10);
    certificate.move = false;
    seal_certificate();
    assert_int_equal(rig_move_release(&rig, buf_slice(&sealed), &out), REASON_MALFORMED);
    make_move(10);
    certificate.source[0] ^= 1;
    seal_certificate();
    assert_int_equal(rig_move_release(&rig, buf_slice(&sealed), &out), REASON_NOT_PERMITTED);
    make_move(10);
    memcpy(certificate.destination, rig.self.client.bytes, 32);
    seal_certificate();
    assert_int_equal(rig_move_release(&rig, buf_slice(&sealed), &out), REASON_MALFORMED);
    make_move(10);
    certificate.ends_ms = (uint64_t)(maker_now() - 600000);
    seal_certificate();
    assert_int_equal(rig_move_release(&rig, buf_slice(&sealed), &out), REASON_CERTIFICATE_EXPIRED);
    struct content second;
    content_init(&second, &shop, 3, "audio/flac", slice_str("third sound"), 4096);
    maker_copy(&shop, &shop, &rig.self, &target, &second, 10, &certificate);
    certificate.move = true;
    seal_certificate();
    assert_int_equal(rig_move_release(&rig, buf_slice(&sealed), &out), REASON_NO_LICENSE);
    content_deinit(&second);
    rig_dump(&rig, after);
    assert_memory_equal(before, after, 32);

    make_move(10);
    release();
    certificate.ends_ms++; /* another certificate with the serial */
    seal_certificate();
    assert_int_equal(rig_move_release(&rig, buf_slice(&sealed), &out), REASON_SERIAL_ALREADY_USED);
    make_move(11); /* a second move of the same license */
    assert_int_equal(rig_move_release(&rig, buf_slice(&sealed), &out), REASON_LICENSE_SUSPENDED);
}

/* The same move, signed by whoever likes to: nothing is suspended, and no surrender is ever signed for it. */
static void forged(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool forged_certificate, forged_license, says_partner;
        int expected;
    } cases[] = { { "the certificate", true, false, false, REASON_SIGNATURE_INVALID },
                  { "the license in it", false, true, false, REASON_SIGNATURE_INVALID },
                  { "both", true, true, false, REASON_SIGNATURE_INVALID },
                  { "both, as if by a partner", true, true, true, REASON_MALFORMED },
                  { "the issuer, as if by a partner", false, false, true, REASON_MALFORMED },
                  { "neither", false, false, false, 0 } };
    vlt_MoveReleased out;
    vlt_MoveFinished end;
    doc_License inside;
    uint8_t signer[32];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        print_message("%s\n", cases[i].name);
        make_move(10 + i);
        assert_int_equal(
            document_open(DOCUMENT_LICENSE, CODEC_BYTES(certificate.license), &inside, sizeof(inside), signer), 0);
        certificate.partner_root = cases[i].says_partner;
        maker_copy_license(&certificate, &inside, cases[i].forged_license ? &target_key : &shop.license);
        seal_certificate_by(cases[i].forged_certificate ? &target_key : &shop.license);
        assert_int_equal(rig_move_release(&rig, buf_slice(&sealed), &out), cases[i].expected);
        if (cases[i].expected == 0)
            break;
        assert_int_equal(license_state(), 1);
        make_receipt(1, &target_key);
        assert_int_equal(rig_move_finish(&rig, buf_slice(&receipt), &end), REASON_NOT_FOUND);
    }
}

/* A license of a distributor whose keyset this vault has never checked. */
static void unknown_issuer(void **state)
{
    (void)state;
    struct maker stranger;
    vlt_MoveReleased out;
    maker_init(&stranger, 7, "Stranger");
    maker_copy(&stranger, &stranger, &rig.self, &target, &song, 10, &certificate);
    certificate.move = true;
    seal_certificate_by(&stranger.license);
    assert_int_equal(rig_move_release(&rig, buf_slice(&sealed), &out), REASON_KEYSET_INVALID);
    maker_deinit(&stranger);
}

static void receipt_refusals(void **state)
{
    (void)state;
    vlt_MoveFinished out;
    uint8_t before[32], after[32];
    struct key32 stranger;
    maker_key(&stranger, 91, 1);
    make_move(10);
    make_receipt(1, &target_key);
    assert_int_equal(rig_move_finish(&rig, buf_slice(&receipt), &out), REASON_NOT_FOUND);
    release();
    rig_dump(&rig, before);
    make_receipt(1, &stranger);
    assert_int_equal(rig_move_finish(&rig, buf_slice(&receipt), &out), REASON_SIGNATURE_INVALID);
    doc_CopyCertificate right = certificate;
    sign_public_key(&stranger, certificate.destination); /* signed by whom it names, but that is not the destination */
    struct id other = id_of_key(certificate.destination);
    memcpy(certificate.destination, other.bytes, 32);
    make_receipt(1, &stranger);
    assert_int_equal(rig_move_finish(&rig, buf_slice(&receipt), &out), REASON_NOT_PERMITTED);
    make_receipt(2, &stranger);
    assert_int_equal(rig_move_cancel(&rig, buf_slice(&receipt)), REASON_NOT_PERMITTED);
    certificate = right;
    certificate.content[0] ^= 1;
    make_receipt(1, &target_key);
    assert_int_equal(rig_move_finish(&rig, buf_slice(&receipt), &out), REASON_NOT_PERMITTED);
    certificate = right;
    certificate.source[0] ^= 1;
    make_receipt(1, &target_key);
    assert_int_equal(rig_move_finish(&rig, buf_slice(&receipt), &out), REASON_NOT_PERMITTED);
    certificate = right;
    make_receipt(1, &target_key);
    assert_int_equal(rig_move_cancel(&rig, buf_slice(&receipt)), REASON_NOT_PERMITTED);
    make_receipt(3, &target_key);
    assert_int_equal(rig_move_finish(&rig, buf_slice(&receipt), &out), REASON_MALFORMED);
    make_receipt(1, &target_key);
    for (size_t i = 0; i < receipt.len; i++) {
        receipt.data[i] ^= (uint8_t)(1u << (i % 8));
        assert_true(rig_move_finish(&rig, buf_slice(&receipt), &out) > 0);
        assert_true(rig_move_cancel(&rig, buf_slice(&receipt)) > 0);
        receipt.data[i] ^= (uint8_t)(1u << (i % 8));
    }
    rig_dump(&rig, after);
    assert_memory_equal(before, after, 32);
    assert_int_equal(rig_move_finish(&rig, buf_slice(&receipt), &out), 0);
}

static void later_license_survives(void **state)
{
    (void)state;
    vlt_MoveFinished out;
    make_move(10);
    release();
    assert_int_equal(rig_buy(&rig, &shop, &song, 11), 0); /* what the issuer says last holds */
    assert_int_equal(license_state(), 1);
    make_receipt(1, &target_key);
    assert_int_equal(rig_move_finish(&rig, buf_slice(&receipt), &out), 0);
    assert_int_equal(license_state(), 1);
}

/* What was moved away and comes back: only as something newer than what was given up. */
static void there_and_back(void **state)
{
    (void)state;
    vlt_MoveFinished out;
    vlt_CertificateState got;
    struct offer offer = { .certificate = buf(4096), .content = &song, .presenter = &target };
    make_move(10);
    release();
    make_receipt(1, &target_key);
    assert_int_equal(rig_move_finish(&rig, buf_slice(&receipt), &out), 0);
    maker_copy(&shop, &shop, &target, &rig.self, &song, 4, &certificate);
    sign_into(&offer.certificate, DOCUMENT_COPY_CERTIFICATE, &certificate, &shop.license);
    assert_int_equal(rig_check(&rig, &offer, &got), REASON_NOT_PERMITTED);
    maker_copy(&shop, &shop, &target, &rig.self, &song, 12, &certificate);
    sign_into(&offer.certificate, DOCUMENT_COPY_CERTIFICATE, &certificate, &shop.license);
    assert_int_equal(rig_check(&rig, &offer, &got), 0);
    assert_int_equal(rig_commit(&rig, &got.name, &got), 0);
    assert_int_equal(license_state(), 1);
    buf_free(&offer.certificate);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(not_while_playing),
        T(finished),
        T(lent),
        T(given_back),
        T(cancelled),
        T(forged),
        T(unknown_issuer),
        T(release_refusals),
        T(receipt_refusals),
        T(later_license_survives),
        T(there_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
