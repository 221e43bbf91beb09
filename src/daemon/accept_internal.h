/* Inside of the destination's side, the drivers of protocol/copy_in.h: offer.c (judging offers and withdrawals), accept.c (a copy on its way
 * here). */
#ifndef DAEMON_ACCEPT_INTERNAL_H
#define DAEMON_ACCEPT_INTERNAL_H

#include "base/util.h"
#include "daemon/accept.h"
#include "daemon/ask.h"
#include "daemon/commit.h"
#include "daemon/holders.h"
#include "daemon/transfers_internal.h"
#include "net/receive_run.h"
#include "protocol/copy_in.h"

struct accept {
    struct transfer t;
    struct copy_in m;
    struct receive_run *run; /* NULL: everything is here, or nothing will be */
    struct link_user link;   /* to the source, while there is one */
    struct holders holders;  /* others that have the body */
    uint32_t own;            /* the source, as one of the run; 0: it is none */
    bool own_is_wrong;       /* it has sent what is not this content's: nothing more is taken from it */
    bool merges;             /* a move, to where there is a license of its issuer's already */
    bool own_waits;          /* it does not want to send now: nor do we fetch from others */
    uint32_t request;        /* the offer that began it */
    bool stepping;           /* accept_step is under way, further up the stack */
};
static inline struct accept *accept_of(struct transfer *t) { return container_of(t, struct accept, t); }
static inline bool accept_is_in(const struct transfer *t)
{
    return t->kind == TRANSFER_COPY_IN || t->kind == TRANSFER_MOVE_IN;
}

/* An offer that the vault has found good: takes m when it returns 0, and begins. REASON_IN_USE, REASON_STORAGE_FULL (m->detail says what is missing), -errno. */
int accept_begin(struct link *l, uint32_t request, struct copy_in *m) MUST_USE;
/* The one of this serial that has not ended; NULL. */
struct accept *accept_find(struct daemon *d, const struct certificate_name *name);
/* It was offered again: the source is at the other end of l. */
void accept_again(struct accept *a, struct link *l);
void accept_withdrawn(struct accept *a);
/* The vault is asked to refuse its certificate for good. 0, -errno. */
int accept_ask_refuse(struct daemon *d, const struct copy_in *m, answer_fn on_answer, void *ctx) MUST_USE;

#endif
