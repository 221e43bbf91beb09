/* Transfers: everything under way that takes time, in one numbered table: downloads, copies, moves. Loop thread.
 *
 * A transfer is one of download.c, copy.c, accept.c or fetch_body.c; this module knows only what all have in common. A command that is given twice joins
 * the transfer that is under way. What must survive a kill is in hearthd.db before it is acted on, and is taken up again at start.
 * Source: seed S21-S38, S111-S115, S151-S173; design section 6.5. */
#ifndef DAEMON_TRANSFERS_H
#define DAEMON_TRANSFERS_H

#include "base/meter.h"
#include "daemon/account.h"
#include "daemon/daemon.h"

struct call;
struct receive_run;

enum transfer_kind {
    TRANSFER_DOWNLOAD = 1,
    TRANSFER_COPY_OUT,
    TRANSFER_COPY_IN,
    TRANSFER_MOVE_OUT,
    TRANSFER_MOVE_IN,
    TRANSFER_FETCH
};
enum transfer_state {
    TRANSFER_WAITING = 1,
    TRANSFER_RUNNING,
    TRANSFER_PAUSED,
    TRANSFER_DONE,
    TRANSFER_FAILED,
    TRANSFER_CANCELLED,
};

struct transfer;
/* Whoever wants to know how it goes. on_progress (may be NULL): text is a fixed sentence or holds only safe text. on_end fires exactly
 * once, never before the starting call has returned: REASON_NONE when it is done; detail may be NULL. */
struct transfer_watch {
    void (*on_progress)(const struct transfer *t, const char *text, void *ctx);
    void (*on_end)(const struct transfer *t, enum reason why, const char *detail, void *ctx);
    void *ctx;
};

struct transfer_actions {              /* of the module that embeds the transfer; NULL where there is nothing to do */
    void (*pause)(struct transfer *t); /* ends in transfer_set_state when it took effect, as the next two */
    void (*resume)(struct transfer *t);
    void (*cancel)(struct transfer *t);
    void (*tick)(struct transfer *t, int64_t now_ms); /* about once a second while it has not ended; monotonic time */
    void (*stop)(struct transfer *t);                 /* the program ends: let go of connections and files */
    void (*free)(struct transfer *t);                 /* out of the table, nothing under way: frees the memory */
    const struct receive_run *(*run)(const struct transfer *t); /* what comes in; NULL when nothing does */
};
struct transfer_watcher;
struct transfer { /* embedded */
    struct daemon *daemon;
    struct transfer *next, **before, *beside, *ended_next; /* in the table (transfers_table.c) */
    const struct transfer_actions *actions;
    uint32_t number;
    enum transfer_kind kind;
    enum transfer_state state;
    struct id content, with; /* with: distributor or device at the other end */
    char title[128], peer[64];
    uint64_t done_bytes, total_bytes;
    enum reason reason; /* why it waits or failed */
    char waits_for[64]; /* while it waits: by name; "": for the peer */
    bool merges;        /* a move to a device that was given a copy before */
    int64_t charged;    /* for its certificate, as far as this run knows */
    char currency[4];
    int64_t progress_ms; /* when watchers were last told */
    struct meter meter;  /* of done_bytes, while it runs */
    int64_t moved_ms;    /* when something last came, or its state last changed */
    struct transfer_watcher *watchers;
    uint32_t holds; /* callbacks still to come */
    bool gone;      /* out of the table */
};

/* Starts the transfers, copies and device connections: after accounts, library and siblings. Takes up what a kill interrupted. */
int transfers_start(struct daemon *d) MUST_USE;
void transfers_stop(
    struct daemon *d); /* everything is closed; watchers are told `cancelled`; the work goes on at the next start */
uint32_t transfers_count(const struct daemon *d); /* waiting, running or paused */
/* How many of them wait, and whether one waits for room on this device. */
void transfers_waiting(const struct daemon *d, uint32_t *count, bool *wants_room);

/* Handlers of control requests. */
void transfers_get(struct daemon *d, struct call *c, const void *message);    /* TRANSFERS_GET */
void transfer_control(struct daemon *d, struct call *c, const void *message); /* TRANSFER_CONTROL */
void copy_handle(struct daemon *d, struct call *c, const void *message);      /* COPY (also a move) */
void fetch_handle(struct daemon *d, struct call *c, const void *message);     /* FETCH */
void export_handle(struct daemon *d, struct call *c, const void *message);    /* EXPORT */
void import_handle(struct daemon *d, struct call *c, const void *message);    /* IMPORT */

/* For the modules that embed a transfer. Names it after the library's title, or the short content ID. */
void transfer_add(struct daemon *d, struct transfer *t, enum transfer_kind kind, const struct id *content,
                  const struct id *with, const char *peer, const struct transfer_actions *actions);
int transfer_watch(struct transfer *t, const struct transfer_watch *watch) MUST_USE; /* 0, -ENOMEM */
/* A user of a control call as a watcher: progress, then TRANSFER_ROW (of what goes out) or TRACK_ROW and finished, or refused. */
int transfer_watch_call(struct transfer *t, struct call *c) MUST_USE;
void transfer_tell_charged(const struct transfer *t, struct call *c); /* CHARGED, if it has cost something */
/* DONE, FAILED and CANCELLED end the transfer: watchers are told, it stays in the table for a while. Others are told of nothing. */
void transfer_set_state(struct transfer *t, enum transfer_state state, enum reason why, const char *detail);
bool transfer_has_ended(const struct transfer *t);
/* Ends the watching though the work goes on: something must be done about it first. */
void transfer_tell(struct transfer *t, enum reason why, const char *detail);
void transfer_progress(struct transfer *t, uint64_t done_bytes, uint64_t total_bytes);
void transfer_say(struct transfer *t, const char *format, ...) PRINTF_LIKE(2, 3); /* progress without figures */
/* One that has not ended; with may be NULL: any. */
struct transfer *transfers_find(struct daemon *d, enum transfer_kind kind, const struct id *content,
                                const struct id *with);
/* Around whatever calls back later with the transfer (or what embeds it) as its context. */
void transfer_hold(struct transfer *t);
void transfer_release(struct transfer *t); /* last thing a callback does */

#endif
