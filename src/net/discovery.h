/* Discovery: publishes this device and reports its siblings by mDNS/DNS-SD, `_hearth._tcp` (design sections 6.5 and 9), on the loop thread.
 * By the system's avahi-daemon while one runs and publishes for us, else by a responder of its own (embedded avahi-core, no root). What it reports
 * is a hint, never an identity. */
#ifndef NET_DISCOVERY_H
#define NET_DISCOVERY_H

#include <uv.h>

#include "base/outcome.h"
#include "crypto/id.h"

#define DISCOVERY_SERVICE "_hearth._tcp"

struct discovery;
/* found: client ID from the TXT record (id=...), "host:port". May be reported again with another address. lost: the record expired
 * or said goodbye. Both only between discovery_start and discovery_stop. */
struct discovery_callbacks {
    void (*on_found)(const struct id *client, const char *address, void *ctx);
    void (*on_lost)(const struct id *client, void *ctx);
};
/* Who does it. STARTING: the system's avahi-daemon is being looked for. */
enum discovery_by { DISCOVERY_STARTING, DISCOVERY_OWN, DISCOVERY_SYSTEM };

/* self: published as TXT id=<52 characters>, v=1; instance name "hearth-<short id>". Follows interface changes. 0 or -errno
 * (-ENODEV: no interface at all is not an error, it waits for one). */
int discovery_start(struct discovery **out, uv_loop_t *loop, const struct id *self, uint16_t port,
                    const struct discovery_callbacks *callbacks, void *ctx) MUST_USE;
enum discovery_by discovery_by(const struct discovery *d);
/* Sends goodbye; on_stopped fires once everything is closed and freed (may be NULL). */
void discovery_stop(struct discovery *d, void (*on_stopped)(void *ctx), void *ctx);

#endif
