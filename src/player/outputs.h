/* The sound devices there are, as libmpv finds them. Main thread. */
#ifndef PLAYER_OUTPUTS_H
#define PLAYER_OUTPUTS_H

#include <mpv/client.h>
#include <stdbool.h>

#include "net/channel.h"

/* Enters the sandbox of a player with sound, then answers OUTPUTS_GET: ply OUTPUT ..., OUTPUTS_DONE. 0 or -errno. */
int outputs_tell(struct channel *control, uint32_t request) MUST_USE;
/* Is this name on libmpv's list? After mpv_initialize. */
bool outputs_list_has(mpv_handle *mpv, const char *name);

#endif
