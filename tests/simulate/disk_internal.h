/* One file of a disk in memory, between what keeps it (disk.c) and what SQLite does with it (disk_vfs.c). */
#ifndef TESTS_SIMULATE_DISK_INTERNAL_H
#define TESTS_SIMULATE_DISK_INTERNAL_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DISK_SECTOR_BYTES 512
#define DISK_PATH_BYTES 256
#define DISK_SHARED_REGIONS 8

struct bytes {
    uint8_t *data;
    size_t len, cap;
};
struct change;
struct file {
    char path[DISK_PATH_BYTES];
    unsigned disk;
    bool temporary;       /* of no disk, gone when it is closed */
    bool exists, existed; /* existed, left: what comes back */
    struct bytes now, left;
    struct change *changes, *left_changes;
    struct bytes kept; /* disk_keep */
    bool was_kept, kept_exists;
    /* disk_vfs.c's: */
    int level[5]; /* open handles at each lock level */
    int opened;
    void *shm[DISK_SHARED_REGIONS];
    int shm_shared[SQLITE_SHM_NLOCK];
    bool shm_exclusive[SQLITE_SHM_NLOCK];
};

/* disk.c: the file of this name, which may be one that does not exist; NULL: there never was one, and make is false. Its own. */
struct file *disk_find(const char *path, bool make);
/* A nameless one; whoever closes it frees it. */
struct file *disk_temporary(void);
void disk_temporary_free(struct file *f);
/* Each may be the call at which the power fails (disk_arm). */
void disk_write(struct file *f, size_t at, const void *data, size_t len);
void disk_truncate(struct file *f, size_t len);
void disk_sync(struct file *f);
void disk_delete(struct file *f); /* at once */

/* disk_vfs.c: memory that its connections shared is gone with the machine. */
void disk_forget_shared(struct file *f);

#endif
