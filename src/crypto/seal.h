/* Sealed boxes: anonymous public-key encryption to an X25519 key (libsodium crypto_box_seal). Any thread. */
#ifndef CRYPTO_SEAL_H
#define CRYPTO_SEAL_H

#include "base/rng.h"
#include "base/secret.h"
#include "base/slice.h"

#define SEAL_PUBLIC_BYTES 32
#define SEAL_OVERHEAD_BYTES 48
#define SEAL_FORGED 1

void seal_public_key(const struct key32 *secret, uint8_t public_key[SEAL_PUBLIC_BYTES]);
/* out: plain.len + SEAL_OVERHEAD_BYTES. -EINVAL when the public key is of low order. */
int seal_to(const uint8_t public_key[SEAL_PUBLIC_BYTES], struct slice plain, uint8_t *out) MUST_USE;
/* out: sealed.len - SEAL_OVERHEAD_BYTES. 0 or SEAL_FORGED. */
int seal_open(const struct key32 *secret, struct slice sealed, uint8_t *out) MUST_USE;
/* The same; public_key: the public half of secret, which costs a third of the work to derive each time. */
int seal_open_by(const struct key32 *secret, const uint8_t public_key[SEAL_PUBLIC_BYTES], struct slice sealed,
                 uint8_t *out) MUST_USE;

#endif
