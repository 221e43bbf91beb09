/* An Ed25519 private key as other programs keep it: PKCS#8 (RFC 8410) in PEM. Any thread. */
#ifndef CRYPTO_PKCS8_H
#define CRYPTO_PKCS8_H

#include "base/secret.h"
#include "base/slice.h"

#define PKCS8_PEM_BYTES 160

/* Writes at most PKCS8_PEM_BYTES, not terminated; returns their number. Wipe it. */
size_t pkcs8_encode(const struct key32 *seed, char out[PKCS8_PEM_BYTES]);
/* false: it is no such file. */
bool pkcs8_decode(struct slice pem, struct key32 *seed) MUST_USE;

#endif
