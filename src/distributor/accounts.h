/* Accounts of households at this distributor. */
#ifndef DISTRIBUTOR_ACCOUNTS_H
#define DISTRIBUTOR_ACCOUNTS_H

#include "distributor/requests.h"

struct account {
    char user[OPERATIONS_NAME_BYTES], full_name[128], email[128];
    char payment_reference[128]; /* as the user says; what payments use is the payer (payments.h) */
    int64_t credit_limit, created_ms;
    uint8_t household[16];
};
/* 0, OPERATIONS_ABSENT, -errno. */
int accounts_find(struct operations *o, const char *user, struct account *out) MUST_USE;
/* The account after this one in alphabetical order; "" gives the first. 0, OPERATIONS_ABSENT. */
int accounts_next(struct operations *o, const char *after, struct account *out) MUST_USE;
/* 1 to 63 of: letters, digits, . _ @ + - */
bool accounts_name_is_valid(const char *user);
#define ACCOUNTS_PASSWORD_MIN 8
/* hash: of crypto/password.h. credit_limit below 0: the operator's default. 0, REASON_USER_EXISTS, -errno. Writes. */
int accounts_add(struct operations *o, const char *user, const char *hash, const char *full_name, const char *email,
                 int64_t credit_limit, int64_t now_ms) MUST_USE;
int accounts_set_reference(struct operations *o, const char *user, const char *reference) MUST_USE;
/* The only account here in the household of a partner's device; "" when there is none, or several. 0, -errno. */
struct device;
int accounts_of_guest(struct operations *o, const struct device *d, char user[OPERATIONS_NAME_BYTES]) MUST_USE;
/* Devices of the account, and how many it may have. 0, -errno. */
int accounts_devices(struct operations *o, const char *user, int64_t *count, int64_t *most) MUST_USE;
/* Every login token of the account ends. */
int accounts_set_password(struct operations *o, const char *user, const char *hash) MUST_USE;
int accounts_set_credit(struct operations *o, const char *user, int64_t credit_limit) MUST_USE;

#define ACCOUNTS_INVITE_BYTES 17
/* A new invitation, usable once until ends_ms. Writes. */
int accounts_invite(struct operations *o, int64_t now_ms, int64_t ends_ms, char code[ACCOUNTS_INVITE_BYTES]) MUST_USE;
/* Uses one up. 0, REASON_BAD_CREDENTIALS. Writes. */
int accounts_invite_use(struct operations *o, const char *code, const char *user, int64_t now_ms) MUST_USE;
/* Codes lie in the database as hashes only. label tells invitations from link codes. */
void accounts_code_new(struct operations *o, const char *label, char code[ACCOUNTS_INVITE_BYTES], uint8_t hash[32]);
void accounts_code_hash(const char *label, const char *code, uint8_t hash[32]);

#endif
