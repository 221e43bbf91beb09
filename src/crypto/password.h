/* Argon2id password hashes (libsodium's string form). Slow on purpose: only on a pool thread. */
#ifndef CRYPTO_PASSWORD_H
#define CRYPTO_PASSWORD_H

#include <stdbool.h>

#include "base/secret.h"
#include "base/slice.h"

#define PASSWORD_HASH_BYTES 128

int password_hash(struct slice password, char out[PASSWORD_HASH_BYTES]) MUST_USE; /* 0 or -ENOMEM */
/* hash NULL: spends the same time and returns false (an unknown user is not told apart). */
bool password_matches(const char *hash, struct slice password);

#define PASSWORD_SALT_BYTES 16
/* A key of a passphrase, which nobody checks but by using it: 256 MiB and about a second, so not on a loop thread. 0 or -ENOMEM. */
int password_key(struct slice passphrase, const uint8_t salt[PASSWORD_SALT_BYTES], struct key32 *out) MUST_USE;

#endif
