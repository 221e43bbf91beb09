/* library, show, remove: what people ask about this device's tracks, or about another's. Loop thread. */
#ifndef DAEMON_TRACKS_H
#define DAEMON_TRACKS_H

#include "daemon/daemon.h"

struct call;

void library_handle(struct daemon *d, struct call *c, const void *message); /* ctl LIBRARY_GET */
void show_handle(struct daemon *d, struct call *c, const void *message);    /* ctl SHOW */
void remove_handle(struct daemon *d, struct call *c, const void *message);  /* ctl REMOVE */

#endif
