/* HKDF-SHA256 (RFC 5869), extract and expand in one step. */
#ifndef CRYPTO_HKDF_H
#define CRYPTO_HKDF_H

#include "base/secret.h"
#include "base/slice.h"

/* out_len <= 255*32. An absent salt is an empty slice. */
void hkdf_sha256(struct slice key_material, struct slice salt, struct slice info, uint8_t *out, size_t out_len);
/* The project's use of it: 32 bytes, no salt, info = label || 0x00 || context. label: ASCII, fixed in the code. */
void hkdf_key(const struct key32 *from, const char *label, struct slice context, struct key32 *out);

#endif
