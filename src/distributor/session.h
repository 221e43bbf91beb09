/* Sessions: the connections others made to us. A device says HELLO with role 1, a distributor with role 2 and its keyset;
 * before that nothing else is heard. One request of a session runs at a time, in the order of arrival; what waits is bounded
 * in number and bytes, and beyond the bound its socket is not read. Bodies and pings go past that queue.
 *
 * A session is small (about 300 bytes beside its peer): ten thousand idle ones are normal. */
#ifndef DISTRIBUTOR_SESSION_H
#define DISTRIBUTOR_SESSION_H

#include "distributor/server.h"
#include "distributor/throttle.h"
#include "protocol/greet.h"

struct exchange;

enum session_state {
    SESSION_OPENING,  /* handshake */
    SESSION_STRANGER, /* our keyset is sent, HELLO is awaited */
    SESSION_GREETING, /* HELLO is being judged; what follows it waits */
    SESSION_READY,
    SESSION_CLOSED, /* the peer is gone; the session stays until its exchange has ended */
};

struct session_waiting; /* a frame in the queue */

struct session {
    struct server *server;
    struct peer *peer; /* NULL once closed */
    enum session_state state;
    enum greet_server_state greeting;
    enum requests_role role;
    struct id id;                  /* client ID of a device, root ID of a distributor */
    uint8_t key[32];               /* of the connection */
    uint64_t number;               /* a device's session number (R5) */
    bool has_challenge, has_token; /* tokens.h */
    uint8_t challenge[32], token[32];
    doc_Keyset *keyset;          /* of a distributor; owned */
    struct name *address, *user; /* names in use; user NULL when not registered */
    struct session *next_of_user, *next, *previous;
    struct exchange *running;
    struct session_waiting *first, *last;
    uint32_t waiting_count;
    bool paused_by_queue, paused_by_pace;
    bool sends_body; /* to a guest: requests.h */
    struct session *next_paced;
    int64_t pace_until_ms;
    int64_t greet_by_ms, heard_ms;
    uint64_t frame_ns;          /* when the frame that is being started was whole */
    uint32_t keyset_generation; /* of the keyset that it was shown */
    struct quota quota;
    struct bucket pace;
    struct serve_client *bodies; /* NULL until it asks for one */
    struct directory_pull *pull; /* directory.c */
};

/* For lobby.c: a connection that was accepted; fills its callbacks. NULL: no memory. */
struct session *session_new(struct server *server, struct peer *p, struct peer_callbacks *callbacks);
/* Its socket may be read again, as far as nothing else forbids it. */
void session_resume(struct session *s);

/* For exchange.c: the session's exchange has ended; its next request may run. */
void session_exchange_ended(struct session *s);
/* HELLO was judged: the session is ready. user "" when not registered; roster_sequence: as the device was told.
 * A distributor's keyset: takes it. */
void session_greeted(struct session *s, uint64_t number, const char *user, uint64_t roster_sequence);
void session_greeted_contents(struct session *s);
void session_greeted_distributor(struct session *s, const struct id *id, doc_Keyset *keyset);
/* The account changed (REGISTER, UNREGISTER: ""). */
void session_set_user(struct session *s, uint64_t number, const char *user);
/* What HELLO, REGISTER, LOGIN... said about challenge and login token. */
void session_set_login(struct session *s, const struct reply *r);
/* Sends a refusal, its tail too (out-of-step). */
void session_refuse(struct session *s, uint32_t request, enum reason reason, const char *detail, struct slice tail);
/* rate-limited: come back after that. */
void session_refuse_later(struct session *s, uint32_t request, uint64_t retry_ms);

#endif
