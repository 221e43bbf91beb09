/* Inside of transact, shared by transact.c (what waits, the row, finishing), transact_send.c (sending, what an answer means) and transact_keep.c (keeping what
 * it grants). */
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

/* --- transact_send.c --- */
void transact_send(struct transact *t);       /* in SENDING; does nothing while an answer is awaited */
void transact_send_later(struct transact *t); /* in a while, unless a session is ready before */
/* What an earlier run left outstanding may have been executed, and is not sent any more; bit: the distributor's. */
void transact_set_aside(struct transact *t, uint32_t bit);
extern const char transact_unsure[]; /* what is said of it */

/* --- transact.c --- */
void transact_kept(struct transact *t, bool safe); /* all of it is safe, or something has to be asked for again */
void transact_end(struct transact *t);     /* the row is gone: tells each item its outcome, and begins the next ones */
void transact_release(struct transact *t); /* gives up a hold */
/* Tells all that wait, and keeps the items. */
void transact_fire_all(struct transact_item *first, enum reason why, const char *detail);
/* Stores the row as it is now; done begins with transact_job_done: NULL when t has been freed. */
void transact_run_job(struct transact *t, void (*done)(struct db_job *job, int outcome));
struct transact *transact_job_done(struct db_job *job);

#endif
