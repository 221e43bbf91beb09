/* Watch: what the server does by itself. Periodic work of the database, what an admin's command changed behind its back
 * (noticed within a second), delegations to renew, the write-ahead log to move into the database. */
#ifndef DISTRIBUTOR_WATCH_H
#define DISTRIBUTOR_WATCH_H

#include "distributor/server.h"

int watch_start(struct watch **out, struct server *server) MUST_USE;
void watch_stop(struct watch *w, void (*on_stopped)(struct server *), struct server *server);

#endif
