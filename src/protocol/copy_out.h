/* A copy or move, as its source: from the wish to the destination's receipt, without I/O.
 *
 * Every state is durable before the next one is acted on, and everything may be done twice:
 *
 *   ASKING       asked of the issuer (or about to be); the transaction knows whether it was granted (txn.h)
 *   HELD         the certificate is here (S115); for a move sealed, until the vault has suspended the license
 *   WITHDRAWING  to be taken back: only the destination's signed refusal can (a receipt instead means: too late, it is done)
 *   DELIVERED    a move's receipt is here: surrender, delete, report
 *   REFUSED      a move's signed refusal is here: wake the license, report
 *   DONE         all of it happened and the certificate is gone (S153)
 *   GONE         nothing remains: `why` says how it ended (REASON_NONE: it was written to a medium)
 *
 * The caller feeds what happened and then does what copy_out_next() says until that is COPY_OUT_WAIT. An action marked (*) is under way until
 * its outcome is fed; no other of them is given before that. What is lost with the process (a connection, an answer, a store that failed)
 * is begun again from the state. Any thread, one at a time. Borrowed slices of an action are valid until the next input.
 * Source: seed S111-S115, S151-S153; design sections 5 and 6.5. */
#ifndef PROTOCOL_COPY_OUT_H
#define PROTOCOL_COPY_OUT_H

#include "protocol/documents.h"

#define COPY_OUT_RETRY_FIRST_MS 2000
#define COPY_OUT_RETRY_LAST_MS 60000
#define COPY_OUT_SILENCE_MS 60000 /* a destination that took the offer and reads nothing is offered again */
/* A plain copy that is being taken back is forgotten this long after its certificate's end: its destination is not coming back, and
 * could not accept it any more. A move never is. */
#define COPY_OUT_GIVE_UP_MS (30 * 24 * 3600 * INT64_C(1000))

enum copy_out_state {
    COPY_OUT_ASKING = 1, /* the numbers are those of stored rows */
    COPY_OUT_HELD,
    COPY_OUT_WITHDRAWING,
    COPY_OUT_DELIVERED,
    COPY_OUT_REFUSED,
    COPY_OUT_DONE,
    COPY_OUT_GONE,
    COPY_OUT_STATE_COUNT
};

enum copy_out_action_kind {
    COPY_OUT_WAIT,
    COPY_OUT_ASK, /* (*) ask the issuer: copy_out_granted, copy_out_given_already, copy_out_denied or copy_out_unanswered */
    COPY_OUT_RELEASE, /* (*) the vault suspends the license and opens `message`, the sealed certificate: copy_out_released */
    COPY_OUT_READ_HEAD,   /* (*) content information and list root of the body: copy_out_head */
    COPY_OUT_SURRENDER,   /* (*) the vault gives the license up for `message`, the receipt: copy_out_surrendered */
    COPY_OUT_REMOVE_BODY, /* (*) unless another license needs it: copy_out_removed */
    COPY_OUT_AWAKEN,      /* (*) the vault wakes the license for `message`, the signed refusal: copy_out_awake */
    COPY_OUT_STORE, /* (*) state `to`, with the report `type`, `message` (0: none) in one transaction: copy_out_stored */
    COPY_OUT_CONNECT, /* to the destination: copy_out_connected, copy_out_lost or copy_out_blocked */
    COPY_OUT_SEND,    /* the request `type`, `message`: copy_out_reply */
    COPY_OUT_LET_GO,  /* of the connection and an open request: no outcome comes */
    COPY_OUT_TELL,    /* whoever waits hears `why`, `detail`, though the work goes on */
    COPY_OUT_LATER,   /* it waits, for `why` */
    COPY_OUT_ANSWER,  /* the FETCH or DELIVERED that waits: OK, or refused with `why` */
};
struct copy_out_action {
    enum copy_out_action_kind kind;
    enum copy_out_state to;
    uint16_t type;
    struct slice message;
    enum reason why;
    const char *detail; /* or NULL */
};

struct copy_out_subject {
    struct id issuer, content, source, destination; /* issuer: of the license, hence of the certificate */
    uint8_t license_id[16];
    bool move, removable;
    bool checkout; /* a move that comes back, or goes back */
};

struct copy_out {
    enum copy_out_state state;
    struct copy_out_subject about;
    struct buf certificate; /* as issued: for a move sealed to the vault */
    struct buf delegation, receipt;
    struct buf released; /* a move's certificate, opened; only in memory */
    struct buf info, surrender, report, message;
    uint8_t list_root[32], serial[16];
    uint64_t issued_ms, ends_ms; /* of the certificate, as soon as it can be read */
    bool has_serial;
    bool asleep;     /* the vault has suspended the license for this move */
    enum reason why; /* it is withdrawn, or ended, for this reason */
    char detail[256];

    enum copy_out_action_kind doing; /* the (*) under way; COPY_OUT_WAIT: none */
    enum copy_out_state to;          /* to be stored; 0: nothing */
    uint16_t report_type, asked_type;
    bool unsure;  /* the issuer may have been asked already: the outstanding transaction will say */
    bool offered; /* the destination reads, or will sign */
    bool paused, cancelled, wanted_again, overtaken, gone, blocked, connecting, connected, body_removed, awake;
    bool fresh;    /* granted in this run, and not taken at the destination yet */
    bool declined; /* its end is the destination's wish */
    bool renew;    /* wanted since it was last taken there: a refusal of before is not the answer to that */
    bool anew;     /* GONE for such a refusal: the caller begins another, with a certificate of its own */
    bool answer_due, answer_now, tell_now, later_now, let_go_now;
    enum reason answer_why, tell_why, later_why;
    int64_t active_ms;             /* when the destination last did something */
    int64_t retry_ms, next_try_ms; /* next_try_ms 0: nothing is waited for */
};

