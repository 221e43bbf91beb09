/* Copy certificates at their destination: S162-S173, replays, reservations, refusals. */
#include "cm.h"

#include "rig.h"

static struct rig rig;
static struct maker shop, other;  /* the device's own distributor, and a partner of it */
static struct content song, hers; /* published by the one and by the other */
static struct device source;
static struct offer offer;
static doc_CopyCertificate certificate;
static doc_Delegation delegation;
static vlt_CertificateState state_of;

static void sign_offer(const struct key32 *signer)
{
    sign_into(&offer.certificate, DOCUMENT_COPY_CERTIFICATE, &certificate, signer);
}

static void offer_own(uint64_t sequence)
{
    maker_copy(&shop, &shop, &source, &rig.self, &song, sequence, &certificate);
    sign_offer(&shop.license);
    buf_clear(&offer.delegation);
    offer.content = &song;
    offer.presenter = &source;
}

static void offer_foreign(uint64_t sequence)
{
    maker_copy(&other, &shop, &source, &rig.self, &hers, sequence, &certificate);
    maker_delegation(&shop, &other, &delegation);
    sign_into(&offer.delegation, DOCUMENT_DELEGATION, &delegation, &shop.license);
    sign_offer(&other.copy);
    offer.content = &hers;
    offer.presenter = &source;
}

