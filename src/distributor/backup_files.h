/* Files of a backup: copied with a digest, linked where that will do, whole folders. Blocks. */
#ifndef DISTRIBUTOR_BACKUP_FILES_H
#define DISTRIBUTOR_BACKUP_FILES_H

#include <stdint.h>
#include <sys/types.h>

#include "base/outcome.h"
#include "crypto/sha256.h"

/* Copies a regular file to a new one, synced. hash (may be NULL) and *bytes (may be NULL) of what was copied. 0, -EEXIST, -EINVAL: it is no regular
 * file; -errno. */
int backup_copy_file(const char *from, const char *to, mode_t mode, uint8_t hash[SHA256_BYTES], uint64_t *bytes)
    MUST_USE;
int backup_hash_file(const char *path, uint8_t hash[SHA256_BYTES], uint64_t *bytes) MUST_USE;
/* visit for each regular file of a folder, by name, in no order. A folder that is not there has none. The first failure of visit ends it. */
int backup_each(const char *folder, int (*visit)(void *ctx, const char *name), void *ctx) MUST_USE;
/* Every regular file of a folder whose name ends so ("": all) into another one (made when it is not there): a link to the same file, or a copy. What is there already with the same size
 * stays. *count: how many there are. */
int backup_link_folder(const char *from, const char *to, const char *ending, uint64_t *count) MUST_USE;
/* Removes a folder and what is in it, two levels deep. 0 (also: it was not there), -errno. */
int backup_remove_folder(const char *folder) MUST_USE;

#endif
