/* What reaches the disk, in which order: fsync(2), fdatasync(2), syncfs(2) and rename(2) of the calling process as letters. The definitions here take the
 * place of the C library's, also for SQLite; so this is for one file of a test program, and for one thread. */
#ifndef TEST_BASE_RECORDED_SYNCS_H
#define TEST_BASE_RECORDED_SYNCS_H

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static char
    recorded_syncs[256]; /* F: a file was synced, D: a directory, A: a whole file system, R: a file was renamed */

static inline void record_syncs_anew(void) { recorded_syncs[0] = '\0'; }

static inline void record_sync(char letter)
{
    size_t len = strlen(recorded_syncs);
    if (len + 1 < sizeof(recorded_syncs)) {
        recorded_syncs[len] = letter;
        recorded_syncs[len + 1] = '\0';
    }
}

static inline int record_sync_of(int fd, long r)
{
    struct stat st;
    if (r == 0 && fstat(fd, &st) == 0)
        record_sync(S_ISDIR(st.st_mode) ? 'D' : 'F');
    return (int)r;
}

int fsync(int fd) { return record_sync_of(fd, syscall(SYS_fsync, fd)); }

int fdatasync(int fd) { return record_sync_of(fd, syscall(SYS_fdatasync, fd)); }

int syncfs(int fd)
{
    long r = syscall(SYS_syncfs, fd);
    if (r == 0)
        record_sync('A');
    return (int)r;
}

int rename(const char *from, const char *to)
{
    long r = syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to);
    if (r == 0)
        record_sync('R');
    return (int)r;
}

#endif