static int setup(void **state)
{
    (void)state;
    struct key32 key;
    rig_init(&rig);
    maker_init(&shop, 1, "Shop");
    maker_init(&other, 2, "Other");
    content_init(&song, &shop, 1, "audio/flac", slice_str("some sound"), 4096);
    content_init(&hers, &other, 2, "audio/flac", slice_str("other sound"), 4096);
    maker_key(&key, 90, 1);
    sign_public_key(&key, source.device_key);
    source.client = id_of_key(source.device_key);
    offer = (struct offer){ .certificate = buf(4096), .delegation = buf(1024) };
    assert_int_equal(rig_register(&rig, &shop), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rig_deinit(&rig);
    content_deinit(&song);
    content_deinit(&hers);
    maker_deinit(&shop);
    maker_deinit(&other);
    buf_free(&offer.certificate);
    buf_free(&offer.delegation);
    return 0;
}

static void check_receipt(uint32_t outcome)
{
    doc_Receipt receipt;
    assert_true(state_of.has_receipt);
    assert_int_equal(receipt_judge(CODEC_BYTES(state_of.receipt), &receipt), 0);
    assert_int_equal(receipt.outcome, outcome);
    assert_memory_equal(receipt.issuer, certificate.issuer, 32);
    assert_memory_equal(receipt.serial, certificate.serial, 16);
    assert_memory_equal(receipt.content, certificate.content, 32);
    assert_memory_equal(receipt.source, source.client.bytes, 32);
    assert_memory_equal(receipt.destination, rig.self.client.bytes, 32);
}

static void whole_way(const struct content *c)
{
    vlt_CertificateState first;
    vlt_Licenses all;
    assert_int_equal(rig_check(&rig, &offer, &state_of), 0);
    assert_int_equal(state_of.state, 1);
    assert_false(state_of.has_receipt);
    assert_memory_equal(state_of.name.issuer, certificate.issuer, 32);
    assert_memory_equal(state_of.content, c->id.bytes, 32);
    assert_memory_equal(state_of.source, source.client.bytes, 32);
    assert_memory_equal(state_of.license_id, c->license_id, 16);
    assert_int_equal(rig_licenses(&rig, &all), 0);
    assert_int_equal(all.total, 0); /* reserved, nothing more */
    assert_int_equal(rig_play(&rig, c, NULL, NULL), REASON_NO_LICENSE);
    rig_stop(&rig);
    rig_start(&rig);
    assert_int_equal(rig_commit(&rig, &state_of.name, &first), 0);
    state_of = first;
    assert_int_equal(state_of.state, 2);
    check_receipt(1);
    assert_int_equal(rig_licenses(&rig, &all), 0);
    assert_int_equal(all.total, 1);
    assert_true(all.licenses[0].has_header);
    assert_int_equal(rig_play(&rig, c, NULL, NULL), 0);
    /* Once more, in every way it may come: the same bytes. */
    assert_int_equal(rig_commit(&rig, &first.name, &state_of), 0);
    assert_memory_equal(&first, &state_of, sizeof(first));
    assert_int_equal(rig_check(&rig, &offer, &state_of), 0);
    assert_memory_equal(&first, &state_of, sizeof(first));
    rig_kill(&rig);
    rig_start(&rig);
    assert_int_equal(rig_check(&rig, &offer, &state_of), 0);
    assert_memory_equal(&first, &state_of, sizeof(first));
    assert_int_equal(rig_refuse(&rig, &offer, &state_of), 0); /* too late: stored */
    assert_memory_equal(&first, &state_of, sizeof(first));
    assert_int_equal(rig_release(&rig, &first.name), REASON_ALREADY);
}

static void from_own_distributor(void **state)
{
    (void)state;
    offer_own(10);
    whole_way(&song);
}

static void from_partner(void **state)
{
    (void)state;
    offer_foreign(10);
    whole_way(&hers);
}

/* Its source is away: a copy comes from the issuer itself, all the way; a move never does. */
static void from_its_issuer(void **state)
{
    (void)state;
    struct device issuer = source, own = source;
    issuer.client = other.id;
    own.client = shop.id;
    offer_foreign(10);
    offer.presenter = &own;
    assert_int_equal(rig_check(&rig, &offer, &state_of), REASON_NOT_PERMITTED);
    offer.presenter = &issuer;
    whole_way(&hers);
    offer.presenter = &source; /* who comes with it later gets the same receipt */
    assert_int_equal(rig_check(&rig, &offer, &state_of), 0);
    check_receipt(1);
    offer_foreign(11);
    certificate.move = true;
    sign_offer(&other.copy);
    offer.presenter = &issuer;
    assert_int_equal(rig_check(&rig, &offer, &state_of), REASON_NOT_PERMITTED);
    offer.presenter = &source;
    assert_int_equal(rig_check(&rig, &offer, &state_of), 0);
    assert_int_equal(rig_commit(&rig, &state_of.name, &state_of), 0);
    offer.presenter = &issuer;
    assert_int_equal(rig_check(&rig, &offer, &state_of), REASON_NOT_PERMITTED);
}

static void with_two_registrations(void **state)
{
    (void)state;
    assert_int_equal(rig_register(&rig, &other), 0);
    offer_foreign(10);
    whole_way(&hers);
}

static void replays(void **state)
{
    (void)state;
    struct device stranger = source;
    stranger.client.bytes[0] ^= 1;
    offer_own(10);
    certificate.removable = true;
    sign_offer(&shop.license);
    offer.presenter = NULL; /* from a medium */
    assert_int_equal(rig_check(&rig, &offer, &state_of), 0);
    assert_int_equal(rig_commit(&rig, &state_of.name, &state_of), 0);
    assert_int_equal(rig_check(&rig, &offer, &state_of), REASON_SERIAL_ALREADY_USED);
    offer.presenter = &stranger;
    assert_int_equal(rig_check(&rig, &offer, &state_of), REASON_NOT_PERMITTED);
    /* Another certificate with the serial: signed by the same hand, so only the serial can tell. */
    certificate.ends_ms++;
    sign_offer(&shop.license);
    offer.presenter = &source;
    assert_int_equal(rig_check(&rig, &offer, &state_of), REASON_SERIAL_ALREADY_USED);
    assert_int_equal(rig_refuse(&rig, &offer, &state_of), REASON_SERIAL_ALREADY_USED);
}

static void serials_are_the_issuers(void **state)
{
    (void)state;
    offer_own(10);
    assert_int_equal(rig_check(&rig, &offer, &state_of), 0);
    assert_int_equal(rig_commit(&rig, &state_of.name, &state_of), 0);
    uint8_t serial[16];
    memcpy(serial, certificate.serial, 16);
    offer_foreign(10);
    memcpy(certificate.serial, serial, 16);
    sign_offer(&other.copy);
    assert_int_equal(rig_check(&rig, &offer, &state_of), 0);
}

static void reservation(void **state)
{
    (void)state;
    vlt_CertificateState again;
    offer_own(10);
    assert_int_equal(rig_check(&rig, &offer, &state_of), 0);
    assert_int_equal(rig_check(&rig, &offer, &again), 0); /* idempotent */
    assert_memory_equal(&again, &state_of, sizeof(again));
    certificate.ends_ms++; /* another with that serial */
    sign_offer(&shop.license);
    assert_int_equal(rig_check(&rig, &offer, &again), REASON_SERIAL_ALREADY_USED);
    certificate.ends_ms--;
    sign_offer(&shop.license);
    rig_kill(&rig);
    rig_start(&rig);
    certificate.ends_ms++;
    sign_offer(&shop.license);
    assert_int_equal(rig_check(&rig, &offer, &again), REASON_SERIAL_ALREADY_USED);
    assert_int_equal(rig_release(&rig, &state_of.name), 0);
    assert_int_equal(rig_release(&rig, &state_of.name), 0);
    assert_int_equal(rig_commit(&rig, &state_of.name, &again), REASON_NOT_FOUND);
    assert_int_equal(rig_check(&rig, &offer, &again), 0); /* free again */
}

static void refusing(void **state)
{
    (void)state;
    vlt_CertificateState first;
    vlt_Licenses all;
    offer_own(10);
    assert_int_equal(rig_check(&rig, &offer, &state_of), 0);
    assert_int_equal(rig_refuse(&rig, &offer, &state_of), 0);
    assert_int_equal(state_of.state, 3);
    check_receipt(2);
    first = state_of;
    assert_int_equal(rig_refuse(&rig, &offer, &state_of), 0);
    assert_memory_equal(&first, &state_of, sizeof(first));
    assert_int_equal(rig_commit(&rig, &first.name, &state_of), REASON_CANCELLED);
    assert_int_equal(rig_check(&rig, &offer, &state_of), 0); /* the source learns it with the receipt */
    assert_memory_equal(&first, &state_of, sizeof(first));
    assert_int_equal(rig_release(&rig, &first.name), REASON_ALREADY);
    assert_int_equal(rig_licenses(&rig, &all), 0);
    assert_int_equal(all.total, 0);

    offer_foreign(11); /* never seen before, and its time is over: a withdrawal may come late */
    certificate.issued_ms = (uint64_t)(maker_now() - 3 * DAY_MS);
    certificate.ends_ms = (uint64_t)(maker_now() - 2 * DAY_MS);
    sign_offer(&other.copy);
    assert_int_equal(rig_refuse(&rig, &offer, &state_of), 0);
    assert_int_equal(state_of.state, 3);
    check_receipt(2);
    certificate.destination[0] ^= 1;
    sign_offer(&other.copy);
    assert_true(rig_refuse(&rig, &offer, &state_of) == REASON_WRONG_DESTINATION);
}

/* --- Every refusal, by what is wrong --- */

static void no_change(void) {}
static void ended(void)
{
    certificate.ends_ms = (uint64_t)(maker_now() - 600000), certificate.issued_ms = certificate.ends_ms - 1;
}
static void not_yet(void) { certificate.issued_ms = (uint64_t)(maker_now() + 600000); }
static void for_another(void)
{
    struct device stranger = rig.self;
    doc_License l;
    stranger.client.bytes[5] ^= 1;
    memcpy(certificate.destination, stranger.client.bytes, 32);
    maker_license(&other, &shop, &stranger, &hers, 10, &l);
    maker_copy_license(&certificate, &l, &other.copy);
}
static void other_source(void) { certificate.source[0] ^= 1; }
static void from_medium(void) { offer.presenter = NULL; }
static void other_content(void) { offer.content = &song; }
static void other_license_signer(void)
{
    doc_License l;
    maker_license(&other, &shop, &rig.self, &hers, 10, &l);
    maker_copy_license(&certificate, &l, &other.license);
}
static void other_leaf(void)
{
    doc_License l;
    maker_license(&other, &shop, &rig.self, &hers, 10, &l);
    l.leaf.number++;
    maker_copy_license(&certificate, &l, &other.copy);
}
static void half_for_another(void)
{
    doc_License l;
    struct device stranger = rig.self;
    memcpy(stranger.sealing_key, source.device_key, 32);
    struct key32 key;
    maker_key(&key, 91, 4);
    maker_license(&other, &shop, &rig.self, &hers, 10, &l);
    l.license_half[40] ^= 1;
    maker_copy_license(&certificate, &l, &other.copy);
}
static void half_not_wrapped(void) { certificate.wrapped_half[30] ^= 1; }
static void half_under_root(void) { maker_wrap(&shop.block_root, NULL, &hers, certificate.wrapped_half); }
static void entry_forged(void) { certificate.key_block.entry[30] ^= 1; }
static void block_of_another(void) { maker_entry(&other, MAKER_LEAF, &certificate.key_block); }
static void root_flag(void) { certificate.partner_root = false; }
static void issuer_differs(void) { memcpy(certificate.issuer, shop.id.bytes, 32); }
static void sign_delegation(const struct key32 *signer)
{
    sign_into(&offer.delegation, DOCUMENT_DELEGATION, &delegation, signer);
}
static void delegation_missing(void) { buf_clear(&offer.delegation); }
static void delegation_ended(void)
{
    delegation.ends_ms = (uint64_t)(maker_now() - 600000), sign_delegation(&shop.license);
}
static void delegation_short(void) { delegation.max_certificate_ms = (uint64_t)DAY_MS, sign_delegation(&shop.license); }
static void delegation_forged(void) { sign_delegation(&other.license); }
static void delegation_to_another(void) { delegation.partner[0] ^= 1, sign_delegation(&shop.license); }
static void delegation_other_key(void)
{
    sign_public_key(&other.license, delegation.copy_key), sign_delegation(&shop.license);
}

static const struct {
    const char *name;
    void (*change)(void);
    int outcome;
} refusals[] = {
    { "ended", ended, REASON_CERTIFICATE_EXPIRED },
    { "not yet", not_yet, REASON_CERTIFICATE_EXPIRED },
    { "for another device", for_another, REASON_WRONG_DESTINATION },
    { "brought by another than its source", other_source, REASON_NOT_PERMITTED },
    { "on a medium, not issued for one", from_medium, REASON_NOT_PERMITTED },
    { "beside another content", other_content, REASON_DELEGATION_INVALID }, /* and not the partner's to share */
    { "license by another key", other_license_signer, REASON_SIGNATURE_INVALID },
    { "license for another leaf", other_leaf, REASON_WRONG_DESTINATION },
    { "license half does not open", half_for_another, REASON_MALFORMED },
    { "header half does not open", half_not_wrapped, REASON_MALFORMED },
    { "header half under the root instead of the partner root", half_under_root, REASON_MALFORMED },
    { "key block entry altered", entry_forged, REASON_SIGNATURE_INVALID },
    { "another distributor's key block", block_of_another, REASON_SIGNATURE_INVALID },
    { "partner root denied", root_flag, REASON_DELEGATION_INVALID },
    { "issuer is not the partner", issuer_differs, REASON_DELEGATION_INVALID },
    { "no delegation", delegation_missing, REASON_SIGNATURE_INVALID },
    { "delegation ended", delegation_ended, REASON_DELEGATION_INVALID },
    { "longer than the delegation allows", delegation_short, REASON_DELEGATION_INVALID },
    { "delegation by another", delegation_forged, REASON_DELEGATION_INVALID },
    { "delegation to another", delegation_to_another, REASON_DELEGATION_INVALID },
    { "delegation of another key", delegation_other_key, REASON_SIGNATURE_INVALID },
    { "nothing wrong", no_change, 0 },
};

static void each_refusal(void **state)
{
    (void)state;
    uint8_t before[32], after[32];
    rig_dump(&rig, before);
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        offer_foreign(10);
        refusals[i].change();
        sign_offer(&other.copy);
        int r = rig_check(&rig, &offer, &state_of);
        if (r != refusals[i].outcome)
            print_message("%s: %s instead of %s\n", refusals[i].name, reason_code((enum reason)r),
                          reason_code((enum reason)refusals[i].outcome));
        assert_int_equal(r, refusals[i].outcome);
        rig_dump(&rig, after);
        assert_int_equal(memcmp(before, after, 32) != 0, r == 0);
    }
}

