/* Announce: who of those online has to hear that the household's roster is another one.
 *
 * Jobs of the writer thread collect the users whom they touched (roster.h); after the commit they are looked at, and where the
 * sequence is another one than the one announced last, ROSTER_CHANGED goes to every session of the user. What others changed in the
 * database (the admin's commands) is found by looking at everybody, a few at a time so that no request waits long for it. */
#ifndef DISTRIBUTOR_ANNOUNCE_H
#define DISTRIBUTOR_ANNOUNCE_H

#include "distributor/server.h"

int announce_new(struct announce **out, struct server *server) MUST_USE;
/* When neither sessions nor the writer are there any more; accepts NULL. */
void announce_free(struct announce *a);

/* Takes the touched users out of the database (writer thread, inside a job). *list is grown by realloc; the caller frees it.
 * 0 or -ENOMEM (then some are not announced until the next change). */
int announce_collect(struct operations *o, char (**list)[OPERATIONS_NAME_BYTES], size_t *count) MUST_USE;
/* After the commit: these users. */
void announce_users(struct announce *a, char (*list)[OPERATIONS_NAME_BYTES], size_t count);
/* Everybody who is online. Asked again while it is under way, it begins anew when it is through. */
void announce_everybody(struct announce *a);

#endif
