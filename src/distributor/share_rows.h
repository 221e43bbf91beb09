/* Putting our own rows into the outbox, for the modules that change shared tables. */
#ifndef DISTRIBUTOR_SHARE_ROWS_H
#define DISTRIBUTOR_SHARE_ROWS_H

#include "distributor/operations.h"
#include "share.pb.h"

/* Encodes row (a share_ struct), signs it as the next of our outbox. Same transaction as the change. 0 or -errno. */
int share_put(struct operations *o, uint32_t table, bool removed, const pb_msgdesc_t *fields, const void *row) MUST_USE;
/* The same of a row that is encoded already. */
int share_put_encoded(struct operations *o, uint32_t table, bool removed, struct slice row) MUST_USE;
/* Signs a row under its number; appends it to envelope. No database, any thread. 0, -EMSGSIZE, -errno. */
int share_row_sign(const struct keys *keys, uint32_t table, bool removed, struct slice row, uint64_t sequence,
                   struct buf *envelope) MUST_USE;
#define SHARE_PUT(o, table, removed, T, row) share_put((o), share_Table_##table, (removed), T##_fields, (row))

#endif
