/* Shelf: what a sibling has, asked for and told, over the link between the two (`hearth library --on DEVICE`). Told to siblings of a current roster, and of what
 * they may fetch. Loop thread. */
#ifndef DAEMON_SHELF_H
#define DAEMON_SHELF_H

#include "control.pb.h"
#include "daemon/device_link.h"

struct call;

/* ctl LIBRARY_GET with a device: its rows, by title, with numbers of a listing. Refuses the call: REASON_NOT_FOUND, REASON_WRONG_DESTINATION, REASON_OFFLINE, what the
 * other device answers, REASON_MALFORMED. */
void shelf_ask(struct daemon *d, struct call *c, const ctl_LibraryGet *m);
void shelves_stop(struct daemon *d);                      /* who waits is told */
void shelf_on_get(struct link *l, const struct frame *f); /* SHELF_GET */

#endif
