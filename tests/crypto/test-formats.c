/* The project's own formats against the second implementation's numbers (tests/vectors/formats.vec). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <sodium.h>

#include "base/util.h"
#include "crypto/block.h"
#include "crypto/body.h"
#include "crypto/contentkey.h"
#include "crypto/dsse.h"
#include "crypto/ekb_parts.h"
#include "crypto/sha256.h"
#include "protocol/program.h"
#include "vectorfile.h"

static const uint8_t *bytes_of(const struct vector *v, const char *field, size_t len)
{
    struct slice s = vector_bytes(v, field);
    assert_int_equal(s.len, len);
    return s.data;
}

static struct key32 key_of(const struct vector *v, const char *field)
{
    struct key32 key;
    memcpy(key.bytes, bytes_of(v, field, sizeof(key.bytes)), sizeof(key.bytes));
    return key;
}

static struct id id_of(const struct vector *v, const char *field) { return id_from(bytes_of(v, field, ID_BYTES)); }
static uint32_t u32_of(const struct vector *v, const char *field) { return (uint32_t)vector_number(v, field); }

/* "ok" or "wrong". */
static const char *same(const struct vector *v, const char *field, const void *bytes, size_t len)
{
    return slice_equal(vector_bytes(v, field), slice(bytes, len)) ? "ok" : "wrong";
}

static const char *check_id(const struct vector *v)
{
    struct id id = id_of_key(bytes_of(v, "public", 32)), parsed;
    char text[ID_TEXT_BYTES];
    id_text(&id, text);
    assert_int_equal(id_parse(vector_text(v, "text"), &parsed), 0);
    assert_true(id_equal(&parsed, bytes_of(v, "id", ID_BYTES)));
    const char *outcome = same(v, "id", id.bytes, sizeof(id.bytes));
    assert_int_equal(strcmp(text, vector_text(v, "text")) == 0, strcmp(outcome, "ok") == 0);
    return outcome;
}

static const char *check_envelope(const struct vector *v)
{
    static const char *const outcomes[] = { "ok", "malformed", "wrong-type", "forged" };
    struct key32 seed = key_of(v, "seed");
    struct buf made CLEANUP(buf_free) = buf(4096);
    struct slice envelope = vector_bytes(v, "envelope");
    struct signer signer;
    struct dsse_view view;
    int r = dsse_verify(envelope, vector_text(v, "type"), &view);
    assert_in_range(r, 0, 3);
    if (r != 0)
        return outcomes[r];
    assert_true(slice_equal(view.payload, vector_bytes(v, "payload")));
    signer_from_seed(&signer, &seed);
    assert_int_equal(dsse_sign(&made, vector_text(v, "type"), view.payload, &signer), 0);
    assert_true(slice_equal(buf_slice(&made), envelope));
    return "ok";
}

static const char *check_es256(const struct vector *v)
{
    return es256_is_valid(bytes_of(v, "public", ES256_PUBLIC_BYTES), vector_bytes(v, "message"),
                          bytes_of(v, "signature", ES256_BYTES))
               ? "ok"
               : "forged";
}

static const char *check_es256_der(const struct vector *v)
{
    uint8_t signature[ES256_BYTES];
    return es256_from_der(vector_bytes(v, "der"), signature) != 0 ? "malformed"
                                                                  : same(v, "signature", signature, sizeof(signature));
}

static const char *check_envelope_es256(const struct vector *v)
{
    static const char *const outcomes[] = { "ok", "malformed", "wrong-type", "forged" };
    struct dsse_view view;
    int r = dsse_verify(vector_bytes(v, "envelope"), vector_text(v, "type"), &view);
    assert_in_range(r, 0, 3);
    if (r != 0)
        return outcomes[r];
    assert_int_equal(view.algorithm, SIGN_ES256);
    assert_true(slice_equal(view.payload, vector_bytes(v, "payload")));
    return same(v, "signer", view.signer.bytes, ID_BYTES);
}

static const char *check_node_key(const struct vector *v)
{
    struct key32 secret = key_of(v, "tree"), key;
    struct keytree tree;
    struct keytree_node node = { (uint8_t)vector_number(v, "depth"), u32_of(v, "index") };
    keytree_init(&tree, &secret, u32_of(v, "category"));
    keytree_key(&tree, node, &key);
    return same(v, "key", key.bytes, sizeof(key.bytes));
}

static const char *check_set(const struct vector *v)
{
    static uint8_t set[KEYTREE_SET_BYTES];
    struct key32 tree = key_of(v, "tree");
    uint8_t hash[SHA256_BYTES];
    keytree_device_set(&tree, u32_of(v, "category"), u32_of(v, "leaf"), set);
    sha256(SLICE_ARRAY(set), hash);
    return same(v, "hash", hash, sizeof(hash));
}

