/* A copy or move, as its destination: from the source's offer or withdrawal to the receipt, without I/O.
 *
 *   JUDGING      an OFFER was read: the vault judges it and reserves the serial (S162-S170)
 *   REFUSING     a WITHDRAW was read, or the owner does not want it: the vault refuses the serial for good
 *   RECEIVING    taken: the body is pulled from the source (receive.h), with pauses while there is none
 *   COMMITTING   everything is here and synced: the vault stores license, header, used serial and receipt (S171-S173)
 *   DELIVERING   the source is given the receipt, or the signed refusal
 *   DONE         it was delivered, or will be when the source asks again
 *   FAILED       with `why`; what was received stays for another offer
 *   DROPPED      withdrawn or cancelled: the serial is never accepted here, nothing of it stays
 *
 * The caller feeds what happened and does what copy_in_next() says until that is COPY_IN_WAIT. (*): under way until its outcome is fed.
 * An offer of a serial that is RECEIVING already is judged by a machine of its own; instead of COPY_IN_BEGIN, the caller feeds
 * copy_in_again() to the first and frees the second. In the same way copy_in_withdrawn() follows COPY_IN_DROP. An offer of a serial that was
 * settled before is answered with the same receipt, or the same refusal.
 * Nothing here survives the process: the vault has what must, and the source offers again. Any thread, one at a time.
 * Source: seed S161-S173; design section 6.5. */
#ifndef PROTOCOL_COPY_IN_H
#define PROTOCOL_COPY_IN_H

#include "protocol/documents.h"
#include "vault.pb.h"

enum copy_in_state {
    COPY_IN_JUDGING = 1,
    COPY_IN_REFUSING,
    COPY_IN_RECEIVING,
    COPY_IN_COMMITTING,
    COPY_IN_DELIVERING,
    COPY_IN_DONE,
    COPY_IN_FAILED,
    COPY_IN_DROPPED,
    COPY_IN_STATE_COUNT
};

enum copy_in_action_kind {
    COPY_IN_WAIT,
    COPY_IN_CHECK, /* (*) CERTIFICATE_CHECK of certificate, delegation, info, list_root from `presenter`: copy_in_judged */
    COPY_IN_REFUSE,  /* (*) CERTIFICATE_REFUSE of certificate, delegation: copy_in_judged */
    COPY_IN_BEGIN,   /* (*) is there room, is it not coming already? copy_in_begun */
    COPY_IN_REPORT,  /* (*) the receipt, into the outbox: copy_in_reported */
    COPY_IN_COMMIT,  /* (*) CERTIFICATE_COMMIT, then the report into the outbox: copy_in_committed */
    COPY_IN_REPLY,   /* to the request that was read: `type`, `message` */
    COPY_IN_DENY,    /* it is refused: `why`, `detail` */
    COPY_IN_PULL,    /* begin or go on to receive from the connection: copy_in_lost, copy_in_received */
    COPY_IN_HALT,    /* receive nothing more for now */
    COPY_IN_DELIVER, /* (*) the request DELIVERED, `message`: copy_in_delivered, copy_in_lost */
    COPY_IN_DROP,    /* whatever was received under this serial goes */
    COPY_IN_HANG_UP, /* the source hears `why`, `detail` and is to come again */
};
struct copy_in_action {
    enum copy_in_action_kind kind;
    uint16_t type;
    struct slice message;
    enum reason why;
    const char *detail; /* or NULL */
};

/* What is said of a copy certificate before it is proved; `own`: the distributor of the license's leaf. */
struct certificate_name {
    struct id issuer, content, source, destination, own;
    uint8_t serial[16];
    bool move;
    uint64_t ends_ms;
    struct buf license; /* owned */
};
/* As it says; the vault verifies it before anything comes of it. 0 (*out is initialized), REASON_MALFORMED, -ENOMEM. */
int certificate_name_read(struct slice envelope, struct certificate_name *out) MUST_USE;
void certificate_name_deinit(struct certificate_name *n);

struct copy_in {
    enum copy_in_state state;
    struct certificate_name name;
    struct buf certificate, delegation, info, receipt, message;
    uint8_t list_root[32];
    enum reason why;
    char detail[256];

    enum copy_in_action_kind doing;
    uint16_t asked_type; /* OFFER or WITHDRAW that waits for its answer; 0: none */
    bool connected, pulling, paused, withdrawn;
    bool begun, reported, drop_now, hang_up_now, halt_now;
    bool declined; /* its owner does not want it; DELIVERING then brings the signed refusal */
};

/* Reads an OFFER or WITHDRAW of source (the client ID that the connection proved) to self. 0: JUDGING or REFUSING, connected;
 * copy_in_next goes on, also with the refusal. REASON_MALFORMED: close the connection; nothing was initialized. -ENOMEM. */
int copy_in_read(struct copy_in *m, const struct frame *f, const struct id *self, const struct id *source) MUST_USE;
void copy_in_deinit(struct copy_in *m); /* idempotent */

struct copy_in_action copy_in_next(struct copy_in *m) MUST_USE;
bool copy_in_has_ended(const struct copy_in *m);

/* ---- outcomes ---- */
/* why REASON_NONE: state is the vault's answer, borrowed. */
void copy_in_judged(struct copy_in *m, enum reason why, const char *detail, const vlt_CertificateState *state);
void copy_in_begun(struct copy_in *m, enum reason why); /* `detail` may have been filled */
void copy_in_reported(struct copy_in *m, enum reason why);
void copy_in_committed(struct copy_in *m, enum reason why, const char *detail, struct slice receipt);
void copy_in_delivered(struct copy_in *m, bool taken); /* taken: OK came; otherwise the source will ask again */
void copy_in_received(struct copy_in *m, enum reason why, const char *detail);

/* ---- the source ---- */
void copy_in_lost(struct copy_in *m);
/* Offered again, and judged good: the source is at the other end of a connection. REASON_IN_USE: it is being committed. */
void copy_in_again(struct copy_in *m);
void copy_in_withdrawn(struct copy_in *m); /* the vault has refused it for good */

/* ---- the owner ---- */
void copy_in_pause(struct copy_in *m);
void copy_in_resume(struct copy_in *m);
void copy_in_cancel(struct copy_in *m); /* nothing from COMMITTING on */

#endif
