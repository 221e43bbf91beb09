/* Ed25519 (RFC 8032) over libsodium, and who signs: with Ed25519, or a root key in a token with ES256 (es256.h). Any thread. */
#ifndef CRYPTO_SIGN_H
#define CRYPTO_SIGN_H

#include <stdbool.h>

#include "base/rng.h"
#include "base/secret.h"
#include "base/slice.h"
#include "crypto/es256.h"
#include "crypto/id.h"

#define SIGN_PUBLIC_BYTES 32
#define SIGN_BYTES 64

/* The 32-byte seed is the private key as stored; the expanded form never leaves the call. */
void sign_public_key(const struct key32 *seed, uint8_t public_key[SIGN_PUBLIC_BYTES]);
void sign_bytes(const struct key32 *seed, struct slice message, uint8_t signature[SIGN_BYTES]);
bool sign_is_valid(const uint8_t public_key[SIGN_PUBLIC_BYTES], struct slice message,
                   const uint8_t signature[SIGN_BYTES]);

/* As envelopes name it. A key is of one algorithm, which is a part of its SPKI, and so of the ID by which it is known. */
enum sign_algorithm { SIGN_ED25519 = 1, SIGN_ES256 = 2 };
#define SIGN_PUBLIC_MAX ES256_PUBLIC_BYTES
_Static_assert(ES256_BYTES == SIGN_BYTES, "one size of signatures");
size_t sign_public_len(enum sign_algorithm algorithm); /* 32, 65; 0: there is no such algorithm */
struct id sign_key_id(enum sign_algorithm algorithm, const uint8_t *public_key);

/* Whoever can sign: a seed in memory, a vault process, a token. public_key is who it signs as: sign_public_len bytes. */
struct signer {
    enum sign_algorithm algorithm;
    uint8_t public_key[SIGN_PUBLIC_MAX];
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
