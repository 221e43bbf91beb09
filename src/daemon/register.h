/* Registering with a distributor, and leaving it again. Loop thread. Source: seed Fig. 3 (preregistration section), S1-S4. */
#ifndef DAEMON_REGISTER_H
#define DAEMON_REGISTER_H

#include "daemon/daemon.h"

struct call;

void register_handle(struct daemon *d, struct call *c, const void *message);   /* ctl REGISTER */
void unregister_handle(struct daemon *d, struct call *c, const void *message); /* leave.c: ctl UNREGISTER */

#endif
