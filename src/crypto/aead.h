/* AES-256-GCM (NIST SP 800-38D) over GnuTLS: 12-byte IV, 16-byte tag appended to the ciphertext. Any thread. */
#ifndef CRYPTO_AEAD_H
#define CRYPTO_AEAD_H

#include "base/secret.h"
#include "base/slice.h"

#define AEAD_IV_BYTES 12
#define AEAD_TAG_BYTES 16
#define AEAD_FORGED 1 /* outcome: tag does not match; out is wiped */

/* out: plain.len + AEAD_TAG_BYTES. An IV is used once per key. 0 or -EIO. */
int aead_seal(const struct key32 *key, const uint8_t iv[AEAD_IV_BYTES], struct slice associated, struct slice plain,
              uint8_t *out) MUST_USE;
/* sealed: ciphertext || tag, at least AEAD_TAG_BYTES; out: sealed.len - AEAD_TAG_BYTES. 0, AEAD_FORGED, -EIO. */
int aead_open(const struct key32 *key, const uint8_t iv[AEAD_IV_BYTES], struct slice associated, struct slice sealed,
              uint8_t *out) MUST_USE;

#endif
