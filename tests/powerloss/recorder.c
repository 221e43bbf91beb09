/* Loaded into hearthd, its vault and hearth-distributor by the dynamic linker: writes down what they do to the file system that their state is on,
 * so that states.py can say what a power loss at any moment would have left of it.
 *
 *   RECORDER_ROOT  a folder that is a file system of its own: what happens on it is recorded
 *   RECORDER_LOG   a file outside of it, appended to: one record a call, in the order in which the calls took effect
 *
 * A record: "HR", kind:u8, 0:u8, bytes of path, of second path, of data:u32 each, inode:u64, offset:i64, CLOCK_MONOTONIC in ns:u64, then path, second
 * path and data; little endian. Several recordings of one machine are put in order by their times. What writes is
 * recorded before it is done (it may be on the disk from then on), what syncs after it is done, and what changes names after it succeeded. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { WRITE = 1, TRUNCATE, SYNC, SYNC_ALL, CREATE, RENAME, UNLINK, MKDIR, SYNC_DIR, LINK, NAMELESS };

#define DIRECTORIES_MAX 1024
#define EXPORT __attribute__((visibility("default")))

struct record {
    char magic[2];
    uint8_t kind, zero;
    uint32_t path_bytes, second_bytes, data_bytes;
    uint64_t inode;
    int64_t offset;
    uint64_t time_ns;
};

static const char *root;
static size_t root_len;
static dev_t device;
static int log_fd = -1;
static char directories[DIRECTORIES_MAX][PATH_MAX]; /* open ones by descriptor, below the root */

__attribute__((constructor)) static void begin(void)
{
    struct stat st;
    const char *log = getenv("RECORDER_LOG");
    root = getenv("RECORDER_ROOT");
    if (root == NULL || log == NULL || stat(root, &st) != 0)
        return;
    root_len = strlen(root);
    device = st.st_dev;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    log_fd =
        fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 900); /* out of the way of descriptors that are passed on by number */
}

static void put(uint8_t kind, uint64_t inode, int64_t offset, const char *path, const char *second, const void *data,
                size_t len)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    struct record r = { { 'H', 'R' },
                        kind,
                        0,
                        0,
                        0,
                        (uint32_t)len,
                        inode,
                        offset,
                        (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec };
    if (path != NULL)
        r.path_bytes = (uint32_t)strlen(path);
    if (second != NULL)
        r.second_bytes = (uint32_t)strlen(second);
    struct iovec parts[] = { { &r, sizeof(r) },
                             { (void *)(uintptr_t)path, r.path_bytes },
                             { (void *)(uintptr_t)second, r.second_bytes },
                             { (void *)(uintptr_t)data, len } };
    if (syscall(SYS_writev, log_fd, parts, 4) != (long)(sizeof(r) + r.path_bytes + r.second_bytes + len))
        abort();
}

/* A regular file or folder of the recorded file system. */
static int is_ours(int fd, struct stat *st)
{
    int saved = errno;
    int yes =
        log_fd >= 0 && fstat(fd, st) == 0 && st->st_dev == device && (S_ISREG(st->st_mode) || S_ISDIR(st->st_mode));
    errno = saved;
    return yes;
}

/* The path below the root, in out; "": the root itself; NULL: elsewhere. */
static const char *below(int dir, const char *path, char out[PATH_MAX])
{
    char cwd[PATH_MAX] = "";
    if (log_fd < 0 || path == NULL)
        return NULL;
    if (path[0] == '/')
        (void)snprintf(out, PATH_MAX, "%s", path);
    else if (dir >= 0 && dir < DIRECTORIES_MAX && directories[dir][0] != '\0')
        (void)snprintf(out, PATH_MAX, "%s/%s", directories[dir], path);
    else if (syscall(SYS_getcwd, cwd, sizeof(cwd)) > 0)
        (void)snprintf(out, PATH_MAX, "%.2000s/%.2000s", cwd, path);
    else
        return NULL;
    if (strncmp(out, root, root_len) != 0 || (out[root_len] != '/' && out[root_len] != '\0'))
        return NULL;
    return out + root_len + (out[root_len] == '/');
}

/* ---- names --------------------------------------------------------------------------------------------------- */

