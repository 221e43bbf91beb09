/* Does a device answer at an address? A connection that ends as soon as the device has proved its key there. Loop thread. */
#ifndef DAEMON_ADDRESS_PROOF_H
#define DAEMON_ADDRESS_PROOF_H

#include "daemon/daemon.h"
#include "protocol/reason.h"

#define ADDRESS_PROOF_MS 5000

struct address_proof;
/* REASON_NONE: it does; REASON_UNKNOWN_DEVICE: another device does; any other reason: nobody did in ADDRESS_PROOF_MS, or it was cancelled. */
typedef void address_proof_fn(enum reason why, void *ctx);

/* on_done fires once, after this has returned. 0 and *out is valid until then; -errno. */
int address_prove(struct address_proof **out, struct daemon *d, const char *address, const struct id *client,
                  address_proof_fn *on_done, void *ctx) MUST_USE;
void address_proof_cancel(struct address_proof *p); /* on_done follows */

#endif
