/* The device's own keys: Ed25519 for documents and TLS, X25519 for what is sealed to it. Made at the first start, never leave.
 * Source: seed S12 (public and secret key of the client); departure: the device makes its pair itself. */
#ifndef VAULT_KEYS_H
#define VAULT_KEYS_H

#include "crypto/sign.h"
#include "vault/vault.h"

struct keys { /* guarded; constant once loaded: any thread may read it */
    struct sign_pair pair;
    struct key32 sealing_secret;
    uint8_t sealing_key[32];
    struct id client;
    bool whole; /* the row says that all rows have a sealed sum (whole.h) */
};
/* Loads v->keys, or makes them when the database is new; durable before this returns. 0 or -errno. */
int keys_load(struct vault *v, struct keys **out) MUST_USE;
/* The row says so from now on. In a transaction. 0, STORE_CONFLICT, -errno. */
int keys_mark_whole(struct vault *v) MUST_USE;
void keys_free(struct keys *k); /* accepts NULL */
/* What the vault presents in HELLO: when it was made, Unix milliseconds, and one more for each change of its licenses, certificates and
 * moves. It rises in the transaction of the change; an older copy of the vault has a lower one. 0 or -errno. */
int keys_generation(const struct vault *v, uint64_t *out) MUST_USE;
/* Signs documents as this device. Valid while v->keys is. */
struct signer keys_signer(const struct vault *v);

#endif
