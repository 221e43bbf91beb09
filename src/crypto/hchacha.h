/* HChaCha20 (XChaCha's draft, section 2.2): a keyed function from 16 bytes to 32 that nobody without the key can tell from a random one. Here for
 * what a key block derives a million times: an eighth of HKDF's cost. */
#ifndef CRYPTO_HCHACHA_H
#define CRYPTO_HCHACHA_H

#include "base/secret.h"

#define HCHACHA_INPUT_BYTES 16

/* out may be key. */
void hchacha(const struct key32 *key, const uint8_t input[HCHACHA_INPUT_BYTES], struct key32 *out);

#endif
