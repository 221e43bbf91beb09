/* `hearth-distributor serve --role contents`: a contents server on a machine of its own. It holds bodies, which open for nobody without a license,
 * for the distributors it follows (contents_pull.h), and gives them to whoever connects and asks; headers and licenses never come from
 * it. No operations database, no secret but the key of its own name.
 *
 * One libuv loop, the pool for files. SIGTERM and SIGINT end it; SIGHUP reads contents.conf again and looks for new bodies at once.
 * Source: seed Fig. 4 (contents server), S24-S30. */
#ifndef DISTRIBUTOR_CONTENTS_SERVER_H
#define DISTRIBUTOR_CONTENTS_SERVER_H

#include "distributor/serve.h"

/* config: borrowed, complete. Blocks until a signal ends it. 0 after a signal; -errno when it could not start (logged). */
int contents_server_main(const struct config *config, char why[SERVE_WHY_BYTES]) MUST_USE;

#endif
