/* Discovery: publishes this device and reports its siblings by mDNS/DNS-SD, `_hearth._tcp` (design sections 6.5 and 9), on the loop thread.
 * By the system's avahi-daemon while one runs and publishes for us, else by a responder of its own (embedded avahi-core, no root). What it reports
 * is a hint, never an identity. */
#ifndef NET_DISCOVERY_H
#define NET_DISCOVERY_H

#include <uv.h>

#include "base/outcome.h"
#include "crypto/id.h"
#include "net/address.h"

#define DISCOVERY_SERVICE "_hearth._tcp"

struct discovery;
/* on_changed: where a client (the ID that a TXT record says, id=...) is seen is not as before: at one address more or less, or nowhere. Only between
 * discovery_start and discovery_stop. is_wanted: where there is no room for all, those that are not wanted make room; NULL: all are alike. */
struct discovery_callbacks {
    void (*on_changed)(const struct id *client, void *ctx);
    bool (*is_wanted)(const struct id *client, void *ctx);
    int (*connect_bus)(void *ctx); /* descriptor, taken, or -errno; NULL: as sd_bus_open_system(3) does */
};
/* Who does it. STARTING: the system's avahi-daemon is being looked for. */
enum discovery_by { DISCOVERY_STARTING, DISCOVERY_OWN, DISCOVERY_SYSTEM };

/* self: published as TXT id=<52 characters>, v=1; instance name "hearth-<short id>". Follows interface changes. 0 or -errno
 * (-ENODEV: no interface at all is not an error, it waits for one). */
int discovery_start(struct discovery **out, uv_loop_t *loop, const struct id *self, uint16_t port,
                    const struct discovery_callbacks *callbacks, void *ctx) MUST_USE;
enum discovery_by discovery_by(const struct discovery *d);
/* Where a client is seen, "host:port", each address once; anybody may have said so. Those whose turn it is, up to cap (DISCOVERY_TURN_MAX at most), are
 * written to out, the easiest to reach first; with take_turn they stand behind all others from then on, so that nobody who announces many keeps one
 * from its turn. Returns how many were written. */
#define DISCOVERY_TURN_MAX 16
size_t discovery_addresses(struct discovery *d, const struct id *client, bool take_turn, char out[][ADDRESS_TEXT_BYTES],
                           size_t cap);
/* Somebody is wanted who was not before: what there was no room for is looked at again. */
void discovery_wanted(struct discovery *d);
/* Sends goodbye; on_stopped fires once everything is closed and freed (may be NULL). */
void discovery_stop(struct discovery *d, void (*on_stopped)(void *ctx), void *ctx);

#endif