static void content_mismatch(void **state)
{
    (void)state;
    struct content second;
    content_init(&second, &shop, 3, "audio/flac", slice_str("third sound"), 4096);
    offer_own(10);
    offer.content = &second;
    assert_int_equal(rig_check(&rig, &offer, &state_of), REASON_CONTENT_ID_MISMATCH);
    content_deinit(&second);
}

static void withdrawn_partner(void **state)
{
    (void)state;
    offer_foreign(10);
    assert_int_equal(rig_check(&rig, &offer, &state_of), 0);
    /* Between the check and the commit the distributor withdraws the delegation: the commit sees it. */
    shop.keyset.sequence++;
    shop.keyset.floors_count = 1;
    memcpy(shop.keyset.floors[0].partner, other.id.bytes, 32);
    shop.keyset.floors[0].lowest_sequence = delegation.sequence + 1;
    assert_int_equal(rig_keyset(&rig, &shop, true), 0);
    assert_int_equal(rig_commit(&rig, &state_of.name, &state_of), REASON_DELEGATION_INVALID);
    vlt_Licenses all;
    assert_int_equal(rig_licenses(&rig, &all), 0);
    assert_int_equal(all.total, 0);
}

static void ends_during_transfer(void **state)
{
    (void)state;
    struct buf time = buf(512);
    offer_own(10);
    assert_int_equal(rig_check(&rig, &offer, &state_of), 0);
    maker_time(&shop, &rig.self, maker_now() + 6 * DAY_MS, &time);
    assert_int_equal(rig_time(&rig, &shop, buf_slice(&time)), 0);
    vlt_CertificateName name = state_of.name;
    assert_int_equal(rig_commit(&rig, &name, &state_of), REASON_CERTIFICATE_EXPIRED);
    rig_stop(&rig); /* the next start tidies up */
    rig_start(&rig);
    assert_int_equal(rig_commit(&rig, &name, &state_of), REASON_NOT_FOUND);
    assert_int_equal(rig_check(&rig, &offer, &state_of),
                     REASON_CLOCK_UNTRUSTED); /* six days behind, and nobody was heard */
    maker_time(&shop, &rig.self, maker_now() + 6 * DAY_MS + 1000, &time);
    assert_int_equal(rig_time(&rig, &shop, buf_slice(&time)), 0);
    assert_int_equal(rig_check(&rig, &offer, &state_of), REASON_CERTIFICATE_EXPIRED);
    buf_free(&time);
}

