/* Registration of a device with a distributor (S1-S4, S11-S14), the device's end, without I/O.
 *
 *   ASKING     REGISTER was (or is to be) sent over a session whose keyset has verified
 *   KEEPING    the vault judges certificate and sealed key set, and stores them durably (S4)
 *   TOKEN      the vault keeps the login token, when the distributor gave one (S61)
 *   STORING    the account's row; only after the vault has what it needs
 *   GREETING   a new account: greeted anew, as a registered device
 *   DONE
 *   REFUSED    why, refusal: nothing was stored in the row
 *
 * Every step may be repeated: a registration that was cut anywhere is finished by the same command, and the distributor, which knows the
 * device by then, answers with the same leaf. Feed what happened, do what registration_next() says until REGISTRATION_WAIT; every action
 * is under way until its outcome is fed. Any thread, one at a time. Borrowed slices of an action are valid until the next input. */
#ifndef PROTOCOL_REGISTRATION_H
#define PROTOCOL_REGISTRATION_H

#include "protocol/codec.h"
#include "protocol/reason.h"

enum registration_state {
    REGISTRATION_ASKING = 1,
    REGISTRATION_KEEPING,
    REGISTRATION_TOKEN,
    REGISTRATION_STORING,
    REGISTRATION_GREETING,
    REGISTRATION_DONE,
    REGISTRATION_REFUSED,
    REGISTRATION_STATE_COUNT
};

enum registration_action_kind {
    REGISTRATION_WAIT,
    REGISTRATION_ASK,        /* send the caller's REGISTER: registration_answered */
    REGISTRATION_KEEP,       /* SERVICE_DATA of certificate and sealed set into the vault: registration_kept */
    REGISTRATION_KEEP_LOGIN, /* LOGIN_STORE of reply.login: registration_login_kept */
    REGISTRATION_STORE,      /* the row, from `reply`: registration_stored */
    REGISTRATION_GREET,      /* begin the session anew: registration_greeted */
    REGISTRATION_END,        /* DONE or REFUSED, once */
};
struct registration_action {
    enum registration_action_kind kind;
    struct slice certificate, sealed;
};

struct registration {
    enum registration_state state;
    bool is_new; /* the account was not known here */
    bool given;
    msg_Registered reply; /* from KEEPING on */
    struct slice sealed;  /* borrowed: of the frame that was fed */
    enum reason why;
    msg_Refusal refusal; /* what to tell a person, in REFUSED */
};

void registration_init(struct registration *r, bool is_new);
struct registration_action registration_next(struct registration *r) MUST_USE;
/* reply NULL: none came, for the reason why; refusal (may be NULL): what is known about it. The reply's tail stays borrowed until
 * registration_kept. */
void registration_answered(struct registration *r, const struct frame *reply, enum reason why,
                           const msg_Refusal *refusal);
void registration_kept(struct registration *r, enum reason why, const msg_Refusal *refusal);
void registration_login_kept(struct registration *r, enum reason why, const msg_Refusal *refusal);
void registration_stored(struct registration *r, enum reason why);
void registration_greeted(struct registration *r); /* however it went: it is registered */

#endif
