/* Backup: a directory that holds all of a distributor, consistent, made while it serves; and putting one back.
 *
 *     operations.db     one consistent state of the database
 *     directory.db      of a directory
 *     keys/             as they are: who reads the backup has the keys
 *     programs.db       what is specific to each device's copy of a program (program_history.h), when there is any
 *     programs/         programs as they were signed, linked as bodies are
 *     bodies/           encrypted content; links to the same files where the file system allows it, for they never change
 *     backup.json       whose it is, when it was begun, and the SHA-256 of the files above it; written last
 *
 * It is made under DIR.partial and renamed when all of it is on disk: a directory with its final name is whole. Blocks; for the operator's commands. */
#ifndef DISTRIBUTOR_BACKUP_H
#define DISTRIBUTOR_BACKUP_H

#include "distributor/directory_db.h"
#include "distributor/reserve.h"

#define BACKUP_FORMAT 1
#define BACKUP_DAMAGED 2201 /* something in it is missing, or is not what backup.json says */
#define BACKUP_NEWER 2202   /* made by a newer version of this program */
#define BACKUP_OTHER 2203   /* keys and database are of different distributors */

struct backup {
    char id[ID_TEXT_BYTES], name[OPERATIONS_NAME_BYTES];
    int64_t taken_ms;
    uint64_t bytes;  /* of databases and keys */
    uint64_t bodies; /* how many */
    bool has_directory;
};

/* o: open on state_dir. 0; -EEXIST: dir is there already; -ENOTSUP: the database is no file (a database server has its own tools); -errno. */
int backup_make(struct operations *o, const char *dir, bool with_bodies, int64_t now_ms, struct backup *out) MUST_USE;
/* Reads and judges all of it but the bodies, which prove themselves. 0, BACKUP_DAMAGED, BACKUP_NEWER, -ENOENT, -errno. */
int backup_read(const char *dir, struct backup *out) MUST_USE;
/* Puts it into state_dir, which must hold neither keys nor database; numbers leap (reserve.h) before the database gets its name there. A try that was
 * interrupted is begun again. clock_was_ahead: reserve.h. 0, those of backup_read, BACKUP_OTHER, STORE_NEWER, -EEXIST, -ERANGE, -EOVERFLOW, -errno. */
int backup_restore(const char *dir, const char *state_dir, const struct rng *rng, int64_t now_ms, bool clock_was_ahead,
                   struct backup *from, struct reserve_report *out) MUST_USE;
/* Moves keys and databases of state_dir into state_dir/replaced-TIME. 0 or -errno. */
int backup_move_aside(const char *state_dir, int64_t now_ms) MUST_USE;

#endif
