/* A distributor for the daemon's tests, on a thread of its own: it answers over real TLS with documents that the real vault accepts, and
 * misbehaves as told. It counts what a device may do exactly once. */
#ifndef TEST_DAEMON_SHOP_H
#define TEST_DAEMON_SHOP_H

#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

#include "maker.h"
#include "net/peer.h"
#include "protocol/txn.h"

enum shop_greeting {
    GREET_RIGHT,
    GREET_OTHER_ROOT, /* another distributor's keyset */
    GREET_OTHER_TLS,  /* the right keyset, which does not list this connection's key */
    GREET_OLD,        /* a lower sequence than before */
    GREET_GARBAGE,    /* something else first */
    GREET_SILENCE,
};
enum shop_transact {
    TRANSACT_ANSWER,
    TRANSACT_DROP_BEFORE, /* closes without executing */
    TRANSACT_DROP_AFTER,  /* executes, closes without answering */
    TRANSACT_HOLD,        /* executes, says nothing */
    TRANSACT_WAIT,        /* executes, answers when it is told to answer */
    TRANSACT_OTHER,       /* executes, answers as if another had been asked for, and closes */
    TRANSACT_REFUSE,      /* executes: the item is refused */
    TRANSACT_FORGED,      /* executes: a license that nobody signed */
};

#define SHOP_PEERS_MAX 16

struct shop {
    struct maker maker, other;
    struct content song;
    pthread_t thread;
    uv_loop_t loop;
    uv_async_t stop;
    struct peer_identity *identity;
    struct peer_listener *listener;
    uint16_t port;
    char address[32];

    _Atomic enum shop_greeting greeting;
    _Atomic enum shop_transact transact;
    atomic_uint connections, registrations, executed, repeated, committed, out_of_step, early, quotes;
    atomic_bool drop_bit; /* forgets the device's transaction state once: as if the device was restored */

    /* the one device; the thread's */
    struct device device;
    bool known;
    struct txn_server txn;
    struct buf answer, results; /* of the last transaction: Transacted, and the tail */
    uint64_t license_sequence;
};
void shop_start(struct shop *s, uint8_t seed);
void shop_stop(struct shop *s);  /* stops answering; the address stays */
void shop_again(struct shop *s); /* after shop_stop: the same shop at the same address */
void shop_deinit(struct shop *s);

#endif
