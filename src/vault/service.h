/* Services: what each distributor gave this device at registration (S4, S13), with its keyset, cached open while the vault runs.
 * Source: seed S4, S12-S14. */
#ifndef VAULT_SERVICE_H
#define VAULT_SERVICE_H

#include "crypto/keytree.h"
#include "protocol/documents.h"
#include "vault/requests.h"

#define SERVICE_COUNT_MAX 16 /* bound of vlt.Distributors */

struct service {
    struct id distributor;
    doc_Keyset keyset;
    doc_Leaf leaf;
    uint8_t *device_set; /* guarded, KEYTREE_SET_BYTES */
    uint64_t block_version, roster_sequence;
};

int services_init(struct vault *v) MUST_USE; /* 0, -ENOMEM */
void services_deinit(struct vault *v);
/* The cache is read again from the database at the next look: call after changing rows it shows, and after undoing such a change. */
void services_forget(struct vault *v);
/* All of them, by distributor ID; valid until services_forget. 0 or -errno. */
int services_all(struct vault *v, struct service *const **out, unsigned *count) MUST_USE;
/* 0, REASON_NOT_REGISTERED, -errno. */
int services_find(struct vault *v, const void *distributor, const struct service **out) MUST_USE;
/* The same, refusing one whose keyset has ended: nothing new is accepted under it. Also REASON_KEYSET_INVALID. */
int services_find_current(struct vault *v, const void *distributor, const struct service **out) MUST_USE;
struct slice service_set(const struct service *s);
bool service_has_leaf(const struct service *s, const doc_Leaf *leaf);

/* SERVICE_DATA: opens the key set sealed to this device and keeps it, encrypted. Again: replaced, harmless.
 * REASON_NOT_REGISTERED: no keyset of this distributor was checked yet. REASON_WRONG_DESTINATION: certificate of another device,
 * key or leaf. REASON_MALFORMED: the set does not open or is not of the certificate's leaf. REASON_TOO_LARGE: too many distributors.
 * Source: seed S4 (the client encrypts the data and stores it). */
request_fn service_store;
request_fn service_drop; /* SERVICE_DROP: set, roster and roots go; sequences, licenses and used serials stay */
request_fn service_list; /* DISTRIBUTORS_GET */

#endif
