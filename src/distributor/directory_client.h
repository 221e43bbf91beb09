/* Our side of shared tables: rows of the outbox are pushed to the directory in order, everyone else's pulled and stored.
 * Without a directory, or while it is away, nothing is lost and nothing waits: the outbox grows, and catches up later. */
#ifndef DISTRIBUTOR_DIRECTORY_CLIENT_H
#define DISTRIBUTOR_DIRECTORY_CLIENT_H

#include "distributor/server.h"

int directory_client_start(struct directory_client **out, struct server *server) MUST_USE;
void directory_client_stop(struct directory_client *c, void (*on_stopped)(struct server *), struct server *server);

/* There may be new rows in the outbox. */
void directory_client_poke(struct directory_client *c);
/* The setting directory-url may have changed. */
void directory_client_reload(struct directory_client *c);
/* What the directory has now is pulled and stored; then on_done fires once, later, also when it could not be (a directory that does
 * not answer is given up after 4 s). 0; -ENOTCONN (no directory, or it is away), -ENOMEM: the callback will not fire. */
int directory_client_ask(struct directory_client *c, void (*on_done)(void *ctx), void *ctx) MUST_USE;

/* Is it connected? Accepts NULL. */
bool directory_client_is_set(const struct directory_client *c);
bool directory_client_is_ready(const struct directory_client *c);
/* And does it give everybody's rows as fast as they come? Not while one member's are too many (row_pace.h). */
bool directory_client_keeps_up(const struct directory_client *c);
/* Connects anew, which compares where both are: what it has of ours, and whether its order is still the same. Accepts NULL. */
void directory_client_check(struct directory_client *c);
/* "none", "reached" (it answered pushes and pulls on this connection), "connecting", or "away " and the code of the last reason, which is followed by
 * DIRECTORY_CLIENT_OURS when it is our keyset that the directory refused. c may be NULL. */
#define DIRECTORY_CLIENT_OURS " ours"
void directory_client_state(const struct directory_client *c, char out[64]);
struct directory_client_figures {
    bool connected;
    int64_t caught_up_ms_ago; /* since it last said that there is nothing more; -1000: not since the start */
};
void directory_client_figures(const struct directory_client *c,
                              struct directory_client_figures *out); /* c may be NULL */

#endif
