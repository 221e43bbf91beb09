/* vault.db as a whole: no row was changed, added, removed or put back by anybody but the vault.
 *
 * The sum over all rows (store.h) under a key derived from the storage key is sealed beside them, in every transaction. Reading them all takes a while,
 * so the vault adds them up when it is first asked for something that stands in them, not before it says who it is.
 * Whoever puts *all* rows back is met by behind.h. Request thread. */
#ifndef VAULT_WHOLE_H
#define VAULT_WHOLE_H

#include "vault/vault.h"

/* After db_open, before anything is written. A database from before there was a sum is taken as it is, once: `device` says which it is (keys.h).
 * 0, -errno; -EUCLEAN: the sum is gone, or is not ours. */
int whole_follow(struct vault *v) MUST_USE;
/* 0; REASON_VAULT_ALTERED, from then on always; -errno. */
int whole_judge(struct vault *v) MUST_USE;

#endif
