/* Our own rows, back from the directory, into a database that was put back from an older copy (reserve.h).
 *
 * While the counter `catching-up` is 1: the directory is read from its beginning; of our own rows those that the outbox does not have are
 * kept in it and reinstated, one after the other; what is shared meanwhile is held (numbered from SHARE_HELD on, sent to nobody). When the directory
 * has no more rows, what was held gets its real numbers, and everything goes on.
 *
 * Reinstated are: leaves, device certificates, devices of accounts that exist, revocations, links, what was downloaded, and copy certificates - their
 * rows with what they count against a license that is known, though not the documents. Not: licenses themselves, accounts, contents, money. Those
 * are listed (statement LOST, `hearth-distributor restored`). On the connection's thread. */
#ifndef DISTRIBUTOR_SHARE_OWN_H
#define DISTRIBUTOR_SHARE_OWN_H

#include "distributor/share.h"

#define SHARE_HELD (UINT64_C(1) << 60)
#define SHARE_HELD_COUNTER "outbox-held"
#define SHARE_AHEAD \
    2102 /* a row that we signed, and do not have, though nothing was restored: this database is an older copy of itself */

/* A row whose origin we are; it verified, signed by signer. 0 (also: known), SHARE_AHEAD, SHARE_GAP, REASON_SIGNATURE_INVALID: a later row under a key that
 * was withdrawn; -errno. Writes. */
int share_own_apply(struct operations *o, const doc_Share *share, const uint8_t signer[SIGN_PUBLIC_BYTES],
                    struct slice envelope, int64_t now_ms) MUST_USE;
int share_own_is_catching_up(struct operations *o, bool *yes) MUST_USE; /* read-only */
/* The directory has no more, or there is none: what was held is signed and in order. *count: how many rows that were. 0 or -errno. Writes. */
int share_own_finish(struct operations *o, uint64_t *count) MUST_USE;

/* For share.c and share_own.c: a row of ours into the outbox, and its head of the chain (share_chain.h). share: what the envelope says, or NULL when
 * it was signed just now. */
int share_outbox_keep(struct operations *o, uint64_t sequence, const doc_Share *share, struct slice envelope) MUST_USE;

#endif
