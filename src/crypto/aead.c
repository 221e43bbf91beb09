/* AES-256-GCM over GnuTLS. Keys here are used for one block or one record, so handles do not outlive a call. (Setting a new
 * key on a handle is no way out: GnuTLS 3.7.9 then hashes with a wrong subkey and seals what nobody opens.) Any thread. */
#include "crypto/aead.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

static void close_handle(gnutls_aead_cipher_hd_t *handle)
{
    if (*handle != NULL)
        gnutls_aead_cipher_deinit(*handle);
}

static int open_handle(const struct key32 *key, gnutls_aead_cipher_hd_t *handle)
{
    gnutls_datum_t datum = { (unsigned char *)(uintptr_t)key->bytes, sizeof key->bytes };
    return gnutls_aead_cipher_init(handle, GNUTLS_CIPHER_AES_256_GCM, &datum) < 0 ? -EIO : 0;
}

int aead_seal(const struct key32 *key, const uint8_t iv[AEAD_IV_BYTES], struct slice associated, struct slice plain,
              uint8_t *out)
{
    gnutls_aead_cipher_hd_t handle CLEANUP(close_handle) = NULL;
    size_t out_len = plain.len + AEAD_TAG_BYTES;
    int r = open_handle(key, &handle);
    if (r < 0)
        return r;
    if (gnutls_aead_cipher_encrypt(handle, iv, AEAD_IV_BYTES, associated.data, associated.len, AEAD_TAG_BYTES,
                                   plain.data, plain.len, out, &out_len) < 0)
        return -EIO;
    return out_len == plain.len + AEAD_TAG_BYTES ? 0 : -EIO;
}

int aead_open(const struct key32 *key, const uint8_t iv[AEAD_IV_BYTES], struct slice associated, struct slice sealed,
              uint8_t *out)
{
    gnutls_aead_cipher_hd_t handle CLEANUP(close_handle) = NULL;
    if (sealed.len < AEAD_TAG_BYTES)
        return AEAD_FORGED;
    size_t plain_len = sealed.len - AEAD_TAG_BYTES, out_len = plain_len;
    uint8_t nothing[1];
    int r = open_handle(key, &handle);
    if (r < 0)
        return r;
    r = gnutls_aead_cipher_decrypt(handle, iv, AEAD_IV_BYTES, associated.data, associated.len, AEAD_TAG_BYTES,
                                   sealed.data, sealed.len, plain_len > 0 ? out : nothing, &out_len);
    if (r >= 0 && out_len == plain_len)
        return 0;
    if (plain_len > 0)
        secret_wipe(out, plain_len); /* the library decrypts before it judges */
    return r == GNUTLS_E_DECRYPTION_FAILED ? AEAD_FORGED : -EIO;
}
