/* Playing, the vault's part: may this content be played now, and then its blocks, one by one, straight to the player (S42-S49).
 *
 * Each open play has a thread of its own, so that a slow sync of the database does not interrupt the sound. It owns the content key,
 * which no other thread sees again, and the channel. */
#ifndef VAULT_PLAY_H
#define VAULT_PLAY_H

#include "vault/requests.h"

#define PLAY_COUNT_MAX 4 /* each may lock a MiB of memory */

int plays_init(struct vault *v) MUST_USE;
/* Closes every channel and waits for the threads. Plays that are still open here were not closed by hearthd: it has ended in disorder. */
void plays_deinit(struct vault *v);
/* Ends plays whose player has gone, of licenses that are not locked: a lock waits for hearthd's word on how it ended. Unless no block was opened: that
 * costs nothing whatever the word, and none may come (hearthd had given up waiting before it was told of the play). 0 or -errno. */
int plays_close_ended(struct vault *v) MUST_USE;
/* The request that was served last is refused, or not, in the transaction that it shares. Before the next one. */
void plays_request_done(struct vault *v, bool good);
/* What the requests since the last call did is on the disk, or is not: only now a player gets its first block, or a play is over. */
void plays_committed(struct vault *v, bool durable);
/* Is this row of the use log that of a play under way? */
bool plays_log(const struct vault *v, uint64_t log_row);
/* Is this license in use: played at this moment, or was, and what that costs is not settled yet? */
bool plays_use(struct vault *v, const void *issuer, const uint8_t license_id[16]);

/* PLAY_OPEN, with the player's channel beside it. REASON_CONTENT_ID_MISMATCH: information of another content. REASON_NO_LICENSE,
 * REASON_LICENSE_SUSPENDED, REASON_LICENSE_EXPIRED, REASON_CLOCK_UNTRUSTED (a license with time limits and a
 * clock that was turned back), REASON_LEASE_ENDED, REASON_USE_EXHAUSTED, REASON_USE_LOG_DUE, REASON_OUTSIDE_DOWNLOAD_PERIOD (the content was not
 * here while it could be downloaded), REASON_NOT_PERMITTED (not yet; to record: no right to), REASON_NOT_FOUND (no header yet), REASON_NOT_REGISTERED, REASON_IN_USE (another play has it: in_use.h; too many plays; checked out to another device), REASON_MALFORMED.
 * Source: seed S42 (license there), S44 (not expired), S46 (legal), S49 (content key). */
request_fn play_open;
/* PLAY_CLOSE. REASON_MALFORMED: an end that is not for hearthd to say. */
request_fn play_close;

#endif
