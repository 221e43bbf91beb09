/* Callbacks: on_looked, of each that waits. Loop thread. */
#include "base/util.h"
#include "distributor/watch.h"

bool watch_wait(struct server *server, struct watch_waiting *w)
{
    if (server->watch == NULL)
        return false;
    w->next = server->waits_for_look;
    server->waits_for_look = w;
    return true;
}

void watch_looked(struct server *server)
{
    struct watch_waiting *w = steal(&server->waits_for_look);
    while (w != NULL) { /* it may be gone, or wait again, afterwards */
        struct watch_waiting *next = w->next;
        w->on_looked(w);
        w = next;
    }
}
