/* The networks this host is in. Any thread.
 *
 * Asked, not told: who wants to know (daemon/state_sync.c) asks in a tick of two seconds that it has anyway, for some 30 microseconds. The kernel's news
 * (rtnetlink) would save that and no more: they come in bursts, for much that changes nothing here, and get lost when there are too many, so that one would
 * have to ask all the same. Discovery, which is to answer sooner, listens to them (discovery_publish.c); but it can be switched off, and siblings are looked
 * for then as well. */
#ifndef NET_NETWORKS_H
#define NET_NETWORKS_H

#include <stdint.h>

/* A number that changes with its interfaces and addresses; 0 when they cannot be read. */
uint64_t networks_mark(void);

#endif
