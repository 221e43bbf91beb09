/* What the state's files share: state.c (memory and database), state_rename.c (a new ID), state_sync.c (siblings), state_tell.c (events). */
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
    uv_timer_t tick, pace, rename, answers;
    int64_t whole_ms;     /* when the next whole answers are due, monotonic */
    uint64_t networks;    /* networks_mark() at the last tick */
    int64_t renamed_ms;   /* monotonic; 0: never */
    uint64_t rename_told; /* the least that is known of who shows more (state_rename); UINT64_MAX: nobody does */
    uint8_t renaming[REPLICA_ID_BYTES]; /* our ID that is to be given up; zero: none */
    bool born_here;                     /* our ID was made by this process: no copy of it was put back */
    bool listening, stopping;
    struct id told_position;           /* the last position that an event told, */
    uint8_t told_by[REPLICA_ID_BYTES]; /* and whose it was */
};

/* One that nobody has: this device's, and random. */
void state_new_id(struct daemon *d, uint8_t id[REPLICA_ID_BYTES]);
/* When it has risen: stored soon. */
void state_store_told(struct state *s);
/* Somebody's version shows more of our own changes than we made: a new ID, and everybody is asked anew. Four in a minute at most, who says so may be lying; one that
 * has to wait is made when its time has come. known: of our changes, how many that one is known to have - it may lack the others, whatever it says, so they are written
 * anew; UINT64_MAX: nothing is known of it, and the database may have been put back. */
void state_rename(struct state *s, uint64_t known);
void state_rename_start(struct state *s);
void state_rename_stop(struct state *s);
/* state_sync.c: something was stored; everybody is asked. */
void state_sync_changed(struct state *s);
void state_sync_ask(struct state *s);
/* state_tell.c: what a sibling's answer is about to change. Before it is taken. */
void state_tell(struct state *s, const struct replica_change *c, const char *from);

#endif
