/* Every request a device or partner can make of a distributor, as one synchronous call on one database connection.
 * No sockets, no waiting: what needs another server is reported to the caller, who asks it and runs the request again.
 *
 * The writer thread runs each request inside a savepoint of a group-committed transaction (operations.h):
 *
 *     r = requests_run(o, &who, type, message, tail, &reply);
 *     0                        reply is the answer; keep the savepoint. reply.type msg_Type_NONE: send nothing.
 *     an enum reason           a refusal: roll the savepoint back, send reason_refusal(reason, reply.detail or NULL)
 *                              with reply.tail as its tail (only out-of-step has one)
 *     REQUESTS_ASK_DIRECTORY   roll back, pull the directory (shares applied, share.h), run again with
 *                              who.directory_asked set, whether or not the directory could be reached
 *     REQUESTS_ASK_PARTNER     roll back, fetch delegation and key grant from the distributor reply.ask
 *                              (delegations.h), run again with its ID added to who.partners_asked
 *     REQUESTS_FINISH_FIRST    roll back, late_finish() (late.h), run again; only with o->late
 *     negative                 roll back, send reason_of_error()
 * An answer may leave the process only after the transaction is committed. Several requests of one group see each
 * other's changes in the order in which they ran. */
#ifndef DISTRIBUTOR_REQUESTS_H
#define DISTRIBUTOR_REQUESTS_H

#include "distributor/operations.h"
#include "protocol/documents.h"

#define REQUESTS_ASK_DIRECTORY 3001
#define REQUESTS_ASK_PARTNER 3002
#define REQUESTS_FINISH_FIRST 3003
#define REQUESTS_PARTNERS_MAX 16
#define REQUESTS_QUEUED_GUESTS_MAX 32 /* as many as a household has devices */

enum requests_role { REQUESTS_DEVICE = 1, REQUESTS_DISTRIBUTOR = 2, REQUESTS_CONTENTS = 3 }; /* as msg.Hello.role */

/* Who asks. Lives as long as the connection; the server sets it up and keeps session and user up to date. */
struct caller {
    enum requests_role role;
    struct id client;                 /* REQUESTS_DEVICE: its client ID, hashed from key */
    uint8_t key[32];                  /* the TLS key of the connection */
    uint64_t session;                 /* reply.session of HELLO or REGISTER; 0 before */
    struct id partner;                /* REQUESTS_DISTRIBUTOR: whose keyset this is */
    const doc_Keyset *partner_keyset; /* judged, lists `key` for TLS; borrowed */
    int64_t now_ms;
    /* Of this connection: what LOGIN_PROVE must sign, and the login token that was proved on it (its hash; tokens.h). */
    bool has_challenge, has_token;
    uint8_t challenge[32], token[32];
    /* Requests with a password only (login.h): the server hashed on the pool. */
    bool password_ok; /* the password fits requests_password_hash() of this user; the PIN spending_pin_hash() */
    const char *password_hash; /* of the new password given; NULL when not computed */
    bool directory_asked;
    struct id partners_asked[REQUESTS_PARTNERS_MAX];
    size_t partners_asked_count;
};

/* A link that UNLINK took apart: tell the partner, PARTNER_UNLINK{user, partner_user}; its own row goes also by sharing. */
#define REQUESTS_UNLINKED_MAX 4
struct reply_unlinked {
    struct id partner;
    char user[OPERATIONS_NAME_BYTES], partner_user[OPERATIONS_NAME_BYTES];
};

enum reply_login { REPLY_LOGIN_AS_BEFORE, REPLY_LOGGED_IN, REPLY_LOGGED_OUT };

