/* Copies and moves, as their destination. An offer is judged by the vault before any content is accepted (S162-S170; the serial is
 * reserved); the body is pulled from whoever offered, over the same connection; then it is committed (commit.h) and the source gets the
 * receipt. An offer that comes again, after a loss, a kill or a restart of either end, goes on where it was. Loop thread.
 * Source: seed S161-S173; design section 6.5. */
#ifndef DAEMON_ACCEPT_H
#define DAEMON_ACCEPT_H

#include "daemon/device_link.h"
#include "daemon/transfers.h"

void accept_on_offer(struct link *l, const struct frame *f);    /* OFFER */
void accept_on_withdraw(struct link *l, const struct frame *f); /* WITHDRAW */

#endif
