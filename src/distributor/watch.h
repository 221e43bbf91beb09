/* Watch: what the server does by itself. Periodic work of the database, what an admin's command changed behind its back
 * (noticed within a second), delegations to renew, the write-ahead log to move into the database. */
#ifndef DISTRIBUTOR_WATCH_H
#define DISTRIBUTOR_WATCH_H

#include "distributor/server.h"

int watch_start(struct watch **out, struct server *server) MUST_USE;
void watch_stop(struct watch *w, void (*on_stopped)(struct server *), struct server *server);

/* Whoever has to wait for something that is looked at once a second tries again then. Not while the server stops (false). on_looked fires once; it may
 * wait again. Loop thread. */
struct watch_waiting {
    struct watch_waiting *next; /* watch's */
    void (*on_looked)(struct watch_waiting *w);
};
bool watch_wait(struct server *server, struct watch_waiting *w) MUST_USE;
void watch_looked(struct server *server); /* watch.c: tells them */

#endif
