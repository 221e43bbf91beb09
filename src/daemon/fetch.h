/* Fetching: asking a sibling to copy a track here (FETCH), then waiting for its offer. Loop thread. Source: design section 6.5. */
#ifndef DAEMON_FETCH_H
#define DAEMON_FETCH_H

#include "daemon/daemon.h"

struct transfer;

/* Content by number of the last listing, by whole ID, or as the library knows it. 0 or an enum reason (detail filled or as it was). */
int fetch_resolve(struct daemon *d, const char *text, struct id *content, char *detail, size_t cap) MUST_USE;
/* An incoming copy has begun (accept.c): whoever waits for this content watches it from now on. */
void fetches_begun(struct daemon *d, struct transfer *t);
void fetches_tick(struct daemon *d, int64_t now_ms);
void fetches_stop(struct daemon *d);

#endif
