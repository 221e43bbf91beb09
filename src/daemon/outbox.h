/* Outbox: reports that must reach a distributor, kept until it has acknowledged them: REDEEM, MOVE_DONE, MOVE_CANCEL.
 * Source: seed S153; design section 6.5. Loop thread. */
#ifndef DAEMON_OUTBOX_H
#define DAEMON_OUTBOX_H

#include "daemon/account.h"
#include "daemon/db.h"
#include "protocol/copy_out.h"

int outbox_start(struct daemon *d) MUST_USE; /* loads what is waiting */
void outbox_stop(struct daemon *d);
/* Inside a database job: adds a report durably together with the caller's own changes. encoded: a canonical message of that type.
 * distributor: who gets it; one that this device is not registered with is relayed by its own (any account). */
int outbox_add(struct store *store, const struct id *distributor, uint16_t type, struct slice encoded, int64_t *number)
    MUST_USE;
/* On the loop, after that job is done: the report may go. The same values. 0, -ENOMEM (then it goes after the next start). */
int outbox_added(struct daemon *d, int64_t number, const struct id *distributor, uint16_t type, struct slice encoded)
    MUST_USE;
void outbox_ready(struct account *a); /* its session is ready: deliver */
uint32_t outbox_waiting(const struct daemon *d);
/* Is the refusal of such a copy still on its way to the issuer? */
bool outbox_gives_back(const struct daemon *d, const struct copy_out_subject *about);

#endif
