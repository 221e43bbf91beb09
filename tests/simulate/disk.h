/* The disks of a simulation: SQLite's files in memory, one disk a machine, with what was synced and what was not.
 *
 * It becomes SQLite's default VFS, so the programs' own store opens, writes and syncs as it always does. Every write since a file's last sync is
 * remembered; when the power fails, each of them is kept, lost or torn at a sector, by chance. The power may also fail inside of a call: then the
 * call goes on upon a disk that nobody will ever see, and what was there at that moment comes back. One thread. */
#ifndef TESTS_SIMULATE_DISK_H
#define TESTS_SIMULATE_DISK_H

#include <stdbool.h>

#include "base/rng.h"

#define DISKS_MAX 16

/* Once, before SQLite is used. Files of no disk are in memory as well. */
void disk_init(void);
/* Files under this directory, also those that are there already, are disk number's. */
void disk_add(unsigned number, const char *dir);
/* The power of this disk fails at its count-th write or sync from now. */
void disk_arm(unsigned number, unsigned count, const struct rng *rng);
/* It has: whatever was said since is void. */
bool disk_failed(unsigned number);
/* The machine stops, now or when its power failed: what will be there is decided. Without power_loss everything written is. */
void disk_stop(unsigned number, bool power_loss, const struct rng *rng);
/* After every file of it was closed: what was decided is there. */
void disk_restore(unsigned number);
/* What its files whose names have this in them are now; and, between disk_restore and their first opening, that once more. */
void disk_keep(unsigned number, const char *part);
void disk_put_back(unsigned number);
/* Its files are under another directory from now on; none is open. */
void disk_move(unsigned number, const char *to);
/* Writes and syncs so far. */
unsigned disk_count(unsigned number);

#endif
