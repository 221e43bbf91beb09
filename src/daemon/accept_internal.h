/* Inside of the destination's side: accept.c (a copy on its way here), offer.c (judging offers and withdrawals before it). */
#ifndef DAEMON_ACCEPT_INTERNAL_H
#define DAEMON_ACCEPT_INTERNAL_H

#include "base/util.h"
#include "daemon/accept.h"
#include "daemon/ask.h"
#include "daemon/commit.h"
#include "daemon/receive_run.h"
#include "daemon/transfers_internal.h"

struct accept {
    struct transfer t;
    struct certificate_name name;
    struct buf certificate, delegation, info, receipt;
    uint8_t list_root[32];
    struct receive_run *run; /* NULL: the body is here */
    struct link_user link;   /* to the source, while there is one */
    bool committing;
};
static inline struct accept *accept_of(struct transfer *t) { return container_of(t, struct accept, t); }
static inline bool accept_is_in(const struct transfer *t)
{
    return t->kind == TRANSFER_COPY_IN || t->kind == TRANSFER_MOVE_IN;
}

/* An offer the vault has found good. name is taken on success. 0, REASON_IN_USE, REASON_STORAGE_FULL, -errno. */
int accept_begin(struct link *l, const msg_Offer *offer, struct certificate_name *name, struct accept **out) MUST_USE;
/* The one of this serial that has not ended; NULL. */
struct accept *accept_find(struct daemon *d, const struct certificate_name *name);
/* The source is (again) at the other end of l, and was told that the offer is taken. */
void accept_attach(struct accept *a, struct link *l);
/* It was withdrawn, or is not wanted here: nothing of it stays. */
void accept_drop(struct accept *a, enum reason why);

#endif
