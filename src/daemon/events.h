/* Events: what happened, numbered from 1 in each run, the last EVENTS_KEPT in memory; followers are told at once. Loop thread. */
#ifndef DAEMON_EVENTS_H
#define DAEMON_EVENTS_H

#include "daemon/daemon.h"

#define EVENTS_KEPT 256

struct call;

int events_start(struct daemon *d) MUST_USE;
void events_stop(struct daemon *d);
/* kind: a fixed word ("registered", "device-online", ...); the text is a sentence, may hold foreign text (made safe here). */
void event(struct daemon *d, const char *kind, const char *format, ...) PRINTF_LIKE(3, 4);
/* Handler of ctl EVENTS_GET. */
void events_get(struct daemon *d, struct call *c, const void *message);

#endif
