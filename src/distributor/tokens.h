/* Login tokens of devices, and the policy that asks for them (S61, S73-S75, S113, S123). Only the hash of a token's public key is kept
 * (protocol/login_token.h). One token for each device; a new one replaces it.
 *
 * The setting login-policy says what a request for a purchase, a copy, or a change of the account needs:
 *
 *     device-key   the TLS key of a device that the account's password registered
 *     password     a login token of this device, also of one that a linked distributor registered
 *     both         registered here, and a login token */
#ifndef DISTRIBUTOR_TOKENS_H
#define DISTRIBUTOR_TOKENS_H

#include "distributor/requests.h"
#include "protocol/login_token.h"

enum tokens_policy { TOKENS_DEVICE_KEY, TOKENS_PASSWORD, TOKENS_BOTH };
bool tokens_policy_of(const char *word, enum tokens_policy *out); /* false: it is none */
int tokens_policy(struct operations *o, enum tokens_policy *out) MUST_USE;

/* May this caller do what needs the account's password? 0, REASON_LOGIN_NEEDED, -errno. Read-only. */
int tokens_judge(struct operations *o, const struct caller *who, struct reply *out) MUST_USE;

struct token {
    struct id client;
    uint8_t hash[32];
    char user[OPERATIONS_NAME_BYTES];
    int64_t created_ms, ends_ms, used_ms;
};
/* Draws a token for the device, sealed to its key; the session has it from this answer on. *ends_ms may be NULL. 0, REASON_MALFORMED (the
 * key), -errno. Writes. */
int tokens_issue(struct operations *o, const struct caller *who, const char *user, const uint8_t sealing_key[32],
                 uint8_t sealed[LOGIN_TOKEN_SEALED_BYTES], int64_t *ends_ms, struct reply *out) MUST_USE;
int tokens_revoke_device(struct operations *o, const struct id *client) MUST_USE; /* also when it has none. Writes. */
int tokens_revoke_user(struct operations *o, const char *user) MUST_USE;
/* The account's token after this client (zero: the first), by client. 0, OPERATIONS_ABSENT. */
int tokens_next(struct operations *o, const char *user, const struct id *after, struct token *out) MUST_USE;

#endif
