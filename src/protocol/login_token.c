/* Login tokens: the bytes that are signed. */
#include "protocol/login_token.h"

#include <string.h>

#include "crypto/sha256.h"

static const char proof_label[] = "hearth login proof 1", hash_label[] = "hearth login token 1";

#define STATEMENT_BYTES (sizeof(proof_label) + 2 * ID_BYTES + LOGIN_CHALLENGE_BYTES)

void login_token_hash(const uint8_t key[SIGN_PUBLIC_BYTES], uint8_t hash[32])
{
    const struct slice parts[] = { SLICE_ARRAY(hash_label), slice(key, SIGN_PUBLIC_BYTES) };
    sha256_parts(parts, 2, hash);
}

static void state(const struct id *distributor, const struct id *client, const uint8_t challenge[LOGIN_CHALLENGE_BYTES],
                  uint8_t out[STATEMENT_BYTES])
{
    memcpy(out, proof_label, sizeof(proof_label));
    out += sizeof(proof_label);
    memcpy(out, distributor->bytes, ID_BYTES);
    memcpy(out + ID_BYTES, client->bytes, ID_BYTES);
    memcpy(out + 2 * ID_BYTES, challenge, LOGIN_CHALLENGE_BYTES);
}

void login_token_prove(const struct key32 *token, const struct id *distributor, const struct id *client,
                       const uint8_t challenge[LOGIN_CHALLENGE_BYTES], uint8_t key[SIGN_PUBLIC_BYTES],
                       uint8_t proof[SIGN_BYTES])
{
    uint8_t statement[STATEMENT_BYTES];
    state(distributor, client, challenge, statement);
    sign_public_key(token, key);
    sign_bytes(token, SLICE_ARRAY(statement), proof);
}

bool login_token_is_proved(const uint8_t key[SIGN_PUBLIC_BYTES], const struct id *distributor, const struct id *client,
                           const uint8_t challenge[LOGIN_CHALLENGE_BYTES], const uint8_t proof[SIGN_BYTES])
{
    uint8_t statement[STATEMENT_BYTES];
    state(distributor, client, challenge, statement);
    return sign_is_valid(key, SLICE_ARRAY(statement), proof);
}
