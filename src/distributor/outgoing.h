/* Outgoing: a connection we make to another distributor or to the directory, usable once both have shown who they are.
 *
 * Steps: dial -> its KEYSET, judged and kept by the database (root key hashes to the ID we expect, lists the key of this very
 * connection) -> our HELLO with our keyset -> WELCOME -> on_ready.
 * Refused for our keyset, and shown a later one that our root key has signed: we are an older copy of ourselves, and stop (older.h).
 * Callbacks: on_ready or on_refused (at most once), then on_closed (once, always; the connection is freed when it returns). */
#ifndef DISTRIBUTOR_OUTGOING_H
#define DISTRIBUTOR_OUTGOING_H

#include "distributor/server.h"

struct outgoing;

struct outgoing_callbacks {
    void (*on_ready)(void *ctx);
    void (*on_refused)(void *ctx); /* may be NULL: it is the other side that refuses us; on_closed follows */
    void (*on_closed)(void *ctx, enum reason why);
};
/* 0, owned by itself until on_closed has fired; or -errno (nothing fires). */
int outgoing_open(struct outgoing **out, struct server *server, const struct id *expected, const char *address,
                  const struct outgoing_callbacks *callbacks, void *ctx) MUST_USE;
struct peer *outgoing_peer(struct outgoing *o);           /* valid between on_ready and on_closed */
void outgoing_close(struct outgoing *o, enum reason why); /* on_closed follows; may be called twice */

#endif
