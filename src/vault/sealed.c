/* Row seals over AES-256-GCM. */
#define LOG_MODULE "sealed"
#include "vault/sealed.h"

#include "base/log.h"
#include "crypto/aead.h"
#include "crypto/hkdf.h"

_Static_assert(SEALED_OVERHEAD_BYTES == AEAD_IV_BYTES + AEAD_TAG_BYTES, "what a seal adds");

void sealed_license(const void *issuer, const void *license_id, uint8_t out[SEALED_LICENSE_BYTES])
{
    memcpy(out, issuer, ID_BYTES);
    memcpy(out + ID_BYTES, license_id, 16);
}

int sealed_put(const struct vault *v, const char *label, struct slice bound, struct slice plain, struct buf *out)
{
    struct key32 key CLEANUP(key32_wipe);
    int r = buf_reserve(out, plain.len + SEALED_OVERHEAD_BYTES);
    if (r != 0)
        return r;
    uint8_t *at = out->data + out->len;
    hkdf_key(v->storage_key, label, slice(NULL, 0), &key);
    rng_fill(v->rng, at, AEAD_IV_BYTES);
    r = aead_seal(&key, at, bound, plain, at + AEAD_IV_BYTES);
    if (r == 0)
        out->len += plain.len + SEALED_OVERHEAD_BYTES;
    return r;
}

static int open_sealed(const struct vault *v, const char *label, struct slice bound, struct slice sealed,
                       uint8_t *plain)
{
    struct key32 key CLEANUP(key32_wipe);
    if (sealed.len < SEALED_OVERHEAD_BYTES)
        return AEAD_FORGED;
    hkdf_key(v->storage_key, label, slice(NULL, 0), &key);
    struct slice body = slice_sub(sealed, AEAD_IV_BYTES, sealed.len - AEAD_IV_BYTES);
    return aead_open(&key, sealed.data, bound, body, plain);
}

bool sealed_opens(const struct vault *v, const char *label, struct slice bound, struct slice sealed, uint8_t *plain)
{
    return open_sealed(v, label, bound, sealed, plain) == 0;
}

int sealed_open(const struct vault *v, const char *label, struct slice bound, struct slice sealed, uint8_t *plain)
{
    int r = open_sealed(v, label, bound, sealed, plain);
    if (r == AEAD_FORGED) {
        log_error("a row was altered or belongs to another storage key: table=%s", label);
        return -EUCLEAN;
    }
    return r;
}
