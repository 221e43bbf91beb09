/* Counted calls of the C library, one of which fails. Any thread; the table of blocks is for processes of one thread. */
#include "fault.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
#define PLACES (1u << 16)
#define BIT(how) (1u << (how))

const char *const fault_names[FAULT_HOW_COUNT] = { "none", "memory", "EIO", "ENOSPC", "EINTR", "EMFILE", "short" };
static const int errors[FAULT_HOW_COUNT] = {
    [FAULT_ALLOC] = ENOMEM, [FAULT_EIO] = EIO, [FAULT_ENOSPC] = ENOSPC, [FAULT_EINTR] = EINTR, [FAULT_EMFILE] = EMFILE
};
static struct fault_state own, *state = &own;
bool fault_syncs_are_free, fault_knows_descriptors;
static bool blocks_are_counted = true;
static atomic_bool paused;
static void (*on_strike)(struct fault_state *state);
static struct {
    void *block, *who;
} places[PLACES];

void fault_use(struct fault_state *shared, void (*call)(struct fault_state *state))
{
    state = shared;
    on_strike = call;
    blocks_are_counted = false;
}

void fault_arm(const struct fault *faults, size_t count)
{
    for (size_t i = 0; i < count; i++)
        state->wanted[i] = faults[i];
    state->wanted_count = (unsigned)count;
    for (size_t i = 0; i < FAULT_HOW_COUNT; i++)
        state->counts[i] = 0;
    state->come = 0;
    state->sync_failed = 0;
    memset(places, 0, sizeof(places));
    state->armed = 1;
}

unsigned fault_disarm(void)
{
    state->armed = 0;
    return state->come;
}

void fault_pause(void) { paused = true; }
void fault_resume(void) { paused = false; }

unsigned fault_count(enum fault_how how) { return state->counts[how]; }
bool fault_was_sync(void) { return state->sync_failed != 0; }

/* Of the ways in which this call can fail, the one in which it has to. */
static enum fault_how strikes(unsigned ways)
{
    enum fault_how now = FAULT_NONE;
    if (!state->armed || paused)
        return now;
    for (enum fault_how how = FAULT_ALLOC; how < FAULT_HOW_COUNT; how++) {
        if ((ways & BIT(how)) == 0)
            continue;
        unsigned n = ++state->counts[how];
        for (size_t i = 0; i < state->wanted_count; i++) {
            const struct fault *f = &state->wanted[i];
            if (f->how == how && (n == f->at || (f->onwards && n > f->at)))
                now = how;
        }
    }
    if (now != FAULT_NONE && ++state->come == 1 && on_strike)
        on_strike(state);
    return now;
}

/* Without those of them in which no kernel lets a call on this kind of descriptor fail. */
static unsigned possible(int fd, unsigned ways)
{
    struct stat st;
    int kind = 0;
    socklen_t len = sizeof(kind);
    if (!fault_knows_descriptors || !state->armed)
        return ways;
    if (fd == STDERR_FILENO) /* the log: what is said is looked for */
        return 0;
    int saved = errno;
    bool is_file = syscall(SYS_fstat, fd, &st) == 0 && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode));
    bool is_stream =
        !is_file && syscall(SYS_getsockopt, fd, SOL_SOCKET, SO_TYPE, &kind, &len) == 0 && kind == SOCK_STREAM;
    errno = saved;
    return is_file ? ways : is_stream ? ways & (BIT(FAULT_EINTR) | BIT(FAULT_SHORT)) : ways & BIT(FAULT_EINTR);
}

