/* Headers of bodies: the key-block side of the content key, one per license of this device (Fig. 9, S36, S172). */
#ifndef VAULT_HEADERS_H
#define VAULT_HEADERS_H

#include "vault/service.h"

/* HEADER_STORE: a header of a registered distributor for content of its own, before or after its license.
 * REASON_NOT_REGISTERED, REASON_KEYSET_INVALID, REASON_MALFORMED, REASON_SIGNATURE_INVALID, REASON_NOT_PERMITTED (wrapped for a partner),
 * REASON_KEY_BLOCK_OUTDATED (older than the newest block known), REASON_DEVICE_REVOKED. */
request_fn headers_store;
/* The same for canonical header bytes; license: what they must belong to (REASON_CONTENT_ID_MISMATCH), or NULL. */
int headers_accept(struct vault *v, struct slice header, const doc_License *license) MUST_USE;
/* The header a commit writes for a certificate that has been judged and opened (S172). 0 or -errno. */
int headers_put(struct vault *v, const doc_Header *header, const struct service *s, uint64_t version) MUST_USE;
/* Opens the header half kept for a license: any authentic version. 0, REASON_NOT_FOUND: no header yet, REASON_NOT_REGISTERED: its
 * distributor was dropped, those of keyblock_open_half, -errno. */
int headers_open(struct vault *v, const doc_License *license, struct key32 *header_half) MUST_USE;

#endif
