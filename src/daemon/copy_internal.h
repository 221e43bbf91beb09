/* Inside of the copies: copy.c (rows, steps, start), copy_ask.c (getting the certificate), copy_offer.c (link, offer, delivery),
 * copy_end.c (surrender, reports, taking back). */
#ifndef DAEMON_COPY_INTERNAL_H
#define DAEMON_COPY_INTERNAL_H

#include "base/util.h"
#include "daemon/ask.h"
#include "daemon/copy.h"
#include "daemon/db.h"
#include "daemon/transfers_internal.h"
#include "protocol/documents.h"

enum copy_state {
    COPY_ASKING = 1,
    COPY_HELD = 2,
    COPY_WITHDRAWING = 3,
    COPY_DELIVERED = 4,
    COPY_REFUSED = 5,
    COPY_DONE = 6
};

struct transact_item;
struct copy {
    struct transfer t;
    int64_t row;             /* 0: not in the database yet */
    enum copy_state durable; /* as the row says */
    struct id issuer;        /* of the license: where the certificate comes from */
    uint8_t license_id[16];
    bool move, removable;
    struct buf certificate; /* as it was issued: for a move sealed to the vault */
    struct buf released;    /* a move's, once the vault has suspended the license; in memory only */
    struct buf delegation, receipt;
    uint8_t serial[16]; /* of the plain certificate */
    uint64_t ends_ms;   /* of that certificate */
    bool has_serial;
    enum reason why_withdrawn; /* a copy that the destination refused, until its signed word is here */
    struct buf info;           /* of the body, for the offer */
    uint8_t list_root[32];

    struct link_user link;
    uint32_t request;              /* open OFFER or WITHDRAW; 0: none */
    bool busy;                     /* a database job, vault call, transaction or pool job is under way */
    bool offered;                  /* on this link: the destination reads, or will sign */
    bool resumed;                  /* ASKING in an earlier run: perhaps in the outstanding transaction */
    bool cancel;                   /* wanted as soon as nothing is under way */
    int64_t active_ms;             /* when the destination last did something */
    int64_t retry_ms, next_try_ms; /* next_try_ms 0: no next try is due */
    struct transact_item *item;    /* granted, not stored yet */
    struct link_user reply_link;   /* who waits for OK after a FETCH or DELIVERED */
    uint32_t reply_request;
};
static inline struct copy *copy_of(struct transfer *t) { return container_of(t, struct copy, t); }
static inline bool copy_is_out(const struct transfer *t)
{
    return t->kind == TRANSFER_COPY_OUT || t->kind == TRANSFER_MOVE_OUT;
}

/* copy.c */
struct copy *copy_new(struct daemon *d, const struct id *issuer, const struct id *content, const uint8_t license_id[16],
                      const struct id *destination, bool move, bool removable); /* in the table; NULL: out of memory */
void copy_step(struct copy *c); /* does whatever is next; harmless when something is under way */
void copies_kick(struct daemon *d, const struct id *destination);      /* a place became free */
void copy_later(struct copy *c, enum reason why);                      /* waits, longer each time */
void copy_failed(struct copy *c, enum reason why, const char *detail); /* the row goes, then it has failed */
void copy_given_back(struct copy *c,
                     struct slice refusal); /* the same of a copy, by the destination's signed word: reported */
void copy_let_go(struct copy *c);           /* of its link */
struct slice copy_plain(
    const struct copy *c); /* as issued for a copy, released for a move; empty when a move is not released */
void copy_note_serial(struct copy *c);
/* Copies that are DONE: remembered by what they were, in memory as in their rows. */
bool copies_done(const struct daemon *d, const struct id *content, const struct id *destination, bool move);
int copies_remember(struct daemon *d, const struct id *content, const struct id *destination, bool move) MUST_USE;
void copy_reply(struct copy *c, enum reason why, const char *detail); /* to who waits for OK, if anybody */
/* Sets (or with remove deletes, or first adds) the row; a report, when its type is not 0, goes into the outbox in the same transaction, to
 * the issuer; its encoding is taken. done comes on the loop unless the copy has gone. */
struct copy_change {
    enum copy_state state;
    bool remove;
    uint16_t report_type;
    struct buf report;
    void (*done)(struct copy *c, int outcome);
};
void copy_store(struct copy *c, const struct copy_change *change);
/* on_answer comes unless the copy has gone. 0, -ENOMEM. */
int copy_ask_vault(struct copy *c, const struct ask *ask,
                   void (*on_answer)(struct copy *c, const struct answer *answer)) MUST_USE;

/* copy_ask.c */
void copy_ask(struct copy *c);
void copies_listen(struct daemon *d); /* to what distributors grant */
/* copy_offer.c */
void copy_offer(struct copy *c);
void copy_take_back(
    struct copy *c); /* a copy that is cancelled while the destination reads: tells it, without waiting */
/* copy_end.c */
void copy_delivered(struct copy *c, struct slice receipt); /* judged */
void copy_refused(struct copy *c, struct slice receipt);   /* judged; of a move */
void copy_finish(struct copy *c);                          /* DELIVERED: what is left to do of a move */
void copy_restore(struct copy *c);                         /* REFUSED */
void copy_release_license(struct copy *c);                 /* suspends the license, gets the certificate */
void copy_withdraw(struct copy *c);                        /* HELD move: from now on it is taken back */
void copy_cancel(struct copy *c);

#endif