/* true: it fails, errno is set. */
static bool fails(unsigned ways)
{
    enum fault_how how = strikes(ways);
    if (how == FAULT_NONE)
        return false;
    errno = errors[how];
    return true;
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

#define REAL(name) __libc_##name
void *REAL(malloc)(size_t bytes);
void *REAL(calloc)(size_t count, size_t bytes);
void *REAL(realloc)(void *block, size_t bytes);
void *REAL(memalign)(size_t alignment, size_t bytes);
void REAL(free)(void *block);

static size_t place_of(const void *block) { return ((uintptr_t)block >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 48; }

static void *came(void *block, void *who)
{
    if (!block || !blocks_are_counted || !state->armed || paused)
        return block;
    for (size_t i = place_of(block), tries = 0; tries < PLACES; tries++, i = (i + 1) % PLACES)
        if (!places[i].block || places[i].block == (void *)places) {
            places[i].block = block;
            places[i].who = who;
            break;
        }
    return block;
}

/* What goes may have come while it was armed: it is looked for in any case. */
static void goes(const void *block)
{
    if (!block || !blocks_are_counted)
        return;
    for (size_t i = place_of(block), tries = 0; tries < PLACES && places[i].block; tries++, i = (i + 1) % PLACES)
        if (places[i].block == block) {
            places[i].block = (void *)places; /* was taken */
            return;
        }
}

size_t fault_live(void *where[], size_t room)
{
    size_t n = 0;
    for (size_t i = 0; i < PLACES; i++)
        if (places[i].block && places[i].block != (void *)places) {
            if (n < room)
                where[n] = places[i].who;
            n++;
        }
    return n;
}

#define WHO __builtin_return_address(0)
EXPORT void *malloc(size_t bytes) { return fails(BIT(FAULT_ALLOC)) ? NULL : came(REAL(malloc)(bytes), WHO); }
EXPORT void *calloc(size_t count, size_t bytes)
{
    return fails(BIT(FAULT_ALLOC)) ? NULL : came(REAL(calloc)(count, bytes), WHO);
}
EXPORT void *realloc(void *block, size_t bytes)
{
    if (fails(BIT(FAULT_ALLOC)))
        return NULL;
    void *other = REAL(realloc)(block, bytes);
    if (other || bytes == 0)
        goes(block);
    return came(other, WHO);
}
EXPORT void *memalign(size_t alignment, size_t bytes)
{
    return fails(BIT(FAULT_ALLOC)) ? NULL : came(REAL(memalign)(alignment, bytes), WHO);
}
EXPORT void *aligned_alloc(size_t alignment, size_t bytes) { return memalign(alignment, bytes); }
EXPORT int posix_memalign(void **out, size_t alignment, size_t bytes)
{
    void *block = memalign(alignment, bytes);
    if (!block)
        return ENOMEM;
    *out = block;
    return 0;
}
EXPORT void free(void *block)
{
    goes(block);
    REAL(free)(block);
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

#define READS (BIT(FAULT_EIO) | BIT(FAULT_EINTR) | BIT(FAULT_SHORT))
#define WRITES (READS | BIT(FAULT_ENOSPC))
#define NAMES (BIT(FAULT_EIO) | BIT(FAULT_ENOSPC))

/* The length of which half is done; -1: it fails. */
static ssize_t allowed(int fd, unsigned ways, size_t len)
{
    enum fault_how how = strikes(possible(fd, ways));
    if (how == FAULT_NONE)
        return (ssize_t)len;
    if (how == FAULT_SHORT)
        return (ssize_t)(len > 1 ? len / 2 : len);
    errno = errors[how];
    return -1;
}

#define TRANSFER(name, ways, call, declared, ...)          \
    EXPORT ssize_t name declared                           \
    {                                                      \
        ssize_t some = allowed(fd, ways, len);             \
        return some < 0 ? -1 : syscall(call, __VA_ARGS__); \
    }
#define SOME (size_t) some
TRANSFER(read, READS, SYS_read, (int fd, void *data, size_t len), fd, data, SOME)
TRANSFER(pread, READS, SYS_pread64, (int fd, void *data, size_t len, off_t at), fd, data, SOME, at)
TRANSFER(pread64, READS, SYS_pread64, (int fd, void *data, size_t len, off64_t at), fd, data, SOME, at)
TRANSFER(write, WRITES, SYS_write, (int fd, const void *data, size_t len), fd, data, SOME)
TRANSFER(pwrite, WRITES, SYS_pwrite64, (int fd, const void *data, size_t len, off_t at), fd, data, SOME, at)
TRANSFER(pwrite64, WRITES, SYS_pwrite64, (int fd, const void *data, size_t len, off64_t at), fd, data, SOME, at)

/* Half of the first part only, when it is short. */
static ssize_t vector(long call, unsigned ways, int fd, const struct iovec *parts, int count, off64_t at)
{
    bool has_parts = count > 0 && parts[0].iov_len > 1;
    enum fault_how how = strikes(possible(fd, ways));
    if (how != FAULT_NONE && how != FAULT_SHORT) {
        errno = errors[how];
        return -1;
    }
    struct iovec half = { count > 0 ? parts[0].iov_base : NULL, count > 0 ? parts[0].iov_len / 2 : 0 };
    bool is_short = how == FAULT_SHORT && has_parts;
    return syscall(call, fd, is_short ? &half : parts, is_short ? 1 : count, at, 0);
}
EXPORT ssize_t readv(int fd, const struct iovec *parts, int count)
{
    return vector(SYS_readv, READS, fd, parts, count, 0);
}
EXPORT ssize_t writev(int fd, const struct iovec *parts, int count)
{
    return vector(SYS_writev, WRITES, fd, parts, count, 0);
}
#define VECTOR(name, ways, call, offset)                                         \
    EXPORT ssize_t name(int fd, const struct iovec *parts, int count, offset at) \
    {                                                                            \
        return vector(call, ways, fd, parts, count, at);                         \
    }
VECTOR(preadv, READS, SYS_preadv, off_t)
VECTOR(preadv64, READS, SYS_preadv, off64_t)
VECTOR(pwritev, WRITES, SYS_pwritev, off_t)
VECTOR(pwritev64, WRITES, SYS_pwritev, off64_t)

#define SIMPLE(name, ways, call, declared, ...) \
    EXPORT int name declared { return fails(ways) ? -1 : (int)syscall(call, __VA_ARGS__); }
SIMPLE(ftruncate, NAMES | BIT(FAULT_EINTR), SYS_ftruncate, (int fd, off_t bytes), fd, bytes)
SIMPLE(ftruncate64, NAMES | BIT(FAULT_EINTR), SYS_ftruncate, (int fd, off64_t bytes), fd, bytes)
SIMPLE(fallocate, NAMES | BIT(FAULT_EINTR), SYS_fallocate, (int fd, int mode, off_t at, off_t bytes), fd, mode, at,
       bytes)
SIMPLE(fallocate64, NAMES | BIT(FAULT_EINTR), SYS_fallocate, (int fd, int mode, off64_t at, off64_t bytes), fd, mode,
       at, bytes)
SIMPLE(rename, NAMES, SYS_rename, (const char *from, const char *to), from, to)
SIMPLE(unlink, BIT(FAULT_EIO), SYS_unlink, (const char *path), path)
SIMPLE(mkdir, NAMES, SYS_mkdir, (const char *path, mode_t mode), path, mode)
SIMPLE(fchmod, BIT(FAULT_EIO), SYS_fchmod, (int fd, mode_t mode), fd, mode)

static int synced(long call, int fd)
{
    if (fails(BIT(FAULT_EIO) | BIT(FAULT_ENOSPC))) {
        state->sync_failed = 1;
        return -1;
    }
    return fault_syncs_are_free ? 0 : (int)syscall(call, fd);
}
EXPORT int fsync(int fd) { return synced(SYS_fsync, fd); }
EXPORT int fdatasync(int fd) { return synced(SYS_fdatasync, fd); }
EXPORT int syncfs(int fd) { return synced(SYS_syncfs, fd); }

static int opened(int dir, const char *path, int flags, mode_t mode)
{
    unsigned ways = BIT(FAULT_EIO) | BIT(FAULT_EINTR) | BIT(FAULT_EMFILE);
    if ((flags & O_CREAT) != 0)
        ways |= BIT(FAULT_ENOSPC);
    return fails(ways) ? -1 : (int)syscall(SYS_openat, dir, path, flags, mode);
}

#define OPEN(name, dir_declared, dir)                                    \
    EXPORT int name(dir_declared const char *path, int flags, ...)       \
    {                                                                    \
        va_list list;                                                    \
        va_start(list, flags);                                           \
        mode_t mode = (flags & O_CREAT) != 0 ? va_arg(list, mode_t) : 0; \
        va_end(list);                                                    \
        return opened(dir, path, flags, mode);                           \
    }
#define NO_DIR
#define DIR_GIVEN int at,
OPEN(open, NO_DIR, AT_FDCWD)
OPEN(open64, NO_DIR, AT_FDCWD)
OPEN(openat, DIR_GIVEN, at)
OPEN(openat64, DIR_GIVEN, at)
EXPORT int __open_2(const char *path, int flags);
EXPORT int __open64_2(const char *path, int flags);
EXPORT int __open_2(const char *path, int flags) { return opened(AT_FDCWD, path, flags, 0); }
EXPORT int __open64_2(const char *path, int flags) { return opened(AT_FDCWD, path, flags, 0); }

static void *mapped(void *at, size_t bytes, int protection, int flags, int fd, off64_t offset)
{
    if (fails(BIT(FAULT_ALLOC)))
        return MAP_FAILED;
    return (void *)syscall(SYS_mmap, at, bytes, protection, flags, fd, offset); // NOLINT(performance-no-int-to-ptr)
}
EXPORT void *mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset)
{
    return mapped(at, bytes, protection, flags, fd, offset);
}
EXPORT void *mmap64(void *at, size_t bytes, int protection, int flags, int fd, off64_t offset)
{
    return mapped(at, bytes, protection, flags, fd, offset);
}

/* ---- sockets and other descriptors --------------------------------------------------------------------------------- */

SIMPLE(socket, BIT(FAULT_EMFILE), SYS_socket, (int family, int type, int protocol), family, type, protocol)
SIMPLE(socketpair, BIT(FAULT_EMFILE), SYS_socketpair, (int family, int type, int protocol, int ends[2]), family, type,
       protocol, ends)
SIMPLE(pipe2, BIT(FAULT_EMFILE), SYS_pipe2, (int ends[2], int flags), ends, flags)
SIMPLE(eventfd, BIT(FAULT_EMFILE), SYS_eventfd2, (unsigned value, int flags), value, flags)
SIMPLE(epoll_create1, BIT(FAULT_EMFILE), SYS_epoll_create1, (int flags), flags)
SIMPLE(memfd_create, BIT(FAULT_EMFILE), SYS_memfd_create, (const char *name, unsigned flags), name, flags)
EXPORT int accept4(int fd, struct sockaddr *from, socklen_t *len, int flags)
{
    return fails(BIT(FAULT_EMFILE) | BIT(FAULT_EINTR)) ? -1 : (int)syscall(SYS_accept4, fd, from, len, flags);
}
EXPORT int poll(struct pollfd *fds, nfds_t count, int timeout)
{
    return fails(BIT(FAULT_EINTR)) ? -1 : (int)syscall(SYS_poll, fds, count, timeout);
}
EXPORT int epoll_pwait(int fd, struct epoll_event *events, int count, int timeout, const sigset_t *mask)
{
    return fails(BIT(FAULT_EINTR)) ? -1 : (int)syscall(SYS_epoll_pwait, fd, events, count, timeout, mask, _NSIG / 8);
}
EXPORT int epoll_wait(int fd, struct epoll_event *events, int count, int timeout)
{
    return epoll_pwait(fd, events, count, timeout, NULL);
}
EXPORT ssize_t recv(int fd, void *data, size_t len, int flags)
{
    ssize_t some = allowed(fd, BIT(FAULT_EINTR) | BIT(FAULT_SHORT), len);
    return some < 0 ? -1 : syscall(SYS_recvfrom, fd, data, SOME, flags, NULL, NULL);
}
EXPORT ssize_t send(int fd, const void *data, size_t len, int flags)
{
    ssize_t some = allowed(fd, BIT(FAULT_EINTR) | BIT(FAULT_SHORT), len);
    return some < 0 ? -1 : syscall(SYS_sendto, fd, data, SOME, flags, NULL, 0);
}

/* The first part only, when it is short. */
static ssize_t message(long call, int fd, struct msghdr *m, int flags)
{
    enum fault_how how = strikes(possible(fd, BIT(FAULT_EINTR) | BIT(FAULT_SHORT)));
    if (how == FAULT_EINTR) {
        errno = EINTR;
        return -1;
    }
    struct iovec part;
    struct msghdr some = *m;
    if (how == FAULT_SHORT && m->msg_iovlen > 0 && m->msg_iov[0].iov_len > 1) {
        part = (struct iovec){ m->msg_iov[0].iov_base, m->msg_iov[0].iov_len / 2 };
        some.msg_iov = &part;
        some.msg_iovlen = 1;
    }
    ssize_t r = syscall(call, fd, &some, flags);
    m->msg_flags = some.msg_flags;
    m->msg_controllen = some.msg_controllen;
    m->msg_namelen = some.msg_namelen;
    return r;
}
EXPORT ssize_t recvmsg(int fd, struct msghdr *m, int flags) { return message(SYS_recvmsg, fd, m, flags); }
EXPORT ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
    struct msghdr some = *m;
    return message(SYS_sendmsg, fd, &some, flags);
}
