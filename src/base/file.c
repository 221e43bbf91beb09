/* Blocking file helpers. Not for bulk data on a loop thread. Any thread. */
#define LOG_MODULE "file"
#include "base/file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"

#define PATH_BYTES 4096

int file_read_open(int fd, struct buf *out)
{
    size_t before = out->len;
    for (;;) {
        size_t room = out->max_bytes - out->len;
        uint8_t beyond; /* a full buffer still has to learn whether the file ends here */
        int r = room > 0 ? buf_reserve(out, size_min(room, 64 * 1024)) : 0;
        ssize_t got = -1;
        if (r == 0) {
            if (room > 0)
                got = read(fd, out->data + out->len, out->cap - out->len);
            else
                got = read(fd, &beyond, 1);
            if (got < 0 && errno == EINTR)
                continue;
            r = got < 0 ? -errno : got > 0 && room == 0 ? BUF_FULL : 0;
        }
        if (r != 0) {
            out->len = before;
            return r;
        }
        if (got == 0)
            return 0;
        out->len += (size_t)got;
    }
}

int file_read(const char *path, struct buf *out)
{
    int fd CLEANUP(closep) = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    return fd < 0 ? -errno : file_read_open(fd, out);
}

int file_open_regular(const char *path, int flags, int *fd)
{
    struct stat st;
    int opened CLEANUP(closep) = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | flags);
    if (opened < 0) /* a link; a socket */
        return (errno == ELOOP && (flags & O_NOFOLLOW)) || errno == ENXIO ? FILE_NOT_REGULAR : -errno;
    if (fstat(opened, &st) != 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return FILE_NOT_REGULAR;
    *fd = opened;
    opened = -1;
    return 0;
}

int file_read_regular(const char *path, struct buf *out)
{
    int fd CLEANUP(closep) = -1;
    int r = file_open_regular(path, 0, &fd);
    return r != 0 ? r : file_read_open(fd, out);
}

/* After a failed fsync the kernel may have dropped the dirty pages: what we believe to be on disk is not. Only a
 * restart, which verifies everything from disk again, is honest. EINVAL and the like mean "cannot be synced". */
static int sync_outcome(int result)
{
    if (result == 0)
        return 0;
    if (errno == EINVAL || errno == EROFS || errno == EBADF || errno == ENOTSUP)
        return -errno;
    log_error("cannot sync, stopping: errno=%d", errno);
    abort();
}

static int sync_with(int (*call)(int fd), int fd)
{
    int r;
    do
        r = call(fd);
    while (r < 0 && errno == EINTR);
    return sync_outcome(r);
}

int file_sync(int fd) { return sync_with(fdatasync, fd); }

int file_sync_all(int fd) { return sync_with(syncfs, fd); }

int file_sync_dir(const char *dir)
{
    int fd CLEANUP(closep) = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    return sync_with(fsync, fd);
}

int file_sync_parent(const char *path)
{
    char dir[PATH_BYTES];
    const char *slash = strrchr(path, '/');
    if (!slash)
        return file_sync_dir(".");
    if (slash == path)
        return file_sync_dir("/");
    size_t len = (size_t)(slash - path);
    if (len >= sizeof(dir))
        return -ENAMETOOLONG;
    memcpy(dir, path, len);
    dir[len] = '\0';
    return file_sync_dir(dir);
}

static int write_synced(const char *path, struct slice content, mode_t mode)
{
    int fd CLEANUP(closep) = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode & 0700);
    if (fd < 0)
        return -errno;
    /* What others may, whatever the umask. For the owner alone there is nothing to change, and a confined hearthd may not. */
    if ((mode & 077) != 0 && fchmod(fd, mode) != 0)
        return -errno;
    int r = file_pwrite_all(fd, content.data, content.len, 0);
    if (r < 0)
        return r;
    return sync_with(fsync, fd);
}

