/* The bit logic of exactly-once transactions (R5). No storage, no messages. Any thread. */
#include "protocol/txn.h"

#include <assert.h>
#include <string.h>

static bool is_zero(const uint8_t id[TXN_ID_BYTES])
{
    static const uint8_t zero[TXN_ID_BYTES];
    return memcmp(id, zero, TXN_ID_BYTES) == 0;
}

/* ---- the distributor's end ----------------------------------------------------------------------------------- */

enum txn_verdict txn_server_judge(const struct txn_server *s, uint64_t session, uint32_t bit,
                                  const uint8_t id[TXN_ID_BYTES], enum reason *reason)
{
    bool same_id = memcmp(s->id, id, TXN_ID_BYTES) == 0;
    if (bit > 1 || is_zero(id)) {
        *reason = REASON_MALFORMED;
        return TXN_REFUSED;
    }
    /* An old connection of the device must not slip in behind a newer one. */
    if (session != s->session) {
        *reason = REASON_SESSION_REPLACED;
        return TXN_REFUSED;
    }
    if (bit != s->bit && !same_id)
        return TXN_NEW;
    if (bit == s->bit && same_id && s->pending)
        return TXN_REPEAT;
    *reason = REASON_OUT_OF_STEP;
    return TXN_REFUSED;
}

void txn_server_answered(struct txn_server *s, uint32_t bit, const uint8_t id[TXN_ID_BYTES])
{
    assert(bit <= 1 && bit != s->bit);
    s->bit = (uint8_t)bit;
    memcpy(s->id, id, TXN_ID_BYTES);
    s->pending = true;
}

bool txn_server_commit(struct txn_server *s, uint64_t session, uint32_t bit, const uint8_t id[TXN_ID_BYTES])
{
    if (!s->pending || session != s->session || bit != s->bit || memcmp(s->id, id, TXN_ID_BYTES) != 0)
        return false;
    s->pending = false;
    return true;
}

uint64_t txn_server_open(struct txn_server *s) { return ++s->session; }

/* ---- the device's end ---------------------------------------------------------------------------------------- */

void txn_client_begin(struct txn_client *c, const struct rng *rng, uint32_t *bit)
{
    assert(!c->outstanding);
    do
        rng_fill(rng, c->id, TXN_ID_BYTES);
    while (is_zero(c->id)); /* zero means "none" at the other end */
    c->outstanding = true;
    *bit = txn_client_bit(c);
}

uint32_t txn_client_bit(const struct txn_client *c) { return c->bit ^ 1u; }

bool txn_client_finish(struct txn_client *c, uint32_t bit, const uint8_t id[TXN_ID_BYTES])
{
    if (!c->outstanding || bit != txn_client_bit(c) || memcmp(c->id, id, TXN_ID_BYTES) != 0)
        return false;
    c->bit = (uint8_t)bit;
    c->outstanding = false;
    return true;
}

void txn_client_follow(struct txn_client *c, uint32_t server_bit)
{
    c->bit = (uint8_t)(server_bit & 1u);
    c->outstanding = false;
}
