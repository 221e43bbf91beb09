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
    uint64_t generation; /* when this vault was made, Unix milliseconds: a vault made anew has a higher one */
};
/* Loads v->keys, or makes them when the database is new; durable before this returns. 0 or -errno. */
int keys_load(struct vault *v, struct keys **out) MUST_USE;
void keys_free(struct keys *k); /* accepts NULL */
/* Signs documents as this device. Valid while v->keys is. */
struct signer keys_signer(const struct vault *v);

#endif
