/* Leases (R3) and use logs: what a device tells the issuers of its licenses by itself. A lease is refreshed in the background when half of it
 * is over, or its plays are used; a use log is brought after each play and whenever its issuer can be reached. Loop thread. */
#ifndef DAEMON_LEASES_H
#define DAEMON_LEASES_H

#include "daemon/account.h"

void leases_start(struct daemon *d);
void leases_stop(struct daemon *d);
void leases_ready(struct account *a); /* its session is ready */
/* A play of this content has ended: what was used is read again, and a log goes to its issuer. on_counted fires once the library knows what was
 * used, at once when nothing is counted. */
void leases_played(struct daemon *d, const struct id *content, void (*on_counted)(void *ctx), void *ctx);

/* use_log.c */
void use_log_bring(struct daemon *d, const struct id *issuer);

#endif
