/* Enabling key blocks as this device opens them: root keys, cached by version, and the header half under them.
 * Source: seed Fig. 21, 22. */
#ifndef VAULT_KEYBLOCK_H
#define VAULT_KEYBLOCK_H

#include "vault/service.h"

/* A header half as a header or a copy certificate carries it. Everything is borrowed. */
struct keyblock_half {
    const struct service *service; /* whose block */
    const doc_Ekb *block;          /* verified */
    const doc_KeyBlockEntry *entry;
    const uint8_t *wrapped;   /* CONTENTKEY_WRAPPED_BYTES */
    const struct id *partner; /* wrapped under the root of this partner, or NULL: under the root key itself */
    struct id content;
    const uint8_t *license_id;
    bool is_new; /* what is to be accepted is opened by its own entry, even when the root is known from another one */
};
/* Opens the root key (from the cache, or by the device's node keys, and then caches it), then the half.
 * 0; REASON_DEVICE_REVOKED: no entry for this leaf; REASON_SIGNATURE_INVALID: entry, proof or seal does not verify;
 * REASON_MALFORMED: the half does not open or the entry is none; -errno. */
int keyblock_open_half(struct vault *v, const struct keyblock_half *h, struct key32 *header_half) MUST_USE;
/* This version of the service's key block exists: older ones are outdated from now on, for what is new. 0 or -errno. */
int keyblock_seen(struct vault *v, const struct service *s, uint64_t version) MUST_USE;

#endif
