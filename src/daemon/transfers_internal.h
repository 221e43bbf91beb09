/* What the transfer files of hearthd share: the table, and what serves it. Loop thread. */
#ifndef DAEMON_TRANSFERS_INTERNAL_H
#define DAEMON_TRANSFERS_INTERNAL_H

#include "daemon/transfers.h"
#include "net/receive_run.h"
#include "net/serve.h"

struct http;
struct link;
struct fetch;
struct export;
struct shelf_asking;
struct shelf_teller;

struct copy_done { /* copies_done.c */
    struct copy_done *next;
    struct id content, destination;
    bool move;
};
struct copies_done {
    struct copy_done **places; /* lists, by hash */
    size_t place_count, count; /* place_count: a power of two, or 0 */
};
void copies_done_free(struct copies_done *c);

struct transfer_table {                     /* transfers_table.c */
    struct transfer *first, **last;         /* in order of number; ended ones stay for a while */
    struct transfer *ended, **ended_last;   /* those that have ended, the first to end first */
    struct transfer **places;               /* lists by content, in order of number */
    size_t place_count, count, ended_count; /* place_count: a power of two */
};
int transfer_table_init(struct transfer_table *table) MUST_USE; /* 0, -ENOMEM */
void transfer_table_deinit(struct transfer_table *table);
void transfer_table_add(struct transfer_table *table, struct transfer *t); /* its number is the highest */
void transfer_table_end(struct transfer_table *table, struct transfer *t); /* it has ended; once */
void transfer_table_remove(struct transfer_table *table, struct transfer *t);

struct copy;
struct copies_waiting { /* copy_room.c */
    struct copy *first, *last;
};

struct transfers {
    struct daemon *daemon;
    struct transfer_table table;
    struct copies_waiting waiting;
    uint32_t next_number, reserved_number; /* reserved: where the next run begins, at least */
    struct serve *serve;
    struct http *http;            /* for bodies at static servers */
    struct receive_shared shared; /* of bodies that arrive side by side; what copies and serving read goes with it */
    struct link *links;           /* device_link.c */
    struct fetch *fetches;        /* fetch.c */
    struct export *exports;       /* export.c */
    struct shelf_asking *askings; /* shelf.c */
    struct shelf_teller *teller;  /* shelf_tell.c; NULL: it ends */
    struct copies_done copies_done;
    uv_timer_t tick;
    bool stopping, tick_open;
    uint32_t holds; /* transfers and links that are still there, and the tick */
};
void transfers_hold(struct transfers *s);
void transfers_release(struct transfers *s); /* the last one frees it */
static inline int64_t transfers_now_ms(const struct daemon *d) { return clock_mono_ms(d->clock); }
/* transfers_number.c: numbers that go on after a restart, without a gap when it ended in order. */
void transfers_numbers_start(struct transfers *s);
uint32_t transfers_number_take(struct transfers *s);
void transfers_numbers_stop(struct transfers *s);
/* Starts the second hand, if it stands still. */
void transfers_wake(struct daemon *d);
/* Removes what there is of a content that is not complete here, on the pool (download.c). */
void download_discard(struct daemon *d, struct receive_run *run, const struct id *content);
/* The first transfer of this content, and the next one, ended or not, in order of number; NULL. */
struct transfer *transfers_of(const struct daemon *d, const struct id *content);
struct transfer *transfer_next_of(const struct transfer *t);
/* Is anything writing or about to write this content here? */
struct transfer *transfers_incoming(struct daemon *d, const struct id *content);

/* Each module takes up at start what the database knows. */
int downloads_start(struct daemon *d) MUST_USE;
int copies_start(struct daemon *d) MUST_USE;

#endif
