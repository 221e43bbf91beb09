/* Places where our bodies lie beside this server (protocol/place.h): HTTP directories that the operator fills, and contents servers that
 * fetch what they lack from here. Rows; on the connection's thread. */
#ifndef DISTRIBUTOR_PLACES_H
#define DISTRIBUTOR_PLACES_H

#include "distributor/operations.h"
#include "protocol/place.h"

#define PLACES_MAX 8 /* that a device is told of, as msg.Places */

/* REASON_ALREADY; REASON_TOO_LARGE: there are PLACES_MAX; 0; -errno. */
int places_add(struct operations *o, const struct place *p, int64_t now_ms) MUST_USE;
int places_remove(struct operations *o, const char *text) MUST_USE; /* 0, OPERATIONS_ABSENT, -errno */
/* The first one whose number is greater than *number, which is set. 0, OPERATIONS_ABSENT, -errno. */
int places_next(struct operations *o, int64_t *number, struct place *out) MUST_USE;
/* May this contents server fetch our bodies? 0, OPERATIONS_ABSENT, -errno. */
int places_find_server(struct operations *o, const struct id *server) MUST_USE;

#endif
