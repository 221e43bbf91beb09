/* What the player can still do once it plays: decode in memory. With sound or a window: also talk to the sound system, the display. */
#ifndef PLAYER_SANDBOX_H
#define PLAYER_SANDBOX_H

#include <stdbool.h>

#include "base/outcome.h"

struct sandbox {
    bool
        sound; /* read access to the system's configuration and plug-ins for sound, not the user's; its devices; Unix sockets */
    bool
        window; /* read access to the display's locale and keyboard data; Unix sockets. No graphics device: pictures are drawn in memory */
    const char *authority; /* of the X display: read access to this file; NULL */
};
/* Without both: no file, no socket. Neither may use the network or start a program, nor take more memory than 4K video needs. Before the decoder starts its threads. 0 or -errno. */
int sandbox_enter(const struct sandbox *needs) MUST_USE;

/* seccomp.c or seccomp-fallback.c. 0, CONFINE_UNAVAILABLE, -errno */
int sandbox_filter_calls(void) MUST_USE;
int sandbox_filter_calls_with_sockets(void) MUST_USE; /* as well, but Unix sockets are left */

#endif
