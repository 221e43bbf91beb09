/* Login tokens: what a device gets for the account's password, and how it proves to have one (S61, S113). No I/O, any thread.
 *
 * A token is an Ed25519 seed. The distributor draws it, seals it to the device and keeps the hash of its public key alone; the device's vault keeps
 * the seed. On each connection the distributor gives a fresh random challenge (WELCOME) and the vault signs
 *
 *     "hearth login proof 1" 0 || distributor:32 || client:32 || challenge:32
 *
 * A token's key signs nothing else. So neither who carries the proof, nor who reads the distributor's database, can make another one.
 * Source: seed S61, S113; departure: the password is sent once, its proof with each session. */
#ifndef PROTOCOL_LOGIN_TOKEN_H
#define PROTOCOL_LOGIN_TOKEN_H

#include "crypto/id.h"
#include "crypto/sign.h"

#define LOGIN_TOKEN_BYTES 32
#define LOGIN_TOKEN_SEALED_BYTES 80 /* + SEAL_OVERHEAD_BYTES */
#define LOGIN_CHALLENGE_BYTES 32

/* What the distributor knows a token by. */
void login_token_hash(const uint8_t key[SIGN_PUBLIC_BYTES], uint8_t hash[32]);
void login_token_prove(const struct key32 *token, const struct id *distributor, const struct id *client,
                       const uint8_t challenge[LOGIN_CHALLENGE_BYTES], uint8_t key[SIGN_PUBLIC_BYTES],
                       uint8_t proof[SIGN_BYTES]);
bool login_token_is_proved(const uint8_t key[SIGN_PUBLIC_BYTES], const struct id *distributor, const struct id *client,
                           const uint8_t challenge[LOGIN_CHALLENGE_BYTES], const uint8_t proof[SIGN_BYTES]);

#endif