static int open_recorded(int dir, const char *path, int flags, mode_t mode)
{
    char full[PATH_MAX];
    struct stat st;
    const char *name = below(dir, path, full);
    int absent = name != NULL && (flags & O_CREAT) != 0 && syscall(SYS_faccessat, dir, path, F_OK) != 0;
    int fd = (int)syscall(SYS_openat, dir, path, flags, mode);
    int saved = errno;
    if (fd >= 0 && fd < DIRECTORIES_MAX)
        directories[fd][0] = '\0';
    if (fd >= 0 && is_ours(fd, &st)) {
        if (S_ISDIR(st.st_mode) && fd < DIRECTORIES_MAX && name != NULL)
            (void)snprintf(directories[fd], sizeof(directories[fd]), "%s", full);
        if (absent)
            put(CREATE, st.st_ino, 0, name, NULL, NULL, 0);
        else if ((flags & O_TMPFILE) == O_TMPFILE)
            put(NAMELESS, st.st_ino, 0, NULL, NULL, NULL, 0);
        else if ((flags & O_TRUNC) != 0 && S_ISREG(st.st_mode))
            put(TRUNCATE, st.st_ino, 0, NULL, NULL, NULL, 0);
    }
    errno = saved;
    return fd;
}

static mode_t mode_of(int flags, va_list list)
{
    return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(list, mode_t) : 0;
}

#define OPEN(name)                                         \
    EXPORT int name(const char *path, int flags, ...)      \
    {                                                      \
        va_list list;                                      \
        va_start(list, flags);                             \
        mode_t mode = mode_of(flags, list);                \
        va_end(list);                                      \
        return open_recorded(AT_FDCWD, path, flags, mode); \
    }
#define OPENAT(name)                                           \
    EXPORT int name(int dir, const char *path, int flags, ...) \
    {                                                          \
        va_list list;                                          \
        va_start(list, flags);                                 \
        mode_t mode = mode_of(flags, list);                    \
        va_end(list);                                          \
        return open_recorded(dir, path, flags, mode);          \
    }
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)
/* What the checks of the C library call instead. */
EXPORT int __open_2(const char *path, int flags);
EXPORT int __open64_2(const char *path, int flags);
EXPORT int __openat_2(int dir, const char *path, int flags);
EXPORT int __openat64_2(int dir, const char *path, int flags);
EXPORT int __open_2(const char *path, int flags) { return open_recorded(AT_FDCWD, path, flags, 0); }
EXPORT int __open64_2(const char *path, int flags) { return open_recorded(AT_FDCWD, path, flags, 0); }
EXPORT int __openat_2(int dir, const char *path, int flags) { return open_recorded(dir, path, flags, 0); }
EXPORT int __openat64_2(int dir, const char *path, int flags) { return open_recorded(dir, path, flags, 0); }

