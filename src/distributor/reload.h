/* Reload: the configuration file is read again while serving; no connection is lost by it. */
#ifndef DISTRIBUTOR_RELOAD_H
#define DISTRIBUTOR_RELOAD_H

#include "distributor/server.h"

#define RELOAD_SAID_BYTES 512

/* What log and throttle take from the configuration; also at start. */
void reload_apply(struct server *server);
/* Reads the file. said: a sentence for the operator, which names what stays until the next start. 0; REASON_MALFORMED, REASON_NOT_FOUND: the
 * file could not be taken and everything is as before; REASON_INTERNAL. Logs what it says. Blocks for one small file. Loop thread. */
int reload(struct server *server, char said[RELOAD_SAID_BYTES]) MUST_USE;

#endif