static const char *check_ekb(const struct vector *v)
{
    struct key32 tree = key_of(v, "tree"), root = key_of(v, "root");
    struct reader r = reader(vector_bytes(v, "revoked"));
    uint32_t revoked[16];
    size_t count = 0;
    struct ekb e;
    while (!reader_done(&r))
        revoked[count++] = reader_u32(&r);
    assert_int_equal(ekb_build(&e, &tree, u32_of(v, "category"), vector_number(v, "version"), revoked, count, &root),
                     0);
    assert_int_equal(e.count, vector_number(v, "count"));
    assert_memory_equal(e.key_check, bytes_of(v, "key_check", 32), 32);
    const char *outcome = same(v, "entries_root", e.root, sizeof(e.root));
    ekb_deinit(&e);
    return outcome;
}

static const char *check_ekb_open(const struct vector *v)
{
    static const char *const outcomes[] = { "ok", "not-covered", "forged", "malformed" };
    static uint8_t set[KEYTREE_SET_BYTES];
    struct key32 tree = key_of(v, "tree"), root;
    keytree_device_set(&tree, u32_of(v, "category"), u32_of(v, "leaf"), set);
    int r = ekb_open(SLICE_ARRAY(set), vector_number(v, "version"), u32_of(v, "count"), bytes_of(v, "entries_root", 32),
                     bytes_of(v, "key_check", 32), u32_of(v, "index"), vector_bytes(v, "entry"),
                     vector_bytes(v, "proof"), &root);
    assert_in_range(r, 0, 3);
    return r == 0 ? same(v, "root", root.bytes, sizeof(root.bytes)) : outcomes[r];
}

static const char *check_hchacha20(const struct vector *v)
{
    uint8_t out[crypto_core_hchacha20_OUTPUTBYTES];
    assert_int_equal(crypto_core_hchacha20(out, bytes_of(v, "input", 16), bytes_of(v, "key", 32), NULL), 0);
    return same(v, "out", out, sizeof(out));
}

/* Gives out what the vector says, in order. */
static void fill_from(void *ctx, void *out, size_t len)
{
    struct slice given = reader_bytes(ctx, len);
    assert_int_equal(given.len, len);
    memcpy(out, given.data, len);
}

static const char *check_ekb_parts(const struct vector *v)
{
    struct key32 tree = key_of(v, "tree"), root = key_of(v, "root");
    struct reader nonces = reader(vector_bytes(v, "nonces"));
    const struct rng rng = { fill_from, &nonces };
    struct buf bytes CLEANUP(buf_free) = buf(1 << 20);
    uint8_t hash[SHA256_BYTES];
    uint32_t revoked[2048];
    size_t count = vector_number(v, "revoked");
    struct ekb_parts e, loaded;
    assert_in_range(count, 0, ARRAY_COUNT(revoked));
    for (size_t i = 0; i < count; i++)
        revoked[i] = u32_of(v, "first") + (uint32_t)i * u32_of(v, "step");
    assert_int_equal(
        ekb_parts_build(&e, &tree, u32_of(v, "category"), vector_number(v, "version"), revoked, count, &root, &rng), 0);
    assert_int_equal(e.count, vector_number(v, "count"));
    assert_int_equal(ekb_parts_units(&e), vector_number(v, "units"));
    assert_memory_equal(e.key_check, bytes_of(v, "key_check", 32), 32);
    assert_memory_equal(e.root, bytes_of(v, "entries_root", 32), 32);
    assert_int_equal(ekb_parts_encode(&e, &bytes), 0);
    sha256(buf_slice(&bytes), hash);
    assert_int_equal(ekb_parts_load(&loaded, e.category, e.version, buf_slice(&bytes)), 0);
    assert_memory_equal(loaded.root, e.root, sizeof(e.root));
    ekb_parts_deinit(&loaded);
    ekb_parts_deinit(&e);
    return same(v, "hash", hash, sizeof(hash));
}

static int open_parts(const struct vector *v, const uint8_t *set, struct ekb_place *place, struct key32 *root)
{
    int r = ekb_place_decode(vector_bytes(v, "part"), place);
    if (r != 0)
        return r;
    assert_int_equal(buf_append(&place->proof, vector_bytes(v, "proof")), 0);
    place->index = u32_of(v, "index");
    memcpy(place->top, bytes_of(v, "entry", sizeof(place->top)), sizeof(place->top));
    return ekb_parts_open(slice(set, KEYTREE_SET_BYTES), vector_number(v, "version"), u32_of(v, "count"),
                          bytes_of(v, "entries_root", 32), bytes_of(v, "key_check", 32), place, root);
}

static const char *check_ekb_parts_open(const struct vector *v)
{
    static const char *const outcomes[] = { "ok", "not-covered", "forged", "malformed" };
    static uint8_t set[KEYTREE_SET_BYTES];
    struct ekb_place place CLEANUP(ekb_place_deinit) = ekb_place();
    struct key32 tree = key_of(v, "tree"), root;
    keytree_device_set(&tree, u32_of(v, "category"), u32_of(v, "leaf"), set);
    int r = open_parts(v, set, &place, &root);
    assert_in_range(r, 0, 3);
    return r == 0 ? same(v, "root", root.bytes, sizeof(root.bytes)) : outcomes[r];
}

