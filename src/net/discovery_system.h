/* Inside of discovery through the system's avahi-daemon, shared by its two files only.
 *
 *   discovery_system.c       the bus, the daemon and its state, our records there
 *   discovery_system_see.c   others, as it sees them */
#ifndef NET_DISCOVERY_SYSTEM_H
#define NET_DISCOVERY_SYSTEM_H

#include <systemd/sd-bus.h>

#include "net/discovery_internal.h"

#define DAEMON "org.freedesktop.Avahi"
#define SERVER DAEMON ".Server"
#define BROWSER DAEMON ".ServiceBrowser"
#define RESOLVER DAEMON ".ServiceResolver"
#define TRY_AGAIN_MS 5000

struct discovery_system {
    struct discovery *owner;
    sd_bus *bus;                          /* NULL: none now */
    struct discovery_system_watch *watch; /* of the bus */
    uv_timer_t again;                     /* tries, or sd-bus's own time */
    uv_timer_t ping;
    unsigned timers;  /* that are not closed */
    char daemon[256]; /* its unique name on the bus; "" while there is none */
    bool told_there, refused, published, frozen;
    bool broken; /* the bus is to be left, once nothing of it is running */
    uint64_t try_ms;
    char group[DISCOVERY_PATH_BYTES], browser[DISCOVERY_PATH_BYTES];
    char instance[AVAHI_LABEL_MAX];
};

/* --- discovery_system.c --- */
/* The bus is left, and the daemon looked for anew after again_ms, once nothing of the bus is running. */
void discovery_system_fail(struct discovery_system *s, const char *what, uint64_t again_ms);
/* on_reply NULL: none is wanted. */
void discovery_system_call(struct discovery_system *s, sd_bus_message_handler_t on_reply, const char *path,
                           const char *interface, const char *method);
/* The object path that a reply brings. 0, or the refusal was dealt with. */
int discovery_system_path(struct discovery_system *s, sd_bus_message *reply, char path[DISCOVERY_PATH_BYTES]) MUST_USE;

/* --- discovery_system_see.c --- */
void discovery_system_browse(struct discovery_system *s);
void discovery_system_resolve_again(struct discovery_system *s);               /* resolvers that gave up */
void discovery_system_see(struct discovery_system *s, sd_bus_message *signal); /* of a browser or a resolver */

#endif
