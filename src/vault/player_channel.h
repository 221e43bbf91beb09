/* The channel to one player: decrypts the blocks it is handed, one at a time, on a thread of its own. */
#ifndef VAULT_PLAYER_CHANNEL_H
#define VAULT_PLAYER_CHANNEL_H

#include <stdbool.h>

#include "base/secret.h"
#include "crypto/body.h"

struct player_channel;

/* Takes fd, also on failure. key is copied; wipe yours. 0 or -errno. */
int player_channel_open(struct player_channel **out, int fd, const struct key32 *key, const uint8_t nonce[32],
                        const struct body_shape *shape) MUST_USE;
bool player_channel_has_ended(const struct player_channel *p); /* the player has gone; the key is wiped already */
void player_channel_close(struct player_channel *p);           /* ends it, waits for its thread, frees; accepts NULL */

#endif
