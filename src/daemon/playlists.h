/* What playlists.c (rows) and playlists_edit.c share. Loop thread. */
#ifndef DAEMON_PLAYLISTS_H
#define DAEMON_PLAYLISTS_H

#include "daemon/state.h"

struct call;
/* Sends its PLAYLIST_ROW; false: there is none of this ID. */
bool playlist_row(struct daemon *d, const uint8_t id[PLAYLIST_ID_BYTES], struct call *c);

#endif
