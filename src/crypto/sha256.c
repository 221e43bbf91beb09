/* SHA-256 over GnuTLS; over libsodium where there is no memory left. Not here: keyed hashing (hkdf.c), trees (merkle.c). Any thread. */
#include "crypto/sha256.h"

#include <stdlib.h>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <sodium.h>

/* Of a hash that has been begun: a broken installation. */
static void must(int gnutls_code)
{
    if (gnutls_code < 0)
        abort();
}

/* libsodium needs none for it, and is slower. GnuTLS does not always say that it was memory that it lacked. */
static void hash_without_memory(const struct slice *parts, size_t count, uint8_t out[SHA256_BYTES])
{
    crypto_hash_sha256_state state;
    (void)crypto_hash_sha256_init(&state);
    for (size_t i = 0; i < count; i++)
        if (parts[i].len > 0)
            (void)crypto_hash_sha256_update(&state, parts[i].data, parts[i].len);
    (void)crypto_hash_sha256_final(&state, out);
}

void sha256(struct slice data, uint8_t out[SHA256_BYTES])
{
    if (gnutls_hash_fast(GNUTLS_DIG_SHA256, data.data, data.len, out) < 0)
        hash_without_memory(&data, 1, out);
}

void sha256_parts(const struct slice *parts, size_t count, uint8_t out[SHA256_BYTES])
{
    gnutls_hash_hd_t handle;
    if (gnutls_hash_init(&handle, GNUTLS_DIG_SHA256) < 0) {
        hash_without_memory(parts, count, out);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (parts[i].len > 0)
            must(gnutls_hash(handle, parts[i].data, parts[i].len));
    }
    gnutls_hash_deinit(handle, out);
}

int sha256_init(struct sha256_state *s)
{
    gnutls_hash_hd_t handle;
    if (gnutls_hash_init(&handle, GNUTLS_DIG_SHA256) < 0)
        return -ENOMEM;
    s->handle = handle;
    return 0;
}

void sha256_update(struct sha256_state *s, struct slice data)
{
    if (data.len > 0)
        must(gnutls_hash(s->handle, data.data, data.len));
}

void sha256_final(struct sha256_state *s, uint8_t out[SHA256_BYTES])
{
    gnutls_hash_deinit(s->handle, out);
    s->handle = NULL;
}

void sha256_abort(struct sha256_state *s)
{
    if (s->handle != NULL)
        gnutls_hash_deinit(s->handle, NULL);
    s->handle = NULL;
}
