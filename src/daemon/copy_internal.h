/* Inside of the copies: the drivers of protocol/copy_out.h. copy.c (what is next, start), copy_row.c (rows), copy_ask.c (what is wanted, the certificate),
 * copy_link.c (the destination), copy_vault.c (license and body of a move, media). Each action is done in one place and its outcome is fed
 * to the machine, then copy_step goes on. */
#ifndef DAEMON_COPY_INTERNAL_H
#define DAEMON_COPY_INTERNAL_H

#include "base/util.h"
#include "daemon/ask.h"
#include "daemon/copy.h"
#include "daemon/db.h"
#include "daemon/transfers_internal.h"
#include "protocol/copy_out.h"

struct transact_item;
struct copy {
    struct transfer t;
    struct copy_out m;
    int64_t row;                           /* 0: not in the database yet */
    bool resumed;                          /* begun by an earlier run */
    bool adding;                           /* the row is being added: nothing else is done */
    bool stepping;                         /* copy_step is under way, further up the stack */
    bool ended;                            /* the transfer has heard it */
    bool issuer_full;                      /* the issuer has no room for what was asked for; it is asked again */
    bool own_room;                         /* REASON_STORAGE_FULL is said of this device */
    struct transact_item *item;            /* granted, not stored yet */
    struct link_user link;                 /* to the destination */
    struct copy *room_next, **room_before; /* waiting for room (copy_room.c); room_before NULL: it does not */
    uint32_t request;                      /* open OFFER or WITHDRAW; 0: none */
    struct link_user reply_link;           /* who waits for OK after a FETCH or DELIVERED */
    uint32_t reply_request;
    bool fetched; /* it is a FETCH that waits: FETCHED is its answer, not OK */
};
static inline struct copy *copy_of(struct transfer *t) { return container_of(t, struct copy, t); }
static inline bool copy_is_out(const struct transfer *t)
{
    return t->kind == TRANSFER_COPY_OUT || t->kind == TRANSFER_MOVE_OUT;
}

/* copy.c */
struct copy *copy_new(struct daemon *d, const struct copy_out_subject *about); /* in the table; NULL: out of memory */
void copy_wait_for_issuer(struct copy *c);                                     /* says so */
void copy_step(struct copy *c); /* does whatever is next; harmless when something is under way */
static inline int64_t copy_now_ms(const struct copy *c) { return transfers_now_ms(c->t.daemon); }

/* copy_row.c */
enum { COPY_ROW_COPY = 0, COPY_ROW_MOVE = 1, COPY_ROW_CHECKOUT = 2 }; /* values of the column `move` */
void copy_add(struct copy *c);                                        /* the first row, ASKING; then it begins */
void copy_store(struct copy *c, const struct copy_out_action *a);     /* COPY_OUT_STORE */

/* copies_done.c: copies that are DONE, remembered by what they were, in memory as in their rows */
bool copies_done(const struct daemon *d, const struct id *content, const struct id *destination, bool move);
int copies_remember(struct daemon *d, const struct id *content, const struct id *destination, bool move)
    MUST_USE; /* 0, -ENOMEM */

/* copy_ask.c */
/* The license to copy from. 0, an enum reason. */
int copy_choose_license(struct daemon *d, const struct track *t, bool checkout, const struct track_license **out)
    MUST_USE;
/* An equal one that has not ended, and fits (NULL: any); NULL. */
struct copy *copy_find_equal(struct daemon *d, const struct copy_wish *wish, bool (*fits)(struct copy_out *m));
/* Done before. t: the library's track of this content. */
bool copy_is_done(struct daemon *d, const struct copy_wish *wish, const struct track *t);
void copy_ask(struct copy *c);        /* COPY_OUT_ASK */
void copy_settle(struct copy *c);     /* is the transaction over that it may have been in? */
void copies_listen(struct daemon *d); /* to what distributors grant */

/* copy_link.c */
struct copy *copy_of_link(const struct link_user *u); /* whose offer is on a link so; NULL: it is another user */
void copy_read_head(struct copy *c);                  /* COPY_OUT_READ_HEAD */
void copy_connect(struct copy *c);                    /* COPY_OUT_CONNECT */
void copy_send(struct copy *c, uint16_t type, struct slice message); /* COPY_OUT_SEND */
void copy_let_go(struct copy *c);                                    /* COPY_OUT_LET_GO */
void copy_reply(struct copy *c, enum reason why,
                const char *detail); /* COPY_OUT_ANSWER: to who waits for OK, if anybody */
void copy_reply_closed(struct link_user *u, enum reason why);

/* copy_room.c */
bool copy_has_room(const struct copy *c); /* for one more beside those that are offered to its destination */
void copy_wait_for_room(struct copy *c);  /* copies_kick comes when one has ended */
void copy_forget_room(struct copy *c);    /* it waits no more; harmless when it did not */
void copies_kick(struct daemon *d, const struct id *destination); /* a place became free */

/* copy_vault.c */
void copy_ask_release(struct copy *c, struct slice sealed);    /* COPY_OUT_RELEASE */
void copy_ask_surrender(struct copy *c, struct slice receipt); /* COPY_OUT_SURRENDER */
void copy_ask_awaken(struct copy *c, struct slice refusal);    /* COPY_OUT_AWAKEN */
void copy_remove_body(struct copy *c);                         /* COPY_OUT_REMOVE_BODY */

#endif
