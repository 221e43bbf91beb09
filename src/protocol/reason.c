/* The table of reasons, and the one mapping from inner failures to what a peer is told. Any thread. */
#include "protocol/reason.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "protocol/codec.h"

struct entry {
    const char *code, *text, *remedy;
};

static const struct entry entries[REASON_COUNT] = {
    [REASON_NONE] = { "none", "There is nothing to refuse.", NULL },
    [REASON_BAD_CREDENTIALS] = { "bad-credentials", "User and password do not fit.",
                                 "Check what was typed, user name, password or code, and run it again. A code that was used or is over: ask for another." },
    [REASON_UNKNOWN_DEVICE] = { "unknown-device", "This device is not known there.",
                                "Register it first: hearth register URL" },
    [REASON_DEVICE_REVOKED] = { "device-revoked", "This device was removed from its household.",
                                "Register it again: hearth register URL" },
    [REASON_UNKNOWN_CONTENT] = { "unknown-content", "This content is not known there.", "Look it up: hearth browse" },
    [REASON_NO_LICENSE] = { "no-license", "There is no license for this content.",
                            "What was bought before comes back: hearth restore. If it does not, ask the distributor; or buy it: hearth get TRACK" },
    [REASON_CREDIT_REFUSED] = { "credit-refused", "The account's credit does not cover the price.",
                                "See what is owed, and pay it: hearth bills" },
    [REASON_NOT_OWNED] = { "not-owned", "The destination does not belong to this household.",
                           "Register it, or link the two accounts: hearth link" },
    [REASON_COPY_COUNT_EXHAUSTED] = { "copy-count-exhausted", "The license allows no further copy.",
                                      "See what it allows: hearth show TRACK. Or move it: hearth move TRACK --to DEVICE" },
    [REASON_OUTSIDE_DOWNLOAD_PERIOD] = { "outside-download-period", "This content may not be downloaded at this time.",
                                         NULL },
    [REASON_SIGNATURE_INVALID] = { "signature-invalid", "A signature does not verify.", NULL },
    [REASON_DELEGATION_INVALID] = { "delegation-invalid", "The issuer was not entitled to issue this.", NULL },
    [REASON_WRONG_DESTINATION] = { "wrong-destination", "This was issued for another device.", NULL },
    [REASON_SERIAL_ALREADY_USED] = { "serial-already-used", "This copy certificate was used before.",
                                     "Ask for a new one: hearth copy TRACK --to DEVICE" },
    [REASON_CONTENT_ID_MISMATCH] = { "content-id-mismatch", "The content is not the one the certificate names.", NULL },
    [REASON_CERTIFICATE_EXPIRED] = { "certificate-expired", "The certificate has ended, or is not valid yet.",
                                     "Ask for a new one: hearth copy TRACK --to DEVICE" },
    [REASON_LICENSE_EXPIRED] = { "license-expired", "The license's usage period is over.",
                                 "If it can be renewed: hearth renew TRACK; if not, it is bought anew: hearth get TRACK" },
    [REASON_LICENSE_SUSPENDED] = { "license-suspended", "The license was given to a move that is not finished.",
                                   "See: hearth transfers" },
    [REASON_LEASE_ENDED] = { "lease-ended", "The lease of the license has ended.",
                             "Go online: it is refreshed by itself, or at once by hearth refresh TRACK" },
    [REASON_USE_EXHAUSTED] = { "use-exhausted", "The plays or the playing time of the license are used up.",
                               "If it can be renewed: hearth renew TRACK; if not, it is bought anew: hearth get TRACK" },
    [REASON_USE_LOG_DUE] = { "use-log-due", "The use log of this device has to reach the license's issuer first.",
                             "Go online; it is sent by itself." },
    [REASON_CLOCK_UNTRUSTED] = { "clock-untrusted", "This device's clock cannot be trusted now.",
                                 "Set the clock, or let the device reach its distributor once: hearth doctor" },
    [REASON_BLOCK_CORRUPT] = { "block-corrupt", "A block of the content is damaged.",
                               "Transfer it again: hearth get TRACK --download-only" },
    [REASON_KEY_BLOCK_OUTDATED] = { "key-block-outdated", "The key block is older than the newest one known here.",
                                    "Ask for a new certificate: hearth copy TRACK --to DEVICE" },
    [REASON_KEYSET_INVALID] = { "keyset-invalid", "The distributor's keys cannot be trusted.",
                                "Compare the distributor's ID with the one it publishes." },
    [REASON_STORAGE_FULL] = { "storage-full", "There is not enough room for this.", "Make room: hearth remove TRACK" },
    [REASON_IN_USE] = { "in-use", "It is in use at this moment.", "Try again when it is free." },
    [REASON_NOT_PERMITTED] = { "not-permitted", "This is not permitted.", NULL },
    [REASON_OUT_OF_STEP] = { "out-of-step", "The device and the distributor do not agree on the last transaction.",
                             NULL },
    [REASON_SESSION_REPLACED] = { "session-replaced", "A later session of this device is current.", NULL },
    [REASON_OFFLINE] = { "offline", "The other end cannot be reached now.",
                         "Check that it runs and that the network is there; then run the command again." },
    [REASON_UNKNOWN_DISTRIBUTOR] = { "unknown-distributor", "This distributor is not known here.",
                                     "hearth accounts lists those that are. Another one: hearth register URL" },
    [REASON_NOT_REGISTERED] = { "not-registered", "This device is not registered there.",
                                "Register it: hearth register URL" },
    [REASON_USER_EXISTS] = { "user-exists", "There is an account of this name already.",
                             "Choose another name, or register without --new-account." },
    [REASON_QUOTE_CHANGED] = { "quote-changed", "What was asked for is not offered, or its quoted price has ended.",
                               "See what is offered now: hearth get TRACK" },
    [REASON_CHOOSE_PRODUCT] = { "choose-product", "There are several products to choose from.",
                                "Name one of them: --product N" },
    [REASON_CONFIRM_DISTRIBUTOR] = { "confirm-distributor", "The distributor's ID must be confirmed.",
                                     "Compare the ID and give it in the URL." },
    [REASON_AMBIGUOUS] = { "ambiguous", "The name fits several.", "Give more of the ID." },
    [REASON_NOT_FOUND] = { "not-found", "There is nothing of this name.", NULL },
    [REASON_ALREADY] = { "already", "This was done before; nothing changed.", NULL },
    [REASON_CANCELLED] = { "cancelled", "It was cancelled.", NULL },
    [REASON_UNPLAYABLE] = { "unplayable", "This media type cannot be played here.", NULL },
    [REASON_MALFORMED] = { "malformed", "The other end sent something that cannot be read.", NULL },
    [REASON_TOO_LARGE] = { "too-large", "This is larger than what is accepted.", NULL },
    [REASON_DEVICE_LIMIT] = { "device-limit", "The account has as many devices as it may have.",
                              "Remove one that is no longer used, on another: hearth devices remove DEVICE" },
    [REASON_RATE_LIMITED] = { "rate-limited", "There were too many requests.", "Wait a while, then try again." },
    [REASON_TIMED_OUT] = { "timed-out", "The other end did not answer in time.", "Try again." },
    [REASON_INTERNAL] = { "internal", "Something failed at the other end.", NULL },
    [REASON_LOGIN_NEEDED] = { "login-needed", "The account's password has to be given on this device first.",
                              "Log in: hearth login DISTRIBUTOR" },
    [REASON_SPENDING_LIMIT] = { "spending-limit", "This is more than the account's own spending limit allows.",
                                "Whoever has the PIN lifts it for a while: hearth unlock DISTRIBUTOR" },
    [REASON_STILL_OWED] = { "still-owed", "Something is still owed.", "See what is owed, and pay it: hearth bills" },
    [REASON_WRONG_PIN] = { "wrong-pin", "The PIN is not right.",
                           "The account's password sets another: hearth limit DISTRIBUTOR AMOUNT --password" },
    [REASON_VAULT_BEHIND] = { "vault-behind", "This device was put back from an older copy and has not caught up.",
                              "Connect it to the distributor, then look again: hearth doctor" },
    [REASON_VAULT_ALTERED] = { "vault-altered", "The vault's database was changed by another program.",
                               "Put all of vault/ back as it was; or move it away, register again, and: hearth restore" },
    [REASON_CATCH_UP_NEEDED] = { "catch-up-needed", "The device has not shown that it is not an older copy of itself.",
                                 "Let it connect again; if that does not help, update it and see: hearth doctor" },
    [REASON_UNKNOWN_PROGRAM] = { "unknown-program", "There is no program of this name.",
                                 "See which there are: hearth programs" },
    [REASON_PROGRAM_WITHDRAWN] = { "program-withdrawn", "This program is not given out any more.",
                                   "See what is: hearth programs" },
    [REASON_PROGRAM_OUTDATED] = { "program-outdated", "This device has, or had, a later version of the program.",
                                  "If the older one is wanted all the same: hearth programs get NAME --older" },
    [REASON_PROVIDER_UNKNOWN] = { "provider-unknown", "The program is signed by another provider than it should be.",
                                  "Ask the distributor who provides it before using it." },
    [REASON_PROGRAM_UNUSABLE] = { "program-unusable", "The program does not work here.",
                                  "Look for a later version: hearth programs get NAME" },
    [REASON_OUTPUT_FAILED] = { "output-failed", "The output does not work, or works no more.",
                               "Sound: hearth outputs lists what there is, --output silent does without. A window: is DISPLAY right?" },
    [REASON_METADATA_NOT_PERMITTED] = { "metadata-not-permitted",
                                        "Its signer is not among those that content and license permit.", NULL },
    [REASON_METADATA_OUTDATED] = { "metadata-outdated", "Its signer has given out a later one, which was here.", NULL },
    [REASON_METADATA_ENDED] = { "metadata-ended", "Its time has ended, or has not begun.", NULL },
    [REASON_CHOOSE_POSITION] = { "choose-position",
                                 "It was left at different places on devices that did not know of each other.",
                                 "Say which: hearth play TRACK --position DEVICE, or --position start" },
};

