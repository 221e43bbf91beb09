/* Heard: whether what this device announces gets through, asked on each of its networks by multicast DNS: a question, from a port of its own, which whoever publishes for
 * this device (discovery.h) must hear and answer. What keeps the question or the announcement back - a firewall, a daemon that stands still - keeps siblings from seeing this
 * device. It is asked, not answered, here; nothing that comes back is believed. Loop thread. */
#ifndef NET_HEARD_H
#define NET_HEARD_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "base/outcome.h"
#include "crypto/id.h"

#define HEARD_ROWS_MAX 16
#define HEARD_MS 1500 /* it takes no longer than that */

struct heard_row {
    char interface[IF_NAMESIZE];
    bool heard; /* over IPv4 or IPv6 */
};
/* rows: one for each network, borrowed; none: there is no network. Fires once, never before heard_ask has returned. */
typedef void (*heard_fn)(const struct heard_row *rows, size_t count, void *ctx);

/* Asks for self, as discovery publishes it; on loopback when there is no other network. 0, or -errno (then nothing fires). It ends by itself. */
int heard_ask(uv_loop_t *loop, const struct id *self, heard_fn on_heard, void *ctx) MUST_USE;

#endif
