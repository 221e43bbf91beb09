/* Which sound outputs there are: asked of a player, which has the libraries of the sound systems. Loop thread.
 *
 * Callbacks, in order: on_output ..., on_done. None fires before outputs_ask has returned. */
#ifndef DAEMON_OUTPUTS_H
#define DAEMON_OUTPUTS_H

#include "daemon/daemon.h"
#include "player.pb.h"
#include "protocol/reason.h"

struct outputs_callbacks {
    void (*on_output)(const ply_Device *device, void *ctx);
    void (*on_done)(enum reason why, void *ctx); /* REASON_NONE: those were all */
};
/* 0, -ENOENT: the player is not installed, -errno. */
int outputs_ask(struct daemon *d, const struct outputs_callbacks *callbacks, void *ctx) MUST_USE;

struct call;
void outputs_handle(struct daemon *d, struct call *c, const void *message); /* ctl OUTPUTS_GET */

#endif
