/* The exactly-once state of each device (R5): session number, transaction bit, kept answer. */
#ifndef DISTRIBUTOR_SESSIONS_H
#define DISTRIBUTOR_SESSIONS_H

#include "distributor/operations.h"
#include "protocol/txn.h"

/* 0; OPERATIONS_ABSENT (out: a fresh state), -errno. */
int sessions_load(struct operations *o, const struct id *client, struct txn_server *out) MUST_USE;
int sessions_save(struct operations *o, const struct id *client, const struct txn_server *s, int64_t now_ms) MUST_USE;
/* Opens the next session: a later one makes this one stale. Bit and pending answer stay. */
int sessions_open(struct operations *o, const struct id *client, int64_t now_ms, struct txn_server *out) MUST_USE;
int sessions_keep_answer(struct operations *o, const struct id *client, struct slice message, struct slice tail)
    MUST_USE;
int sessions_kept_answer(struct operations *o, const struct id *client, struct buf *message, struct buf *tail) MUST_USE;
int sessions_drop_answer(struct operations *o, const struct id *client) MUST_USE;

#endif
