/* Collector: hands due payments to the operator's command, one at a time, and writes down what it says. */
#ifndef DISTRIBUTOR_COLLECTOR_H
#define DISTRIBUTOR_COLLECTOR_H

#include "distributor/server.h"

/* 0 or -errno; collector_stop undoes. */
int collector_start(struct collector **out, struct server *server) MUST_USE;
/* A command that runs is asked to end, and what it says still counts. Then calls back; accepts NULL. */
void collector_stop(struct collector *c, void (*on_stopped)(struct server *), struct server *server);

#endif
