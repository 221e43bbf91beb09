/* Identity, keysets, service data, rosters and time. */
#include "cm.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "crypto/seal.h"
#include "protocol/login_token.h"
#include "rig.h"

static struct rig rig;
static struct maker shop, other;
static struct buf one, two;

static int setup(void **state)
{
    (void)state;
    rig_init(&rig);
    maker_init(&shop, 1, "Shop");
    maker_init(&other, 2, "Other");
    one = buf(32768);
    two = buf(32768);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rig_deinit(&rig);
    maker_deinit(&shop);
    maker_deinit(&other);
    buf_free(&one);
    buf_free(&two);
    return 0;
}

static void identity_lasts(void **state)
{
    (void)state;
    struct device before = rig.self;
    uint64_t generation = rig.generation;
    assert_true(generation > 0);
    rig_stop(&rig);
    rig_start(&rig);
    assert_memory_equal(&before, &rig.self, sizeof(before));
    assert_true(generation == rig.generation);
}

static void generation_rises_with_what_is_stored(void **state)
{
    (void)state;
    struct content c;
    content_init(&c, &shop, 1, "audio/flac", slice_str("sound"), 4096);
    assert_int_equal(rig_register(&rig, &shop), REASON_NONE);
    rig_kill(&rig);
    rig_start(&rig);
    uint64_t before = rig.generation;
    assert_int_equal(rig_buy(&rig, &shop, &c, 1), REASON_NONE);
    rig_kill(&rig);
    rig_start(&rig);
    assert_true(rig.generation > before);
    content_deinit(&c);
}

static void storage_key_is_not_replaced(void **state)
{
    (void)state;
    char path[128], kept[160];
    struct device before = rig.self;
    rig_stop(&rig);
    snprintf(path, sizeof(path), "%s/storage.key", rig.dir);
    snprintf(kept, sizeof(kept), "%s.kept", path);
    assert_int_equal(rename(path, kept), 0);
    /* A vault that made a new key here would have lost every license. */
    pid_t pid = fork();
    if (pid == 0) {
        int ends[2];
        socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
        dup2(ends[0], 3);
        dup2(ends[1], 4);
        execl(getenv("HEARTH_VAULT"), "hearth-vault", "--state-dir", rig.dir, NULL);
        _exit(127);
    }
    int status;
    waitpid(pid, &status, 0);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == EX_NOPERM);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(rename(kept, path), 0);
    rig_start(&rig);
    assert_memory_equal(&before, &rig.self, sizeof(before));
}

static void keyset_of_connection(void **state)
{
    (void)state;
    uint8_t wrong[32] = { 1 };
    assert_int_equal(rig_keyset(&rig, &shop, true), 0);
    assert_int_equal(rig_keyset(&rig, &shop, false), 0);
    maker_keyset(&shop, &one);
    assert_int_equal(rig_keyset_bytes(&rig, &shop, wrong, buf_slice(&one)), REASON_KEYSET_INVALID);
    assert_int_equal(rig_keyset_bytes(&rig, &other, NULL, buf_slice(&one)), REASON_KEYSET_INVALID);
}

static void keyset_sequence_never_falls(void **state)
{
    (void)state;
    shop.keyset.sequence = 9;
    assert_int_equal(rig_keyset(&rig, &shop, true), 0);
    rig_stop(&rig);
    rig_start(&rig);
    shop.keyset.sequence = 8;
    assert_int_equal(rig_keyset(&rig, &shop, true), REASON_KEYSET_INVALID);
    shop.keyset.sequence = 9;
    assert_int_equal(rig_keyset(&rig, &shop, true), 0);
    shop.keyset.sequence = 10;
    assert_int_equal(rig_keyset(&rig, &shop, true), 0);
    shop.keyset.sequence = 9;
    assert_int_equal(rig_keyset(&rig, &shop, true), REASON_KEYSET_INVALID);
    shop.keyset.sequence = UINT64_MAX;
    assert_int_equal(rig_keyset(&rig, &shop, true), REASON_KEYSET_INVALID);
    /* Also after the bytes of an unregistered distributor have been dropped for those of many others. */
    for (uint8_t i = 20; i < 40; i++) {
        struct maker passing;
        maker_init(&passing, i, "Passing");
        assert_int_equal(rig_keyset(&rig, &passing, true), 0);
        maker_deinit(&passing);
    }
    shop.keyset.sequence = 9;
    assert_int_equal(rig_keyset(&rig, &shop, true), REASON_KEYSET_INVALID);
}

