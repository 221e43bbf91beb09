/* A copy that another distributor sends on to this device, its guest (distributor/copy_queue.h): the certificate in a transaction, everything that an offer
 * is judged by before any content is accepted (S162-S170), the body, the commit (commit.h), the receipt.
 * Nothing of it is kept in hearthd.db: until it has a receipt the issuer gives the same certificate again. Loop thread. Source: design section 6, flow 7. */
#ifndef DAEMON_GUEST_COPY_H
#define DAEMON_GUEST_COPY_H

#include "daemon/account.h"

/* on_end: once, when it is here, or for now is not. 0, -errno (then it does not fire). */
int guest_copy_start(struct account *issuer, const struct id *content, void (*on_end)(void *ctx), void *ctx) MUST_USE;

#endif
