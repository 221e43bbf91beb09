/* hearthd: the household device (seed Fig. 3) on one libuv loop. Holds no key and sees no plaintext: both are the vault's.
 *
 * Terms
 *   account    one distributor this device is registered with: its session, transactions, keyset, roster     account.h
 *   session    the one connection to that distributor: keyset, hello, welcome, calls                         session.h
 *   call       one request of a control client, answered by rows and then by finished or a refusal           control.h
 *   ask        a request to the vault or a distributor, answered exactly once                                ask.h
 *   sibling    another device of the household: rosters, discovery and addresses merged                      siblings.h
 *   track      a content of this device: its licenses (vault) and its body (file)                            library.h
 *
 * Who owns what: struct daemon owns every module below; modules find each other only through it. main.c creates it, daemon.c
 * starts the modules in the order of the members and stops them in the reverse order. Everything here runs on the loop
 * thread; bulk hashing and durable writes run on the pool (db.h and the transfer files).
 *
 * Rules of every operation: check first, then store, then answer. A callback fires exactly once and never before the starting
 * call has returned; a starting call that fails (-errno) does not fire it. A client that leaves abandons the waiting only.
 */
#ifndef DAEMON_DAEMON_H
#define DAEMON_DAEMON_H

#include <uv.h>

#include "base/clock.h"
#include "base/pace.h"
#include "base/rng.h"
#include "crypto/id.h"
#include "daemon/config.h"
#include "daemon/later.h"

struct _msg_CopyAsk;
struct _msg_Result;
struct account;
struct lease;
struct transact_item;
struct visit;
struct peer;
struct peer_callbacks;

struct daemon {
    uv_loop_t *loop;
    const struct clock *clock;
    const struct rng *rng;
    struct config config;
    bool is_confined;                   /* wholly (confinement.h) */
    int lock_fd, notify_fd, control_fd; /* -1: not open; notify.h, control.h */
    bool explained;                     /* why it cannot start stands in the log */
    struct opener *opener;              /* opens what commands name (opener.h) */
    struct spawner *spawner;            /* starts programs (spawner.h) */

    struct later later;             /* callbacks for the next turn of the loop */
    struct events *events;          /* what happened, numbered */
    struct db *db;                  /* hearthd.db */
    struct vault *vault;            /* the child with the keys */
    struct peer_identity *identity; /* signs through the vault */
    struct id self;                 /* this device's client ID */
    uint8_t device_key[32], sealing_key[32];
    uint64_t generation; /* of the vault */
    struct library *library;
    struct listing *listings; /* numbers of the last listing shown at each terminal, the newest first */
    uint64_t terminal;        /* that is meant: listing.h */
    uint64_t listings_drawn;
    struct playlists_shown *playlists_shown; /* what playlists_shown.h remembers; NULL: nothing */
    struct quotes *quotes;                   /* quotes shown and not yet taken */
    struct account *accounts;                /* list, in order of registration */
    struct account *guests;                  /* list: issuers that this device is not registered with (account.h) */
    struct visit *visits;                    /* list: distributors of siblings that are being looked for (visits.c) */
    struct later_item visits_later;
    bool visits_due;
    struct outbox *outbox;
    struct siblings *siblings;
    struct state *state;         /* what the household keeps in common */
    struct transfers *transfers; /* downloads and copies (transfers.h); NULL until transfers_start */
    struct peer_listener *listener;
    struct discovery *discovery;
    uint16_t port; /* of the listener */
    struct control *control;
    struct plays *plays;     /* tracks being played (play.h) */
    struct players *players; /* NULL until something is played (player.h) */
    struct deck *decks;      /* list: queues being played (deck.h) */
    struct burn *burn;       /* the one under way (burn.h) */
    uint32_t volume;         /* 0 to 100, of what is played in time (play_memory.h) */
    struct pace receiving;   /* bandwidth.c: shared by all that is received, */
    struct pace sending;     /* and by all bodies that are sent */

    /* Set by device_link_start: takes a connection of another device. As peer_accept_fn. NULL: connections are refused. */
    bool (*on_device)(struct peer *p, struct peer_callbacks *callbacks, void **ctx, void *daemon);
    /* Set by transact_set_copy_handler: keeps copy certificates (transact.h). */
    void (*on_copied)(struct account *a, const struct _msg_CopyAsk *ask, const struct _msg_Result *result,
                      struct transact_item *item);
    /* Set by siblings_on_online. */
    void (*on_sibling_online)(struct daemon *d, const struct id *client);
    uv_signal_t terminate, interrupt;
    uv_timer_t upkeep;
    uv_timer_t leases;         /* leases.c */
    struct lease *lease_first; /* list: being refreshed or returned */
    uv_timer_t overdue;        /* runs while stopping */
    int exit_code;
    bool started, stopping;
};

/* Starts every module; the control socket opens once the vault has named itself. 0 or -errno (already logged).
 * config is copied; takes spawner and opener. From here on the process is confined (confinement.h). */
int daemon_start(struct daemon *d, uv_loop_t *loop, const struct config *config, struct spawner *spawner,
                 struct opener *opener) MUST_USE;
/* Begins an orderly end: goodbye, close everything; the loop then runs out. May be called twice. */
void daemon_stop(struct daemon *d, int exit_code);
/* After the loop has run out: frees what is left. */
void daemon_deinit(struct daemon *d);
/* What is said of REASON_STORAGE_FULL when it is this device's own disk: where. Returns out. */
#define DAEMON_FULL_BYTES 256
const char *daemon_full_text(const struct daemon *d, char out[DAEMON_FULL_BYTES]);

#endif
