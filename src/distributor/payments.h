/* Payments asked of customers, as rows. Their way, each step durable before the next begins:
 *
 *   PREPARED --taken--> HANDED --the command says paid-->     PAID       posted to the ledger in the same transaction
 *                         |    --the command says declined--> DECLINED   no credit until something is paid
 *                         +----anything else, or nothing----> HANDED     handed again later, with the same key
 *
 * What became of a handed payment is not known until the command says so: it is never prepared anew, only handed again with its key, by which
 * the command knows it. A user has at most one that is open. */
#ifndef DISTRIBUTOR_PAYMENTS_H
#define DISTRIBUTOR_PAYMENTS_H

#include "distributor/ledger.h"
#include "distributor/operations_schema.h"

#define PAYMENTS_KEY_BYTES 16
#define PAYMENTS_PAYER_BYTES 192
#define PAYMENTS_DETAIL_BYTES 192
#define PAYMENTS_COMMAND_BYTES 1024

struct payment {
    uint64_t number;
    uint8_t key[PAYMENTS_KEY_BYTES]; /* random; the idempotency key */
    char user[OPERATIONS_NAME_BYTES];
    int64_t amount;
    char payer[PAYMENTS_PAYER_BYTES]; /* what the command knows the user by */
    uint32_t state;                   /* enum payment_state */
    uint32_t attempts;
    int64_t prepared_ms, next_ms, ended_ms; /* ended: 0 while open */
    int64_t busy_until_ms;                  /* a command may be at work on it until then; 0: none is */
    char detail[PAYMENTS_DETAIL_BYTES];     /* the command's words */
};

/* Prepares one over what the user owes; amount: of that, 0 for all. *out is it, or the one that is open. 0; REASON_ALREADY: one is open;
 * REASON_NOT_FOUND: no such user, or nothing is owed; REASON_TOO_LARGE: less is owed. Writes. */
int payments_prepare(struct operations *o, const char *user, int64_t amount, int64_t now_ms, struct payment *out)
    MUST_USE;
/* After a sale: prepares one when the user owes the setting collect-at or more, and none is open. 0 or -errno. Writes. */
int payments_collect(struct operations *o, const char *user, int64_t now_ms) MUST_USE;

/* Is one due now, and is there a command? 0, OPERATIONS_ABSENT, -errno. Read-only. */
struct payments_command {
    char path[PAYMENTS_COMMAND_BYTES];
    int64_t timeout_ms;
};
int payments_due(struct operations *o, int64_t now_ms, struct payments_command *command) MUST_USE;
/* Takes the one that is due longest: HANDED from here on. Nobody else takes it before the command was ended for its slowness (timeout_ms and
 * PAYMENTS_END_MS, in which clocks may differ as well), on whichever machine it runs. 0, OPERATIONS_ABSENT. Writes. */
#define PAYMENTS_END_MS INT64_C(10000)
int payments_take(struct operations *o, int64_t now_ms, int64_t timeout_ms, struct payment *out) MUST_USE;

/* The lock that the command holds while it, or what it started, runs: one at a time, whatever was killed. *lock: close it. 0; -EWOULDBLOCK: a command
 * runs; -errno. */
int payments_lock(const char *state_dir, int *lock) MUST_USE;

enum payment_outcome { PAYMENT_SAYS_PAID, PAYMENT_SAYS_DECLINED, PAYMENT_SAYS_NOTHING };
/* attempt: of the payment that was taken; whoever took too long to say nothing does not speak for the attempt after it. PAYMENTS_ANY_ATTEMPT: the operator,
 * who is refused (REASON_IN_USE) while another server over this database may have a command at work on it; here payments_lock tells.
 * 0; also when it ended so before. REASON_NOT_PERMITTED: it ended otherwise; REASON_NOT_FOUND. Writes. */
#define PAYMENTS_ANY_ATTEMPT UINT32_MAX
int payments_end(struct operations *o, const uint8_t key[PAYMENTS_KEY_BYTES], uint32_t attempt,
                 enum payment_outcome outcome, const char *detail, int64_t now_ms) MUST_USE;
/* Due at once. 0; REASON_NOT_FOUND; REASON_ALREADY: it has ended; REASON_IN_USE: as payments_end. Writes. */
int payments_retry(struct operations *o, uint64_t number, int64_t now_ms) MUST_USE;

int payments_get(struct operations *o, uint64_t number, struct payment *out) MUST_USE; /* 0, OPERATIONS_ABSENT */
/* The next after this number, of a user (NULL: all) and state (0: all). 0, OPERATIONS_ABSENT. */
int payments_next(struct operations *o, uint64_t after, const char *user, uint32_t state, struct payment *out) MUST_USE;

/* What the command knows a user by; never a card number. "": nothing. */
int payments_payer(struct operations *o, const char *user, char out[PAYMENTS_PAYER_BYTES]) MUST_USE;
int payments_set_payer(struct operations *o, const char *user, const char *payer)
    MUST_USE; /* 0, REASON_NOT_FOUND, REASON_MALFORMED (not printable, too long), REASON_NOT_PERMITTED (a card number). Writes. */

#endif
