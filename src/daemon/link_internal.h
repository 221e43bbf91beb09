/* Inside of the links: device_link.c (lives, users, frames) and link_greet.c (hello and rosters). */
#ifndef DAEMON_LINK_INTERNAL_H
#define DAEMON_LINK_INTERNAL_H

#include "daemon/device_link.h"
#include "daemon/transfers_internal.h"

enum link_state { LINK_OPENING, LINK_GREETING, LINK_CHECKING, LINK_OPEN, LINK_CLOSED };

struct link {
    struct transfers *owner;
    struct link *next;
    struct peer *peer; /* NULL once closed */
    struct id client;  /* known from GREETING on, or from the dial */
    enum link_state state;
    bool dialed, counted; /* counted: siblings_link_up was told */
    char address[128], name[64];
    struct serve_client *serving;
    struct link_user *users;
    uv_timer_t timer; /* hello deadline; later, idle */
    uint32_t holds;   /* peer, timer, asks */
};
void link_release(struct link *l);
/* Sends DEVICE_HELLO. 0, -errno. */
int link_greet(struct link *l) MUST_USE;
/* The first frame. Ends in link_ready, now or later, or closes the peer. */
void link_greeted(struct link *l, const struct frame *f);
void link_ready(struct link *l);

#endif
