/* What hearthd and its opener say to each other: one datagram (SOCK_SEQPACKET) for a request, one for its answer, with the descriptor beside it. */
#ifndef DAEMON_OPENER_INTERNAL_H
#define DAEMON_OPENER_INTERNAL_H

#include <stdint.h>

#include "daemon/opener.h"

enum opener_kind { OPENER_READ = 1, OPENER_LIST, OPENER_CREATE, OPENER_RENAME, OPENER_REMOVE };
struct opener_request { /* anything of another size is refused */
    uint64_t serial;
    uint32_t kind;  /* enum opener_kind */
    uint32_t flags; /* of OPENER_READ: O_NOFOLLOW or 0; of OPENER_CREATE: the mode */
    char path[OPENER_PATH_BYTES], other[OPENER_PATH_BYTES]; /* end in 0; other: of OPENER_RENAME, else empty */
};
struct opener_answer {
    uint64_t serial; /* the request's */
    int32_t outcome; /* 0, FILE_NOT_REGULAR, OPENER_FOREIGN, -errno */
};

#endif
