/* Inside of transact, shared by transact.c (the row, sending, finishing) and transact_keep.c (the answer, keeping what it grants). */
#ifndef DAEMON_TRANSACT_INTERNAL_H
#define DAEMON_TRANSACT_INTERNAL_H

#include "daemon/db.h"
#include "daemon/transact.h"
#include "protocol/txn.h"

enum transact_stage { IDLE, CONNECTING, STORING, SENDING, KEEPING, FINISHING };

struct transact_item {
    struct transact *transact;
    struct transact_item *next;
    msg_Item item;
    struct id content; /* of the quote or the copy; zero when it cannot be told */
    struct buf encoded;
    transact_fn on_outcome; /* NULL: nobody waits (any more) */
    void *ctx;
    msg_Result *result;
    enum reason why; /* of a refusal, by the distributor or the vault */
    msg_Refusal refusal;
    bool kept;
};

struct transact {
    struct account *account;
    struct daemon *daemon;
    enum transact_stage stage;
    struct txn_client client;
    struct transact_item *queue, **queue_last;
    struct transact_item *batch;
    uint32_t batch_count, to_keep;
    bool keep_failed, in_flight, timer_open, closing;
    bool resumed;     /* the outstanding one is an earlier run's */
    bool put_back;    /* see transact_put_back */
    struct buf items; /* the tail, as stored and sent */
    struct db_job job;
    uint8_t stored_id[TXN_ID_BYTES];
    uv_timer_t timer;
    uint32_t holds; /* timer, job, asks */
};

/* --- transact_keep.c --- */
/* Does the answer fit the outstanding transaction? Then each item has its result. */
bool transact_take_answer(struct transact *t, const struct frame *f);
/* Makes every result safe; ends in transact_kept. */
void transact_keep_all(struct transact *t);
/* The tail of "out-of-step": the pending response of a transaction that this device does not remember. Its licenses go to the vault.
 * The distributor's bit, or the one given when it cannot be told. */
uint32_t transact_keep_old(struct transact *t, struct slice tail, uint32_t bit);

/* --- transact.c --- */
void transact_kept(struct transact *t, bool safe); /* all of it is safe, or something has to be asked for again */
void transact_release(struct transact *t);         /* gives up a hold */

#endif
