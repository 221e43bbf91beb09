/* Shelf: what a sibling has, asked for and told, over the link between the two (`hearth library --on DEVICE`). Told to siblings of a current roster, and of what
 * they may fetch. Loop thread. */
#ifndef DAEMON_SHELF_H
#define DAEMON_SHELF_H

#include "control.pb.h"
#include "daemon/device_link.h"

struct call;

/* ctl LIBRARY_GET with a device: its rows, by title, SHELF_LISTED_MAX at most, with numbers of a listing. Refuses the call: REASON_NOT_FOUND, REASON_WRONG_DESTINATION, REASON_OFFLINE, what the
 * other device answers, REASON_MALFORMED. */
void shelf_ask(struct daemon *d, struct call *c, const ctl_LibraryGet *m);
void shelves_stop(struct daemon *d); /* who waits is told */

/* shelf_tell.c: who tells siblings. 0, -ENOMEM. */
struct shelf_teller;
int shelf_teller_new(struct daemon *d, struct shelf_teller **out) MUST_USE;
void shelf_teller_free(struct shelf_teller *s); /* questions under way get no answer; accepts NULL */
void shelf_on_get(struct link *l,
                  const struct frame *f); /* SHELF_GET: answered later; until then nothing else is read from the link */
void shelf_on_drain(struct link *l);      /* it has room for an answer again */

#endif
