/* HMAC-SHA256 (RFC 2104): what nobody without the key can say of some bytes. Any thread. */
#ifndef CRYPTO_HMAC_H
#define CRYPTO_HMAC_H

#include "base/secret.h"
#include "base/slice.h"

void hmac_sha256(const struct key32 *key, struct slice data, uint8_t out[32]);

#endif
