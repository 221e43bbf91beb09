/* A contents server fetches from one distributor what it lacks: connects, judges the keyset, says HELLO as a contents server, asks which
 * bodies there are, receives the missing ones one after another, and looks again now and then. Every body is verified against its name;
 * what one distributor withholds or spoils costs no other anything. Loop thread. */
#ifndef DISTRIBUTOR_CONTENTS_PULL_H
#define DISTRIBUTOR_CONTENTS_PULL_H

#include "distributor/names.h"
#include "net/peer.h"
#include "protocol/place.h"

struct contents_pull;
struct contents_pull_config {
    uv_loop_t *loop;
    const struct peer_identity *identity;
    const char *bodies_dir; /* borrowed */
    struct names *known;    /* content IDs that are here: shared by all pulls */
    uint64_t look_ms;       /* between two looks */
};
int contents_pull_new(struct contents_pull **out, const struct contents_pull_config *c, const struct place *principal)
    MUST_USE;
void contents_pull_now(struct contents_pull *p); /* looks again at once */
/* on_stopped fires when nothing of it is left; p is freed then. */
void contents_pull_stop(struct contents_pull *p, void (*on_stopped)(void *ctx), void *ctx);

#endif
