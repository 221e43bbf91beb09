/* What the parts of the running server share: one struct, made by serve.c, passed to everybody. All on the loop thread
 * except where a part says otherwise.
 *
 *   lobby.c             the listener, and everyone who is connected
 *   session.c           a connection somebody made to us: hello, queue, pace
 *   exchange.c          one request of a session: through the database, the directory, a partner, back
 *   login.c             REGISTER before its database part: delays, password hash on the pool
 *   outgoing.c          a connection we make to another distributor: its keyset, our hello
 *   partners.c          delegations, grants and links fetched over such connections (errands.c, lines.c)
 *   directory_client.c  our shared rows to the directory, everyone else's from it (directory_pull.c)
 *   directory.c         the directory's own side of that
 *   watch.c             what happens by itself: periodic work, changes made by the admin's commands
 *   collector.c         payments, handed to the operator's command one at a time (collector_hook.c, starter.c)
 *   renew.c             a new keyset and new keys, without a pause
 *   announce.c          who hears of a changed roster
 *   console.c           figures for scrapers, `reload` for the operator: a Unix socket, and an address when there is one
 *   metrics.c           what is counted while serving (measures.c: what lies in the database)
 *   writer.c            the threads that own the database connections */
#ifndef DISTRIBUTOR_SERVER_H
#define DISTRIBUTOR_SERVER_H

#include <uv.h>

#include "distributor/config.h"
#include "distributor/confinement.h"
#include "distributor/names.h"
#include "distributor/requests.h"
#include "distributor/writer.h"
#include "net/peer.h"
#include "net/serve.h"

struct lobby;
struct throttle;
struct quotas;
struct row_pace;
struct metrics;
struct console;
struct login;
struct partners;
struct directory;
struct directory_client;
struct watch;
struct collector;
struct starter;
struct announce;
struct rekey;
struct renewed;
struct watch_waiting;

/* What stays when a server that could not start is tried again. */
struct process {
    struct starter *starter; /* of the payment command */
    bool entered;            /* its confinement; confined: how much of that this machine has */
    enum confinement_kind confined;
};

struct server {
    uv_loop_t loop;
    struct config config;
    const struct clock *clock;
    const struct rng *rng;
    struct keys *keys;
    struct peer_identity *identity;
    struct operations *write_ops, *read_ops; /* each used by its thread only */
    struct writer *writer, *reader;
    int failure;   /* why it stops by itself: -errno */
    int notify_fd; /* base/notify.h */
    struct process *process;
    uint64_t last_log_id;       /* of a request; begins anywhere, so that those of another run are others */
    struct buf keyset;          /* our newest keyset envelope: the first frame of every connection */
    uint32_t keyset_generation; /* counts its changes */
    struct throttle *throttle;
    struct quotas *quotas;
    struct row_pace *row_pace;
    struct metrics *metrics;
    struct console *console;
    struct serve *bodies;
    struct lobby *lobby;
    struct login *login;
    struct partners *partners;
    struct directory *directory; /* NULL: we do not serve operations database C */
    struct directory_client *directory_client;
    struct announce *announce;
    struct watch *watch;
    struct collector *collector;
    struct rekey *rekey;
    struct renewed *renewed;              /* renew.c: keys and identities of before */
    struct watch_waiting *waits_for_look; /* watch.h */
};

#endif
