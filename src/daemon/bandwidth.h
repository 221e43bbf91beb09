/* How fast this device receives, and sends, all its transfers together: `hearth transfers limit`. Loop thread. */
#ifndef DAEMON_BANDWIDTH_H
#define DAEMON_BANDWIDTH_H

#include "daemon/daemon.h"

struct call;

void bandwidth_start(struct daemon *d); /* after the database */
/* BANDWIDTH: without a rate only answered. REASON_MALFORMED: below PACE_RATE_MIN. */
void bandwidth_handle(struct daemon *d, struct call *c, const void *message);

#endif
