/* What is remembered about playing, in the household's state: where each track was left, and how loud it was. Loop thread.
 *
 * A play goes on from what was known when it began. What another device says of the track meanwhile stays beside it: nobody's place is overwritten by
 * one who did not know of it. Several places under one track are for the person to choose from. */
#ifndef DAEMON_PLAY_MEMORY_H
#define DAEMON_PLAY_MEMORY_H

#include "daemon/state.h"

/* Where a track was left; 0: nowhere, or at several places: *count, of which these are at most PLACES_MAX, each with who left it there. */
#define PLACES_MAX 8
struct place_left {
    uint64_t position_ms;
    struct dot by;
};
size_t play_memory_places(const struct daemon *d, const struct id *content, struct place_left places[PLACES_MAX]);
uint64_t play_memory_position(const struct daemon *d, const struct id *content);

/* One play of a track. takes_all: the person has chosen, so that what it notes takes the place of all that is known now; else of what is known if that is
 * one place, or of nothing. NULL: out of memory, nothing is remembered. Notes may be under way when it ends. */
struct place_mark;
struct place_mark *play_memory_begin(struct daemon *d, const struct id *content, bool takes_all);
/* Positions near the beginning are none: playing it again begins there anyway. */
void play_memory_left(struct place_mark *m, uint64_t position_ms); /* m may be NULL */
void play_memory_end(struct place_mark *m);

void play_memory_volume(struct daemon *d, uint32_t percent);
/* The state has changed: the household's volume is that of whatever is played next. */
void play_memory_changed(struct daemon *d);

struct call;
void positions_handle(struct daemon *d, struct call *c, const void *message); /* ctl POSITIONS_GET */

#endif
