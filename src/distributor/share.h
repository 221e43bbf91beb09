/* Shared tables (procedure P3): our rows, signed, in an outbox written in the same transaction as the change; everyone
 * else's rows in the same tables under their distributor's number. Row messages: protocol/share.proto.
 *
 * Towards the directory: send share_outbox_read() pages (SHARE_PUSH) in order until SHARE_PUSHED says they are stored,
 * then share_outbox_confirm(). From it: for each envelope of SHARE_PULLED share_apply(), then share_cursor_set(next),
 * in one transaction. Everything here is idempotent. */
#ifndef DISTRIBUTOR_SHARE_H
#define DISTRIBUTOR_SHARE_H

#include "distributor/operations.h"
#include "protocol/documents.h"

#define SHARE_ENVELOPE_MAX 4400
#define SHARE_GAP 2101 /* a row of this origin before this one is missing */

/* --- Outbox --- */
/* Appends rows with a sequence above `after` to tail (length:4 || envelope each), at most max_count and about
 * max_bytes. *last: sequence of the last one; *count 0 when there is none. Read-only. */
int share_outbox_read(struct operations *o, uint64_t after, uint32_t max_count, size_t max_bytes, struct buf *tail,
                      uint32_t *count, uint64_t *last) MUST_USE;
/* What the directory has confirmed; 0 at first, and after `directory set`. */
int share_outbox_confirmed(struct operations *o, uint64_t *sequence) MUST_USE;
int share_outbox_confirm(struct operations *o, uint64_t sequence) MUST_USE; /* writes */
int share_outbox_last(struct operations *o, uint64_t *sequence) MUST_USE;
/* For another directory: everything is pushed and pulled again from the beginning. Writes. */
int share_restart(struct operations *o) MUST_USE;

/* --- Rows of others --- */
/* Verifies and stores one row. now_ms judges a keyset row's end. 0 (also: known already, ours, or a kind of row this version
 * does not know), SHARE_GAP, REASON_SIGNATURE_INVALID, REASON_KEYSET_INVALID, REASON_MALFORMED, -errno. Writes; users whose
 * roster may change are touched (roster.h). */
int share_apply(struct operations *o, struct slice envelope, int64_t now_ms) MUST_USE;
/* Where we are in the directory's order: what SHARE_PULL.after should say. */
int share_cursor(struct operations *o, uint64_t *next) MUST_USE;
int share_cursor_set(struct operations *o, uint64_t next) MUST_USE; /* writes */

#endif
