/* Visits: a device is a guest of the distributors of its siblings, as long as its own distributor's roster names such siblings; so that what is sent on to it
 * from there (guest_copy.h) arrives when it is bought, also when the device that bought it is off by then. Where they are, its own distributor says
 * (guests.h). Loop thread. Source: design section 6, flow 7. */
#ifndef DAEMON_VISITS_H
#define DAEMON_VISITS_H

#include "daemon/account.h"

/* Rosters have changed, or a session with an own distributor is ready: connects where it is not yet, asks where it is, leaves where nobody is any
 * more. */
void visits_refresh(struct daemon *d);

#endif
