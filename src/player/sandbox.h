/* What the player can still do once it plays: decode in memory. With sound: also talk to the sound system. */
#ifndef PLAYER_SANDBOX_H
#define PLAYER_SANDBOX_H

#include <stdbool.h>

#include "base/outcome.h"

/* with_sound: read access to the sound system's configuration and plug-ins, its devices, and Unix sockets; without: no file, no socket.
 * Neither may use the network or start a program. Before the decoder starts its threads. 0 or -errno. */
int sandbox_enter(bool with_sound) MUST_USE;

#define SANDBOX_NO_FILTER 1
int sandbox_filter_calls(bool with_sound) MUST_USE; /* seccomp.c or seccomp-fallback.c. 0, SANDBOX_NO_FILTER, -errno */

#endif
