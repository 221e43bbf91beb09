/* A track as bytes to be decoded: the body file outside, the vault in between, one plain block in memory.
 *
 * Any offset can be read; a block is fetched when the first byte of it is wanted. One thread at a time, except track_cancel.
 * Source: seed S48 (read the encrypted contents), S49 (decrypted block by block). */
#ifndef PLAYER_TRACK_H
#define PLAYER_TRACK_H

#include "net/channel.h"

struct track;

/* body_fd: the body file, read only; vault: connected to the vault's player channel. Both are taken, also on failure.
 * 0; a reason (REASON_BLOCK_CORRUPT: not a body, or one of another length); -errno. */
int track_open(struct track **out, int body_fd, int vault_fd) MUST_USE;
void track_close(struct track *t); /* accepts NULL */

uint64_t track_bytes(const struct track *t);
/* Up to len bytes at offset; fewer at the end of a block or of the track. Count, 0 at the end, -EIO: see track_failure. */
int64_t track_read(struct track *t, uint64_t offset, void *out, size_t len) MUST_USE;
/* Why reading failed: REASON_NONE when it has not, or was cancelled. */
enum reason track_failure(const struct track *t);
/* From any thread: a read that waits for the vault fails now, and every later one. */
void track_cancel(struct track *t);

#endif
