/* The content key in two halves (design section 4; seed Fig. 9's K_EKB(Kc) and Fig. 21).
 *   Kc            = HKDF(header half || license half, "hearth content key" 00 || content nonce)
 *   partner root  = HKDF(block root key, "hearth partner root" 00 || partner distributor ID)
 *   wrapped half  = IV:12 || AES-256-GCM(HKDF(root or partner root, "hearth header half" 00 || content ID || license ID), IV, "", header half)
 *   license half  = sealed box to the device's X25519 key of: license half:32 || content ID:32
 */
#ifndef CRYPTO_CONTENTKEY_H
#define CRYPTO_CONTENTKEY_H

#include "base/rng.h"
#include "base/secret.h"
#include "base/slice.h"
#include "crypto/id.h"

#define CONTENTKEY_WRAPPED_BYTES 60
#define CONTENTKEY_SEALED_BYTES 112
#define CONTENTKEY_LICENSE_ID_BYTES 16
#define CONTENTKEY_NONCE_BYTES 32
#define CONTENTKEY_FORGED 1

/* nonce: of the content information. Not the content ID, which hashes the blocks that this key encrypts. */
void contentkey_derive(const struct key32 *header_half, const struct key32 *license_half,
                       const uint8_t nonce[CONTENTKEY_NONCE_BYTES], struct key32 *content_key);
void contentkey_partner_root(const struct key32 *root_key, const struct id *partner, struct key32 *out);
int contentkey_wrap(const struct rng *rng, const struct key32 *root, const struct id *content_id,
                    const uint8_t license_id[CONTENTKEY_LICENSE_ID_BYTES], const struct key32 *header_half,
                    uint8_t out[CONTENTKEY_WRAPPED_BYTES]) MUST_USE;
int contentkey_unwrap(const struct key32 *root, const struct id *content_id,
                      const uint8_t license_id[CONTENTKEY_LICENSE_ID_BYTES], struct slice wrapped,
                      struct key32 *header_half) MUST_USE; /* 0, CONTENTKEY_FORGED */
int contentkey_seal_license_half(const uint8_t device_key[32], const struct key32 *license_half,
                                 const struct id *content_id, uint8_t out[CONTENTKEY_SEALED_BYTES]) MUST_USE;
int contentkey_open_license_half(const struct key32 *device_secret, const struct id *content_id, struct slice sealed,
                                 struct key32 *license_half) MUST_USE; /* 0, CONTENTKEY_FORGED (also: other content) */
/* The same with the public half of the secret at hand: seal_open_by. */
int contentkey_open_license_half_by(const struct key32 *device_secret, const uint8_t device_key[32],
                                    const struct id *content_id, struct slice sealed, struct key32 *license_half)
    MUST_USE;

#endif
