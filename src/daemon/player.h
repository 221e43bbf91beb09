/* Players: hearth-player processes, and the one that waits to be used. Loop thread.
 *
 * A player takes longer to load its libraries than everything else that stands between a command and its sound. So the next one is started
 * while one plays, and waits; it is let go a while after the last one has ended.
 *
 * Callbacks of one player, in order: on_frame ..., on_gone (once; also when it hung, crashed, or was closed). None fires before
 * the starting call has returned. */
#ifndef DAEMON_PLAYER_H
#define DAEMON_PLAYER_H

#include "daemon/daemon.h"
#include "net/peer.h"

struct player;
struct player_callbacks {
    void (*on_frame)(const struct frame *f, void *ctx); /* what it says about START or OUTPUTS_GET */
    /* REASON_TIMED_OUT: it said nothing for PLAYER_SILENCE_MS, or stood still for PLAYER_STILL_MS, and was killed; REASON_OUTPUT_FAILED: its display went away; REASON_INTERNAL: it ended, signal tells how (0: by itself);
     * REASON_CANCELLED: player_close. The player is gone. */
    void (*on_gone)(enum reason why, int signal, void *ctx);
};
#define PLAYER_SILENCE_MS 10000 /* it reports four times a second, whatever its decoder does */
#define PLAYER_STILL_MS 15000   /* that its position does not rise, while it is not paused and waits for no device */

/* One that waits, or a new one. 0, -ENOENT: the program is not installed, -errno. */
int player_take(struct player **out, struct daemon *d, const struct player_callbacks *callbacks, void *ctx) MUST_USE;
/* Takes the descriptors, also on failure. plugin_fd: a sealed plug-in, or -1. fields and message: ply START. -errno: on_gone does not fire, player_close does. */
int player_start(struct player *p, int body_fd, int vault_fd, int plugin_fd, const void *start) MUST_USE;
/* Before player_start: where disc output writes. Takes fd, also on failure. 0 or -errno */
int player_give_disc(struct player *p, int fd) MUST_USE;
/* Before player_start: a picture that is shown while there is sound. Takes fd, also on failure. 0 or -errno */
int player_give_cover(struct player *p, int fd) MUST_USE;
int player_ask_outputs(struct player *p) MUST_USE;
/* PAUSE, SEEK, VOLUME: nothing comes back but progress. One that cannot be told is about to go. */
void player_tell(struct player *p, uint16_t type, const pb_msgdesc_t *fields, const void *message);
/* It has hung or ended by itself, and on_gone follows. */
bool player_failed(const struct player *p);
/* Ends it, now. From any callback but on_gone, after which it is gone anyway. */
void player_close(struct player *p);

void player_prepare(struct daemon *d); /* starts one that waits, when none does */
void players_stop(struct daemon *d);

#endif
