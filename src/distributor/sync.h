/* Synchronization without a network: what a directory and partners' connections would carry, as a signed file for one partner on a medium.
 *
 *   "HEARTHS1", then items: kind:1 || length:4 || bytes, big-endian; nothing follows. In this order:
 *   1 keyset of the sender          2 loose row PARTNER for the reader      3 rows of the sender's outbox, in order, any number
 *   4 head of the sender            5 delegation to the reader, if the reader's copy key was known        6 key grant
 *   7 key block of that grant       8 all units of the block                9 newest heads of others, any number
 *
 * Every item is judged as if it had come over a connection; nothing in the file is believed for where it lies. A file is taken whole or not at all; taken again,
 * or after a later one, it changes nothing. Synchronous, over one connection, in the caller's transaction. Source: design section 6
 * ("the tables travel on a medium as signed files"). */
#ifndef DISTRIBUTOR_SYNC_H
#define DISTRIBUTOR_SYNC_H

#include <stdio.h>

#include "distributor/delegations.h"

struct sync_written {
    uint64_t from, to; /* rows; from > to: none */
    bool delegation, grant;
};
/* Writes the file for this partner. everything: all rows, not only those the partner has not acknowledged. 0, OPERATIONS_ABSENT (there is no such
 * partner any more), -errno. Writes (a delegation has a number). */
int sync_write(struct operations *o, const struct partner *p, bool everything, int64_t now_ms, FILE *out,
               struct sync_written *written) MUST_USE;

struct sync_read {
    struct id sender;
    char name[OPERATIONS_NAME_BYTES];
    uint32_t rows, known; /* taken; of them, were here before */
    bool delegation, grant;
    char detail[200]; /* with a refusal, or when the grant was left out: what is wrong and what to do */
};
/* Takes a file. 0; REASON_WRONG_DESTINATION (for somebody else); REASON_UNKNOWN_DISTRIBUTOR (of no partner); REASON_OUT_OF_STEP (rows before it are
 * missing); REASON_MALFORMED, REASON_SIGNATURE_INVALID, REASON_KEYSET_INVALID, REASON_DELEGATION_INVALID; -errno. After a refusal the caller rolls
 * back. Writes. */
int sync_take(struct operations *o, FILE *in, int64_t now_ms, struct sync_read *out) MUST_USE;

#endif