/* The system clock may be what is wrong: it keeps the keyset out of everything, but not the signed time under it, which must be of its life. */
static void keyset_must_not_have_ended(void **state)
{
    (void)state;
    uint64_t ends_ms = shop.keyset.ends_ms;
    shop.keyset.ends_ms = (uint64_t)(maker_now() - 10 * 60 * 1000);
    assert_int_equal(rig_keyset(&rig, &shop, true),
                     REASON_KEYSET_INVALID); /* a stranger's: the clock is all there is */
    shop.keyset.ends_ms = ends_ms;
    assert_int_equal(rig_keyset(&rig, &shop, true), 0);
    shop.keyset.ends_ms = (uint64_t)(maker_now() - 10 * 60 * 1000);
    shop.keyset.sequence++;
    assert_int_equal(rig_keyset(&rig, &shop, true), 0);
    assert_int_equal(rig_no_time(&rig, &shop), REASON_KEYSET_INVALID); /* and nobody says that it is the clock */
    maker_certificate(&shop, &rig.self, MAKER_LEAF, &one);
    maker_set(&shop, &rig.self, MAKER_LEAF, &two);
    assert_int_equal(rig_service(&rig, &shop, buf_slice(&one), buf_slice(&two)), REASON_KEYSET_INVALID);
    maker_time(&shop, &rig.self, maker_now(), &one);
    assert_int_equal(rig_time(&rig, &shop, buf_slice(&one)), REASON_KEYSET_INVALID);
    one.data[one.len - 1] ^= 1;
    assert_int_equal(rig_time(&rig, &shop, buf_slice(&one)),
                     REASON_KEYSET_INVALID); /* nothing proves that the clock is wrong */
    shop.keyset.sequence++;
    shop.keyset.ends_ms = (uint64_t)(maker_now() + DAY_MS);
    assert_int_equal(rig_keyset(&rig, &shop, true), 0);
    assert_int_equal(rig_no_time(&rig, &shop), 0);
    maker_time(&shop, &rig.self, maker_now(), &one);
    assert_int_equal(rig_time(&rig, &shop, buf_slice(&one)), 0);
    shop.keyset.sequence++;
    shop.keyset.ends_ms = (uint64_t)(maker_now() - 10 * 60 * 1000);
    assert_int_equal(rig_keyset(&rig, &shop, true), REASON_KEYSET_INVALID); /* it was heard: now its end is known */
}

/* The key of the connection ends before its keyset: by the clock, as long as nobody was heard. */
static void tls_key_must_not_have_ended(void **state)
{
    (void)state;
    doc_Key *key = &shop.keyset.keys[0];
    while (key->purpose != KEY_TLS)
        key++;
    assert_int_equal(rig_keyset(&rig, &shop, true), 0);
    assert_int_equal(rig_no_time(&rig, &shop), 0);
    shop.keyset.sequence++;
    key->ends_ms = (uint64_t)(maker_now() - 10 * 60 * 1000);
    assert_int_equal(rig_keyset(&rig, &shop, true), 0); /* the clock may be wrong: so far nothing was told to it */
    assert_int_equal(rig_no_time(&rig, &shop), REASON_KEYSET_INVALID);
}

static void registering(void **state)
{
    (void)state;
    vlt_Distributors all;
    maker_certificate(&shop, &rig.self, MAKER_LEAF, &one);
    maker_set(&shop, &rig.self, MAKER_LEAF, &two);
    assert_int_equal(rig_service(&rig, &shop, buf_slice(&one), buf_slice(&two)), REASON_NOT_REGISTERED);
    assert_int_equal(rig_keyset(&rig, &shop, true), 0);
    assert_int_equal(rig_service(&rig, &shop, buf_slice(&one), buf_slice(&two)), 0);
    assert_int_equal(rig_service(&rig, &shop, buf_slice(&one), buf_slice(&two)), 0); /* again: harmless */
    rig_stop(&rig);
    rig_start(&rig);
    assert_int_equal(rig_distributors(&rig, &all), 0);
    assert_int_equal(all.distributors_count, 1);
    assert_memory_equal(all.distributors[0].distributor, shop.id.bytes, 32);
    assert_string_equal(all.distributors[0].name, "Shop");
    assert_int_equal(all.distributors[0].leaf.number, MAKER_LEAF);
    assert_int_equal(all.distributors[0].leaf.category, MAKER_CATEGORY);
    assert_true(all.distributors[0].keyset_sequence == 1);
    assert_int_equal(rig_drop(&rig, &shop), 0);
    assert_int_equal(rig_distributors(&rig, &all), 0);
    assert_int_equal(all.distributors_count, 0);
    assert_int_equal(rig_register(&rig, &shop), 0);
    assert_int_equal(rig_register(&rig, &other), 0);
    assert_int_equal(rig_distributors(&rig, &all), 0);
    assert_int_equal(all.distributors_count, 2);
}

