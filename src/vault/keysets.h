/* Keysets: which keys a distributor uses now. The highest sequence ever seen of each is remembered for good. */
#ifndef VAULT_KEYSETS_H
#define VAULT_KEYSETS_H

#include "vault/requests.h"

/* KEYSET_CHECK: root key, sequence, end date, and that it lists the key of the connection it came on. The sequence is remembered
 * for every distributor; the bytes for those this device is registered with, and for the last few others, because registering needs them.
 * REASON_KEYSET_INVALID, REASON_SIGNATURE_INVALID, REASON_MALFORMED. Source: design section 2 (first frame of a distributor). */
request_fn keysets_check;

#endif
