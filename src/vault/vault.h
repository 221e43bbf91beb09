/* What the parts of the vault share: one struct, passed to every handler. Request thread only, unless said otherwise.
 *
 * Terms
 *   service      what one distributor gave this device: leaf, device node key set, keyset (S4); service.h
 *   guarded      in locked memory that core files and swap do not see (base/secret.h)
 *   row seal     AES-256-GCM under a key derived from the storage key; sealed.h
 */
#ifndef VAULT_VAULT_H
#define VAULT_VAULT_H

#include "base/clock.h"
#include "base/rng.h"
#include "base/secret.h"
#include "crypto/id.h"
#include "crypto/tpm.h"
#include "store/store.h"

struct keys;
struct services;
struct plays;
struct behind;
struct known;

/* A distributor whose signed time was taken in this run: trusted_time.c. */
struct heard {
    struct id distributor;
    uint64_t time_ms; /* 0: the place is free */
    int64_t mono_ms;  /* the boot clock then */
};

struct vault {
    const struct clock *clock;
    const struct rng *rng;
    struct store *store;
    const struct key32 *storage_key; /* guarded */
    const struct keys *keys;         /* guarded; constant after the start, so that the TLS thread may read it too */
    struct services *services;
    struct plays *plays;
    struct behind *behind;
    struct known *known;  /* certificates between check and commit, key blocks: verified once (crypto/known.h) */
    struct known *opened; /* sealed halves between check and commit, each with its content: opened once */
    uint8_t boot[16];     /* in_use.h */
    struct heard heard[32];
    struct store_sum sum;  /* whole.c */
    struct key32 *row_key; /* guarded */
    enum { WHOLE_UNKNOWN, WHOLE_YES, WHOLE_NO } whole;
    struct tpm *tpm; /* NULL: the storage key is not bound to one */
    struct {         /* counter.h */
        struct tpm_counter at;
        bool leave; /* it was bound, and is no more */
        bool kept, spent;
    } counter;
};

/* What the database and the documents can hold as a number alike. */
#define VAULT_NUMBER_MAX ((uint64_t)INT64_MAX)

#endif
