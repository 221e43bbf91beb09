/* Inside of directory_client.c and directory_pull.c. */
#ifndef DISTRIBUTOR_DIRECTORY_CLIENT_INTERNAL_H
#define DISTRIBUTOR_DIRECTORY_CLIENT_INTERNAL_H

#include "distributor/directory_client.h"
#include "distributor/directory_member.h"
#include "distributor/outgoing.h"
#include "distributor/watch.h"
#include "net/address.h"

#define DIRECTORY_CLIENT_URL_BYTES 256
/* One row at a time costs everybody a commit. The first after a while goes at once; what follows it so soon, in either direction, goes together, unless a
 * page is full by then. Whoever needs a row asks, and does not wait for this. */
#define DIRECTORY_CLIENT_TOGETHER_MS 50
#define DIRECTORY_CLIENT_FULL 64 /* rows */

struct directory_ask; /* somebody waits for what the directory has now */

struct directory_client {
    struct server *server;
    void (*on_stopped)(struct server *);
    bool stopping;

    struct writer_job setting_job;
    bool setting_runs, reload_wanted;
    char url[DIRECTORY_CLIENT_URL_BYTES];
    char fresh_url[DIRECTORY_CLIENT_URL_BYTES]; /* this and the next two: the job's, as long as it runs */
    uint64_t fresh_cursor;
    bool fresh_catches_up;
    struct id id;
    char address[ADDRESS_TEXT_BYTES];

    struct outgoing *outgoing;
    bool ready;
    bool pushed, pulled;        /* it took ours, and gave others', on this connection */
    enum reason away;           /* why the last connection ended; REASON_NONE: none did since both went well */
    bool refused, away_refused; /* it refused us: now; and that is why the last connection ended */
    uv_timer_t retry, push_pause, pull_pause;
    unsigned timers_open;
    uint64_t retry_ms;
    int64_t pushed_ms, pulled_ms; /* monotonic: when rows last went, and last came */

    struct writer_job push_job;
    bool push_runs, push_wanted;
    bool push_probe; /* asks what the directory has of ours, even if there is nothing to push */
    struct directory_push outbox;
    struct buf push_keyset; /* ours, when the rows were read */
    struct buf shown;       /* our keyset as the directory knows it on this connection */

    bool polls;           /* the long poll, or what comes before it, is under way */
    bool too_fast, paced; /* the distributor `fast` gave too many rows; the next pull waits (pace) */
    struct id fast;
    struct watch_waiting pace;
    uint32_t pulls; /* under way */
    bool resynced;  /* once a connection */
    bool learned;   /* a keyset, since all was last read from the beginning: rows before it may be good now */
    bool whole;     /* all was read from the beginning, and none refused */
    uint64_t cursor;
    bool catches_up;      /* on our own rows, after a restore (share_own.h) */
    int64_t caught_up_ms; /* monotonic; 0: never */
    bool asking;
    struct directory_ask *asks; /* of the next asking pull */
};

/* --- directory_client.c --- */
/* How much longer to wait for company, since that went or came at *last_ms. *last_ms becomes now, when it is 0. */
uint64_t directory_client_pause_ms(struct directory_client *c, int64_t *last_ms);
void directory_client_stopped_when_idle(struct directory_client *c);

/* --- directory_pull.c --- */
/* The long poll; without it the connection is of no use. Goes on by itself for as long as the client is ready. */
void directory_pull_start(struct directory_client *c, uint32_t wait_ms);
/* Before it, on a new connection: is the row at our cursor still there? Then the long poll. */
void directory_pull_probe(struct directory_client *c);

#endif
