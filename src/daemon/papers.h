/* Asking the vault about the papers of a copy that comes in: from a sibling (offer.c, accept.c), a medium (import.c) or its issuer (guest_copy.c).
 * Loop thread. Source: seed S162-S170. */
#ifndef DAEMON_PAPERS_H
#define DAEMON_PAPERS_H

#include "daemon/ask.h"
#include "daemon/daemon.h"

struct papers { /* all borrowed */
    struct slice certificate, delegation, info;
    const uint8_t *list_root;   /* 32 bytes */
    const struct id *presenter; /* who is at the other end of the connection; NULL: a medium */
};
/* Is it good? Then its serial is reserved. Answered by CERTIFICATE_STATE. 0, -errno. */
int papers_check(struct daemon *d, const struct papers *p, answer_fn on_answer, void *ctx) MUST_USE;
/* Never accept it: CERTIFICATE_STATE with the signed refusal. Certificate and delegation are enough. 0, -errno. */
int papers_refuse(struct daemon *d, const struct papers *p, answer_fn on_answer, void *ctx) MUST_USE;

#endif