static void service_data_of_others(void **state)
{
    (void)state;
    struct device stranger = rig.self, half_stranger = rig.self;
    struct key32 key;
    maker_key(&key, 77, 1);
    sign_public_key(&key, stranger.device_key);
    memset(half_stranger.sealing_key, 9, 32);
    assert_int_equal(rig_keyset(&rig, &shop, true), 0);
    maker_set(&shop, &rig.self, MAKER_LEAF, &two);
    maker_certificate(&shop, &stranger, MAKER_LEAF, &one);
    assert_int_equal(rig_service(&rig, &shop, buf_slice(&one), buf_slice(&two)), REASON_WRONG_DESTINATION);
    maker_certificate(&shop, &half_stranger, MAKER_LEAF, &one);
    assert_int_equal(rig_service(&rig, &shop, buf_slice(&one), buf_slice(&two)), REASON_WRONG_DESTINATION);
    maker_certificate(&other, &rig.self, MAKER_LEAF, &one);
    assert_int_equal(rig_service(&rig, &shop, buf_slice(&one), buf_slice(&two)), REASON_SIGNATURE_INVALID);
    maker_certificate(&shop, &rig.self, MAKER_LEAF + 1, &one); /* the set is another leaf's */
    assert_int_equal(rig_service(&rig, &shop, buf_slice(&one), buf_slice(&two)), REASON_MALFORMED);
    maker_certificate(&shop, &rig.self, MAKER_LEAF, &one);
    two.data[100] ^= 1;
    assert_int_equal(rig_service(&rig, &shop, buf_slice(&one), buf_slice(&two)), REASON_MALFORMED);
    two.data[100] ^= 1;
    two.len--;
    assert_int_equal(rig_service(&rig, &shop, buf_slice(&one), buf_slice(&two)), REASON_MALFORMED);
    two.len++;
    assert_int_equal(rig_service(&rig, &shop, buf_slice(&one), buf_slice(&two)), 0);
}

static void too_many_distributors(void **state)
{
    (void)state;
    for (uint8_t i = 0; i < 17; i++) {
        struct maker m;
        maker_init(&m, (uint8_t)(50 + i), "Many");
        assert_int_equal(rig_register(&rig, &m), i < 16 ? 0 : REASON_TOO_LARGE);
        maker_deinit(&m);
    }
}

static void rosters(void **state)
{
    (void)state;
    maker_roster(&shop, &rig.self, 5, &one);
    assert_int_equal(rig_roster(&rig, &shop, buf_slice(&one)), REASON_NOT_REGISTERED);
    assert_int_equal(rig_register(&rig, &shop), 0);
    assert_int_equal(rig_roster(&rig, &shop, buf_slice(&one)), 0);
    assert_int_equal(rig_roster(&rig, &shop, buf_slice(&one)), 0);
    maker_roster(&shop, &rig.self, 4, &two);
    assert_int_equal(rig_roster(&rig, &shop, buf_slice(&two)), REASON_ALREADY);
    maker_roster(&other, &rig.self, 6, &two);
    assert_int_equal(rig_roster(&rig, &shop, buf_slice(&two)), REASON_SIGNATURE_INVALID);

    vlt_RosterGet ask;
    vlt_Roster out;
    memcpy(ask.distributor, shop.id.bytes, 32);
    uint32_t id = rig_send(&rig, vlt_Type_ROSTER_GET, vlt_RosterGet_fields, &ask, slice(NULL, 0), -1);
    assert_int_equal(rig_receive(&rig, id, vlt_Type_ROSTER, vlt_Roster_fields, vlt_Roster_size, &out, sizeof(out)), 0);
    assert_true(slice_equal(buf_slice(&rig.tail), buf_slice(&one)));
    memcpy(ask.distributor, other.id.bytes, 32);
    id = rig_send(&rig, vlt_Type_ROSTER_GET, vlt_RosterGet_fields, &ask, slice(NULL, 0), -1);
    assert_int_equal(rig_receive(&rig, id, vlt_Type_ROSTER, NULL, 0, NULL, 0), REASON_NOT_REGISTERED);
}

