/* What the account bought is sent on to other devices of its household by us, when its owner has switched that on: for the account's own devices, or for
 * those that were named, also a linked distributor's. A row for each device waits until the device comes, which then takes it as an item (Restore)
 * of an exactly-once transaction. Only then is a copy certificate issued, counted, and charged by the tariff of a copy, within the account's limits;
 * so a device that never comes costs nothing, and its row goes at its end.
 *
 *   of ours:    waiting --the device's transaction--> taken (license given, certificate redeemed) --QUEUED_DONE: the content is there--> gone
 *   a guest's:  waiting --the device's transaction--> certified: the same certificate again each time it asks --receipt: stored--> gone
 *                                                      ^--------- receipt: refused; count and price come back ---'
 * Source: design section 6, flow 7. */
#ifndef DISTRIBUTOR_COPY_QUEUE_H
#define DISTRIBUTOR_COPY_QUEUE_H

#include "distributor/copies.h"
#include "distributor/devices.h"
#include "distributor/handlers.h"

#define COPY_QUEUE_LIFE_MS (INT64_C(30) * 24 * 60 * 60 * 1000)

/* AUTO_COPY (the switch), QUEUED_GET, QUEUED_DONE. */
HANDLER(copy_queue_switch);
HANDLER(copy_queue_list);
HANDLER(copy_queue_done);
/* After a purchase: a row for each of those devices that has no license for it, if the license may be copied. out->queued_user and ->queued_guests
 * are set when there are any. Writes. */
int copy_queue_add(struct operations *o, const struct license *l, int64_t now_ms, struct reply *out) MUST_USE;
/* What waits for this device, ours or a guest, of this content: the copy is made and given. 0; OPERATIONS_ABSENT (nothing waits); a reason;
 * REQUESTS_ASK_... for a guest; -errno. Writes. */
int copy_queue_give(struct operations *o, const struct caller *who, const struct device *d, const struct id *content,
                    msg_Result *result, struct reply *out) MUST_USE;
/* The certificate was redeemed, whoever brought it: nothing waits any more. Writes. */
int copy_queue_settled(struct operations *o, const struct copy *c) MUST_USE;
/* Another distributor removed its device: nothing is kept for it as that one's. client: 32 bytes. Writes. */
int copy_queue_forget(struct operations *o, int64_t distributor, const void *client) MUST_USE;

#endif
