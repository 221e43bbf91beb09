/* What a distributor sends on to this device: it asks what waits, takes each license as an item of a transaction, brings the content, and says so; a
 * distributor that it is a guest of gives a copy certificate instead (guest_copy.h). What is cut off anywhere is listed again on the next connection. The account's switch for it: `hearth auto-copy by-distributor`. Loop thread.
 * Source: design section 6, flow 7. */
#ifndef DAEMON_QUEUED_H
#define DAEMON_QUEUED_H

#include "daemon/account.h"

struct call;

/* The session is ready, or the distributor says that something waits. One round at a time for each account. */
void queued_ready(struct account *a);

/* The event: its license is here. */
void queued_tell(struct account *a, const struct id *content);

void auto_copy_handle(struct daemon *d, struct call *c, const void *message); /* ctl AUTO_COPY */

#endif
