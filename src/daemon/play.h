/* Playing one track: body file, vault channel and player brought together; hearthd only relays what the player tells. Loop thread.
 *
 * Callbacks, in order: on_progress and on_wish ..., on_end (once, after which the play is gone). None fires before play_start has returned.
 * on_end comes after the vault has closed the play and what was used is known here: whoever asks for a count then gets the right one.
 * Source: seed S41-S50 (contents reproduction process section). */
#ifndef DAEMON_PLAY_H
#define DAEMON_PLAY_H

#include "daemon/daemon.h"
#include "messages.pb.h"
#include "player.pb.h"
#include "protocol/reason.h"

struct play;
struct play_end {
    enum reason why; /* REASON_NONE: played to the end. REASON_CANCELLED: play_stop. */
    msg_Refusal refusal;
    ply_Played played;
    bool licensed; /* the vault has opened it, under this license */
    struct id issuer;
    uint8_t license_id[16];
    bool counted; /* as a play */
};
struct play_callbacks {
    void (*on_progress)(const ply_Progress *progress, void *ctx);
    void (*on_wish)(uint32_t wanted, void *ctx); /* enum ply_Wanted: a key in the window */
    void (*on_end)(const struct play_end *end, void *ctx);
};

/* start: what the player is told, media type and title excepted. plugin: "NAME", "NAME@DISTRIBUTOR", or "" for none. 0, -ENOMEM. Everything else comes through on_end. */
int play_start(struct play **out, struct daemon *d, const struct id *content, const ply_Start *start,
               const char *plugin, const struct play_callbacks *callbacks, void *ctx) MUST_USE;
/* Is this license in use, one play of it being locked (R2)? Pointers: 32 and 16 bytes. */
bool plays_lock(const struct daemon *d, const void *issuer, const void *license_id);
/* Right after play_start with disc output: the vault is asked for the right to record, and the samples go into fd. Takes fd. */
void play_record(struct play *p, int fd);
/* Right after play_start: the player is not told to begin before play_cover. */
void play_await_cover(struct play *p);
/* Once, after it: the picture beside the sound; fd -1: there is none. Takes fd. */
void play_cover(struct play *p, int fd);
/* false: the player has not begun, and will begin with that. */
bool play_seek(struct play *p, uint64_t position_ms);
void play_pause(struct play *p, bool paused);
void play_volume(struct play *p, uint32_t percent);
void play_stop(struct play *p); /* on_end follows */

void plays_stop(struct daemon *d); /* ends every play */

#endif