/* Who names /dev/stdout, /dev/null or a pipe as the place of a file must not lose it: what stands there is renamed over. */
static int judge_replaced(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return errno == ENOENT || errno == ELOOP ? 0 : -errno;
    return S_ISREG(st.st_mode) ? 0 : S_ISDIR(st.st_mode) ? -EISDIR : -EMEDIUMTYPE;
}

int file_replace(const char *path, struct slice content, mode_t mode)
{
    char temporary[PATH_BYTES];
    int judged = judge_replaced(path);
    if (judged != 0)
        return judged;
    /* The thread's number, so that two threads of one process do not share a temporary either. */
    int len = snprintf(temporary, sizeof(temporary), "%s.tmp-%d", path, (int)gettid());
    if (len < 0 || (size_t)len >= sizeof(temporary))
        return -ENAMETOOLONG;
    if (unlink(temporary) != 0 && errno != ENOENT) /* left by a crashed process of the same number */
        return -errno;
    int r = write_synced(temporary, content, mode);
    if (r == 0 && rename(temporary, path) != 0)
        r = -errno;
    if (r < 0) {
        unlink(temporary);
        return r;
    }
    return file_sync_parent(path);
}

/* What is put into it is no safer than its name. */
static int make_dir(const char *path, mode_t mode)
{
    if (mkdir(path, mode) == 0)
        return file_sync_parent(path);
    if (errno != EEXIST)
        return -errno;
    struct stat st;
    if (stat(path, &st) != 0)
        return -errno;
    return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

int file_make_dirs(const char *path, mode_t mode)
{
    char partial[PATH_BYTES];
    size_t len = strlen(path);
    if (len == 0)
        return -ENOENT;
    if (len >= sizeof(partial))
        return -ENAMETOOLONG;
    memcpy(partial, path, len + 1);
    for (char *at = partial + 1; *at; at++) {
        if (*at != '/')
            continue;
        *at = '\0';
        int r = make_dir(partial, mode);
        if (r < 0)
            return r;
        *at = '/';
    }
    return make_dir(partial, mode);
}

int file_pread_all(int fd, void *out, size_t len, uint64_t offset)
{
    uint8_t *at = out;
    if (offset > INT64_MAX || len > INT64_MAX - offset)
        return -EOVERFLOW;
    while (len > 0) {
        ssize_t got = pread(fd, at, len, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            return -EIO;
        at += (size_t)got;
        len -= (size_t)got;
        offset += (uint64_t)got;
    }
    return 0;
}

int file_pwrite_all(int fd, const void *data, size_t len, uint64_t offset)
{
    const uint8_t *at = data;
    if (offset > INT64_MAX || len > INT64_MAX - offset)
        return -EOVERFLOW;
    while (len > 0) {
        ssize_t put = pwrite(fd, at, len, (off_t)offset);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return -errno;
        at += (size_t)put;
        len -= (size_t)put;
        offset += (uint64_t)put;
    }
    return 0;
}

int file_join(char *out, size_t cap, const char *dir, const char *name)
{
    size_t dir_len = strlen(dir), name_len = strlen(name);
    if (dir_len >= cap || name_len >= cap || dir_len + name_len + 2 > cap)
        return -ENAMETOOLONG;
    memcpy(out, dir, dir_len);
    out[dir_len] = '/';
    memcpy(out + dir_len + 1, name, name_len + 1);
    return 0;
}

int file_in_memory(const char *name, struct slice content)
{
    int fd = memfd_create(name, MFD_CLOEXEC);
    if (fd < 0)
        return -errno;
    int r = file_pwrite_all(fd, content.data, content.len, 0);
    if (r == 0)
        return fd;
    close(fd);
    return r;
}

int file_birth(const char *path, uint64_t *inode, uint64_t *born_ns)
{
    struct statx x;
    if (statx(AT_FDCWD, path, 0, STATX_INO | STATX_BTIME, &x) != 0)
        return -errno;
    *inode = x.stx_ino;
    *born_ns = (x.stx_mask & STATX_BTIME) == 0 ? 0 : (uint64_t)x.stx_btime.tv_sec * 1000000000u + x.stx_btime.tv_nsec;
    return 0;
}
