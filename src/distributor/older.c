/* The end of a server over an older copy. On the loop thread. */
#define LOG_MODULE "serve"
#include "distributor/older.h"

#include <errno.h>
#include <signal.h>

#include "base/log.h"

void older_stop(struct server *server)
{
    if (server->failure != 0) /* a second SIGTERM would end at once */
        return;
    log_error("this database is an older copy of itself: stop, and run hearth-distributor restore --here");
    server->failure = -ESTALE;
    raise(SIGTERM); /* as any other stop: what runs is answered */
}
