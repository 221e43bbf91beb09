/* The household's own spending limit at a distributor (distributor/spending.h). Loop thread. Source: design section 6 (billing). */
#ifndef DAEMON_SPENDING_H
#define DAEMON_SPENDING_H

#include "daemon/daemon.h"

struct call;

void limit_get_handle(struct daemon *d, struct call *c, const void *message);       /* ctl LIMIT_GET */
void limit_set_handle(struct daemon *d, struct call *c, const void *message);       /* ctl LIMIT_SET */
void unlock_spending_handle(struct daemon *d, struct call *c, const void *message); /* ctl UNLOCK_SPENDING */

#endif
