/* The end of an account: everything about the person goes, money stays under a pseudonym that nothing leads back from.
 *
 * Gone: account, password, tokens, limit, payer, devices with names, certificates and sessions, rosters, links, licenses, what was downloaded and
 * copied. Shared rows are withdrawn by removal rows; what the outbox held of them before is replaced by empty rows (share_forget.h), also in the
 * directory. Kept: ledger lines and postings, payments without payer, leaves of revoked devices, copies whose price a partner's statement
 * still has to name; each under the pseudonym or with zeroes in place of the device.
 *
 * Licenses on devices go on playing what they have: it was paid for, and nothing could take it back (docs/SECURITY.md). Nothing new is issued for
 * them. The name is given to nobody again. Source: design section 6.2 (accounts). */
#ifndef DISTRIBUTOR_ERASE_H
#define DISTRIBUTOR_ERASE_H

#include "distributor/requests.h"

/* forgive: by the operator, whatever is owed on either side is written off. out (may be NULL): links to tell partners of, and the reason.
 * 0; REASON_NOT_FOUND; REASON_STILL_OWED: something is owed, or a payment is under way (not to be forgiven: it may still be collected);
 * -errno. Writes. Afterwards, outside of the transaction, the file is to be scrubbed: erase_scrub. */
int erase_account(struct operations *o, const char *user, bool forgive, int64_t now_ms, struct reply *out) MUST_USE;

/* Was there an account of this name? Only a keyed hash is kept. 0, OPERATIONS_ABSENT, -errno. */
int erase_was_used(struct operations *o, const char *user) MUST_USE;
#define ERASE_PSEUDONYM_PREFIX "erased-"

/* Periodic: removal rows that everybody has had ERASE_REMOVALS_MS to read are emptied, too. Writes. */
#define ERASE_REMOVALS_MS (INT64_C(30) * 86400000)
int erase_tick(struct operations *o, int64_t now_ms) MUST_USE;

/* There is something that no free page may go on holding. Writes. */
int erase_scrub_later(struct operations *o) MUST_USE;
/* When something was erased since the last time: writes the database file anew, so that no free page holds it. Not in a transaction; others wait
 * meanwhile. 0 (also: nothing to do); -EBUSY: somebody reads, again later; -errno. */
int erase_scrub(struct operations *o) MUST_USE;

#endif
