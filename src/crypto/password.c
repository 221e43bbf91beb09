/* Password hashes: Argon2id with libsodium's interactive limits (64 MiB a call). Only on a pool thread. Keys of passphrases: with its moderate ones. */
#include "crypto/password.h"

#include <sodium.h>

_Static_assert(PASSWORD_HASH_BYTES == crypto_pwhash_STRBYTES, "size of a password hash");
_Static_assert(PASSWORD_SALT_BYTES == crypto_pwhash_SALTBYTES, "size of a salt");

#define OPERATIONS crypto_pwhash_OPSLIMIT_INTERACTIVE
#define MEMORY_BYTES crypto_pwhash_MEMLIMIT_INTERACTIVE

/* libsodium wants a pointer even for a password of length 0. */
static const char *text_of(struct slice password) { return password.len > 0 ? (const char *)password.data : ""; }

int password_hash(struct slice password, char out[PASSWORD_HASH_BYTES])
{
    if (sodium_init() < 0)
        return -ENOMEM;
    return crypto_pwhash_str(out, text_of(password), password.len, OPERATIONS, MEMORY_BYTES) == 0 ? 0 : -ENOMEM;
}

bool password_matches(const char *hash, struct slice password)
{
    if (hash != NULL)
        return crypto_pwhash_str_verify(hash, text_of(password), password.len) == 0;
    /* Hashing costs what verifying costs, so the answer's time does not tell whether the user exists. */
    char unused[PASSWORD_HASH_BYTES];
    int r = password_hash(password, unused);
    sodium_memzero(unused, sizeof unused);
    (void)r;
    return false;
}

/* The limits are a part of the format of whatever lies under the key. */
int password_key(struct slice passphrase, const uint8_t salt[PASSWORD_SALT_BYTES], struct key32 *out)
{
    if (sodium_init() < 0)
        return -ENOMEM;
    return crypto_pwhash(out->bytes, sizeof(out->bytes), text_of(passphrase), passphrase.len, salt, 3,
                         UINT64_C(256) << 20, crypto_pwhash_ALG_ARGON2ID13) == 0
               ? 0
               : -ENOMEM;
}
