/* kill -9 at any moment: what was answered has happened, what has happened happened whole, and the receipt is the same for ever. */
#include "cm.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/rng.h"
#include "crypto/seal.h"
#include "rig.h"

#define ROUNDS 120
#define LATEST_US 1200

static struct rig rig;
static struct maker shop;
static struct device source;
static struct rng_fake chance;

static int setup(void **state)
{
    (void)state;
    struct key32 key;
    rig_init(&rig);
    maker_init(&shop, 1, "Shop");
    maker_key(&key, 90, 1);
    sign_public_key(&key, source.device_key);
    source.client = id_of_key(source.device_key);
    seal_public_key(&key, source.sealing_key);
    rng_fake_init(&chance, 4711);
    assert_int_equal(rig_register(&rig, &shop), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rig_deinit(&rig);
    maker_deinit(&shop);
    return 0;
}

/* Not a wait for anything: the moment of the blow is the test's input. */
static void strike(void)
{
    uint32_t moment;
    rng_fill(&chance.rng, &moment, sizeof(moment));
    usleep(moment % LATEST_US);
    kill(rig.pid, SIGKILL);
}

static uint32_t license_count(void)
{
    vlt_Licenses all;
    assert_int_equal(rig_licenses(&rig, &all), 0);
    return all.total;
}

static int receive_state(uint32_t request, vlt_CertificateState *out)
{
    return rig_receive(&rig, request, vlt_Type_CERTIFICATE_STATE, vlt_CertificateState_fields,
                       vlt_CertificateState_size, out, sizeof(*out));
}

/* The blow falls before, between or after; in every fourth round as soon as the answer is here, which then has to have happened. */
static void commits(void **state)
{
    (void)state;
    unsigned stored_count = 0, answered_count = 0;
    struct offer offer = { .certificate = buf(4096), .presenter = &source };
    for (uint8_t i = 1; i <= ROUNDS; i++) {
        struct content c;
        doc_CopyCertificate certificate;
        vlt_CertificateState before, after, answer;
        content_init(&c, &shop, i, "audio/flac", slice_str("sound"), 4096);
        maker_copy(&shop, &shop, &source, &rig.self, &c, i, &certificate);
        sign_into(&offer.certificate, DOCUMENT_COPY_CERTIFICATE, &certificate, &shop.license);
        offer.content = &c;
        bool checked_first = i % 2 == 0;
        if (checked_first)
            assert_int_equal(rig_check(&rig, &offer, &before), 0);
        vlt_CertificateCommit commit = { 0 };
        memcpy(commit.name.issuer, certificate.issuer, 32);
        memcpy(commit.name.serial, certificate.serial, 16);
        uint32_t count = license_count();
        uint32_t id =
            rig_send(&rig, vlt_Type_CERTIFICATE_COMMIT, vlt_CertificateCommit_fields, &commit, slice(NULL, 0), -1);
        if (i % 4 != 0)
            strike();
        int r = receive_state(id, &answer);
        rig_kill(&rig);
        rig_start(&rig);
        if (!checked_first) { /* there was nothing to commit */
            assert_true(r == REASON_NOT_FOUND || r == -EPIPE);
            assert_int_equal(license_count(), count);
        }
        assert_int_equal(rig_check(&rig, &offer, &after), 0);
        bool stored = after.state == 2;
        assert_true(after.state == 1 || stored);
        assert_int_equal(license_count(), count + stored);
        assert_int_equal(rig_play(&rig, &c, NULL, NULL), stored ? 0 : REASON_NO_LICENSE);
        if (r == 0) { /* what it said has happened, word for word */
            assert_true(stored);
            assert_memory_equal(&answer, &after, sizeof(after));
            answered_count++;
        }
        assert_int_equal(rig_commit(&rig, &after.name, &answer), 0);
        assert_int_equal(answer.state, 2);
        if (stored)
            assert_memory_equal(&answer, &after, sizeof(after));
        assert_int_equal(license_count(), count + 1);
        stored_count += stored;
        content_deinit(&c);
    }
    print_message("%d rounds: stored %u, answered %u\n", ROUNDS, stored_count, answered_count);
    assert_in_range(answered_count, ROUNDS / 4, ROUNDS / 2); /* the other half had nothing to commit */
    buf_free(&offer.certificate);
}

static void moves(void **state)
{
    (void)state;
    unsigned suspended_count = 0, answered_count = 0;
    struct buf envelope = buf(4096), sealed = buf(4096);
    for (uint8_t i = 1; i <= ROUNDS / 2; i++) {
        struct content c;
        doc_CopyCertificate certificate;
        vlt_MoveRelease ask = { 0 };
        vlt_MoveReleased released;
        content_init(&c, &shop, i, "audio/flac", slice_str("sound"), 4096);
        assert_int_equal(rig_buy(&rig, &shop, &c, 1000u + i), 0);
        maker_copy(&shop, &shop, &rig.self, &source, &c, 2000u + i, &certificate);
        certificate.move = true;
        sign_into(&envelope, DOCUMENT_COPY_CERTIFICATE, &certificate, &shop.license);
        assert_true(envelope.len + SEAL_OVERHEAD_BYTES <= sizeof(ask.sealed.bytes));
        assert_int_equal(seal_to(rig.self.sealing_key, buf_slice(&envelope), ask.sealed.bytes), 0);
        ask.sealed.size = (pb_size_t)(envelope.len + SEAL_OVERHEAD_BYTES);
        uint32_t id = rig_send(&rig, vlt_Type_MOVE_RELEASE, vlt_MoveRelease_fields, &ask, slice(NULL, 0), -1);
        if (i % 4 != 0)
            strike();
        int r = rig_receive(&rig, id, vlt_Type_MOVE_RELEASED, vlt_MoveReleased_fields, vlt_MoveReleased_size, &released,
                            sizeof(released));
        rig_kill(&rig);
        rig_start(&rig);
        int playable = rig_play(&rig, &c, NULL, NULL);
        assert_true(playable == 0 || playable == REASON_LICENSE_SUSPENDED);
        if (r == 0) /* nobody has the certificate and a license that is awake */
            assert_int_equal(playable, REASON_LICENSE_SUSPENDED);
        answered_count += r == 0;
        assert_int_equal(rig_move_release(&rig, slice(ask.sealed.bytes, ask.sealed.size), &released), 0);
        assert_true(slice_equal(CODEC_BYTES(released.certificate), buf_slice(&envelope)));
        assert_int_equal(rig_play(&rig, &c, NULL, NULL), REASON_LICENSE_SUSPENDED);
        suspended_count += playable != 0;
        content_deinit(&c);
    }
    print_message("%d rounds: suspended %u, answered %u\n", ROUNDS / 2, suspended_count, answered_count);
    assert_true(answered_count >= ROUNDS / 8);
    buf_free(&envelope);
    buf_free(&sealed);
}

/* The very first start, cut off: the next one has a key and a database that belong together. */
static void first_start(void **state)
{
    (void)state;
    for (int i = 0; i < 30; i++) {
        struct rig young;
        memset(&young, 0, sizeof(young));
        young.tail = buf(1 << 16);
        strcpy(young.dir, "/tmp/hearth-vault-test-XXXXXX");
        assert_non_null(mkdtemp(young.dir));
        rig_spawn(&young);
        uint32_t moment;
        rng_fill(&chance.rng, &moment, sizeof(moment));
        usleep(moment % 40000);
        rig_kill(&young);
        rig_start(&young);
        struct device self = young.self;
        rig_kill(&young);
        rig_start(&young);
        assert_memory_equal(&self, &young.self, sizeof(self));
        rig_deinit(&young);
    }
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = { T(commits), T(moves), T(first_start) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
