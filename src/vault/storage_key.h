/* The key under which everything confidential in the vault's database lies. Where it comes from is this interface's secret:
 * today a file beside the database. */
#ifndef VAULT_STORAGE_KEY_H
#define VAULT_STORAGE_KEY_H

#include <stdbool.h>

#include "base/rng.h"
#include "base/secret.h"

#define STORAGE_KEY_ABSENT 1 /* there is none and create is false */
/* Reads the key of state_dir, or makes one that is durable before this returns.
 * create: false when a database exists already, which a new key could not open. *out is guarded; the caller frees it (secret_free).
 * 0, STORAGE_KEY_ABSENT, -EUCLEAN for a damaged one, -errno. */
int storage_key_get(const char *state_dir, bool create, const struct rng *rng, struct key32 **out) MUST_USE;

#endif
