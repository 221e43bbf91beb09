/* Published test vectors, and alterations that must be refused: one test per file of tests/vectors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "crypto/aead.h"
#include "crypto/dsse.h"
#include "crypto/hkdf.h"
#include "crypto/id.h"
#include "crypto/merkle.h"
#include "crypto/seal.h"
#include "crypto/sha256.h"
#include "crypto/sign.h"
#include "vectorfile.h"

static struct key32 key_field(const struct vector *v, const char *field)
{
    struct slice s = vector_bytes(v, field);
    struct key32 k;
    assert_int_equal(s.len, sizeof k.bytes);
    memcpy(k.bytes, s.data, sizeof k.bytes);
    return k;
}

static void check_sha256(const struct vector *v)
{
    struct slice message = vector_bytes(v, "message"), digest = vector_bytes(v, "digest");
    uint8_t once[32], streamed[32], parted[32];
    struct sha256_state s;
    size_t half = message.len / 3;
    struct slice parts[] = { slice_sub(message, 0, half), slice(NULL, 0),
                             slice_sub(message, half, message.len - half) };
    sha256(message, once);
    sha256_parts(parts, 3, parted);
    assert_int_equal(sha256_init(&s), 0);
    for (size_t i = 0; i < 3; i++)
        sha256_update(&s, parts[i]);
    sha256_final(&s, streamed);
    assert_memory_equal(once, parted, 32);
    assert_memory_equal(once, streamed, 32);
    assert_int_equal(slice_equal(SLICE_ARRAY(once), digest), vector_expects(v, "ok"));
}

static void check_hkdf(const struct vector *v)
{
    struct slice okm = vector_bytes(v, "okm");
    uint8_t out[128];
    assert_true(okm.len <= sizeof out);
    hkdf_sha256(vector_bytes(v, "ikm"), vector_bytes(v, "salt"), vector_bytes(v, "info"), out, okm.len);
    assert_int_equal(slice_equal(slice(out, okm.len), okm), vector_expects(v, "ok"));
}

static void check_gcm(const struct vector *v)
{
    struct key32 key = key_field(v, "key");
    struct slice iv = vector_bytes(v, "iv"), associated = vector_bytes(v, "associated");
    struct slice plain = vector_bytes(v, "plain"), sealed = vector_bytes(v, "sealed");
    uint8_t out[128];
    assert_int_equal(iv.len, AEAD_IV_BYTES);
    if (vector_expects(v, "ok")) {
        assert_int_equal(sealed.len, plain.len + AEAD_TAG_BYTES);
        assert_int_equal(aead_seal(&key, iv.data, associated, plain, out), 0);
        assert_memory_equal(out, sealed.data, sealed.len);
        assert_int_equal(aead_open(&key, iv.data, associated, sealed, out), 0);
        assert_memory_equal(out, plain.data, plain.len);
        return;
    }
    memset(out, 0xee, sizeof out);
    assert_int_equal(aead_open(&key, iv.data, associated, sealed, out), AEAD_FORGED);
    for (size_t i = 0; i + AEAD_TAG_BYTES < sealed.len; i++)
        assert_int_equal(out[i], 0); /* nothing of a forged message stays behind */
}

static void check_ed25519(const struct vector *v)
{
    struct slice public_key = vector_bytes(v, "public"), message = vector_bytes(v, "message");
    struct slice signature = vector_bytes(v, "signature");
    assert_int_equal(public_key.len, SIGN_PUBLIC_BYTES);
    assert_int_equal(signature.len, SIGN_BYTES);
    assert_int_equal(sign_is_valid(public_key.data, message, signature.data), vector_expects(v, "ok"));
    if (!vector_expects(v, "ok"))
        return;
    struct key32 seed = key_field(v, "seed");
    struct sign_pair pair;
    struct signer by_seed, by_pair;
    uint8_t out[SIGN_BYTES];
    signer_from_seed(&by_seed, &seed);
    assert_memory_equal(by_seed.public_key, public_key.data, SIGN_PUBLIC_BYTES);
    assert_int_equal(by_seed.sign(by_seed.ctx, message, out), 0);
    assert_memory_equal(out, signature.data, SIGN_BYTES);
    sign_pair_init(&pair, &seed);
    signer_from_pair(&by_pair, &pair);
    memset(out, 0, sizeof out);
    assert_int_equal(by_pair.sign(by_pair.ctx, message, out), 0);
    assert_memory_equal(out, signature.data, SIGN_BYTES);
}

