/* Late work: what a copy certificate needs besides the database, done on a thread of its own while the writer goes on to the next request.
 *
 * A request of one copy judges, counts and charges like any other, inside its savepoint. Only what depends on its signatures comes later:
 * the certificate's row, the outbox row and the kept answer are written before the transaction is committed (late_finish), and nobody is
 * answered before that. So a transaction holds a copy as a whole or not at all, whatever it is that fails.
 *
 * Terms
 *   open      begun in the savepoint of the request that runs; late_ended() keeps it when the request is kept
 *   pending   kept, not written yet. A request that might read what is not written says REQUESTS_FINISH_FIRST and is run again (writer.h)
 *
 * Without o->late (the operator's commands, a database shared by nobody's writer) everything is done at once. On the connection's thread. */
#ifndef DISTRIBUTOR_LATE_H
#define DISTRIBUTOR_LATE_H

#include "distributor/copies.h"
#include "distributor/copy_papers.h"
#include "distributor/requests.h"

struct late;

/* Starts the thread. 0, owned by the caller (late_free); -errno. */
int late_new(struct late **out) MUST_USE;
void late_free(struct late *l); /* accepts NULL; what is pending is forgotten */

struct late_copy {
    struct copy copy; /* its row */
    struct copy_papers papers;
    struct buf delegation; /* empty: none */
    char currency[4];      /* of its price */
};
/* While a request of a single item runs, that item may be late. */
void late_allow(struct operations *o, bool allowed);
/* Returns what is to be filled, open from now on and owned by o; NULL: do it at once. */
struct late_copy *late_begin(struct operations *o);
void late_cancel(struct operations *o); /* the open one is forgotten; none: nothing happens */
/* The transaction's answer, once it is all but written. reply: borrowed until late_finish() fills it. 0; OPERATIONS_ABSENT: nothing is open. */
int late_answer(struct operations *o, const struct id *client, const msg_Transacted *answer, struct reply *reply)
    MUST_USE;
/* Is there an open one that takes our row of a shared table? Then it is signed and put into the outbox later. row: copied. */
bool late_takes_row(struct operations *o, uint32_t table, bool removed, struct slice row);

bool late_is_pending(const struct operations *o);
bool late_is_of(const struct operations *o, const struct id *client); /* one of this client is */

/* What the writer calls (writer.h: struct writer_unfinished); database: struct operations. */
void late_begun(void *database);
void late_ended(void *database, int outcome);
int late_finish(void *database) MUST_USE; /* 0; -EAGAIN: run the transaction again, at once this time; -errno */
void late_over(void *database, bool kept);

#endif
