/* What the account bought is sent on to its other devices by us, when its owner has switched that on: a row for each device waits until the device
 * comes, which then takes it as an item (Restore) of an exactly-once transaction. Only then is a copy certificate issued, counted, and charged
 * by the tariff of a copy, to the account, within its limits; so a device that never comes costs nothing, and its row goes at its end.
 *
 *   waiting --the device's transaction--> taken (license given, certificate redeemed) --QUEUED_DONE: the content is there--> gone
 *
 * For devices of ours: another distributor's takes copy certificates from its source or a medium only. Source: design section 6, flow 7. */
#ifndef DISTRIBUTOR_COPY_QUEUE_H
#define DISTRIBUTOR_COPY_QUEUE_H

#include "distributor/devices.h"
#include "distributor/handlers.h"
#include "distributor/licenses.h"

#define COPY_QUEUE_LIFE_MS (INT64_C(30) * 24 * 60 * 60 * 1000)

/* AUTO_COPY (the switch), QUEUED_GET, QUEUED_DONE. */
HANDLER(copy_queue_switch);
HANDLER(copy_queue_list);
HANDLER(copy_queue_done);
/* After a purchase: a row for each other device of the account that has no license for it, if the account wants that and the license may be copied.
 * out->queued_user is set when there are any. Writes. */
int copy_queue_add(struct operations *o, const struct license *l, int64_t now_ms, struct reply *out) MUST_USE;
/* What waits for this device of this content: the copy is made and given. 0; OPERATIONS_ABSENT (nothing waits); a reason; -errno. Writes. */
int copy_queue_give(struct operations *o, const struct caller *who, const struct device *d, const struct id *content,
                    msg_Result *result, struct reply *out) MUST_USE;

#endif
