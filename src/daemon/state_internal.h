/* What the state's files share: state.c (memory and database), state_sync.c (siblings), state_tell.c (events). */
#ifndef DAEMON_STATE_INTERNAL_H
#define DAEMON_STATE_INTERNAL_H

#include "daemon/db.h"
#include "daemon/state.h"

#define STATE_EVENTS_MAX 6 /* of one answer; more are counted */

struct state_sibling;
struct state {
    struct daemon *daemon;
    struct replica replica;
    struct state_edit *first, **last; /* waiting */
    struct state_edit *current;       /* planned, being stored */
    struct replica_change change;     /* of current */
    struct db_job job;
    struct later_item later;
    bool busy, scheduled;
    int outcome;   /* of the one that is to be answered */
    uint64_t told; /* of the replica, as it was stored last */

    struct state_sibling *siblings; /* state_sync.c */
    uv_timer_t tick, pace;
    uint64_t networks;  /* networks_mark() at the last tick */
    int64_t renamed_ms; /* monotonic; 0: never */
    bool listening, stopping;
    struct id told_position;           /* the last position that an event told, */
    uint8_t told_by[REPLICA_ID_BYTES]; /* and whose it was */
};

/* When it has risen: stored soon. */
void state_store_told(struct state *s);
/* Somebody's version shows more of our own changes than we made: a new ID, then done. At most once a minute: who says so may be lying. */
void state_rename(struct state *s, void (*done)(struct state *s, void *ctx), void *ctx);
/* state_sync.c: something was stored. */
void state_sync_changed(struct state *s);
/* state_tell.c: what a sibling's answer is about to change. Before it is taken. */
void state_tell(struct state *s, const struct replica_change *c, const char *from);

#endif
