/* What hearthd and its spawner say to each other: one datagram (SOCK_SEQPACKET) for a request, one for its answer. Both ends are the same program. */
#ifndef DAEMON_SPAWNER_INTERNAL_H
#define DAEMON_SPAWNER_INTERNAL_H

#include <stdint.h>

#include "daemon/spawner.h"

#define SPAWNER_CHILDREN_MAX 64

enum spawner_kind {
    SPAWNER_VAULT = 1,   /* 2 descriptors */
    SPAWNER_PLAYER,      /* 1 */
    SPAWNER_BURNER_LOOK, /* 0; device */
    SPAWNER_BURNER_RUN,  /* 1; device */
    SPAWNER_END,         /* 0; pid, signal */
    SPAWNER_BUS,         /* 0; the answer has a descriptor beside it */
    SPAWNER_UNBIND,      /* 0 */
};
struct spawner_request { /* anything of another size, or with another number of descriptors, is refused */
    uint64_t serial;
    uint32_t kind; /* enum spawner_kind */
    int32_t pid, signal;
    char device[SPAWNER_DEVICE_BYTES]; /* ends in 0 */
};
struct spawner_answer {
    uint64_t serial; /* the request's */
    int32_t outcome; /* 0 or -errno */
    int32_t pid;     /* of what this request started, also when it could not become its program; 0: nothing */
};

#endif