struct reply {
    uint16_t type; /* msg_Type */
    struct buf message, tail;
    char detail[256];                 /* with a refusal: a sentence instead of the standard one, or "" */
    uint64_t session;                 /* HELLO, REGISTER: keep in caller.session */
    char user[OPERATIONS_NAME_BYTES]; /* HELLO, REGISTER: the device's account, "" when not registered (roster.h) */
    bool has_challenge;               /* HELLO: keep in caller.challenge */
    uint8_t challenge[32];
    enum reply_login login; /* LOGGED_IN: keep in caller.token */
    uint8_t token[32];
    struct id ask;                                         /* REQUESTS_ASK_PARTNER */
    struct reply_unlinked unlinked[REQUESTS_UNLINKED_MAX]; /* UNLINK */
    size_t unlinked_count;
    char queued_user
        [OPERATIONS_NAME_BYTES]; /* copies wait now for devices of this account: tell those that are there; or "" */
    struct id queued_guests[REQUESTS_QUEUED_GUESTS_MAX]; /* and for these, which are other distributors' */
    size_t queued_guest_count;
    bool sends_body; /* to a guest: something is given to it, and it may fetch bodies on this connection */
};
void reply_init(struct reply *r);
void reply_free(struct reply *r); /* idempotent */

/* message, tail: borrowed, as they came in the frame. reply: initialised, filled as said above.
 * What needs the account's password is refused `login-needed` as the setting login-policy says (tokens.h).
 * Types served: HELLO REGISTER LOGIN_PROVE LOGIN LOGOUT PASSWORD_SET LIMIT_SET UNLOCK_SPENDING ACCOUNT_EXPORT ACCOUNT_ERASE UNREGISTER DEVICE_RENAME DEVICE_REMOVE ROSTER_GET LINK_CODE_GET UNLINK ACCOUNT_GET
 * BILLS_GET CATALOGUE_GET QUOTE_GET TERMS_GET HEADER_GET TRANSACT COMMIT REDEEM REDEEMS MOVE_DONE MOVE_CANCEL USE_LOG ADDRESS_GET AUTO_COPY QUEUED_GET QUEUED_DONE of devices;
 * DELEGATION_GET GRANT_GET PARTNER_LINK PARTNER_UNLINK ROWS_GET of partners (whose HELLO is the server's own business).
 * PROGRAMS_GET PROGRAM_GET PROGRAM_BLOCKS_GET of devices too (programs.h).
 * LINK: links.h. Any other type, or one of the other role: REASON_NOT_PERMITTED.
 * Source: seed S1-S4, S11-S14, S21-S23, S31-S38, S71-S85, S121-S141. */
int requests_run(struct operations *o, const struct caller *who, uint16_t type, struct slice message, struct slice tail,
                 struct reply *out) MUST_USE;
/* What such a request will ask the database, in a batch (writer.h); changes nothing. */
void requests_ahead(struct operations *o, const struct caller *who, uint16_t type, struct slice message,
                    struct slice tail, unsigned pass);
/* Needs no write transaction: CATALOGUE_GET, QUOTE_GET, TERMS_GET, ACCOUNT_GET, ACCOUNT_EXPORT, BILLS_GET, GRANT_GET, ADDRESS_GET, ROWS_GET, QUEUED_GET, PROGRAMS_GET, PROGRAM_BLOCKS_GET. May run on a connection opened
 * with OPERATIONS_READ_ONLY, which sees what was committed. */
bool requests_is_read_only(uint16_t type);

/* For requests with a password, before the pool spends time on Argon2id: the stored hash of a user. 0, out "" when there is no such user
 * (then let password_matches(NULL, ...) spend the same time); -errno. *registered: this client is registered to that user
 * already (limits.h: not a stranger). Read-only. */
int requests_password_hash(struct operations *o, const char *user, const struct id *client, char *out, size_t cap,
                           bool *registered) MUST_USE;
/* The account that a device of ours belongs to, or, of a guest, the only one of its household here; "" when there is none. 0, -errno. Read-only. */
int requests_user_of(struct operations *o, const struct id *client, char user[OPERATIONS_NAME_BYTES]) MUST_USE;

#endif
