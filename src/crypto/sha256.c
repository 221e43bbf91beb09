/* SHA-256 over GnuTLS. Not here: keyed hashing (hkdf.c), trees (merkle.c). Any thread. */
#include "crypto/sha256.h"

#include <stdlib.h>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

/* The algorithm is compiled into the library: a refusal means a broken installation, and there is nothing to fall back on. */
static void must(int gnutls_code)
{
    if (gnutls_code < 0)
        abort();
}

void sha256(struct slice data, uint8_t out[SHA256_BYTES])
{
    must(gnutls_hash_fast(GNUTLS_DIG_SHA256, data.data, data.len, out));
}

void sha256_parts(const struct slice *parts, size_t count, uint8_t out[SHA256_BYTES])
{
    gnutls_hash_hd_t handle;
    must(gnutls_hash_init(&handle, GNUTLS_DIG_SHA256));
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
