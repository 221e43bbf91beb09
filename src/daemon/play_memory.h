/* What is remembered about playing, in hearthd.db: where each track was left, and how loud it was. Loop thread. */
#ifndef DAEMON_PLAY_MEMORY_H
#define DAEMON_PLAY_MEMORY_H

#include "daemon/daemon.h"

/* Reads both, at start, after the library. 0 or -errno. */
int play_memory_start(struct daemon *d) MUST_USE;
/* Positions near the beginning are none: playing it again begins there anyway. */
void play_memory_left(struct daemon *d, const struct id *content, uint64_t position_ms);
void play_memory_volume(struct daemon *d, uint32_t percent);

#endif
