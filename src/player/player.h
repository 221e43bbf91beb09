/* Decoding and output by libmpv, fed from a track. Main thread; libmpv has threads of its own and calls track_* from one of them.
 * Source: seed S50. */
#ifndef PLAYER_PLAYER_H
#define PLAYER_PLAYER_H

#include <stdbool.h>

#include "player.pb.h"
#include "player/plugin.h"
#include "player/track.h"

struct player;

/* samples_fd: where digest and disc output write, or -1. plugin: what the sound goes through, or NULL. cover: a picture beside the sound, or empty. t, plugin
 * and cover are borrowed until player_free. 0, REASON_OUTPUT_FAILED: no such
 * device is listed, -ENOMEM, -EINVAL: this libmpv lacks an option. */
int player_new(struct player **out, const ply_Start *start, struct track *t, const struct plugin *plugin,
               struct slice cover, int samples_fd) MUST_USE;
void player_free(struct player *p); /* stops and waits for its threads; accepts NULL */

int player_event_fd(const struct player *p); /* readable when player_step has something to do */
int player_load(struct player *p) MUST_USE;  /* begins to play. 0 or -EIO */
/* Does what is to be done, without waiting. */
#define PLAYER_PLAYING 1
/* 0: played to the end. PLAYER_PLAYING. Anything else is -errno: see player_failure. */
int player_step(struct player *p) MUST_USE;
enum reason player_failure(const struct player *p,
                           const char **detail); /* why it ended otherwise; *detail may become NULL */

/* All three return at once; what came of them is in player_state, and is news. */
void player_pause(struct player *p, bool paused);
void player_seek(struct player *p,
                 uint64_t position_ms); /* before anything plays: kept until then; beyond the end: ends it */
void player_volume(struct player *p, uint32_t percent);
void player_state(struct player *p, ply_Progress *out);
bool player_take_news(struct player *p);     /* something else than the position has changed since the last call */
uint32_t player_take_wish(struct player *p); /* a key in the window: enum ply_Wanted */
/* "s16/2ch/44100", or "" while nothing has been decoded; frame_bytes: of one sample of every channel, 0 when not known. */
const char *player_format(const struct player *p, unsigned *frame_bytes);

#endif
