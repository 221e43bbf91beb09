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
int share_restart(struct operations *o, int64_t now_ms) MUST_USE;

/* `directory check`: how often the operator asked for it, and how often it was done. */
#define SHARE_CHECK_WANTED "check-wanted"
#define SHARE_CHECK_DONE "check-done"
int share_check(struct operations *o, const char *which, uint64_t *times) MUST_USE;
int share_check_set(struct operations *o, const char *which, uint64_t times) MUST_USE; /* writes */

/* --- Rows of others --- */
/* Verifies and stores one row. now_ms judges a keyset row's end. 0 (also: known already, ours, or a kind of row this version
 * does not know), SHARE_GAP, SHARE_AHEAD (share_own.h), REASON_SIGNATURE_INVALID, REASON_KEYSET_INVALID, REASON_MALFORMED, -errno. Writes; users whose
 * roster may change are touched (roster.h). */
int share_apply(struct operations *o, struct slice envelope, int64_t now_ms) MUST_USE; /* as SHARE_VIA_DIRECTORY */
/* What a row says into our tables, under origin's number, whatever its sequence: for share_own.c. One that means nothing is passed over. 0, -errno. */
int share_apply_row(struct operations *o, int64_t origin, const doc_Share *share, int64_t now_ms) MUST_USE;
enum share_via { SHARE_VIA_DIRECTORY, SHARE_VIA_ORIGIN };
struct share_taken {
    struct id origin; /* whose it is, once that is verified; zeros */
    bool known;       /* it had come that way before */
    bool
        learned; /* also of a SHARE_GAP: its keyset is newer than the one that was known; to be kept, for rows before it may wait for that */
};
/* The same, by which way it came. out: may be NULL. */
int share_take(struct operations *o, struct slice envelope, enum share_via via, int64_t now_ms, struct share_taken *out)
    MUST_USE;
/* Where we are in the directory's order: what SHARE_PULL.after should say. */
int share_cursor(struct operations *o, uint64_t *next) MUST_USE;
int share_cursor_set(struct operations *o, uint64_t next) MUST_USE; /* writes */
/* The whole order is read again from its beginning: what is known already changes nothing. Writes. */
int share_read_again(struct operations *o, int64_t now_ms) MUST_USE;
/* The row at the cursor: another one there later on means another order. 0, OPERATIONS_ABSENT, -errno. */
struct share_place {
    struct id origin;
    uint64_t sequence;
    uint64_t position; /* in the directory's order */
};
int share_mark(struct operations *o, struct share_place *out) MUST_USE;
int share_mark_set(struct operations *o, const struct share_place *at) MUST_USE; /* writes */
/* Of an envelope, its signature verified, its signer not judged. 0, a reason, -errno. */
int share_place_of(struct slice envelope, struct share_place *out) MUST_USE;

#endif
