/* Rows that are empty, and who says so. An emptied row carries the digest of what was there (share_chain.h), so chain and heads are the same whether a
 * reader was given the one or the other: by themselves they do not show that an origin gives one reader a row and another its empty place. Two rules make
 * both readers come to the same, or one of them find that they do not:
 *
 *   - the origin tells, in a later row that everybody reads (TAKEN_BACK), which rows it has emptied. Who was shown an empty row and reads of that nowhere
 *     has a finding (rows-hidden)
 *   - it empties a row only when another one has come after it with the same key. Who has read a row that is told of, and nothing later with its key,
 *     has a finding (rows-taken-back): who reads now has not what he goes by
 *
 * Keys: docs/FORMATS.md, section 12, the fields before the bar. On the connection's thread. Source: design section 6.6 (an account's end); departs from
 * the seed, whose rows stay for ever. */
#ifndef DISTRIBUTOR_SHARE_EMPTY_H
#define DISTRIBUTOR_SHARE_EMPTY_H

#include "distributor/share_chain.h"

/* The bytes of a row that are its key, within it; false: of this table nothing is replaced. row: canonical. */
bool share_row_key(uint32_t table, struct slice row, struct slice *key);

/* We have emptied our rows first to last. Writes a row. */
int share_empty_tell(struct operations *o, uint64_t first, uint64_t last) MUST_USE;
/* Of a new database: no earlier version has emptied anything. */
int share_empty_begin(struct operations *o) MUST_USE;
/* Tells of rows that an earlier version has emptied, some at a time; nothing once that is done. Writes. */
int share_empty_tell_before(struct operations *o) MUST_USE;

/* A row of another origin that was taken in order: was it empty, does it tell of such, what key has it? Writes. */
int share_empty_follow(struct operations *o, int64_t number, const doc_Share *share, int64_t now_ms) MUST_USE;
/* Notes both findings, or settles them. before_ms: rows that have come since may be told of in rows that are still on their way. */
int share_empty_judge(struct operations *o, int64_t number, const struct share_progress *p, int64_t before_ms) MUST_USE;

#endif
