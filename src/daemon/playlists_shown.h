/* Which entries stood at which numbers when a playlist was last shown here: a number that a person gives means what that person has seen, whatever other
 * devices have changed since. In memory; loop thread. */
#ifndef DAEMON_PLAYLISTS_SHOWN_H
#define DAEMON_PLAYLISTS_SHOWN_H

#include "daemon/state.h"
#include "protocol/reason.h"

struct playlists_shown;
/* The list as it is now was shown. Out of memory: as if it had not been. */
void playlist_shown(struct daemon *d, const uint8_t playlist[PLAYLIST_ID_BYTES], const struct state_entry *list,
                    size_t count);
/* The entry at this number, from 1. 0; REASON_OUT_OF_STEP: it was not shown; REASON_NOT_FOUND: it had no such number. */
int playlist_shown_at(struct daemon *d, const uint8_t playlist[PLAYLIST_ID_BYTES], uint32_t number,
                      uint8_t entry[PLAYLIST_ID_BYTES]) MUST_USE;
/* Was it shown as it is now? */
bool playlist_shown_is(struct daemon *d, const uint8_t playlist[PLAYLIST_ID_BYTES], const struct state_entry *list,
                       size_t count);
/* A person of this device has taken an entry out, or moved it to another number: the numbers after it are others now. */
void playlist_shown_without(struct daemon *d, const uint8_t playlist[PLAYLIST_ID_BYTES],
                            const uint8_t entry[PLAYLIST_ID_BYTES]);
void playlist_shown_moved(struct daemon *d, const uint8_t playlist[PLAYLIST_ID_BYTES],
                          const uint8_t entry[PLAYLIST_ID_BYTES], uint32_t number);
void playlists_shown_free(struct daemon *d);

#endif
