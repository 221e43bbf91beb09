/* An older copy of itself: a database that was put back without `restore`. Numbers that it gives out were given out before, so the server stops as
 * soon as somebody has proved it: by a row (directory_pull.c) or a keyset (outgoing.c) of ours that this database does not know. On the loop thread.
 * Source: design section 2. */
#ifndef DISTRIBUTOR_OLDER_H
#define DISTRIBUTOR_OLDER_H

#include "distributor/server.h"

/* Stops as SIGTERM does, with a failure; once. What runs is answered. */
void older_stop(struct server *server);

#endif
