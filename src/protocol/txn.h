/* Exactly-once transactions (design section 5; R5): the bit logic of both ends, without I/O or storage.
 * The caller loads the state, asks, and stores what changed in the same database transaction as the effects. */
#ifndef PROTOCOL_TXN_H
#define PROTOCOL_TXN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/outcome.h"
#include "base/rng.h"
#include "protocol/reason.h"

#define TXN_ID_BYTES 16

/* What a distributor keeps for one device. */
struct txn_server {
    uint64_t session;         /* the current one */
    uint8_t bit;              /* of the last transaction answered */
    uint8_t id[TXN_ID_BYTES]; /* its ID; zero when there was none */
    bool pending;             /* answered, not yet committed: the response is kept */
};
enum txn_verdict {
    TXN_NEW,    /* toggled bit: the previous is committed; execute, then txn_server_answered */
    TXN_REPEAT, /* same bit, same ID: send the kept response again, byte for byte */
    TXN_REFUSED /* *reason says why: REASON_SESSION_REPLACED, REASON_OUT_OF_STEP, REASON_MALFORMED (zero ID) */
};
enum txn_verdict txn_server_judge(const struct txn_server *s, uint64_t session, uint32_t bit,
                                  const uint8_t id[TXN_ID_BYTES], enum reason *reason) MUST_USE;
void txn_server_answered(struct txn_server *s, uint32_t bit, const uint8_t id[TXN_ID_BYTES]);
/* A commit message: true when it ends the pending transaction (the kept response may go). Anything else changes nothing. */
bool txn_server_commit(struct txn_server *s, uint64_t session, uint32_t bit, const uint8_t id[TXN_ID_BYTES]) MUST_USE;
/* A new session (connection) of a known device: increments, returns the number. Never touches bit or pending. */
uint64_t txn_server_open(struct txn_server *s);

/* What a device keeps for one distributor. */
struct txn_client {
    uint8_t bit;              /* of the last finished transaction */
    uint8_t id[TXN_ID_BYTES]; /* of the outstanding one */
    bool outstanding;         /* stored before sending; repeat with the same bit and ID until answered */
};
/* Begins one: fresh ID, toggled bit. Must not be outstanding. Store before sending. */
void txn_client_begin(struct txn_client *c, const struct rng *rng, uint32_t *bit);
uint32_t txn_client_bit(const struct txn_client *c); /* the bit to send for the outstanding one */
/* The answer carries this bit and ID: true when it is the outstanding one's; then it is finished (store). */
bool txn_client_finish(struct txn_client *c, uint32_t bit, const uint8_t id[TXN_ID_BYTES]) MUST_USE;
/* "out-of-step" with the server's bit: a restored device follows the server (an outstanding request is sent anew, with a new ID). */
void txn_client_follow(struct txn_client *c, uint32_t server_bit);

#endif
