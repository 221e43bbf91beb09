/* Deck: tracks played one after the other, for one `hearth play`. Loop thread.
 *
 * At most one deck plays in time (with sound, or in a window); the others decode as fast as they can, for whoever asked. What a track's play ends
 * with decides what comes next: played or refused, the next track; a refusal that a person can mend, when the client can ask one, waits.
 * Source: seed S41 (what the user has specified), S47 (error handling). */
#ifndef DAEMON_DECK_H
#define DAEMON_DECK_H

#include "control.pb.h"
#include "daemon/daemon.h"

struct call;

void deck_play(struct daemon *d, struct call *c, const void *message); /* ctl PLAY */
void decks_stop(struct daemon *d);
/* What keeps the content of a track from being removed: it plays, or is to be played. NULL: nothing. */
const char *decks_need(const struct daemon *d, const struct id *content);

/* deck_control.c: of the client's own deck, else of the one that plays in time; REASON_NOT_FOUND when there is none */
void deck_control(struct daemon *d, struct call *c, const void *message);    /* PLAY_CONTROL */
void deck_now(struct daemon *d, struct call *c, const void *message);        /* NOW_GET */
void deck_queue_get(struct daemon *d, struct call *c, const void *message);  /* QUEUE_GET */
void deck_queue_add(struct daemon *d, struct call *c, const void *message);  /* QUEUE_ADD */
void deck_queue_drop(struct daemon *d, struct call *c, const void *message); /* QUEUE_DROP: not the one that plays */

#endif
