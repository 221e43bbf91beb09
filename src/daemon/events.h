/* Events: what happened, the last EVENTS_KEPT in memory; followers are told at once. Loop thread.
 *
 * Numbers rise by one and are never used again, also by later runs: they are reserved in the database, EVENTS_RESERVED at a time, before they are given. So whoever
 * remembers the last number it saw can tell what it missed: the rest of a run that has ended, what was too old to be kept. A run that was cut off wastes what it had
 * reserved: the next one begins behind that. The last number that was given is stored as well, a moment after, and where numbers leapt is remembered (EVENTS_CUTS of the
 * newest), so that who asks hears how many events there were in between, not how many numbers. */
#ifndef DAEMON_EVENTS_H
#define DAEMON_EVENTS_H

#include "daemon/daemon.h"

#define EVENTS_KEPT 256
#define EVENTS_RESERVED 10000
#define EVENTS_CUTS 64

struct call;

int events_start(struct daemon *d) MUST_USE;
void events_stop(struct daemon *d);
/* kind: a fixed word ("registered", "device-online", ...); the text is a sentence, may hold foreign text (made safe here). */
void event(struct daemon *d, const char *kind, const char *format, ...) PRINTF_LIKE(3, 4);
/* Handler of ctl EVENTS_GET. */
void events_get(struct daemon *d, struct call *c, const void *message);

#endif