static void outdated_block(void **state)
{
    (void)state;
    doc_CopyCertificate old;
    offer_own(10);
    old = certificate;
    assert_int_equal(rig_check(&rig, &offer, &state_of), 0);
    vlt_CertificateName reserved = state_of.name;
    maker_rekey(&shop, 2, 3);
    offer_own(11);
    assert_int_equal(rig_check(&rig, &offer, &state_of), 0);
    certificate = old; /* as if it came only now */
    put_be64(certificate.serial, 12);
    sign_offer(&shop.license);
    assert_int_equal(rig_check(&rig, &offer, &state_of), REASON_KEY_BLOCK_OUTDATED);
    assert_int_equal(rig_commit(&rig, &reserved, &state_of), 0); /* under way when the block changed */
    assert_int_equal(rig_play(&rig, &song, NULL, NULL), 0);
}

static void not_registered(void **state)
{
    (void)state;
    offer_own(10);
    assert_int_equal(rig_drop(&rig, &shop), 0);
    assert_int_equal(rig_check(&rig, &offer, &state_of), REASON_NOT_REGISTERED);
}

static void keeps_a_later_license(void **state)
{
    (void)state;
    vlt_Licenses all;
    assert_int_equal(rig_buy(&rig, &shop, &song, 50), 0);
    offer_own(10);
    assert_int_equal(rig_check(&rig, &offer, &state_of), 0);
    assert_int_equal(rig_commit(&rig, &state_of.name, &state_of), 0);
    assert_int_equal(state_of.state, 2);
    assert_int_equal(rig_licenses(&rig, &all), 0);
    assert_int_equal(all.total, 1);
    assert_true(all.licenses[0].sequence == 50);
}

static void flipped_bytes(void **state)
{
    (void)state;
    uint8_t before[32], after[32];
    offer_foreign(10);
    rig_dump(&rig, before);
    struct buf *documents[] = { &offer.certificate, &offer.delegation };
    for (size_t d = 0; d < 2; d++) {
        for (size_t i = 0; i < documents[d]->len; i++) {
            documents[d]->data[i] ^= (uint8_t)(1u << (i % 8));
            assert_true(rig_check(&rig, &offer, &state_of) > 0);
            assert_true(rig_refuse(&rig, &offer, &state_of) > 0);
            documents[d]->data[i] ^= (uint8_t)(1u << (i % 8));
            if (i % 16 == 0) {
                rig_dump(&rig, after);
                assert_memory_equal(before, after, 32);
            }
        }
    }
    assert_int_equal(rig_check(&rig, &offer, &state_of), 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(from_own_distributor), T(from_partner),      T(with_two_registrations),
        T(from_its_issuer),      T(replays),           T(serials_are_the_issuers),
        T(reservation),          T(refusing),          T(each_refusal),
        T(content_mismatch),     T(withdrawn_partner), T(ends_during_transfer),
        T(outdated_block),       T(not_registered),    T(keeps_a_later_license),
        T(flipped_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
