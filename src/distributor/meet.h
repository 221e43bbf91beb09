/* Who a distributor is that greets us: a partner, a member of the directory that we are, or ourselves. */
#ifndef DISTRIBUTOR_MEET_H
#define DISTRIBUTOR_MEET_H

#include "distributor/operations.h"
#include "protocol/documents.h"

/* keyset: the tail of its HELLO; key: of its TLS connection. 0 with *who, whose keyset *out is, which is kept when it is newer; REASON_UNKNOWN_DISTRIBUTOR;
 * REASON_NOT_PERMITTED: it was withdrawn; as keyset_meet; after REASON_KEYSET_INVALID the newest
 * keyset that we keep of it is appended to known. Writes. Source: design section 2. */
int meet_distributor(struct operations *o, struct slice keyset, const uint8_t key[32], int64_t now_ms, struct id *who,
                     doc_Keyset *out, struct buf *known) MUST_USE;

#endif
