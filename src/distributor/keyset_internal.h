/* The row of a keyset, between keyset.c (those that are kept) and those who issue our next one. */
#ifndef DISTRIBUTOR_KEYSET_INTERNAL_H
#define DISTRIBUTOR_KEYSET_INTERNAL_H

#include "distributor/operations.h"
#include "protocol/documents.h"

/* Appends the envelope that is kept of this distributor (NULL: it is not wanted). 0, OPERATIONS_ABSENT, -errno. */
int keyset_read(struct operations *o, int64_t number, struct buf *envelope, uint64_t *sequence, int64_t *issued_ms,
                int64_t *ends_ms) MUST_USE;
/* Keeps it in place of the one before: k is what envelope says, and was judged. 0, -errno. Writes. */
int keyset_write(struct operations *o, int64_t number, const doc_Keyset *k, struct slice envelope) MUST_USE;

#endif
