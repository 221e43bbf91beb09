/* Ed25519 (RFC 8032) over libsodium. Any thread. */
#ifndef CRYPTO_SIGN_H
#define CRYPTO_SIGN_H

#include <stdbool.h>

#include "base/rng.h"
#include "base/secret.h"
#include "base/slice.h"

#define SIGN_PUBLIC_BYTES 32
#define SIGN_BYTES 64

/* The 32-byte seed is the private key as stored; the expanded form never leaves the call. */
void sign_public_key(const struct key32 *seed, uint8_t public_key[SIGN_PUBLIC_BYTES]);
void sign_bytes(const struct key32 *seed, struct slice message, uint8_t signature[SIGN_BYTES]);
bool sign_is_valid(const uint8_t public_key[SIGN_PUBLIC_BYTES], struct slice message,
                   const uint8_t signature[SIGN_BYTES]);

/* Whoever can sign: a seed in memory, a vault process, a token. public_key is who it signs as. */
struct signer {
    uint8_t public_key[SIGN_PUBLIC_BYTES];
    int (*sign)(void *ctx, struct slice message, uint8_t signature[SIGN_BYTES]); /* 0 or -errno */
    void *ctx;
};
/* A signer over a seed; borrows seed for the signer's life. */
void signer_from_seed(struct signer *s, const struct key32 *seed);

/* A seed with its public key beside it: signs in half the time. For who signs thousands a second. */
struct sign_pair {
    struct key32 seed;
    uint8_t public_key[SIGN_PUBLIC_BYTES];
};
void sign_pair_init(struct sign_pair *pair, const struct key32 *seed);
void signer_from_pair(struct signer *s, const struct sign_pair *pair); /* borrows pair for the signer's life */

#endif
