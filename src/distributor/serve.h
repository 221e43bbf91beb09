/* `hearth-distributor serve`: the running server of one state directory, whatever its role (a distributor with license,
 * billing, operations and contents servers, or a directory). Wires the parts; holds no logic of its own.
 *
 * One libuv loop; a writer and a reader thread with a database connection each (writer.h); the libuv pool for password
 * hashes, body files and checkpoints. SIGTERM and SIGINT finish what is queued, then end; SIGHUP reads the
 * configuration and the keys again. */
#ifndef DISTRIBUTOR_SERVE_H
#define DISTRIBUTOR_SERVE_H

#include "distributor/config.h"

#define SERVE_LISTEN_DEFAULT "0.0.0.0:7700"

/* config: borrowed, complete (config_init, config_read, command line). Blocks until a signal ends it.
 * 0 after a signal; -errno when it could not start (logged). */
int serve_main(const struct config *config) MUST_USE;

#endif
