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

#define SERVE_WHY_BYTES 768

/* config: borrowed, complete (config_init, config_read, command line). Blocks until a signal ends it. Tries for a minute
 * while the database server cannot be reached. 0 after a signal; -errno when it could not start, or had to stop: why is a sentence for the operator then. */
int serve_main(const struct config *config, char why[SERVE_WHY_BYTES]) MUST_USE;

/* --- serve_explain.c: common to the server and the contents server ------------------------------------------------- */

enum serve_step {
    SERVE_LOCK,
    SERVE_KEYS,
    SERVE_DATABASE,
    SERVE_CONTENTS,
    SERVE_CONSOLE,
    SERVE_LISTEN,
    SERVE_PID_FILE,
    SERVE_ADDRESS_FILE,
    SERVE_OTHER
};
/* r: what start-up failed with in this step. */
void serve_explain(const struct config *config, enum serve_step step, int r, char why[SERVE_WHY_BYTES]);
/* Writes the files that announce us. 0, or -errno with *step. */
int serve_announce(const struct config *config, uint16_t port, enum serve_step *step) MUST_USE;
void serve_unannounce(const struct config *config);

#endif
