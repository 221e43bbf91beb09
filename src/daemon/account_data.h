/* What a distributor holds about the account, for its owner; and the end of the account. Loop thread. Source: design section 6.2. */
#ifndef DAEMON_ACCOUNT_DATA_H
#define DAEMON_ACCOUNT_DATA_H

#include "daemon/daemon.h"

struct call;

void account_export_handle(struct daemon *d, struct call *c, const void *message); /* ctl ACCOUNT_EXPORT */
void account_erase_handle(struct daemon *d, struct call *c, const void *message);  /* ctl ACCOUNT_ERASE */

#endif