static const struct entry *entry_of(enum reason r)
{
    return r >= REASON_NONE && r < REASON_COUNT ? &entries[r] : &entries[REASON_INTERNAL];
}

const char *reason_code(enum reason r) { return entry_of(r)->code; }

const char *reason_text(enum reason r) { return entry_of(r)->text; }

const char *reason_remedy(enum reason r) { return entry_of(r)->remedy; }

enum reason reason_of_code(const char *code)
{
    for (int r = REASON_NONE + 1; r < REASON_COUNT; r++)
        if (strcmp(entries[r].code, code) == 0)
            return (enum reason)r;
    return REASON_INTERNAL;
}

enum reason reason_of_reply(const struct frame *reply, uint16_t expected_type, msg_Refusal *refusal)
{
    msg_Refusal read;
    if (reply->type == expected_type)
        return REASON_NONE;
    if (reply->type != msg_Type_REFUSAL || CODEC_DECODE(msg_Refusal, reply->message, &read) != 0)
        return REASON_MALFORMED;
    if (refusal != NULL)
        *refusal = read;
    return reason_of_code(read.code);
}

void reason_refusal(msg_Refusal *out, enum reason r, const char *detail)
{
    const struct entry *e = entry_of(r);
    *out = (msg_Refusal)msg_Refusal_init_zero;
    CODEC_SET_TEXT(out->code, e->code);
    CODEC_SET_TEXT(out->text, detail ? detail : e->text);
    out->has_remedy = e->remedy != NULL;
    bool general = r == REASON_IN_USE || r == REASON_LICENSE_EXPIRED || r == REASON_USE_EXHAUSTED ||
                   r == REASON_STORAGE_FULL || r == REASON_NO_LICENSE;
    if (general && detail && strstr(detail, "hearth ")) /* it names what helps here */
        out->has_remedy = false;
    /* Room is made where it lacks. */
    if (r == REASON_STORAGE_FULL && detail && !strstr(detail, "this device"))
        out->has_remedy = false;
    if (out->has_remedy)
        CODEC_SET_TEXT(out->remedy, e->remedy);
}

enum reason reason_of_error(int error)
{
    if (error >= 0)
        return error < REASON_COUNT ? (enum reason)error : REASON_INTERNAL;
    switch (error) {
    case -ENOSPC:
    case -EDQUOT:
        return REASON_STORAGE_FULL;
    case -EPROTO:
        return REASON_MALFORMED;
    case -EMSGSIZE:
        return REASON_TOO_LARGE;
    case -ETIMEDOUT:
    case -EAGAIN: /* a database server that was away, or is: nothing is lost by asking again */
    case -EHOSTDOWN:
    case -EINPROGRESS:
        return REASON_TIMED_OUT;
    default:
        return REASON_INTERNAL;
    }
}
