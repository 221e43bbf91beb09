/* Keysets: which keys a distributor uses now. The highest sequence ever seen of each is remembered for good. */
#ifndef VAULT_KEYSETS_H
#define VAULT_KEYSETS_H

#include "vault/requests.h"

/* KEYSET_CHECK: root key, sequence, and that it lists the key of the connection it came on. It is not refused by the system clock, which may be what is
 * wrong: only when the time this distributor has signed before is after its end. A signed time (TIME_CHECK) decides. The sequence is remembered
 * for every distributor; the bytes for those this device is registered with, and for the last few others, because registering needs them.
 * REASON_KEYSET_INVALID, REASON_SIGNATURE_INVALID, REASON_MALFORMED. Source: design section 2 (first frame of a distributor). */
request_fn keysets_check;

/* A keyset that was checked and is still kept: of a registered distributor, or one of the last few others. 0, REASON_NOT_FOUND, -errno. */
int keysets_load(const struct vault *v, const void *distributor, doc_Keyset *out) MUST_USE;
/* tls_key: of a connection, or NULL. 0, REASON_KEYSET_INVALID: it has ended, or that key of it, -errno. By the floor when the time is untrusted: what
 * the distributor itself says waits for no clock. */
int keysets_judge_current(const struct vault *v, const doc_Keyset *keyset, const uint8_t *tls_key) MUST_USE;
/* Both. */
int keysets_find(struct vault *v, const void *distributor, doc_Keyset *out) MUST_USE;
/* The highest sequence ever seen of a distributor; 0: none. 0 or -errno. */
int keysets_sequence(const struct vault *v, const struct id *distributor, uint64_t *out) MUST_USE;

#endif
