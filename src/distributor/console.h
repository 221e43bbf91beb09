/* Console: what an operator and a scraper ask of the running server, over HTTP/1.1 so that any tool can ask:
 *
 *     GET /metrics     OpenMetrics text (metrics.h)
 *     GET /directory   one line: none, reached, connecting, or away and a reason's code (directory_client.h); on the Unix socket only
 *     POST /reload     reads the configuration again and says what came of it; on the Unix socket only
 *
 * It listens on STATE/console.sock (mode 0600: the operator's own commands use it), and, when the configuration names one, on a loopback address
 * for a scraper. Few connections at a time, one request each, five seconds for all of it. Loop thread. */
#ifndef DISTRIBUTOR_CONSOLE_H
#define DISTRIBUTOR_CONSOLE_H

#include "distributor/server.h"

#define CONSOLE_SOCKET "console.sock"

/* 0; -EINVAL: the address is not a loopback one; -errno. A socket whose path is too long for the system is done without, with a warning. */
int console_start(struct console **out, struct server *server) MUST_USE;
/* on_stopped fires once all of it is closed; at once for NULL. */
void console_stop(struct console *c, void (*on_stopped)(struct server *), struct server *server);

#endif