static void signed_time(void **state)
{
    (void)state;
    struct device stranger = rig.self;
    stranger.client.bytes[0] ^= 1;
    maker_time(&shop, &rig.self, maker_now(), &one);
    assert_int_equal(rig_time(&rig, &shop, buf_slice(&one)), REASON_NOT_REGISTERED);
    assert_int_equal(rig_register(&rig, &shop), 0);
    assert_int_equal(rig_time(&rig, &shop, buf_slice(&one)), 0);
    assert_int_equal(rig_time(&rig, &shop, buf_slice(&one)), 0);
    maker_time(&shop, &stranger, maker_now(), &one);
    assert_int_equal(rig_time(&rig, &shop, buf_slice(&one)), REASON_WRONG_DESTINATION);
    maker_time(&other, &rig.self, maker_now(), &one);
    assert_int_equal(rig_time(&rig, &shop, buf_slice(&one)), REASON_SIGNATURE_INVALID);
    /* A distributor cannot push time beyond the life of the key it signs with. */
    maker_time(&shop, &rig.self, maker_now() + 200 * DAY_MS, &one);
    assert_int_equal(rig_time(&rig, &shop, buf_slice(&one)), REASON_SIGNATURE_INVALID);
    /* Nor beyond the end of its keyset, which its root key has signed. */
    maker_time(&shop, &rig.self, maker_now() + 31 * DAY_MS, &one);
    assert_int_equal(rig_time(&rig, &shop, buf_slice(&one)), REASON_KEYSET_INVALID);
    assert_int_equal(rig_keyset(&rig, &shop, true), 0);
    /* What time_ms says binds from then on: a keyset that ended before has ended. */
    maker_time(&shop, &rig.self, maker_now() + 29 * DAY_MS, &one);
    assert_int_equal(rig_time(&rig, &shop, buf_slice(&one)), 0);
    shop.keyset.sequence++;
    shop.keyset.ends_ms = (uint64_t)(maker_now() + 28 * DAY_MS);
    assert_int_equal(rig_keyset(&rig, &shop, true), REASON_KEYSET_INVALID);
    rig_stop(&rig);
    rig_start(&rig);
    assert_int_equal(rig_keyset(&rig, &shop, true), REASON_KEYSET_INVALID);
}

/* Each byte of each document, one after the other: refused, and the tables are as before. */
static void flip_each(struct buf *document, int (*ask)(struct slice document))
{
    uint8_t before[32], after[32];
    rig_dump(&rig, before);
    for (size_t i = 0; i < document->len; i++) {
        document->data[i] ^= (uint8_t)(1u << (i % 8));
        assert_true(ask(buf_slice(document)) > 0);
        document->data[i] ^= (uint8_t)(1u << (i % 8));
        if (i % 16 == 0 || i + 1 == document->len) {
            rig_dump(&rig, after);
            assert_memory_equal(before, after, 32);
        }
    }
    assert_int_equal(ask(buf_slice(document)), 0);
}

static int ask_keyset(struct slice d) { return rig_keyset_bytes(&rig, &shop, NULL, d); }
static int ask_service(struct slice d) { return rig_service(&rig, &shop, d, buf_slice(&two)); }
static int ask_roster(struct slice d) { return rig_roster(&rig, &shop, d); }
static int ask_time(struct slice d) { return rig_time(&rig, &shop, d); }

static void flipped_bytes(void **state)
{
    (void)state;
    maker_keyset(&shop, &one);
    flip_each(&one, ask_keyset);
    maker_certificate(&shop, &rig.self, MAKER_LEAF, &one);
    maker_set(&shop, &rig.self, MAKER_LEAF, &two);
    flip_each(&one, ask_service);
    maker_roster(&shop, &rig.self, 5, &one);
    flip_each(&one, ask_roster);
    maker_time(&shop, &rig.self, maker_now(), &one);
    flip_each(&one, ask_time);
}

static void unknown_and_malformed_requests(void **state)
{
    (void)state;
    struct buf frame = buf(1024);
    vlt_IdentityGet empty = { 0 };
    uint32_t id = rig_send(&rig, 999, vlt_IdentityGet_fields, &empty, slice(NULL, 0), -1);
    assert_int_equal(rig_receive(&rig, id, 0, NULL, 0, NULL, 0), REASON_MALFORMED);
    id = rig_send(&rig, vlt_Type_SERVICE_DROP, vlt_IdentityGet_fields, &empty, slice(NULL, 0), -1);
    assert_int_equal(rig_receive(&rig, id, 0, NULL, 0, NULL, 0), REASON_MALFORMED);
    /* What is no frame ends the vault; hearthd starts another. */
    uint8_t junk[64];
    memset(junk, 0xff, sizeof(junk));
    assert_int_equal(channel_write(&rig.requests, SLICE_ARRAY(junk)), 0);
    struct frame f;
    assert_int_equal(channel_read(&rig.requests, true, &f), CHANNEL_CLOSED);
    rig_kill(&rig);
    rig_start(&rig);
    buf_free(&frame);
}

