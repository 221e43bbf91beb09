/* The body alone from a sibling, where the license is here already, as a transfer of kind 6 (transfers.h): no distributor is asked, nothing is charged, and of
 * a damaged body only what is damaged comes. When its source goes away it waits for it; after a restart of hearthd it goes on by itself, from what has come.
 * Loop thread. Source: design section 6.5. */
#ifndef DAEMON_FETCH_BODY_H
#define DAEMON_FETCH_BODY_H

#include "daemon/transfers.h"

struct sibling;

/* call: told how it goes, then TRACK_ROW and finished, or refused. */
void fetch_body_start(struct daemon *d, struct call *call, const struct id *content, const struct sibling *from);
/* Takes up what a kill interrupted. 0, also when client is no sibling (now): nothing is begun. -errno. */
int fetch_body_resume(struct daemon *d, const struct id *content, const struct id *client) MUST_USE;
/* Somebody else is about to bring what t brings. True: t is a fetch that waits, and has ended (REASON_OFFLINE); false: t is left as it is. */
bool fetch_body_give_way(struct transfer *t);

#endif
