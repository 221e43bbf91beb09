/* HMAC-SHA256 over GnuTLS. */
#include "crypto/hmac.h"

#include <stdlib.h>

#include <gnutls/crypto.h>

void hmac_sha256(const struct key32 *key, struct slice data, uint8_t out[32])
{
    if (gnutls_hmac_fast(GNUTLS_MAC_SHA256, key->bytes, sizeof(key->bytes), data.data, data.len, out) < 0)
        abort(); /* no SHA-256 in the library, or no memory: nothing safe is left to do */
}
