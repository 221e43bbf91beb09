/* Row seals: what is confidential, or must not be altered, in the database. Bytes: IV:12 || ciphertext || tag:16.
 * The key is HKDF(storage key, label), one per table, so that a value cannot be carried from one table to another; `bound` are
 * the columns beside it that say which row it belongs to and what it means. */
#ifndef VAULT_SEALED_H
#define VAULT_SEALED_H

#include "vault/vault.h"

#define SEALED_OVERHEAD_BYTES 28

/* What a row about one license is bound to: issuer:32 || license_id:16. */
#define SEALED_LICENSE_BYTES (ID_BYTES + 16)
void sealed_license(const void *issuer, const void *license_id, uint8_t out[SEALED_LICENSE_BYTES]);
/* Appends to out. 0, BUF_FULL, -errno. */
int sealed_put(const struct vault *v, const char *label, struct slice bound, struct slice plain, struct buf *out)
    MUST_USE;
/* plain: sealed.len - SEALED_OVERHEAD_BYTES bytes, the caller's to wipe. 0; -EUCLEAN when it was altered or is another row's. */
int sealed_open(const struct vault *v, const char *label, struct slice bound, struct slice sealed, uint8_t *plain)
    MUST_USE;
/* The same, where another label may be the right one: says whether, and logs nothing. */
bool sealed_opens(const struct vault *v, const char *label, struct slice bound, struct slice sealed, uint8_t *plain);

#endif
