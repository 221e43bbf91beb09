/* Transactions: every paid or counted request to a distributor, exactly once, from the device's side (R5, protocol/txn.h).
 *
 * Items wait; up to TRANSACT_ITEMS_MAX of them make one transaction. Its row (bit, ID, items) is durable before it is sent, is
 * sent again with the same bytes on every new session until it is answered, and is finished only when every result is safe: a
 * license in the vault, a copy certificate with the copy handler. The last of a run is committed.
 * Source: seed S63-S66, S114, S115; related system R5. Loop thread. */
#ifndef DAEMON_TRANSACT_H
#define DAEMON_TRANSACT_H

#include "daemon/account.h"
#include "daemon/ask.h"

#define TRANSACT_ITEMS_MAX 256

struct transact;
struct transact_item; /* one item on its way */

struct transact_outcome {
    enum reason why;            /* REASON_NONE: result is set and stored */
    const msg_Refusal *refusal; /* else */
    const msg_Result *result;   /* borrowed until the callback returns */
};
typedef void (*transact_fn)(const struct transact_outcome *outcome, void *ctx);
/* item: exactly one member set; copied. A distributor that cannot be reached now is answered `offline` and nothing is kept; one that is
 * lost after the row was stored is answered `offline` too (the text says that it goes on), and the item is completed later. 0, -errno. */
int transact_submit(struct account *a, const msg_Item *item, transact_fn on_outcome, void *ctx) MUST_USE;

/* Waits for a purchase of that content that is under way already, perhaps since an earlier run: it must not be bought twice.
 * 0, TRANSACT_NONE (there is none; on_outcome does not fire), TRANSACT_BUSY (somebody else waits for it), -errno. */
#define TRANSACT_NONE 1
#define TRANSACT_BUSY 2
int transact_join(struct account *a, const struct id *content, transact_fn on_outcome, void *ctx) MUST_USE;

/* Who keeps copy certificates (copy.c). Called for every granted copy item, also those of an earlier run: stores result durably,
 * then calls transact_item_stored (0 or -errno; -errno keeps the transaction outstanding). */
typedef void (*transact_copy_fn)(struct account *a, const msg_CopyAsk *ask, const msg_Result *result,
                                 struct transact_item *item);
void transact_set_copy_handler(struct daemon *d, transact_copy_fn handler);
void transact_item_stored(struct transact_item *item, int outcome);

/* For account.c and session.c. */
int transact_new(struct transact **out, struct account *a) MUST_USE;
/* What the database knew: bit, and the outstanding transaction if id is 16 bytes. */
int transact_load(struct transact *t, uint32_t bit, struct slice id, struct slice items) MUST_USE;
void transact_free(struct transact *t);  /* waiting items are answered `cancelled` */
void transact_ready(struct transact *t); /* a new session is ready: send again */
/* The distributor has seen the vault in a later state: this device was restored from an older copy. What an earlier run left outstanding may have
 * been executed since, and is set aside: it ends REASON_OUT_OF_STEP, as what is queued does, and is not sent again. NULL is allowed. */
void transact_put_back(struct transact *t);
/* That happened in this run: what earlier runs began is not to be asked for again. */
bool transact_was_put_back(const struct transact *t);
bool transact_outstanding(const struct transact *t);

#endif
