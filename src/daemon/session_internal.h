/* Inside of a session, shared by the files of session.h only.
 *
 *   session.c         life: states, dialing, failing, trying again, facts
 *   session_greet.c   from the first frame to ready
 *   session_roster.c  the roster, when it has changed
 *   session_call.c    calls: waiting for the session, sending, answering */
#ifndef DAEMON_SESSION_INTERNAL_H
#define DAEMON_SESSION_INTERNAL_H

#include "daemon/session.h"
#include "protocol/greet.h"

struct session_waiting {
    struct ask_copy copy; /* fields NULL and type 0: only waits for the session to be ready */
    struct session_waiting *next;
    struct account *account; /* a reference */
};

struct session {
    struct account *account; /* owns the session */
    struct daemon *daemon;
    enum session_state state;
    struct peer *peer;
    uv_timer_t timer;
    uint32_t holds;   /* timer handle, peer, vault calls, requests: memory stays until none is left */
    uint32_t attempt; /* tells answers of an earlier connection from those of this one */
    uint32_t failures;
    bool closing;
    bool at_once; /* the next attempt does not wait */
    bool told;    /* people have heard that it is connected, and not yet that it is no more */

    struct session_waiting *first, **last;
    struct greet greet; /* of this connection */
    struct buf roster;  /* an envelope that the vault looks at */
    bool known;
    bool forgotten; /* registered here, but it does not know us any more */
    uint64_t number;
    uint32_t server_bit;
    uint64_t roster_sequence; /* what the distributor has */
    bool roster_busy, roster_again;
    bool presenting, present_again; /* session_present */
    enum reason failure;
    char failure_text[320];
};

/* Something asked of the vault on behalf of a connection: remembers which one. */
struct session_step {
    struct session *session;
    uint32_t attempt;
};

/* --- session.c --- */
void session_set_state(struct session *s, enum session_state to);
void session_release(struct session *s);            /* gives up a hold */
const char *session_label(const struct session *s); /* for people and the log */
void session_note_failure(struct session *s, enum reason why, const char *detail);
void session_hang_up(struct session *s, enum reason why, const char *detail); /* closes; on_closed follows */

/* --- session_greet.c --- */
extern const struct peer_callbacks session_callbacks; /* of the connection; on_closed is session.c's */
void session_closed(struct peer *p, enum reason why, void *ctx);
struct session_step *session_step_new(struct session *s); /* NULL: out of memory */
bool session_step_is_current(const struct session_step *step);
/* Ends the step; the session when the connection is still the same one, else NULL (and the session may be gone). */
struct session *session_step_end(struct session_step *step);

/* One question to the vault, as a step. False: the session is over. */
bool session_vault_step(struct session *s, const struct ask *ask, answer_fn on_answer);
void session_greet_step(struct session *s); /* does what the greeting says next; the last thing a callback does */

/* --- session_standing.c --- */
void session_check_standing(struct session *s, struct slice envelope);
void session_take_page(struct session *s, struct slice envelope);
void session_tell_standing(struct session *s); /* events, when it is ready */

/* --- session_roster.c --- */
void session_fetch_roster(struct session *s);

/* --- session_call.c --- */
void session_send_waiting(struct session *s);
void session_answer_waiting(struct session *s, enum reason why, const char *detail); /* all of them, without sending */
void session_fail_waiting(struct session *s); /* with what session_note_failure noted */

#endif
