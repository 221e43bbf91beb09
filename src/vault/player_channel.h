/* The channel to one player: decrypts the blocks it is handed, one at a time, on a thread of its own. */
#ifndef VAULT_PLAYER_CHANNEL_H
#define VAULT_PLAYER_CHANNEL_H

#include <stdbool.h>

#include "base/clock.h"
#include "base/secret.h"
#include "crypto/body.h"
#include "protocol/reason.h"

struct program_secret;

struct player_channel;

/* How much may be opened: blocks in proportion to duration_ms, each time but for those opened last, as long as less than budget_ms was
 * opened before; and nothing after until_mono_ms on the clock, which is refused as `ended`. */
struct player_limit {
    uint64_t duration_ms, budget_ms;
    const struct clock *clock; /* borrowed */
    int64_t until_mono_ms;     /* INT64_MAX: no end */
    enum reason ended;
    bool record; /* RECORD_ASK is answered with yes */
};
/* Nothing is served before player_channel_begin. Takes fd, also on failure. key and plugin (NULL: none) are copied; wipe yours. The player may have the plug-in opened as often as it
 * likes: REASON_UNKNOWN_PROGRAM without one, and those of program_unseal. 0 or -errno. */
int player_channel_open(struct player_channel **out, int fd, const struct key32 *key, const uint8_t nonce[32],
                        const struct body_shape *shape, const struct player_limit *limit,
                        const struct program_secret *plugin) MUST_USE;
void player_channel_begin(struct player_channel *p);
/* What was opened so far. */
uint64_t player_channel_opened_ms(const struct player_channel *p);
bool player_channel_opened_any(const struct player_channel *p);
bool player_channel_has_ended(const struct player_channel *p); /* the player has gone; the key is wiped already */
void player_channel_stop(struct player_channel *p); /* ends it, begun or not, and waits for its thread; idempotent */
void player_channel_free(struct player_channel *p); /* after that */

#endif
