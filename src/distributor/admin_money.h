/* What the commands about money share. */
#ifndef DISTRIBUTOR_ADMIN_MONEY_H
#define DISTRIBUTOR_ADMIN_MONEY_H

#include "distributor/admin.h"
#include "distributor/delegations.h"
#include "distributor/ledger.h"

/* By name or the beginning of its ID. 0 or an exit code after saying why. */
int admin_find_partner(struct admin *a, const char *word, struct partner *out) MUST_USE;
/* "alice", "user:alice", "holder:x", "partner:x", "revenue", "payments": an account of the ledger. 0 or an exit code. */
int admin_find_account(struct admin *a, const char *word, char out[LEDGER_ACCOUNT_BYTES]) MUST_USE;
/* A number from 1 on. 0 or -EINVAL. */
int admin_parse_number(const char *text, uint64_t *out) MUST_USE;

#endif
