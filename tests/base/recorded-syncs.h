/* What reaches the disk, in which order: fsync(2), fdatasync(2), syncfs(2) and rename(2) of the calling process, and of those it forks, as letters. The definitions here take the
 * place of the C library's, also for SQLite; so this is for one file of a test program, and for one thread at a time. */
#ifndef TEST_BASE_RECORDED_SYNCS_H
#define TEST_BASE_RECORDED_SYNCS_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define RECORDED_BYTES 256
/* F: a file was synced, D: a directory, A: a whole file system, R: a file was renamed. Shared with processes that are forked later. */
static char *recorded_syncs;

__attribute__((constructor)) static void record_syncs(void)
{
    recorded_syncs = mmap(NULL, RECORDED_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (recorded_syncs == MAP_FAILED)
        abort();
}

static inline void record_syncs_anew(void) { recorded_syncs[0] = '\0'; }

static inline void record_sync(char letter)
{
    size_t len = strlen(recorded_syncs);
    if (len + 1 < RECORDED_BYTES) {
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
