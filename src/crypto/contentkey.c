/* The two halves of a content key, and what each is wrapped in. Any thread. */
#include "crypto/contentkey.h"

#include "crypto/aead.h"
#include "crypto/hkdf.h"
#include "crypto/seal.h"

_Static_assert(CONTENTKEY_WRAPPED_BYTES == AEAD_IV_BYTES + 32 + AEAD_TAG_BYTES, "size of a wrapped half");
_Static_assert(CONTENTKEY_SEALED_BYTES == 32 + ID_BYTES + SEAL_OVERHEAD_BYTES, "size of a sealed half");

static void wipe_pair(uint8_t (*pair)[64]) { secret_wipe(*pair, sizeof *pair); }

void contentkey_derive(const struct key32 *header_half, const struct key32 *license_half,
                       const uint8_t nonce[CONTENTKEY_NONCE_BYTES], struct key32 *content_key)
{
    static const char label[] = "hearth content key"; /* its 00 is part of the info */
    uint8_t both[64] CLEANUP(wipe_pair), info[sizeof label + CONTENTKEY_NONCE_BYTES];
    memcpy(both, header_half->bytes, 32);
    memcpy(both + 32, license_half->bytes, 32);
    memcpy(info, label, sizeof label);
    memcpy(info + sizeof label, nonce, CONTENTKEY_NONCE_BYTES);
    hkdf_sha256(SLICE_ARRAY(both), slice(NULL, 0), SLICE_ARRAY(info), content_key->bytes, sizeof content_key->bytes);
}

void contentkey_partner_root(const struct key32 *root_key, const struct id *partner, struct key32 *out)
{
    hkdf_key(root_key, "hearth partner root", SLICE_ARRAY(partner->bytes), out);
}

static void wrapping_key(const struct key32 *root, const struct id *content_id, const uint8_t *license_id,
                         struct key32 *out)
{
    uint8_t context[ID_BYTES + CONTENTKEY_LICENSE_ID_BYTES];
    memcpy(context, content_id->bytes, ID_BYTES);
    memcpy(context + ID_BYTES, license_id, CONTENTKEY_LICENSE_ID_BYTES);
    hkdf_key(root, "hearth header half", SLICE_ARRAY(context), out);
}

int contentkey_wrap(const struct rng *rng, const struct key32 *root, const struct id *content_id,
                    const uint8_t license_id[CONTENTKEY_LICENSE_ID_BYTES], const struct key32 *header_half,
                    uint8_t out[CONTENTKEY_WRAPPED_BYTES])
{
    struct key32 key CLEANUP(key32_wipe);
    uint8_t wrapped[CONTENTKEY_WRAPPED_BYTES];
    wrapping_key(root, content_id, license_id, &key);
    rng_fill(rng, wrapped, AEAD_IV_BYTES);
    int r = aead_seal(&key, wrapped, slice(NULL, 0), SLICE_ARRAY(header_half->bytes), wrapped + AEAD_IV_BYTES);
    if (r == 0)
        memcpy(out, wrapped, sizeof wrapped);
    return r;
}

int contentkey_unwrap(const struct key32 *root, const struct id *content_id,
                      const uint8_t license_id[CONTENTKEY_LICENSE_ID_BYTES], struct slice wrapped,
                      struct key32 *header_half)
{
    struct key32 key CLEANUP(key32_wipe), half CLEANUP(key32_wipe);
    if (wrapped.len != CONTENTKEY_WRAPPED_BYTES)
        return CONTENTKEY_FORGED;
    wrapping_key(root, content_id, license_id, &key);
    int r = aead_open(&key, wrapped.data, slice(NULL, 0),
                      slice_sub(wrapped, AEAD_IV_BYTES, CONTENTKEY_WRAPPED_BYTES - AEAD_IV_BYTES), half.bytes);
    if (r != 0)
        return r == AEAD_FORGED ? CONTENTKEY_FORGED : r;
    *header_half = half;
    return 0;
}

int contentkey_seal_license_half(const uint8_t device_key[32], const struct key32 *license_half,
                                 const struct id *content_id, uint8_t out[CONTENTKEY_SEALED_BYTES])
{
    uint8_t plain[64] CLEANUP(wipe_pair);
    memcpy(plain, license_half->bytes, 32);
    memcpy(plain + 32, content_id->bytes, ID_BYTES);
    return seal_to(device_key, SLICE_ARRAY(plain), out);
}

int contentkey_open_license_half_by(const struct key32 *device_secret, const uint8_t device_key[32],
                                    const struct id *content_id, struct slice sealed, struct key32 *license_half)
{
    uint8_t plain[64] CLEANUP(wipe_pair);
    if (sealed.len != CONTENTKEY_SEALED_BYTES || seal_open_by(device_secret, device_key, sealed, plain) != 0)
        return CONTENTKEY_FORGED;
    /* A half moved into another content's license is refused here, not by an unexplained block failure later. */
    if (!id_equal(plain + 32, content_id))
        return CONTENTKEY_FORGED;
    memcpy(license_half->bytes, plain, 32);
    return 0;
}

int contentkey_open_license_half(const struct key32 *device_secret, const struct id *content_id, struct slice sealed,
                                 struct key32 *license_half)
{
    uint8_t device_key[SEAL_PUBLIC_BYTES];
    seal_public_key(device_secret, device_key);
    return contentkey_open_license_half_by(device_secret, device_key, content_id, sealed, license_half);
}
