/* In-use locks (R2), hearthd's part: how a play ended, as far as it can be seen from here, and what the vault makes of it, in words. */
#ifndef DAEMON_PLAY_VERDICT_H
#define DAEMON_PLAY_VERDICT_H

#include "protocol/reason.h"
#include "vault.pb.h"

/* The player refused to go on. */
vlt_PlayEnd play_end_of_refusal(enum reason why);
/* The player has gone (player.h, on_gone). Source: R2, event detection unit. */
vlt_PlayEnd play_end_of_exit(enum reason why, int signal);

#define PLAY_VERDICT_BYTES 160
/* "It is not counted, because the player crashed (recovery 1 of 3)." Empty when there is nothing to say: played to the end, or not counted at all. */
const char *play_verdict_text(const vlt_PlayClosed *closed, char out[PLAY_VERDICT_BYTES]);

#endif
