/* Every row of a SQLite database into a PostgreSQL one of the same schema: the way from one machine to several. Not which database is whose, nor
 * which of the two counts afterwards: that is the program's. Waits for the server and reads both databases whole. */
#ifndef STORE_COPY_H
#define STORE_COPY_H

#include "store/store.h"

struct store_copied {
    uint64_t tables, rows, bytes; /* bytes: of the values */
};
/* from: SQLite, to: PostgreSQL, both at the newest version of one schema, each in a transaction that writes, so that nobody changes either
 * meanwhile. Removes every row of to, copies every row of from, reads back what came and compares, table by table, how many rows there are and the
 * sum of their hashes. Counts once the transaction of to is committed; when this fails, the caller undoes it.
 * 0; -EUCLEAN: a row arrived as another, or the tables refer to each other in a circle; -EAGAIN, -EHOSTDOWN and the rest of store.h;
 * -ENOTSUP: built without libpq. */
int store_copy(struct store *from, struct store *to, struct store_copied *out) MUST_USE;

#endif
