/* Issuers this device is not registered with: licenses that came in copy certificates are renewed where they were issued (S93, S101), by the
 * device's being in the household of the account behind the license; and what siblings buy there is sent on from there (visits.h). Where such an issuer is, one's own distributor says. Loop thread. */
#ifndef DAEMON_GUESTS_H
#define DAEMON_GUESTS_H

#include "daemon/account.h"
#include "daemon/ask.h"

/* Fires once: account borrowed until the callback returns, or NULL and why. */
typedef void (*issuer_fn)(struct account *a, enum reason why, const msg_Refusal *refusal, void *ctx);
/* The account at a license's issuer, or the guest's place there, made when there is none. While a guest is not connected, its issuer's address is
 * asked for again: it may have moved. 0, -ENOMEM. */
int issuer_find(struct daemon *d, const struct id *issuer, issuer_fn on_issuer, void *ctx) MUST_USE;

#endif
