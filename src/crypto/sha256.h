/* SHA-256 (FIPS 180-4) over GnuTLS. Any thread. */
#ifndef CRYPTO_SHA256_H
#define CRYPTO_SHA256_H

#include "base/slice.h"

#define SHA256_BYTES 32

/* One shot. Needs no memory. */
void sha256(struct slice data, uint8_t out[SHA256_BYTES]);
/* The concatenation of the parts, without copying. */
void sha256_parts(const struct slice *parts, size_t count, uint8_t out[SHA256_BYTES]);

struct sha256_state {
    void *handle;
};
int sha256_init(struct sha256_state *s) MUST_USE; /* 0 or -ENOMEM */
void sha256_update(struct sha256_state *s, struct slice data);
void sha256_final(struct sha256_state *s, uint8_t out[SHA256_BYTES]); /* also releases */
void sha256_abort(struct sha256_state *s);                            /* releases; idempotent */

#endif
