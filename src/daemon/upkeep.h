/* Upkeep: what ends while nobody asks. Rosters are fetched again before they end, and a keyset that is about to end is replaced by a new
 * connection. Loop thread. */
#ifndef DAEMON_UPKEEP_H
#define DAEMON_UPKEEP_H

#include "daemon/daemon.h"

void upkeep_start(struct daemon *d);
void upkeep_stop(struct daemon *d);

#endif
