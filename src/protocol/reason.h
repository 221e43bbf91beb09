/* Reasons: what a peer or a person is told when something is refused. Stable codes, a sentence, a remedy.
 * Positive, so that checking functions return them as outcomes; 0 is "no reason to refuse". */
#ifndef PROTOCOL_REASON_H
#define PROTOCOL_REASON_H

#include "messages.pb.h"

enum reason {
    REASON_NONE = 0,
    REASON_BAD_CREDENTIALS = 1,  /* bad-credentials */
    REASON_UNKNOWN_DEVICE,       /* unknown-device */
    REASON_DEVICE_REVOKED,       /* device-revoked */
    REASON_UNKNOWN_CONTENT,      /* unknown-content */
    REASON_NO_LICENSE,           /* no-license */
    REASON_CREDIT_REFUSED,       /* credit-refused */
    REASON_NOT_OWNED,            /* not-owned: the destination is not of this household */
    REASON_COPY_COUNT_EXHAUSTED, /* copy-count-exhausted */
    REASON_OUTSIDE_DOWNLOAD_PERIOD,
    REASON_SIGNATURE_INVALID,
    REASON_DELEGATION_INVALID,
    REASON_WRONG_DESTINATION,
    REASON_SERIAL_ALREADY_USED,
    REASON_CONTENT_ID_MISMATCH,
    REASON_CERTIFICATE_EXPIRED,
    REASON_LICENSE_EXPIRED,
    REASON_LICENSE_SUSPENDED, /* license-suspended: given to a move that is not finished */
    REASON_LEASE_ENDED,       /* lease-ended: asleep, until it was returned and refreshed (R3) */
    REASON_USE_EXHAUSTED,     /* use-exhausted: plays or playing time of the license are used up */
    REASON_USE_LOG_DUE, /* use-log-due: so much of the use log was not brought to the issuer that nothing more may be played */
    REASON_CLOCK_UNTRUSTED,
    REASON_BLOCK_CORRUPT,
    REASON_KEY_BLOCK_OUTDATED, /* key-block-outdated: older than the newest this device knows */
    REASON_KEYSET_INVALID, /* keyset-invalid: wrong root, older sequence, ended, or not the key of this connection */
    REASON_STORAGE_FULL,
    REASON_IN_USE,
    REASON_NOT_PERMITTED,
    REASON_OUT_OF_STEP,
    REASON_SESSION_REPLACED, /* session-replaced: a later session of this device is current */
    REASON_OFFLINE,
    REASON_UNKNOWN_DISTRIBUTOR,
    REASON_NOT_REGISTERED, /* not-registered: register first */
    REASON_USER_EXISTS,
    REASON_QUOTE_CHANGED, /* quote-changed: ended or no longer what is offered */
    REASON_CHOOSE_PRODUCT,
    REASON_CONFIRM_DISTRIBUTOR,
    REASON_AMBIGUOUS, /* ambiguous: the name fits several */
    REASON_NOT_FOUND,
    REASON_ALREADY, /* already: done before, nothing changed */
    REASON_CANCELLED,
    REASON_UNPLAYABLE, /* unplayable: the player cannot render this media type */
    REASON_MALFORMED,
    REASON_TOO_LARGE,
    REASON_DEVICE_LIMIT, /* device-limit: the account has as many devices as it may have */
    REASON_RATE_LIMITED,
    REASON_TIMED_OUT,
    REASON_INTERNAL,       /* internal: our own failure, details only in our log */
    REASON_LOGIN_NEEDED,   /* login-needed: this device has to prove the account's password first */
    REASON_SPENDING_LIMIT, /* spending-limit: more than the household allows itself */
    REASON_WRONG_PIN,
    REASON_STILL_OWED,    /* still-owed: an account ends when nothing is owed on either side */
    REASON_VAULT_BEHIND,  /* vault-behind: the vault is an older copy of itself and has not caught up */
    REASON_VAULT_ALTERED, /* vault-altered: rows of its database are not those that it wrote */
    REASON_CATCH_UP_NEEDED, /* catch-up-needed: the same, said by a distributor; or the vault has not spoken in this session */
    REASON_UNKNOWN_PROGRAM,   /* unknown-program */
    REASON_PROGRAM_WITHDRAWN, /* program-withdrawn: it is not given out any more */
    REASON_PROGRAM_OUTDATED,  /* program-outdated: not later than what this device has, or had */
    REASON_PROVIDER_UNKNOWN, /* provider-unknown: signed by somebody nobody vouches for, or by another one than before */
    REASON_PROGRAM_UNUSABLE,       /* program-unusable: it is whole, but does not do what its kind must */
    REASON_OUTPUT_FAILED,          /* output-failed: a sound device or window */
    REASON_METADATA_NOT_PERMITTED, /* metadata-not-permitted: its signer is not among those that content and license name */
    REASON_METADATA_OUTDATED,      /* metadata-outdated: its signer has said something later */
    REASON_METADATA_ENDED,         /* metadata-ended */
    REASON_CHOOSE_POSITION, /* choose-position: left at different places on devices that did not know of each other */
    REASON_COUNT
};
const char *reason_code(enum reason r);       /* "no-license" */
const char *reason_text(enum reason r);       /* a sentence */
const char *reason_remedy(enum reason r);     /* what to do next, or NULL */
enum reason reason_of_code(const char *code); /* REASON_INTERNAL for a code this version does not know */
/* A reply of the expected type: REASON_NONE. A readable refusal: its reason, and *refusal (may be NULL). Else REASON_MALFORMED. */
struct frame;
enum reason reason_of_reply(const struct frame *reply, uint16_t expected_type, msg_Refusal *refusal);
/* Fills a Refusal; detail (may be NULL) replaces the standard sentence, and of those that have several causes the remedy, when it names a `hearth` command. The
 * remedy of REASON_STORAGE_FULL is that of "this device", without a detail or with one that says these words. */
void reason_refusal(msg_Refusal *out, enum reason r, const char *detail);
/* The one place where a failure inside becomes something a peer is told: -ENOSPC storage-full, -EPROTO malformed,
 * -EMSGSIZE too-large, -ETIMEDOUT timed-out, other negatives internal. Positive values must be reasons already. */
enum reason reason_of_error(int error);

#endif
