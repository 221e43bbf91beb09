/* HKDF-SHA256 over GnuTLS; over libsodium where there is no memory left. Any thread. */
#include "crypto/hkdf.h"

#include <assert.h>
#include <string.h>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <sodium.h>

#define HASH_BYTES 32
#define INFO_MAX 128 /* label, 00, context: the longest in use is 18 + 1 + 64 */

static gnutls_datum_t datum(struct slice s)
{
    return (gnutls_datum_t){ (unsigned char *)(uintptr_t)s.data, (unsigned int)s.len };
}

static void add(crypto_auth_hmacsha256_state *state, struct slice data)
{
    if (data.len > 0)
        (void)crypto_auth_hmacsha256_update(state, data.data, data.len);
}

/* RFC 5869 section 2.2. */
static void extract(struct slice key_material, struct slice salt, uint8_t prk[HASH_BYTES])
{
    static const uint8_t nothing[1];
    gnutls_datum_t key = datum(key_material);
    gnutls_datum_t salt_datum = datum(salt.len > 0 ? salt : slice(nothing, 0));
    if (gnutls_hkdf_extract(GNUTLS_MAC_SHA256, &key, &salt_datum, prk) >= 0)
        return;
    crypto_auth_hmacsha256_state state;
    (void)crypto_auth_hmacsha256_init(&state, salt_datum.data, salt_datum.size);
    add(&state, key_material);
    (void)crypto_auth_hmacsha256_final(&state, prk);
    sodium_memzero(&state, sizeof(state));
}

/* RFC 5869 section 2.3. */
static void expand_without_memory(const struct key32 *prk, struct slice info, uint8_t *out, size_t out_len)
{
    struct key32 block CLEANUP(key32_wipe);
    uint8_t number = 0;
    for (size_t done = 0; done < out_len; done += HASH_BYTES) {
        crypto_auth_hmacsha256_state state;
        (void)crypto_auth_hmacsha256_init(&state, prk->bytes, HASH_BYTES);
        add(&state, slice(block.bytes, done > 0 ? HASH_BYTES : 0));
        add(&state, info);
        number++;
        add(&state, slice(&number, 1));
        (void)crypto_auth_hmacsha256_final(&state, block.bytes);
        sodium_memzero(&state, sizeof(state));
        memcpy(out + done, block.bytes, out_len - done < HASH_BYTES ? out_len - done : HASH_BYTES);
    }
}

void hkdf_sha256(struct slice key_material, struct slice salt, struct slice info, uint8_t *out, size_t out_len)
{
    assert(out_len <= 255 * HASH_BYTES);
    struct key32 prk CLEANUP(key32_wipe);
    extract(key_material, salt, prk.bytes);
    gnutls_datum_t key = { prk.bytes, HASH_BYTES }, info_datum = datum(info);
    if (gnutls_hkdf_expand(GNUTLS_MAC_SHA256, &key, &info_datum, out, out_len) < 0)
        expand_without_memory(&prk, info, out, out_len);
}

/* label || 00 || context; returns its length. */
static size_t write_info(const char *label, struct slice context, uint8_t info[INFO_MAX])
{
    size_t label_len = strlen(label);
    assert(label_len + 1 + context.len < INFO_MAX);
    memcpy(info, label, label_len + 1);
    if (context.len > 0)
        memcpy(info + label_len + 1, context.data, context.len);
    return label_len + 1 + context.len;
}

void hkdf_key(const struct key32 *from, const char *label, struct slice context, struct key32 *out)
{
    uint8_t info[INFO_MAX];
    size_t info_len = write_info(label, context, info);
    hkdf_sha256(SLICE_ARRAY(from->bytes), slice(NULL, 0), slice(info, info_len), out->bytes, sizeof out->bytes);
}
