/* Under which keyset a shared row counts. Its origin's newest one names the keys of now; a row of before was signed under the one that was the newest
 * then, whose row comes before it in the same order. So whoever takes all rows one after the other can judge each of them, however often the
 * origin has changed its keys. Source: design section 2. */
#ifndef DISTRIBUTOR_SHARE_KEYSET_H
#define DISTRIBUTOR_SHARE_KEYSET_H

#include "distributor/operations.h"
#include "distributor/share.h"
#include "protocol/documents.h"

/* number: of the origin; newest: its newest keyset; signer: who has signed the row, truly. 0; REASON_SIGNATURE_INVALID: no key that the origin
 * had at this row; SHARE_GAP: an emptied row, under a key that may be named by a keyset which comes later; -errno. Read-only. */
int share_keyset_judge(struct operations *o, int64_t number, const doc_Keyset *newest, const doc_Share *share,
                       const uint8_t signer[32], enum share_via via) MUST_USE;
/* This row was taken, after all before it: when it is a keyset newer than the one before, what follows is judged under it. Of ours, which comes back after
 * a restore, the keys that it has no more and had are withdrawn here as well (keyset_withdraw). Writes. */
int share_keyset_follow(struct operations *o, int64_t number, const doc_Share *share) MUST_USE;
/* Ours come back after a restore: the first one is compared with the keyset that there is. Before another one is issued. 0 or -errno. Writes. */
int share_keyset_begin(struct operations *o) MUST_USE;

#endif
