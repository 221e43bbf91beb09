/* ES256: ECDSA over P-256 with SHA-256 (FIPS 186-4; RFC 7518, section 3.4) over GnuTLS. For the root key of a distributor whose token has no
 * Ed25519; secret keys are in tokens (token.h), never here. Any thread.
 *
 * A signature is r:32 || s:32, big-endian, 0 < r < n and 0 < s <= n/2: of the two values of s that verify only the lower one is taken, so that nobody
 * can make a second signature of a first. A key is the point 04 || x:32 || y:32, on the curve. */
#ifndef CRYPTO_ES256_H
#define CRYPTO_ES256_H

#include <stdbool.h>

#include "base/slice.h"

#define ES256_PUBLIC_BYTES 65
#define ES256_BYTES 64

bool es256_is_valid(const uint8_t public_key[ES256_PUBLIC_BYTES], struct slice message,
                    const uint8_t signature[ES256_BYTES]);
/* What a token made (a DER sequence of r and s, either s) in the form above. 0, -EIO: it is none. */
int es256_from_der(struct slice der, uint8_t signature[ES256_BYTES]) MUST_USE;

#endif
