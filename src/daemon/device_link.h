/* Links: connections between devices of the household. Both ends say DEVICE_HELLO first, with their newest roster; after that a link is
 * ready. What may be done on it follows from a current roster of one's own, never from the connection alone; an offer may also come
 * from a device whose certificate names both ends (the vault judges that). Source: design section 2; seed P5.
 *
 * A user of a link gets on_ready at most once, then on_closed at most once; neither from within link_open nor after link_leave. Loop thread. */
#ifndef DAEMON_DEVICE_LINK_H
#define DAEMON_DEVICE_LINK_H

#include "daemon/daemon.h"
#include "net/peer.h"

struct link;
struct link_user {                                           /* embedded by who uses a link */
    void (*on_ready)(struct link_user *u);                   /* only after link_open returned 0 */
    void (*on_closed)(struct link_user *u, enum reason why); /* u has left already */
    struct link *link;                                       /* NULL: not on one */
    struct link_user *next;
    bool waiting; /* on_ready is still to come */
};

void links_start(struct daemon *d);
void links_stop(struct daemon *d); /* everybody is told; connections close */
/* Joins the link to a sibling, making one if need be: wherever it may be is tried (siblings_places), one address beside the other, until one proves its key.
 * 0: on_ready or on_closed will come. LINK_READY: it can be used now. LINK_NOWHERE: not a sibling, or no address is known. -errno. */
#define LINK_READY 1
#define LINK_NOWHERE 2
int link_open(struct daemon *d, const struct id *client, struct link_user *u) MUST_USE;
void link_join(struct link *l, struct link_user *u); /* one that is there; only on_closed comes */
void link_leave(struct link_user *u);                /* may be called at any time, also twice */
/* Everybody who is on a link to this client, waiting ones included. `with` leaves them where they are. */
void links_users(const struct daemon *d, const struct id *client, void (*with)(const struct link_user *u, void *ctx),
                 void *ctx);

/* Rosters name others than before: who connected before we knew that it is a sibling is one now. */
void links_household_changed(struct daemon *d);
/* Where a sibling is announced has changed: a connection to where it is announced no more is asked sooner whether it is alive. */
void links_seen(struct daemon *d, const struct id *client);

struct peer *link_peer(const struct link *l);
const struct id *link_client(const struct link *l);
const char *link_name(const struct link *l); /* for people: the sibling's name, or its short ID */
bool link_is_trusted(const struct link *l);  /* the other end is in a current roster now */
bool link_is_used(const struct link *l);     /* somebody has joined it */
struct daemon *link_daemon(const struct link *l);
void link_refuse(struct link *l, uint32_t request, enum reason why, const char *detail);

#endif
