/* After a restore without a directory: what we had shared since the copy was taken is unknown here, and partners have taken it under numbers that we would give
 * out again; rows under those numbers they pass over. But partners keep the newest head that we have signed (share_chain.h), and show it: it says how far we
 * had come. Our rows go on above it: numbers in between are filled with rows that say nothing, and what was put since the restore is put once more.
 * Until a partner has shown its heads it gets no rows of ours, for at most SHARE_AGAIN_WAIT_MS. The partner notes that our rows differ from those it had: that is so. */
#ifndef DISTRIBUTOR_SHARE_AGAIN_H
#define DISTRIBUTOR_SHARE_AGAIN_H

#include "distributor/operations.h"
#include "protocol/documents.h"
#include "share.pb.h"

#define SHARE_AGAIN_WAIT_MS INT64_C(600000)

/* The database was put back now, and there is no directory. Writes. */
int share_again_begin(struct operations *o, int64_t now_ms) MUST_USE;
/* A head of ours that somebody kept; who signed it. 0 (also: of no use); REASON_SIGNATURE_INVALID: not by a key of ours. Writes. */
int share_again_head(struct operations *o, const share_Head *head, const uint8_t signer[32]) MUST_USE;
/* This partner has shown all heads that it has. Writes. */
int share_again_heard(struct operations *o, int64_t partner) MUST_USE;
/* Does it get rows of ours already? Read-only. */
int share_again_may_give(struct operations *o, int64_t partner, int64_t now_ms, bool *yes) MUST_USE;

#endif
