/* Watch: what the server does by itself. Periodic work of the database, what an admin's command changed behind its back
 * (noticed within a second), rosters to announce, delegations to renew, the write-ahead log to move into the database. */
#ifndef DISTRIBUTOR_WATCH_H
#define DISTRIBUTOR_WATCH_H

#include "distributor/server.h"

int watch_start(struct watch **out, struct server *server) MUST_USE;
void watch_stop(struct watch *w, void (*on_stopped)(struct server *), struct server *server);

/* Takes the users whose rosters may have changed out of the database (writer thread, inside a job). *list is grown by realloc;
 * the caller frees it. 0 or -ENOMEM (then some are not announced until the next change). */
int watch_collect(struct operations *o, char (**list)[OPERATIONS_NAME_BYTES], size_t *count) MUST_USE;
/* After the commit: those of them who are online hear of it, if their roster is a new one. */
void watch_announce(struct watch *w, char (*list)[OPERATIONS_NAME_BYTES], size_t count);

#endif
