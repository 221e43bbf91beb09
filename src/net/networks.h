/* The networks this host is in. Any thread. */
#ifndef NET_NETWORKS_H
#define NET_NETWORKS_H

#include <stdint.h>

/* A number that changes with its interfaces and addresses; 0 when they cannot be read. */
uint64_t networks_mark(void);

#endif
