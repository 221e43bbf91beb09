/* A distributor in one process for harnesses: its database in a directory of its own, two devices of one household, one of
 * another, a partner, and something to sell. Everything a run changes is undone by rolling back. */
#ifndef FUZZ_SHOP_H
#define FUZZ_SHOP_H

#include "crypto/seal.h"
#include "distributor/delegations.h"
#include "distributor/operations.h"
#include "distributor/products.h"
#include "distributor/requests.h"
#include "world.h"

#define SHOP_USER "alice"
#define SHOP_CREDIT 1000

struct shop {
    const struct world *world; /* the distributor there called "partner" is this one's partner */
    struct rng_fake rng;
    struct keys *keys;
    struct operations *operations;
    struct id content;
    uint32_t product;
};
extern const struct key32 shop_sealing_secret; /* of both devices */
/* Made at the first call; its directory goes when the process ends. */
struct shop *shop_get(void);
/* A device of the world as a caller: WHO_SELF and WHO_SOURCE are SHOP_USER's, WHO_STRANGER is not registered. Greets. */
void shop_caller(struct shop *s, enum who who, struct caller *out);
/* The partner as a caller. */
void shop_caller_partner(struct shop *s, struct caller *out);
/* What stays true whatever anyone asks: the ledger is even, nobody is beyond the credit given. */
void shop_check(struct shop *s);

#endif