void copy_out_init(struct copy_out *m, const struct copy_out_subject *about); /* ASKING */
void copy_out_deinit(struct copy_out *m);                                     /* idempotent */
/* Takes up a stored one: certificate, delegation and receipt have been appended to. unsure: it may be in the outstanding transaction.
 * copy_out_next is to be called without an input once, since no input may ever come. */
void copy_out_resume_from(struct copy_out *m, enum copy_out_state state, bool asleep, bool unsure);

/* now_ms: monotonic, as everywhere here. wall_ms: against the certificate's end; 0 when it is not known. */
struct copy_out_action copy_out_next(struct copy_out *m, int64_t now_ms, int64_t wall_ms) MUST_USE;
/* When copy_out_next is to be called without an input; INT64_MAX: never. */
int64_t copy_out_deadline_ms(const struct copy_out *m);
bool copy_out_has_ended(const struct copy_out *m); /* DONE or GONE, stored */

/* ---- outcomes ---- */
/* Is a certificate that was granted wanted here? Also without ASK under way (the answer of an earlier run). */
bool copy_out_wants_grant(const struct copy_out *m);
int copy_out_granted(struct copy_out *m, struct slice certificate, struct slice delegation) MUST_USE; /* 0, -ENOMEM */
/* What was granted is the open certificate of an equal copy that is on its way back: asked again when that is settled. */
void copy_out_given_already(struct copy_out *m, int64_t now_ms);
void copy_out_denied(struct copy_out *m, enum reason why, const char *detail);
/* It was sent, or may have been, or waits for its issuer to be found: it goes on, and so do we. detail: for whoever has a medium in hand. */
void copy_out_unanswered(struct copy_out *m, enum reason why, const char *detail, int64_t now_ms);
/* why: REASON_NONE, or what the vault said: a judgement ends the move, anything else is tried again. */
void copy_out_released(struct copy_out *m, enum reason why, const char *detail, struct slice certificate,
                       int64_t now_ms);
/* The transaction that it may have been in is over. */
void copy_out_settled(struct copy_out *m);
/* why REASON_NOT_FOUND or another lasting one: there is no body to give, and the certificate is taken back. */
void copy_out_head(struct copy_out *m, enum reason why, struct slice info, const uint8_t list_root[32], int64_t now_ms);
void copy_out_surrendered(struct copy_out *m, enum reason why, struct slice surrender, int64_t now_ms);
void copy_out_removed(struct copy_out *m, enum reason why, int64_t now_ms);
void copy_out_awake(struct copy_out *m, enum reason why, int64_t now_ms);
void copy_out_stored(struct copy_out *m, enum reason why, int64_t now_ms);

/* ---- the destination ---- */
void copy_out_connected(struct copy_out *m);
void copy_out_blocked(struct copy_out *m); /* no connection may be made now: waits for copy_out_kick */
void copy_out_lost(struct copy_out *m, enum reason why, int64_t now_ms);
/* The answer to SEND; reply NULL: none came, for the reason why. */
void copy_out_reply(struct copy_out *m, const struct frame *reply, enum reason why, int64_t now_ms);
/* DELIVERED: reads the message. 0, REASON_MALFORMED. */
int copy_out_read_delivered(struct slice message, msg_Delivered *out, doc_Receipt *receipt) MUST_USE;
bool copy_out_is_about(const struct copy_out *m, const doc_Receipt *receipt);
/* That receipt, verified, and what it says. 0: an ANSWER follows; REASON_IN_USE: not now, it will be said again. */
int copy_out_delivered(struct copy_out *m, struct slice envelope, const doc_Receipt *receipt, int64_t now_ms) MUST_USE;
/* FETCH: answered when there is a certificate, or with the reason why there is none. 0, REASON_IN_USE. */
int copy_out_fetched(struct copy_out *m) MUST_USE;
void copy_out_unheard(struct copy_out *m);                /* whoever waits for the ANSWER has gone */
void copy_out_active(struct copy_out *m, int64_t now_ms); /* it reads */

/* ---- people and media ---- */
void copy_out_pause(struct copy_out *m);
void copy_out_resume(struct copy_out *m);
void copy_out_cancel(struct copy_out *m); /* as soon as nothing is under way; too late from DELIVERED on */
void copy_out_overtaken(
    struct copy_out *m); /* a move whose license was given to this device anew: the issuer has voided it */
/* gone: its destination was removed from the household, and nothing more is said to it. A copy ends; so does a move whose license is awake;
 * another move waits for its license to be given anew, or for the destination to belong there again. Not for media. */
void copy_out_destination_gone(struct copy_out *m, bool gone);
/* The same is wanted again: it goes on at once, and is not taken back any more if it was being cancelled (plain copies only). When the
 * destination has refused this certificate meanwhile, it is GONE with `anew`. false: it is on its way back for another reason. */
bool copy_out_again(struct copy_out *m);
void copy_out_kick(struct copy_out *m, bool at_once); /* a place is free; at_once: the destination is here */
void copy_out_written(struct copy_out *m);            /* a removable one: the medium has it durably (S153) */
/* The certificate that may leave this device: empty while a move's is sealed. */
struct slice copy_out_certificate(const struct copy_out *m);

#endif