static void many_at_once(void **state)
{
    (void)state;
    /* Two hundred requests before the first answer is read: batches, in order, each with its own fate. */
    assert_int_equal(rig_register(&rig, &shop), 0);
    vlt_RosterCheck ask;
    memcpy(ask.distributor, shop.id.bytes, 32);
    uint32_t first = 0;
    for (uint64_t i = 0; i < 200; i++) {
        maker_roster(&shop, &rig.self, i % 3 == 2 ? 1 : i + 2, &one);
        uint32_t id = rig_send(&rig, vlt_Type_ROSTER_CHECK, vlt_RosterCheck_fields, &ask, buf_slice(&one), -1);
        first = i == 0 ? id : first;
    }
    for (uint32_t i = 0; i < 200; i++)
        assert_int_equal(rig_receive(&rig, first + i, vlt_Type_DONE, NULL, 0, NULL, 0),
                         i % 3 == 2 ? REASON_ALREADY : 0);
    vlt_Distributors all;
    assert_int_equal(rig_distributors(&rig, &all), 0);
    assert_true(all.distributors[0].roster_sequence == 201);
}

/* A login token is kept sealed, proves itself to its own distributor, survives a kill, and goes with logout or the registration. */
static void login_tokens(void **state)
{
    (void)state;
    static const uint8_t challenge[32] = "challenge";
    struct key32 token = { .bytes = "a token of 32 bytes, for a test" };
    uint8_t sealed[LOGIN_TOKEN_SEALED_BYTES], key[32];
    vlt_LoginProof proof;
    assert_int_equal(seal_to(rig.self.sealing_key, SLICE_ARRAY(token.bytes), sealed), 0);
    assert_int_equal(rig_login(&rig, &shop, sealed), REASON_NOT_REGISTERED);
    assert_int_equal(rig_register(&rig, &shop), 0);
    assert_int_equal(rig_register(&rig, &other), 0);
    assert_int_equal(rig_prove(&rig, &shop, challenge, &proof), REASON_LOGIN_NEEDED);
    assert_int_equal(rig_login(&rig, &shop, sealed), 0);
    rig_kill(&rig);
    rig_start(&rig);
    assert_int_equal(rig_prove(&rig, &shop, challenge, &proof), 0);
    sign_public_key(&token, key);
    assert_memory_equal(proof.key, key, 32);
    assert_true(login_token_is_proved(key, &shop.id, &rig.self.client, challenge, proof.proof));
    assert_false(login_token_is_proved(key, &other.id, &rig.self.client, challenge, proof.proof));
    assert_int_equal(rig_prove(&rig, &other, challenge, &proof), REASON_LOGIN_NEEDED);

    sealed[0] ^= 1; /* not for this device: what is there stays */
    assert_int_equal(rig_login(&rig, &shop, sealed), REASON_MALFORMED);
    assert_int_equal(rig_prove(&rig, &shop, challenge, &proof), 0);
    assert_int_equal(rig_logout(&rig, &shop), 0);
    assert_int_equal(rig_logout(&rig, &shop), 0);
    assert_int_equal(rig_prove(&rig, &shop, challenge, &proof), REASON_LOGIN_NEEDED);
    sealed[0] ^= 1;
    assert_int_equal(rig_login(&rig, &shop, sealed), 0);
    assert_int_equal(rig_drop(&rig, &shop), 0);
    assert_int_equal(rig_register(&rig, &shop), 0);
    assert_int_equal(rig_prove(&rig, &shop, challenge, &proof), REASON_LOGIN_NEEDED);

    /* A row carried over from another distributor does not open. */
    assert_int_equal(rig_login(&rig, &shop, sealed), 0);
    rig_stop(&rig);
    rig_alter_and_seal(
        &rig,
        "INSERT INTO login SELECT d.distributor, l.sealed FROM distributor d, login l WHERE d.distributor <> l.distributor");
    rig_start(&rig);
    assert_int_equal(rig_prove(&rig, &other, challenge, &proof), REASON_INTERNAL);
    assert_int_equal(rig_prove(&rig, &shop, challenge, &proof), 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(identity_lasts),
        T(login_tokens),
        T(generation_rises_with_what_is_stored),
        T(storage_key_is_not_replaced),
        T(keyset_of_connection),
        T(keyset_sequence_never_falls),
        T(keyset_must_not_have_ended),
        T(tls_key_must_not_have_ended),
        T(registering),
        T(service_data_of_others),
        T(too_many_distributors),
        T(rosters),
        T(signed_time),
        T(flipped_bytes),
        T(unknown_and_malformed_requests),
        T(many_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
