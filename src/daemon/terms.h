/* What it would cost to copy, move, export or fetch, and what a license that is here still allows: as its issuer says now. Loop thread. */
#ifndef DAEMON_TERMS_H
#define DAEMON_TERMS_H

#include "daemon/daemon.h"

struct call;
struct link;

void terms_handle(struct daemon *d, struct call *c, const void *message); /* TERMS_GET of the control socket */
/* FETCH of a sibling that wants the terms alone: they are its answer. content: of the copy it would get; r: 0, or why it would get none. */
void terms_for_sibling(struct link *l, uint32_t request, const struct id *content, int r);

#endif
