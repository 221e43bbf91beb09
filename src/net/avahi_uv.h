/* Avahi's main loop on libuv: an AvahiPoll whose watches and timeouts are libuv handles. On the loop thread.
 * What it keeps of Avahi's contract: events reported are those that happened; times are absolute and of Avahi's own clock;
 * everything may be freed from within its own callback. */
#ifndef NET_AVAHI_UV_H
#define NET_AVAHI_UV_H

#include <avahi-common/watch.h>
#include <uv.h>

#include "base/outcome.h"

struct avahi_uv;
int avahi_uv_new(struct avahi_uv **out, uv_loop_t *loop) MUST_USE; /* 0 or -ENOMEM */
const AvahiPoll *avahi_uv_poll(struct avahi_uv *a);
/* After everything Avahi made with it was freed. on_freed (may be NULL) fires when libuv has let go of the last handle, never before this
 * function returns; then a is gone. */
void avahi_uv_free(struct avahi_uv *a, void (*on_freed)(void *ctx), void *ctx);

#endif
