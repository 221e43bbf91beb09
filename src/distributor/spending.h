/* What an account may spend in a day or a month, and the PIN that lifts it. Set by the household, held here, asked before anything is issued.
 *
 * Spent is what the ledger says of sales (licenses, copies, renewals, ownership) in the period, by any device, each less what was given back
 * of it: a refund gives room again in the period of its sale only. Periods are the calendar's, in UTC. What costs nothing is not limited.
 *
 * The right PIN (UNLOCK_SPENDING) lifts the limit for the asking device and account for SPENDING_UNLOCK_MS. The PIN is kept as an Argon2id
 * hash; wrong ones are counted for each account (login.c). The account's password sets another limit and PIN without the old one. */
#ifndef DISTRIBUTOR_SPENDING_H
#define DISTRIBUTOR_SPENDING_H

#include "distributor/requests.h"

#define SPENDING_UNLOCK_MS (10 * 60 * 1000)
#define SPENDING_PIN_MIN 4 /* digits */
#define SPENDING_PIN_MAX 12

enum spending_period { SPENDING_DAY = 1, SPENDING_MONTH = 2 };

struct spending {
    int64_t amount; /* minor units */
    enum spending_period period;
    int64_t spent;
    int64_t unlocked_until_ms; /* on this device; 0: it is not */
};
/* client: whose unlocking counts; NULL: nobody's. 0, OPERATIONS_ABSENT: no limit, -errno. */
int spending_find(struct operations *o, const char *user, const struct id *client, int64_t now_ms, struct spending *out)
    MUST_USE;
/* For billing_judge_credit: may the device that asks (o->asking) have this account charged so much more? 0, REASON_SPENDING_LIMIT (out, may be
 * NULL, then says what is spent), -errno. */
int spending_judge(struct operations *o, const char *user, int64_t price, int64_t now_ms, struct reply *out) MUST_USE;
/* The account whose PIN this device may try: its own, or one of its household that it names ("": its own, or a guest's
 * only one). A stranger may try none.
 * 0, REASON_NOT_REGISTERED, REASON_DEVICE_REVOKED, -errno. Read-only. */
int spending_account(struct operations *o, const struct id *client, const char *named, char user[OPERATIONS_NAME_BYTES])
    MUST_USE;
/* The stored hash, "" when there is no limit. 0 or -errno. Read-only. */
int spending_pin_hash(struct operations *o, const char *user, char *out, size_t cap) MUST_USE;
int spending_lock_device(struct operations *o, const struct id *client) MUST_USE; /* writes */

int64_t spending_period_start_ms(enum spending_period period, int64_t now_ms);

#endif
