/* Keys of those who sign programs or metadata without being a distributor: a file of their own, and no state directory. One thread. */
#ifndef DISTRIBUTOR_ADMIN_PROVIDER_H
#define DISTRIBUTOR_ADMIN_PROVIDER_H

#include "distributor/admin.h"

/* `program key FILE`, `metadata key FILE`: makes the key, or says whose one that is there is. An exit code. */
int admin_provider_key(struct admin *a, const char *path);
/* 0, or an exit code after saying why. Wipe it. */
int admin_provider_load(struct admin *a, const char *path, struct key32 *seed) MUST_USE;

/* none, publisher, vouched, anyone, or the IDs of up to three providers with commas between. 0, or an exit code after saying why. */
int admin_signers(struct admin *a, const struct admin_option *option, doc_SignerRange *out) MUST_USE;

#endif
