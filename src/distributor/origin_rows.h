/* What a distributor itself answers about its own rows (ROWS_GET): each row and head is judged, and taken. A partner's answer is worth what its signatures
 * are. On the connection's thread; the connection to the partner is errand_rows.c's. Source: design section 6. */
#ifndef DISTRIBUTOR_ORIGIN_ROWS_H
#define DISTRIBUTOR_ORIGIN_ROWS_H

#include "distributor/operations.h"
#include "protocol/codec.h"

/* How many of its rows are here: what ROWS_GET asks for the next ones of. number: of the distributor. 0 or -errno. Read-only. */
int origin_rows_after(struct operations *o, int64_t number, uint64_t *after) MUST_USE;
/* One answer. rows: its message, of which count becomes 0 when no more is to be asked for now; list: its tail. *after: what was asked for, then how many
 * are here. 0 (also: a row was refused, which is a finding), REASON_MALFORMED, REASON_SIGNATURE_INVALID, REASON_KEYSET_INVALID, REASON_OUT_OF_STEP: none of
 * it was of use; -errno. Writes. */
int origin_rows_take(struct operations *o, int64_t number, msg_Rows *rows, struct slice list, int64_t now_ms,
                     uint64_t *after) MUST_USE;

#endif
