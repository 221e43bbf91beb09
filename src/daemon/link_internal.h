/* Inside of the links: device_link.c (lives, users, frames), link_dial.c (from addresses to a connection) and link_greet.c (hello and rosters). */
#ifndef DAEMON_LINK_INTERNAL_H
#define DAEMON_LINK_INTERNAL_H

#include "daemon/device_link.h"
#include "daemon/transfers_internal.h"

enum link_state { LINK_OPENING, LINK_GREETING, LINK_CHECKING, LINK_OPEN, LINK_CLOSED };

struct link {
    struct transfers *owner;
    struct link *next;
    struct peer *peer; /* NULL once closed, and while link_dial.c looks for it */
    struct id client;  /* known from GREETING on, or from the dial */
    enum link_state state;
    bool dialed, counted; /* counted: siblings_link_up was told */
    char address[128], name[64];
    struct dialing *dialing; /* link_dial.c; NULL: not of ours, or over */
    struct serve_client *serving;
    struct link_user *users;
    uv_timer_t timer; /* the next address; hello deadline; later, idle */
    uint32_t holds;   /* peer or attempts to have one, timer, asks */
};
extern const struct peer_callbacks link_callbacks; /* of its peer; context: the link */
void link_release(struct link *l);
/* Begins to dial wherever the sibling may be: link_callbacks' on_open comes once, or link_ended. 0, -errno; LINK_NOWHERE: no address is known. */
int link_dial(struct link *l) MUST_USE;
void link_dial_stop(struct link *l); /* nobody is dialed any more; link_ended comes unless a connection is open */
void link_ended(struct link *l, enum reason why); /* there is, or will be, no connection */
/* Sends DEVICE_HELLO. 0, -errno. */
int link_greet(struct link *l) MUST_USE;
/* The first frame. Ends in link_ready, now or later, or closes the peer. */
void link_greeted(struct link *l, const struct frame *f);
void link_ready(struct link *l);

#endif
