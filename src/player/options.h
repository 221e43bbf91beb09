/* libmpv's options for a track: its sandbox within the sandbox. Main thread. */
#ifndef PLAYER_OPTIONS_H
#define PLAYER_OPTIONS_H

#include <mpv/client.h>
#include <stdbool.h>

#include "base/outcome.h"
#include "player.pb.h"

/* Pictures are shown, of the track or a cover beside its sound, and there is a display to show them on. */
bool options_window(const ply_Start *start, bool cover);
/* No configuration, no scripts, no network, no terminal. 0, -EINVAL: this libmpv lacks an option. */
int options_set_common(mpv_handle *mpv) MUST_USE;
/* Those, and what START says. samples_fd: where digest and disc output write, or -1. Before mpv_initialize. As above. */
int options_set(mpv_handle *mpv, const ply_Start *start, bool cover, int samples_fd) MUST_USE;
#define OPTIONS_COVER_URI "hearth://cover" /* what the player's stream has to open for it */
/* Keys of the window, as `hearth play` has them at the terminal; after mpv_initialize. 0, -EINVAL */
int options_bind_keys(mpv_handle *mpv) MUST_USE;

#endif
