/* Documents whose signature was good before: a verification costs as much as all the rest of a request. What is remembered is
 * the very bytes' hash, so nothing goes stale; end dates are judged again at every use. One thread, as its struct operations. */
#ifndef DISTRIBUTOR_VERIFIED_H
#define DISTRIBUTOR_VERIFIED_H

#include "protocol/documents.h"

struct verified;
struct verified *verified_new(void);    /* NULL without memory */
void verified_free(struct verified *v); /* accepts NULL */

/* out is written when true. */
bool verified_find_keyset(const struct verified *v, struct slice envelope, doc_Keyset *out);
void verified_add_keyset(struct verified *v, struct slice envelope, const doc_Keyset *keyset);
/* A device certificate judged under this very keyset, and not over at now_ms. */
bool verified_find_device(const struct verified *v, const doc_Keyset *keyset, struct slice envelope, int64_t now_ms,
                          doc_DeviceCertificate *out);
void verified_add_device(struct verified *v, const doc_Keyset *keyset, struct slice envelope,
                         const doc_DeviceCertificate *certificate);

#endif
