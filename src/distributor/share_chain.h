/* The chain over an origin's rows, and heads: what tells two members whether they were given the same rows.
 *
 *   head(0) = 32 zeros;  head(n) = SHA-256("hearth share chain" || 00 || head(n-1) || digest(n))
 *   digest(n) = SHA-256 of the envelope of row n; of a row that was emptied since: the digest that it carries
 *
 * A head document is a share (sequence 0, table HEAD) that says head(n) at a time; it is never in an outbox. Rows are signed one by one, so a
 * directory can neither alter nor invent them; heads show also what it holds back, and an origin that tells two members different rows under
 * the same numbers. Source: seed procedure P3 (operations database C is another party's). */
#ifndef DISTRIBUTOR_SHARE_CHAIN_H
#define DISTRIBUTOR_SHARE_CHAIN_H

#include "distributor/operations.h"
#include "protocol/documents.h"
#include "share.pb.h"

#define SHARE_CHAIN_BYTES 32
#define SHARE_HEAD_ENVELOPE_MAX 384

void share_chain_next(const uint8_t before[SHARE_CHAIN_BYTES], const uint8_t digest[32],
                      uint8_t out[SHARE_CHAIN_BYTES]);
/* share: what the envelope says, verified. */
void share_digest(struct slice envelope, const doc_Share *share, uint8_t out[32]);

/* Head of our outbox at a row that is there (0: the beginning). 0, OPERATIONS_ABSENT, -errno. */
int share_head_of_outbox(struct operations *o, uint64_t at, uint8_t out[SHARE_CHAIN_BYTES]) MUST_USE;
/* Rows written before there were heads get theirs. Cheap when there are none. Writes. */
int share_chain_fill(struct operations *o) MUST_USE;
/* Appends the head document of our outbox at a row. 0, OPERATIONS_ABSENT, -errno. */
int share_head_sign(struct operations *o, uint64_t at, int64_t now_ms, struct buf *envelope) MUST_USE;

/* Judges a head under the keyset of its origin that is kept here, compares it with what was taken of that origin's rows, and keeps it when it
 * is the newest one of that origin. *number: the origin's; *head. 0 (also when it differs: that is a finding), REASON_SIGNATURE_INVALID,
 * REASON_KEYSET_INVALID (an origin that is not known here), REASON_MALFORMED, -errno. Writes. */
int share_head_take(struct operations *o, struct slice envelope, int64_t *number, share_Head *head) MUST_USE;
/* Appends the newest heads of others, length:4 || envelope each, at most max_count. */
int share_heads_read(struct operations *o, uint32_t max_count, struct buf *tail, uint32_t *count) MUST_USE;

/* How far an origin's rows have come here. */
struct share_progress {
    uint64_t taken;     /* all rows up to here */
    uint64_t directory; /* of them, what the directory gave */
    uint64_t signed_to; /* its newest head that is known here; 0: none */
    int64_t direct_ms;  /* since when there are rows that the directory did not give; 0: there are none */
    uint8_t head[SHARE_CHAIN_BYTES];
};
int share_progress(struct operations *o, int64_t number, struct share_progress *out) MUST_USE;
/* The next origin after a number whose rows or head are known here: 0, OPERATIONS_ABSENT, -errno. */
int share_progress_next(struct operations *o, int64_t after, int64_t *number, struct id *id,
                        char name[OPERATIONS_NAME_BYTES], struct share_progress *out) MUST_USE;
/* Settles and notes the findings that follow from progress: rows that an origin has given itself and the directory has not for patience_ms, and
 * rows that an origin's head proves and nobody gave. has_directory: one is set and connected. Once in a while. */
int share_progress_judge(struct operations *o, bool has_directory, int64_t patience_ms, int64_t now_ms) MUST_USE;

#endif
