/* Files: durable replacement, bounded reading, directories. Blocking: never on a loop thread for bulk data. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stdint.h>
#include <sys/types.h>

#include "base/outcome.h"
#include "base/slice.h"

/* Appends the whole file to out. 0; BUF_FULL when larger than out's bound; -errno (-ENOENT when absent). */
int file_read(const char *path, struct buf *out) MUST_USE;
/* What somebody else has named may be a pipe, a device or a directory: opening waits for nobody, and only a regular file is read. flags: O_NOFOLLOW or 0.
 * *fd is the caller's. 0; FILE_NOT_REGULAR (a link too, with O_NOFOLLOW); -errno. */
#define FILE_NOT_REGULAR 2
int file_open_regular(const char *path, int flags, int *fd) MUST_USE;
int file_read_regular(const char *path, struct buf *out) MUST_USE; /* file_read of such a file */
int file_read_open(int fd, struct buf *out) MUST_USE;              /* file_read, from where fd is */
/* Writes path.tmp-THREAD, syncs, renames over path, syncs the directory. A failed fsync stops the program (abort). 0; -EMEDIUMTYPE: there is a device, a
 * pipe or a socket, or a link to one; -errno. */
int file_replace(const char *path, struct slice content, mode_t mode) MUST_USE;
int file_make_dirs(const char *path, mode_t mode) MUST_USE; /* like mkdir -p, synced; existing is fine */
/* What a copy of a file does not have, even one under its name: which file it is, and when it was made (0: the file system does not say). */
int file_birth(const char *path, uint64_t *inode, uint64_t *born_ns) MUST_USE; /* 0, -errno */
int file_sync_dir(const char *dir) MUST_USE;     /* fsync of a directory; a failed fsync aborts */
int file_sync_parent(const char *path) MUST_USE; /* the same for the directory that holds path */
int file_sync(int fd) MUST_USE;                  /* fdatasync; EIO and the like abort; 0 */
int file_sync_all(int fd) MUST_USE;              /* the same of its whole file system: syncfs */
int file_pread_all(int fd, void *out, size_t len, uint64_t offset) MUST_USE; /* 0, -EIO when short, -errno */
int file_pwrite_all(int fd, const void *data, size_t len, uint64_t offset) MUST_USE;
/* A file in memory that holds content, close on exec; gone with its last descriptor. Descriptor (the caller's) or -errno. */
int file_in_memory(const char *name, struct slice content) MUST_USE;
/* dir + "/" + name into out; -ENAMETOOLONG. */
int file_join(char *out, size_t cap, const char *dir, const char *name) MUST_USE;

#endif
