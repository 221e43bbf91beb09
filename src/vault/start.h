/* From a storage key to a vault that can be asked, in the one order in which it works. */
#ifndef VAULT_START_H
#define VAULT_START_H

#include "vault/vault.h"

/* v: clock, rng, storage_key, boot, known and tpm are set, all else is zero. path: of vault.db, made when it is not there. *keys: owned, also by v; NULL after a
 * failure before they were loaded. 0, -EPROTONOSUPPORT: made by a newer version, -errno; vault_stop in any case. */
int vault_start(struct vault *v, const char *path, struct keys **keys) MUST_USE;
void vault_stop(struct vault *v, struct keys *keys); /* all but what was set before */

#endif
