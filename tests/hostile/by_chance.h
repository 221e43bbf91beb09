/* A hostile peer that says whatever chance gives it. */
#ifndef TESTS_HOSTILE_BY_CHANCE_H
#define TESTS_HOSTILE_BY_CHANCE_H

#include "stage.h"

struct span {
    uint64_t from, sessions; /* session i has the seed from + i */
    unsigned seconds;        /* no session is begun after that */
};
/* Against the device or distributor at the stage's address, as its member or as strangers. NULL; or what went wrong. What was played is told on standard
 * error. */
const char *by_chance(struct stage *s, bool device, bool member, const struct span *span);

#endif
