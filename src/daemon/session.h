/* Session: the one connection to an account's distributor.
 *
 * dial -> first frame KEYSET -> vault KEYSET_CHECK -> HELLO -> WELCOME -> vault TIME_CHECK -> ready. Nothing is sent before the
 * keyset has verified. A lost connection is dialed again after 1, 2, 4 .. 60 s (a fifth of it random), at once when somebody asks.
 *
 * In order: state changes (internal), then for a ready session the waiting calls in the order they were made, a roster
 * request, transact_ready and outbox_ready. Loop thread.
 */
#ifndef DAEMON_SESSION_H
#define DAEMON_SESSION_H

#include "daemon/account.h"
#include "daemon/ask.h"

enum session_state {
    SESSION_OFF,     /* not wanted */
    SESSION_WAITING, /* until the next attempt */
    SESSION_DIALING,
    SESSION_GREETING, /* protocol/greet.h */
    SESSION_READY,
    SESSION_ENDING, /* was ready; we are closing the connection */
};

int session_new(struct session **out, struct account *a) MUST_USE;
void session_start(struct session *s);
void session_free(struct session *s); /* closes; open calls are answered `cancelled`; the memory goes later */
/* Dials now when waiting. */
void session_kick(struct session *s);
/* Fetches the roster again, when ready. */
void session_refresh_roster(struct session *s);
/* Ends the connection, if there is one, and dials again at once: the address has changed, or a new greeting is wanted. */
void session_restart(struct session *s);

/* Sends once ready (dialing now if need be) and answers once. When the attempt fails, the answer is its reason. 0, -ENOMEM. */
int session_call(struct account *a, const struct ask *ask, answer_fn on_answer, void *ctx) MUST_USE;
/* Sends on the connection of this moment only. 0, -ENOTCONN when not ready, -errno. */
int session_call_now(struct account *a, const struct ask *ask, answer_fn on_answer, void *ctx) MUST_USE;
/* Fires once: the session is ready (REASON_NONE), or the attempt failed. ready_fn as answer_fn, frame NULL. 0, -ENOMEM. */
int session_when_ready(struct account *a, answer_fn on_ready, void *ctx) MUST_USE;
/* The connection of a ready session, for exchanges with many replies; NULL otherwise. Valid until the loop turns. */
struct peer *session_peer(struct account *a);

enum session_state session_state(const struct session *s);
bool session_is_ready(const struct session *s);
bool session_knows_us(const struct session *s); /* ready, and the distributor said we are registered */
/* Ready, and transactions are taken: it knows us, or as a guest. */
bool session_may_transact(const struct session *s);
/* What the distributor said last: it does not know us any more, though we are registered here. Also while it cannot be reached. */
bool session_is_forgotten(const struct session *s);
void session_forgotten(struct session *s);        /* it has just said so */
uint64_t session_number(const struct session *s); /* for TRANSACT; changes with every connection */
uint32_t session_server_bit(const struct session *s);
/* Why the last attempt failed; REASON_NONE when it did not. text: a sentence, valid until the next attempt. */
enum reason session_failure(const struct session *s, const char **text);
/* The distributor has seen this vault in a later state; false while not connected. */
bool session_vault_is_behind(const struct session *s);
/* The vault has changed: it says so to the distributor, so that a copy from before is an older one. Not ready: the next greeting does it. */
void session_present(struct session *s);
/* REGISTERED arrived on this connection: what WELCOME would have said. */
void session_registered(struct session *s, uint64_t number, uint32_t bit, uint64_t roster_sequence);

/* Finds out who answers at an address, without sending anything: root key, keyset and connection belong together.
 * on_probed: keyset NULL and why set when it failed. Source: design section 6.1 (fingerprint confirmation). 0, -ENOMEM. */
typedef void (*probe_fn)(const doc_Keyset *keyset, enum reason why, void *ctx);
int session_probe(struct daemon *d, const char *address, probe_fn on_probed, void *ctx) MUST_USE;

#endif