static void check_x25519(const struct vector *v)
{
    struct slice public_key = vector_bytes(v, "public");
    uint8_t derived[SEAL_PUBLIC_BYTES], sealed[4 + SEAL_OVERHEAD_BYTES];
    assert_int_equal(public_key.len, SEAL_PUBLIC_BYTES);
    if (vector_expects(v, "ok")) {
        struct key32 secret = key_field(v, "secret");
        seal_public_key(&secret, derived);
        assert_memory_equal(derived, public_key.data, SEAL_PUBLIC_BYTES);
        return;
    }
    assert_int_equal(seal_to(public_key.data, slice_str("text"), sealed), -EINVAL);
}

static void check_spki(const struct vector *v)
{
    struct slice spki = vector_bytes(v, "spki"), key = vector_bytes(v, "key");
    uint8_t inside[32], again[ID_SPKI_BYTES], digest[32];
    if (!vector_expects(v, "ok")) {
        assert_int_equal(id_key_of_spki(spki, inside), ID_NOT_ED25519);
        return;
    }
    assert_int_equal(id_key_of_spki(spki, inside), 0);
    assert_true(slice_equal(SLICE_ARRAY(inside), key));
    id_spki(inside, again);
    assert_true(slice_equal(SLICE_ARRAY(again), spki));
    sha256(spki, digest);
    struct id id = id_of_key(inside);
    assert_memory_equal(id.bytes, digest, 32);
}

static void check_merkle(const struct vector *v)
{
    static const struct slice leaves[] = {
        { NULL, 0 },
        { (const uint8_t *)"\x00", 1 },
        { (const uint8_t *)"\x10", 1 },
        { (const uint8_t *)"\x20\x21", 2 },
        { (const uint8_t *)"\x30\x31", 2 },
        { (const uint8_t *)"\x40\x41\x42\x43", 4 },
        { (const uint8_t *)"\x50\x51\x52\x53\x54\x55\x56\x57", 8 },
        { (const uint8_t *)"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f", 16 },
    };
    uint8_t hashes[8][MERKLE_HASH_BYTES], root[MERKLE_HASH_BYTES], leaf_hash[MERKLE_HASH_BYTES];
    uint8_t proof[MERKLE_PROOF_MAX][MERKLE_HASH_BYTES];
    uint64_t count = vector_number(v, "count");
    struct slice want = vector_bytes(v, "root");
    bool ok = vector_expects(v, "ok");
    for (size_t i = 0; i < 8; i++)
        merkle_leaf(&leaves[i], 1, hashes[i]);
    assert_int_equal(want.len, MERKLE_HASH_BYTES);
    if (!vector_has(v, "leaf")) {
        merkle_root(hashes[0], count, root);
        assert_int_equal(slice_equal(SLICE_ARRAY(root), want), ok);
        return;
    }
    struct slice leaf = vector_bytes(v, "leaf"), given = vector_bytes(v, "proof");
    uint64_t index = vector_number(v, "index");
    merkle_leaf(&leaf, 1, leaf_hash);
    assert_int_equal(merkle_proves(leaf_hash, index, count, given, want.data), ok);
    if (ok) {
        size_t n = merkle_prove(hashes[0], count, index, proof);
        assert_true(slice_equal(slice(proof, n * MERKLE_HASH_BYTES), given));
    }
}

static void check_dsse(const struct vector *v)
{
    struct buf pae CLEANUP(buf_free) = buf(4096);
    assert_int_equal(dsse_pae(&pae, vector_text(v, "type"), vector_bytes(v, "payload")), 0);
    assert_int_equal(slice_equal(buf_slice(&pae), vector_bytes(v, "pae")), vector_expects(v, "ok"));
}

#define FILE_TEST(name)                          \
    static void test_##name(void **state)        \
    {                                            \
        (void)state;                             \
        vectors_run(#name ".vec", check_##name); \
    }
FILE_TEST(sha256)
FILE_TEST(hkdf)
FILE_TEST(gcm)
FILE_TEST(ed25519)
FILE_TEST(x25519)
FILE_TEST(spki)
FILE_TEST(merkle)
FILE_TEST(dsse)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sha256),  cmocka_unit_test(test_hkdf),   cmocka_unit_test(test_gcm),
        cmocka_unit_test(test_ed25519), cmocka_unit_test(test_x25519), cmocka_unit_test(test_spki),
        cmocka_unit_test(test_merkle),  cmocka_unit_test(test_dsse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
