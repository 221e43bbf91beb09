/* 32-byte identities: SHA-256 of a key's SubjectPublicKeyInfo in DER (Ed25519: RFC 8410; P-256: RFC 5480), or a content ID.
 * Text: 52 characters of lower-case base32; short form: the first 8; any unambiguous prefix is accepted by users' tools. */
#ifndef CRYPTO_ID_H
#define CRYPTO_ID_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

#define ID_BYTES 32
#define ID_TEXT_BYTES 53
#define ID_SHORT_BYTES 9
#define ID_SPKI_BYTES 44

struct id {
    uint8_t bytes[ID_BYTES];
};
/* Source: seed S12 (public key pair), design section 2 (client ID, distributor ID). */
struct id id_of_key(const uint8_t public_key[32]);       /* Ed25519 */
struct id id_of_es256_key(const uint8_t public_key[65]); /* P-256: 04 || x || y */
void id_spki(const uint8_t public_key[32], uint8_t spki[ID_SPKI_BYTES]);
/* The raw key inside a DER SPKI; ID_NOT_ED25519 when it is anything else. */
#define ID_NOT_ED25519 1
int id_key_of_spki(struct slice spki, uint8_t public_key[32]) MUST_USE;
bool id_equal(const void *a, const void *b); /* 32 bytes each */
struct id id_from(const void *bytes);
void id_text(const void *id, char out[ID_TEXT_BYTES]);
void id_short(const void *id, char out[ID_SHORT_BYTES]);
#define ID_MALFORMED 1
int id_parse(const char *text, struct id *out) MUST_USE; /* full 52 characters */
bool id_has_prefix(const void *id, const char *prefix);  /* case-insensitive, 1..52 characters */

#endif
