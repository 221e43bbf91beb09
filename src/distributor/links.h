/* Accounts strung together: one person's accounts at two distributors (seed: user IDs associated with each other).
 *
 * A device of A brings the code that B gave out. LINK at A runs in two halves, because A has to ask B in between:
 *     links_begin(o, who, message, &half)      checks, and names the partner to ask
 *     PARTNER_LINK{half.code, half.user} -> PARTNER_LINKED{user} on a connection to half.partner
 *     links_store(o, &half, user, now_ms, &reply)
 * Both may refuse with an enum reason (detail in reply). The partner's own refusal is passed on to the device. */
#ifndef DISTRIBUTOR_LINKS_H
#define DISTRIBUTOR_LINKS_H

#include "distributor/requests.h"

struct links_half {
    struct id partner;
    char address[OPERATIONS_ADDRESS_BYTES]; /* ours for this partner (admin), else the one in the message */
    char code[32];
    char user[OPERATIONS_NAME_BYTES]; /* our user */
};
/* Read-only. 0, REASON_NOT_REGISTERED, REASON_DEVICE_REVOKED, REASON_UNKNOWN_DISTRIBUTOR, REASON_MALFORMED, -errno. */
int links_begin(struct operations *o, const struct caller *who, struct slice message, struct links_half *out,
                struct reply *reply) MUST_USE;
/* Writes; fills reply with LINKED. */
int links_store(struct operations *o, const struct links_half *half, const char *partner_user, int64_t now_ms,
                struct reply *reply) MUST_USE;

/* Takes every link of a user apart. out (may be NULL): which partners to tell. Writes. */
int links_remove_all(struct operations *o, const char *user, struct reply *out) MUST_USE;

#endif
