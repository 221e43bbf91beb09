/* Ed25519 over libsodium, which refuses low-order and non-canonical keys and signatures. Any thread. */
#include "crypto/sign.h"

#include <stdlib.h>

#include <sodium.h>

_Static_assert(SIGN_PUBLIC_BYTES == crypto_sign_PUBLICKEYBYTES && SIGN_BYTES == crypto_sign_BYTES &&
                   sizeof(struct key32) == crypto_sign_SEEDBYTES,
               "sizes of Ed25519");

static void wipe_expanded(uint8_t (*expanded)[crypto_sign_SECRETKEYBYTES]) { secret_wipe(*expanded, sizeof *expanded); }

void sign_public_key(const struct key32 *seed, uint8_t public_key[SIGN_PUBLIC_BYTES])
{
    uint8_t expanded[crypto_sign_SECRETKEYBYTES] CLEANUP(wipe_expanded);
    crypto_sign_seed_keypair(public_key, expanded, seed->bytes);
}

/* libsodium's expanded form is the seed followed by the public key. */
static void sign_with_public(const struct key32 *seed, const uint8_t public_key[SIGN_PUBLIC_BYTES],
                             struct slice message, uint8_t signature[SIGN_BYTES])
{
    uint8_t expanded[crypto_sign_SECRETKEYBYTES] CLEANUP(wipe_expanded);
    memcpy(expanded, seed->bytes, sizeof seed->bytes);
    memcpy(expanded + sizeof seed->bytes, public_key, SIGN_PUBLIC_BYTES);
    if (crypto_sign_detached(signature, NULL, message.data, message.len, expanded) != 0)
        abort(); /* cannot happen: libsodium's signing has no failure */
}

void sign_bytes(const struct key32 *seed, struct slice message, uint8_t signature[SIGN_BYTES])
{
    uint8_t public_key[SIGN_PUBLIC_BYTES];
    sign_public_key(seed, public_key);
    sign_with_public(seed, public_key, message, signature);
}

bool sign_is_valid(const uint8_t public_key[SIGN_PUBLIC_BYTES], struct slice message,
                   const uint8_t signature[SIGN_BYTES])
{
    return crypto_sign_verify_detached(signature, message.data, message.len, public_key) == 0;
}

static int sign_by_seed(void *ctx, struct slice message, uint8_t signature[SIGN_BYTES])
{
    sign_bytes(ctx, message, signature);
    return 0;
}

void signer_from_seed(struct signer *s, const struct key32 *seed)
{
    s->algorithm = SIGN_ED25519;
    sign_public_key(seed, s->public_key);
    s->sign = sign_by_seed;
    s->ctx = (void *)(uintptr_t)seed;
}

void sign_pair_init(struct sign_pair *pair, const struct key32 *seed)
{
    pair->seed = *seed;
    sign_public_key(seed, pair->public_key);
}

static int sign_by_pair(void *ctx, struct slice message, uint8_t signature[SIGN_BYTES])
{
    const struct sign_pair *pair = ctx;
    sign_with_public(&pair->seed, pair->public_key, message, signature);
    return 0;
}

void signer_from_pair(struct signer *s, const struct sign_pair *pair)
{
    s->algorithm = SIGN_ED25519;
    memcpy(s->public_key, pair->public_key, SIGN_PUBLIC_BYTES);
    s->sign = sign_by_pair;
    s->ctx = (void *)(uintptr_t)pair;
}

size_t sign_public_len(enum sign_algorithm algorithm)
{
    return algorithm == SIGN_ED25519 ? SIGN_PUBLIC_BYTES : algorithm == SIGN_ES256 ? ES256_PUBLIC_BYTES : 0;
}

struct id sign_key_id(enum sign_algorithm algorithm, const uint8_t *public_key)
{
    return algorithm == SIGN_ES256 ? id_of_es256_key(public_key) : id_of_key(public_key);
}
