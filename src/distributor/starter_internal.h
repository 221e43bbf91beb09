/* What the server and its starter say to each other: datagrams (SOCK_SEQPACKET). A request to configure or to run is answered at once; the end of a run is told by a
 * second answer of the same number. */
#ifndef DISTRIBUTOR_STARTER_INTERNAL_H
#define DISTRIBUTOR_STARTER_INTERNAL_H

#include <stdint.h>

#include "distributor/starter.h"

#define STARTER_FDS 3

enum starter_kind {
    STARTER_CONFIGURE = 1, /* path; once */
    STARTER_RUN,           /* 3 descriptors; latest_ms, until_ms */
    STARTER_HURRY,         /* no answer */
};
struct starter_request { /* anything of another size, or with another number of descriptors, is refused */
    uint64_t serial;
    uint32_t kind;     /* enum starter_kind */
    int64_t latest_ms; /* monotonic: who asked has given up by then */
    int64_t until_ms;  /* monotonic: when it is asked to end; in STARTER_TIMEOUT_MAX_MS at most */
    char path[PAYMENTS_COMMAND_BYTES];
};
struct starter_answer {
    uint64_t serial; /* the request's */
    int32_t ended;   /* 0: the first answer; 1: the second */
    int32_t outcome; /* 0 or -errno; of an end -EINTR when a signal ended it */
    int32_t status;  /* of an end */
};

#endif
