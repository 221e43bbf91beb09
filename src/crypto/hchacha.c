/* HChaCha20 over libsodium. Any thread. */
#include "crypto/hchacha.h"

#include <sodium.h>

_Static_assert(crypto_core_hchacha20_INPUTBYTES == HCHACHA_INPUT_BYTES && crypto_core_hchacha20_OUTPUTBYTES == 32,
               "as the library has it");

void hchacha(const struct key32 *key, const uint8_t input[HCHACHA_INPUT_BYTES], struct key32 *out)
{
    (void)crypto_core_hchacha20(out->bytes, input, key->bytes, NULL); /* cannot fail */
}
