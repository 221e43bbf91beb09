/* Greeting on a connection between a device and a distributor, both ends, without I/O. Source: design section 2.
 *
 * The device, from the open connection to a session that can be used:
 *
 *   KEYSET     waits for the distributor's first frame; sends nothing
 *   CHECKING   the vault verifies it: root is the distributor's, sequence not lower than known, lists this connection's key
 *   HELLO      only now it speaks; waits for WELCOME
 *   TIME       the vault takes the distributor's signed time, also of one that it is only about to register with, and judges the keyset once more: an ended
 *              one, and one whose distributor does not say what time it is, come to light here
 *   TOKEN      the vault is asked to prove a login token (S61, S113); it may have none
 *   PROVING    LOGIN_PROVE was sent; a refusal means: not logged in, and changes nothing else
 *   STANDING   the vault is shown what the distributor knows of its state, and signs what it says to it
 *   PRESENTING PRESENT was sent; a refusal means: no transaction is taken in this session
 *   FETCHING   CATCH_UP_GET was sent: the vault is an older copy of itself and has to learn what it forgot, page by page
 *   CATCHING   the vault takes a page; after the last one STANDING again, once
 *   READY      welcome says what the distributor knows of us
 *   FAILED     why, detail; the connection is to be closed
 *
 * Feed what happened, do what greet_next() says until GREET_WAIT; (*) is under way until its outcome is fed. A machine is one connection's:
 * a lost one is freed. Any thread, one at a time. Borrowed slices of an action are valid until the next input. */
#ifndef PROTOCOL_GREET_H
#define PROTOCOL_GREET_H

#include "crypto/id.h"
#include "protocol/codec.h"
#include "protocol/reason.h"

#define GREET_STEP_MS 10000 /* for the keyset, the welcome, and the judgement of a login */
#define GREET_ROLE_DEVICE 1

enum greet_state {
    GREET_KEYSET = 1,
    GREET_CHECKING,
    GREET_HELLO,
    GREET_TIME,
    GREET_TOKEN,
    GREET_PROVING,
    GREET_STANDING,
    GREET_PRESENTING,
    GREET_FETCHING,
    GREET_CATCHING,
    GREET_READY,
    GREET_FAILED,
    GREET_STATE_COUNT
};

enum greet_action_kind {
    GREET_WAIT,
    GREET_CHECK_KEYSET,   /* (*) message: the envelope; greet_checked */
    GREET_SEND,           /* HELLO, message: greet_reply */
    GREET_CHECK_TIME,     /* (*) message: the envelope, empty when it said none; greet_timed */
    GREET_PROVE_LOGIN,    /* (*) message: the challenge; greet_proved */
    GREET_SEND_PROOF,     /* LOGIN_PROVE, message: greet_reply */
    GREET_CHECK_STANDING, /* (*) message: the envelope; greet_stood */
    GREET_SEND_STATEMENT, /* PRESENT, message: greet_reply */
    GREET_SEND_CATCH_UP,  /* CATCH_UP_GET, message: greet_reply */
    GREET_TAKE_PAGE,      /* (*) message: the envelope; greet_page_taken */
    GREET_DONE,           /* READY, once */
    GREET_HANG_UP,        /* FAILED, once: why, detail */
};
struct greet_action {
    enum greet_action_kind kind;
    struct slice message;
    enum reason why;
    const char *detail; /* or NULL */
};

struct greet {
    enum greet_state state;
    uint64_t generation;
    struct buf keyset, message, page;
    msg_Welcome welcome; /* from TIME on */
    msg_LoginProve proof;
    bool roster_changed; /* said after WELCOME, before READY */
    msg_Present statement;
    uint8_t after[49];             /* where the next page begins (standing.h) */
    bool behind, caught_up;        /* what the vault said to the standing; both: it has caught up in this greeting */
    bool presented;                /* the distributor took the vault's word: it takes transactions */
    bool logged_in, login_refused; /* in READY; refused: the token is worth nothing any more */
    enum reason why;
    char detail[256];
    int64_t deadline_ms;
    bool given; /* this state's action was given */
};

/* In READY: the distributor has seen a later state of this vault, which has not caught up. */
bool greet_is_behind(const struct greet *g);
/* generation: of the device's vault. */
void greet_init(struct greet *g, uint64_t generation, int64_t now_ms);
void greet_deinit(struct greet *g); /* idempotent, also of zeroes */
struct greet_action greet_next(struct greet *g) MUST_USE;
/* A frame that is not a reply. true: it was for the greeting (or is ignored); false: READY, it is the caller's. */
bool greet_frame(struct greet *g, const struct frame *f) MUST_USE;
void greet_checked(struct greet *g, enum reason why, const char *detail, int64_t now_ms);
void greet_reply(struct greet *g, const struct frame *reply, enum reason why,
                 int64_t now_ms); /* reply NULL: none came */
void greet_timed(struct greet *g);
void greet_proved(struct greet *g, const msg_LoginProve *proof, int64_t now_ms); /* NULL: there is no token */
/* The vault's answer to the standing: its statement, and whether it is current. NULL: it gives none; then all else goes on. */
void greet_stood(struct greet *g, const msg_Present *statement, bool current, int64_t now_ms);
/* after NULL: the page was refused, the vault stays behind. */
void greet_page_taken(struct greet *g, const uint8_t after[49], bool done, int64_t now_ms);
int64_t greet_deadline_ms(const struct greet *g); /* INT64_MAX: none */
void greet_late(struct greet *g, int64_t now_ms); /* fails when the deadline has passed */

/* The other end, a distributor or directory: it has sent its keyset and hears a stranger until the HELLO was judged. */
enum greet_server_state { GREET_SERVER_STRANGER = 0, GREET_SERVER_JUDGING, GREET_SERVER_READY };
enum greet_verdict {
    GREET_JUDGE, /* the HELLO: now JUDGING */
    GREET_SERVE,
    GREET_QUEUE,  /* after it has been judged */
    GREET_REFUSE, /* out of order: *detail says why; close */
};
enum greet_verdict greet_server_frame(enum greet_server_state *s, uint16_t type, const char **detail) MUST_USE;
/* false: not JUDGING, nothing changes. */
bool greet_server_judged(enum greet_server_state *s);

#endif
