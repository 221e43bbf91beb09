/* HMAC-SHA256 over GnuTLS; over libsodium where there is no memory left. */
#include "crypto/hmac.h"

#include <gnutls/crypto.h>
#include <sodium.h>

void hmac_sha256(const struct key32 *key, struct slice data, uint8_t out[32])
{
    if (gnutls_hmac_fast(GNUTLS_MAC_SHA256, key->bytes, sizeof(key->bytes), data.data, data.len, out) < 0)
        (void)crypto_auth_hmacsha256(out, data.data, data.len, key->bytes);
}