static const char *check_partner_root(const struct vector *v)
{
    struct key32 root = key_of(v, "root"), key;
    struct id partner = id_of(v, "partner");
    contentkey_partner_root(&root, &partner, &key);
    return same(v, "key", key.bytes, sizeof(key.bytes));
}

static const char *check_content_key(const struct vector *v)
{
    struct key32 header_half = key_of(v, "header_half"), license_half = key_of(v, "license_half"), key;
    contentkey_derive(&header_half, &license_half, bytes_of(v, "nonce", 32), &key);
    return same(v, "key", key.bytes, sizeof(key.bytes));
}

static const char *check_wrapped_half(const struct vector *v)
{
    struct key32 root = key_of(v, "root"), half;
    struct id content = id_of(v, "content");
    int r = contentkey_unwrap(&root, &content, bytes_of(v, "license", 16), vector_bytes(v, "wrapped"), &half);
    return r == CONTENTKEY_FORGED ? "forged" : same(v, "half", half.bytes, sizeof(half.bytes));
}

static const char *check_license_half(const struct vector *v)
{
    struct key32 secret = key_of(v, "secret"), half;
    struct id content = id_of(v, "content");
    int r = contentkey_open_license_half(&secret, &content, vector_bytes(v, "sealed"), &half);
    return r == CONTENTKEY_FORGED ? "forged" : same(v, "half", half.bytes, sizeof(half.bytes));
}

static const char *check_block(const struct vector *v)
{
    struct key32 key = key_of(v, "key");
    struct slice block = vector_bytes(v, "block");
    uint8_t plain[64], hash[32];
    int r =
        block_open(&key, bytes_of(v, "nonce", 32), vector_number(v, "index"), vector_number(v, "count"), block, plain);
    if (r == BLOCK_FORGED)
        return "forged";
    assert_int_equal(r, 0);
    block_hash(block, hash);
    assert_memory_equal(hash, bytes_of(v, "hash", 32), 32);
    return same(v, "plain", plain, block.len - BLOCK_OVERHEAD_BYTES);
}

static const char *check_content_id(const struct vector *v)
{
    struct id id;
    body_content_id(vector_bytes(v, "info"), bytes_of(v, "list_root", 32), &id);
    return same(v, "id", id.bytes, sizeof(id.bytes));
}

static const char *check_program(const struct vector *v)
{
    static uint8_t plain[3 * PROGRAM_BLOCK_BYTES];
    struct slice sealed = vector_bytes(v, "sealed");
    const uint8_t *digest = bytes_of(v, "digest", 32);
    uint64_t len = vector_number(v, "bytes");
    uint8_t hash[SHA256_BYTES];
    struct key32 key;
    assert_in_range(len, 1, sizeof(plain));
    if (sealed.len != program_sealed_bytes(len))
        return "malformed";
    program_key(bytes_of(v, "information", PROGRAM_INFORMATION_BYTES), digest, &key);
    for (uint32_t i = 0; i < program_block_count(len); i++) {
        struct slice block =
            slice_sub(sealed, program_block_offset(i), program_block_len(len, i) + BLOCK_OVERHEAD_BYTES);
        int r = block_open(&key, digest, i, program_block_count(len), block, plain + i * PROGRAM_BLOCK_BYTES);
        if (r != 0)
            return "forged";
    }
    sha256(slice(plain, len), hash);
    return memcmp(hash, digest, sizeof(hash)) == 0 ? "ok" : "wrong";
}

static const struct kind {
    const char *name;
    const char *(*outcome)(const struct vector *v);
} kinds[] = {
    { "id", check_id },
    { "envelope", check_envelope },
    { "es256", check_es256 },
    { "es256-der", check_es256_der },
    { "envelope-es256", check_envelope_es256 },
    { "node-key", check_node_key },
    { "set", check_set },
    { "ekb", check_ekb },
    { "ekb-open", check_ekb_open },
    { "hchacha20", check_hchacha20 },
    { "ekb-parts", check_ekb_parts },
    { "ekb-parts-open", check_ekb_parts_open },
    { "partner-root", check_partner_root },
    { "content-key", check_content_key },
    { "wrapped-half", check_wrapped_half },
    { "license-half", check_license_half },
    { "block", check_block },
    { "content-id", check_content_id },
    { "program", check_program },
};

static void check(const struct vector *v)
{
    const char *name = vector_text(v, "kind");
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        if (strcmp(kinds[i].name, name) == 0) {
            assert_string_equal(kinds[i].outcome(v), vector_text(v, "expect"));
            return;
        }
    }
    fail_msg("no such kind: %s", name);
}

static void test_formats(void **state)
{
    (void)state;
    vectors_run("formats.vec", check);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_formats) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
