/* What links and discovery tell the state (state_sync.c). Loop thread. */
#ifndef DAEMON_STATE_SYNC_H
#define DAEMON_STATE_SYNC_H

#include "daemon/daemon.h"

struct frame;
struct link;

void state_linked(struct link *l);                                       /* a link is open */
void state_sibling_found(struct daemon *d, const struct id *client);     /* it is seen */
void state_sibling_reachable(struct daemon *d, const struct id *client); /* it has just answered at its address */
void state_on_get(struct link *l, const struct frame *f);                /* STATE_GET */
void state_on_changed(struct link *l, const struct frame *f);            /* STATE_CHANGED */
void state_on_drain(struct link *l);                                     /* it takes output again */

#endif
