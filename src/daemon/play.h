/* Playing: body file, vault channel and player brought together; hearthd only relays what the player tells. Loop thread.
 * Source: seed S41-S50 (contents reproduction process section). */
#ifndef DAEMON_PLAY_H
#define DAEMON_PLAY_H

#include "daemon/daemon.h"

struct call;

void play_handle(struct daemon *d, struct call *c, const void *message); /* ctl PLAY */
void plays_stop(struct daemon *d);                                       /* ends every player */

#endif
