/* A distributor's secret keys, in STATE/keys (files of mode 0600, one key each), and what they protect in the database.
 *
 *   root.key     Ed25519  signs keysets, nothing else; its public key hashes to the distributor ID
 *   tls.key      Ed25519  the key of TLS connections
 *   license.key  Ed25519  signs licenses, certificates, quotes, delegations, key blocks, grants, shares, times
 *   roster.key   Ed25519  signs rosters
 *   sealing.key  X25519   what partners seal to us
 *   tree.key     the tree secret of the device node keys (crypto/keytree.h)
 *   storage.key  AES-256: content halves, block root keys and copy keys lie in the database only under it
 *
 * Loaded once; read-only afterwards, so one struct keys serves every thread. Not here: keysets (keyset.h). */
#ifndef DISTRIBUTOR_KEYS_H
#define DISTRIBUTOR_KEYS_H

#include "base/rng.h"
#include "base/secret.h"
#include "base/slice.h"
#include "crypto/aead.h"
#include "crypto/id.h"
#include "crypto/sign.h"

struct keys {       /* in guarded memory */
    struct id self; /* the distributor ID */
    struct sign_pair root, tls, license, roster;
    struct key32 sealing, tree, storage;
    uint8_t sealing_public[32];
};

/* Makes STATE/keys with fresh keys. 0; -EEXIST when there are some already; -errno. */
int keys_create(const char *state_dir, const struct rng *rng) MUST_USE;
/* Returns owned (keys_free). 0; -ENOENT without keys; -EPERM when a key file is readable by others; -EUCLEAN; -errno. */
int keys_load(struct keys **out, const char *state_dir) MUST_USE;
void keys_free(struct keys *k); /* wipes; accepts NULL */
void keys_freep(struct keys **k);

/* A 32-byte secret as it lies in the database: IV:12 || AES-256-GCM(storage key, associated data = label || context). */
#define KEYS_STORED_BYTES (AEAD_IV_BYTES + 32 + AEAD_TAG_BYTES)
int keys_protect(const struct keys *k, const struct rng *rng, const char *label, struct slice context,
                 const struct key32 *secret, uint8_t out[KEYS_STORED_BYTES]) MUST_USE; /* 0 or -EIO */
/* 0; -EUCLEAN when it is not what keys_protect made for this label and context. */
int keys_reveal(const struct keys *k, const char *label, struct slice context, struct slice stored,
                struct key32 *secret) MUST_USE;

#endif
