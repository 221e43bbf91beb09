/* Sealed boxes over libsodium. Any thread. */
#include "crypto/seal.h"

#include <assert.h>
#include <stdlib.h>

#include <sodium.h>

_Static_assert(SEAL_OVERHEAD_BYTES == crypto_box_SEALBYTES && SEAL_PUBLIC_BYTES == crypto_box_PUBLICKEYBYTES,
               "sizes of a sealed box");

void seal_public_key(const struct key32 *secret, uint8_t public_key[SEAL_PUBLIC_BYTES])
{
    if (crypto_scalarmult_base(public_key, secret->bytes) != 0)
        abort(); /* cannot happen: a clamped scalar times the base point is never zero */
}

int seal_to(const uint8_t public_key[SEAL_PUBLIC_BYTES], struct slice plain, uint8_t *out)
{
    if (sodium_init() < 0)
        return -EIO;
    return crypto_box_seal(out, plain.data, plain.len, public_key) == 0 ? 0 : -EINVAL;
}

int seal_open_by(const struct key32 *secret, const uint8_t public_key[SEAL_PUBLIC_BYTES], struct slice sealed,
                 uint8_t *out)
{
    if (sealed.len < SEAL_OVERHEAD_BYTES)
        return SEAL_FORGED;
    return crypto_box_seal_open(out, sealed.data, sealed.len, public_key, secret->bytes) == 0 ? 0 : SEAL_FORGED;
}

int seal_open(const struct key32 *secret, struct slice sealed, uint8_t *out)
{
    uint8_t public_key[SEAL_PUBLIC_BYTES];
    seal_public_key(secret, public_key);
    return seal_open_by(secret, public_key, sealed, out);
}
