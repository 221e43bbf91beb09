/* Walk: the same for every account, one after the other, on behalf of one call. All sessions are woken first, so that waiting for
 * several distributors that are away overlaps. Loop thread. */
#ifndef DAEMON_WALK_H
#define DAEMON_WALK_H

#include "daemon/account.h"
#include "daemon/ask.h"

#define WALK_ACCOUNTS_MAX 16

struct walk { /* embedded first in the operation's struct */
    struct daemon *daemon;
    struct account *accounts[WALK_ACCOUNTS_MAX]; /* references */
    unsigned count, index;
    unsigned answered;   /* accounts that answered */
    enum reason failure; /* of the last that did not */
    msg_Refusal refusal;
    void (*visit)(struct walk *w, struct account *a); /* ends in walk_next or walk_failed, now or later */
    void (*done)(struct walk *w);                     /* once, last; frees the operation */
};
/* only: this account alone, or NULL for all. Starts visiting before it returns. */
void walk_start(struct walk *w, struct daemon *d, struct account *only);
void walk_next(struct walk *w);
void walk_failed(struct walk *w, const struct answer *answer); /* remembers why, goes on */
void walk_error(struct walk *w, int error);                    /* the same for an -errno of ours or an enum reason */

#endif