static int rename_recorded(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    char one[PATH_MAX], two[PATH_MAX];
    const char *a = below(from_dir, from, one), *b = below(to_dir, to, two);
    int r = (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
    if (r == 0 && a != NULL && b != NULL)
        put(RENAME, 0, 0, a, b, NULL, 0);
    return r;
}

EXPORT int rename(const char *from, const char *to) { return rename_recorded(AT_FDCWD, from, AT_FDCWD, to, 0); }
EXPORT int renameat(int a, const char *from, int b, const char *to) { return rename_recorded(a, from, b, to, 0); }
EXPORT int renameat2(int a, const char *from, int b, const char *to, unsigned flags)
{
    return rename_recorded(a, from, b, to, flags);
}

/* A name more of a file. */
static int link_recorded(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
    char full[PATH_MAX];
    struct stat st;
    const char *name = below(to_dir, to, full);
    int r = (int)syscall(SYS_linkat, from_dir, from, to_dir, to, flags);
    int saved = errno;
    if (r == 0 && name != NULL && fstatat(to_dir, to, &st, AT_SYMLINK_NOFOLLOW) == 0)
        put(LINK, st.st_ino, 0, name, NULL, NULL, 0);
    errno = saved;
    return r;
}

EXPORT int link(const char *from, const char *to) { return link_recorded(AT_FDCWD, from, AT_FDCWD, to, 0); }
EXPORT int linkat(int a, const char *from, int b, const char *to, int flags)
{
    return link_recorded(a, from, b, to, flags);
}

static int unlink_recorded(int dir, const char *path, int flags)
{
    char full[PATH_MAX];
    const char *name = below(dir, path, full);
    int r = (int)syscall(SYS_unlinkat, dir, path, flags);
    if (r == 0 && name != NULL)
        put(UNLINK, 0, 0, name, NULL, NULL, 0);
    return r;
}

EXPORT int unlink(const char *path) { return unlink_recorded(AT_FDCWD, path, 0); }
EXPORT int unlinkat(int dir, const char *path, int flags) { return unlink_recorded(dir, path, flags); }
EXPORT int rmdir(const char *path) { return unlink_recorded(AT_FDCWD, path, AT_REMOVEDIR); }

static int mkdir_recorded(int dir, const char *path, mode_t mode)
{
    char full[PATH_MAX];
    const char *name = below(dir, path, full);
    int r = (int)syscall(SYS_mkdirat, dir, path, mode);
    if (r == 0 && name != NULL)
        put(MKDIR, 0, 0, name, NULL, NULL, 0);
    return r;
}

EXPORT int mkdir(const char *path, mode_t mode) { return mkdir_recorded(AT_FDCWD, path, mode); }
EXPORT int mkdirat(int dir, const char *path, mode_t mode) { return mkdir_recorded(dir, path, mode); }

/* ---- contents ------------------------------------------------------------------------------------------------ */

EXPORT ssize_t pwrite64(int fd, const void *data, size_t len, off64_t offset)
{
    struct stat st;
    if (is_ours(fd, &st))
        put(WRITE, st.st_ino, offset, NULL, NULL, data, len);
    return syscall(SYS_pwrite64, fd, data, len, offset);
}

EXPORT ssize_t pwrite(int fd, const void *data, size_t len, off_t offset) { return pwrite64(fd, data, len, offset); }

EXPORT ssize_t write(int fd, const void *data, size_t len)
{
    struct stat st;
    if (is_ours(fd, &st)) {
        int append = (fcntl(fd, F_GETFL) & O_APPEND) != 0;
        put(WRITE, st.st_ino, append ? st.st_size : lseek(fd, 0, SEEK_CUR), NULL, NULL, data, len);
    }
    return syscall(SYS_write, fd, data, len);
}

EXPORT ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset)
{
    struct stat st;
    int64_t at = offset;
    for (int i = 0; is_ours(fd, &st) && i < count; i++) {
        put(WRITE, st.st_ino, at, NULL, NULL, parts[i].iov_base, parts[i].iov_len);
        at += (int64_t)parts[i].iov_len;
    }
    return syscall(SYS_pwritev, fd, parts, count, offset, 0);
}

EXPORT ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset)
{
    return pwritev64(fd, parts, count, offset);
}

EXPORT int ftruncate64(int fd, off64_t bytes)
{
    struct stat st;
    if (is_ours(fd, &st))
        put(TRUNCATE, st.st_ino, bytes, NULL, NULL, NULL, 0);
    return (int)syscall(SYS_ftruncate, fd, bytes);
}

EXPORT int ftruncate(int fd, off_t bytes) { return ftruncate64(fd, bytes); }

/* Only to make files longer. */
EXPORT int fallocate64(int fd, int mode, off64_t offset, off64_t bytes)
{
    struct stat st;
    if (is_ours(fd, &st) && mode == 0 && offset + bytes > st.st_size)
        put(TRUNCATE, st.st_ino, offset + bytes, NULL, NULL, NULL, 0);
    return (int)syscall(SYS_fallocate, fd, mode, offset, bytes);
}

EXPORT int fallocate(int fd, int mode, off_t offset, off_t bytes) { return fallocate64(fd, mode, offset, bytes); }
EXPORT int posix_fallocate64(int fd, off64_t offset, off64_t bytes)
{
    return fallocate64(fd, 0, offset, bytes) == 0 ? 0 : errno;
}
EXPORT int posix_fallocate(int fd, off_t offset, off_t bytes) { return posix_fallocate64(fd, offset, bytes); }

/* ---- syncs --------------------------------------------------------------------------------------------------- */

static int sync_recorded(long call, int fd, uint8_t kind)
{
    struct stat st;
    int r = (int)syscall(call, fd);
    if (r != 0 || !is_ours(fd, &st))
        return r;
    if (S_ISDIR(st.st_mode) && kind == SYNC)
        put(SYNC_DIR, 0, 0, directories[fd] + root_len + (directories[fd][root_len] == '/'), NULL, NULL, 0);
    else
        put(kind, st.st_ino, 0, NULL, NULL, NULL, 0);
    return r;
}

EXPORT int fsync(int fd) { return sync_recorded(SYS_fsync, fd, SYNC); }
EXPORT int fdatasync(int fd) { return sync_recorded(SYS_fdatasync, fd, SYNC); }
EXPORT int syncfs(int fd) { return sync_recorded(SYS_syncfs, fd, SYNC_ALL); }
