/* What the files of the deck share. */
#ifndef DAEMON_DECK_INTERNAL_H
#define DAEMON_DECK_INTERNAL_H

#include "daemon/control.h"
#include "daemon/deck.h"
#include "daemon/play.h"

#define DECK_TRACKS_MAX 1024 /* a whole playlist */

enum deck_state { DECK_STOPPED = 0, DECK_STARTING = 1, DECK_PLAYING = 2, DECK_PAUSED = 3, DECK_WAITING = 4 };

struct deck_track {
    struct id content;
    char title[128];
    uint64_t duration_ms;
};
/* A control's call, answered when the player has done it. */
struct deck_waiter {
    struct deck_waiter *next;
    struct call *call;
    enum { WAIT_RUN, WAIT_SEEK, WAIT_PAUSE, WAIT_VOLUME, WAIT_END } what;
    uint32_t value; /* which play; how many seeks; paused or not; per cent */
};
struct deck {
    struct daemon *daemon;
    struct deck *next;
    struct call *call; /* NULL: nobody watches */
    bool in_time, asks, background, stopping;
    char output[128];
    ply_Start start;  /* output, device and display of every track */
    char plugin[128]; /* of every track; "": none */
    struct deck_track tracks[DECK_TRACKS_MAX];
    uint32_t count, current;
    uint64_t first_ms; /* where the next play begins; 0 but for a resumed one */

    uint32_t plays;           /* so far, this one included */
    struct play *play;        /* NULL: waiting for an answer, or between two */
    int64_t move_to;          /* index to go to when the play has ended; -1: where its end leads */
    uint64_t left_ms;         /* where the refused one ended */
    bool waiting;             /* a refusal that a person may mend */
    ply_Progress progress;    /* of this play */
    uint32_t seeks;           /* told to this player */
    uint64_t sought_ms;       /* the last of them */
    uint64_t noted_ms;        /* position last written down */
    struct place_mark *mark;  /* where it is written; NULL: nowhere */
    bool chosen;              /* the first one's place, of several */
    uint32_t played, refused; /* tracks */
    uint32_t round_played;    /* of them, before the queue began anew (repeat) */
    msg_Refusal refusal;      /* the last one */
    bool mishap;              /* the last track ended with it */
    struct deck_waiter *waiters;
    bool has_left;                  /* its license counts */
    ctl_Left left;                  /* when this play began */
    struct deck_metadata *metadata; /* of this play, once the vault has permitted it; NULL: none */
};

enum deck_state deck_state(const struct deck *k);
uint64_t deck_position_ms(const struct deck *k); /* where it is, or will be once it has sought */
uint64_t deck_duration_ms(const struct deck *k); /* 0: not known */
void deck_row(const struct deck *k, ctl_Playing *out);
struct deck *deck_in_time(struct daemon *d); /* NULL */
/* Appends a playlist: also what is not here, which is refused when its turn comes. 0, a reason with detail. */
int deck_add_playlist(struct deck *k, const char *playlist, char *detail, size_t detail_cap) MUST_USE;
/* Resolves names and appends the tracks. 0, a reason with detail: nothing was appended. */
int deck_add(struct deck *k, const char (*names)[128], size_t count, char *detail, size_t detail_cap) MUST_USE;

void deck_play_current(struct deck *k); /* from first_ms */
void deck_seek(struct deck *k, uint64_t position_ms);
void deck_volume(struct deck *k, uint32_t percent);
void deck_go(struct deck *k, uint32_t index); /* plays that one next, now; count: ends */
void deck_stop(struct deck *k);

/* deck_left.c: what is left of what the track's license counts; after a play (end not NULL), of the license that it was under. false: it counts nothing. */
bool deck_left(struct daemon *d, const struct id *content, const struct play_end *end, ctl_Left *out);

/* deck_metadata.c */
void deck_metadata_load(struct deck *k); /* when a track begins */
void deck_metadata_drop(struct deck *k);
void deck_metadata_row(const struct deck *k, ctl_Playing *out); /* position_ms is filled already */
uint32_t deck_metadata_chapters(const struct deck *k);
bool deck_metadata_chapter(const struct deck *k, uint32_t number, uint64_t *start_ms); /* false: there is none of it */
/* The chapter after this one, or before it; after so much of one, back is its own beginning. May be one that there is not. */
uint32_t deck_metadata_beside(const struct deck *k, bool back);

#endif
