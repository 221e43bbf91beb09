/* Lobby: the listener and everyone who is connected, by connection, by address and by user. */
#ifndef DISTRIBUTOR_LOBBY_H
#define DISTRIBUTOR_LOBBY_H

#include "distributor/session.h"

/* Listens and accepts. *port: as bound. 0; -EINVAL (the address), -errno; what was begun is undone by lobby_stop. */
int lobby_start(struct lobby **out, struct server *server, uint16_t *port) MUST_USE;
/* Nobody comes in any more; who is there is served on. */
void lobby_shut(struct lobby *l);
/* Nobody is listened to any more; once what runs is answered (config.stop_seconds at most) each session hears that we stop and is closed.
 * on_stopped fires once, when the last session is gone (at once for NULL). */
void lobby_stop(struct lobby *l, void (*on_stopped)(struct server *), struct server *server);
void lobby_free(struct lobby *l); /* after on_stopped; accepts NULL */

/* --- For session.c --- */
void lobby_leave(struct session *s);                      /* before it is freed */
void lobby_set_user(struct session *s, const char *user); /* "": none */
void lobby_expect_greeting(struct session *s);            /* closed unless it greets in time; pings do not count */
void lobby_pace(struct session *s, uint64_t wait_ms);     /* session_resume after that */
void lobby_forget_connection(struct session *s);          /* its peer is gone */
bool lobby_is_stopping(const struct lobby *l);

/* --- For everybody --- */
/* The keyset is another one: KEYSET to every device, which judges it as the first one. Distributors are hung up on while they are idle, a few at a
 * time; they come back and see the new one: its keys, its end, the delegations that it no longer honours. */
void lobby_show_keyset(struct lobby *l);
/* Devices that were not known when they came may be known by now: they are hung up on, come again, and are greeted as whose they are. */
void lobby_greet_again(struct lobby *l);
/* Connections from now on. Borrowed until the lobby is freed. */
void lobby_set_identity(struct lobby *l, const struct peer_identity *identity);
/* ROSTER_CHANGED to every session of a user. */
void lobby_push_roster(struct lobby *l, const char *user);
/* QUEUE_CHANGED to every session of a user, and to those guests. */
void lobby_push_queue(struct lobby *l, const char *user, const struct id *guests, size_t guest_count);
/* Users who are online, as names whose value is the roster sequence announced last (watch.c). */
const struct names *lobby_users(const struct lobby *l);
/* Calls visit for each connected distributor. */
void lobby_visit_distributors(struct lobby *l, void (*visit)(struct session *s, void *ctx), void *ctx);

struct lobby_figures {
    uint64_t strangers, devices, distributors; /* connections */
    uint64_t running, waiting;                 /* requests */
};
void lobby_figures(const struct lobby *l, struct lobby_figures *out); /* walks through all; zeros for NULL */

#endif
