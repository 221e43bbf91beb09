/* Counted calls of the C library, one of which fails. Any thread; the table of blocks is for processes of one thread. */
#include "fault.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
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
static struct fault wanted[2];
static size_t wanted_count;
bool fault_syncs_are_free;
static atomic_uint counts[FAULT_HOW_COUNT], come;
static atomic_bool armed, paused, sync_failed;
static struct {
    void *block, *who;
} places[PLACES];

void fault_arm(const struct fault *faults, size_t count)
{
    for (size_t i = 0; i < count; i++)
        wanted[i] = faults[i];
    wanted_count = count;
    for (size_t i = 0; i < FAULT_HOW_COUNT; i++)
        counts[i] = 0;
    come = 0;
    sync_failed = false;
    memset(places, 0, sizeof(places));
    armed = true;
}

unsigned fault_disarm(void)
{
    armed = false;
    return come;
}

void fault_pause(void) { paused = true; }
void fault_resume(void) { paused = false; }

unsigned fault_count(enum fault_how how) { return counts[how]; }
bool fault_was_sync(void) { return sync_failed; }

/* Of the ways in which this call can fail, the one in which it has to. */
static enum fault_how strikes(unsigned ways)
{
    enum fault_how now = FAULT_NONE;
    if (!armed || paused)
        return now;
    for (enum fault_how how = FAULT_ALLOC; how < FAULT_HOW_COUNT; how++) {
        if ((ways & BIT(how)) == 0)
            continue;
        unsigned n = ++counts[how];
        for (size_t i = 0; i < wanted_count; i++)
            if (wanted[i].how == how && (n == wanted[i].at || (wanted[i].onwards && n > wanted[i].at)))
                now = how;
    }
    if (now != FAULT_NONE)
        come++;
    return now;
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
    if (!block || !armed || paused)
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
    if (!block)
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
static ssize_t allowed(unsigned ways, size_t len)
{
    enum fault_how how = strikes(ways);
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
        ssize_t some = allowed(ways, len);                 \
        return some < 0 ? -1 : syscall(call, __VA_ARGS__); \
    }
#define SOME (size_t) some
TRANSFER(read, READS, SYS_read, (int fd, void *data, size_t len), fd, data, SOME)
TRANSFER(pread, READS, SYS_pread64, (int fd, void *data, size_t len, off_t at), fd, data, SOME, at)
TRANSFER(pread64, READS, SYS_pread64, (int fd, void *data, size_t len, off64_t at), fd, data, SOME, at)
TRANSFER(write, WRITES, SYS_write, (int fd, const void *data, size_t len), fd, data, SOME)
TRANSFER(pwrite, WRITES, SYS_pwrite64, (int fd, const void *data, size_t len, off_t at), fd, data, SOME, at)
TRANSFER(pwrite64, WRITES, SYS_pwrite64, (int fd, const void *data, size_t len, off64_t at), fd, data, SOME, at)

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
    unsigned before = come;
    if (fails(BIT(FAULT_EIO) | BIT(FAULT_ENOSPC))) {
        sync_failed = come != before;
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
EXPORT ssize_t recv(int fd, void *data, size_t len, int flags)
{
    ssize_t some = allowed(BIT(FAULT_EINTR) | BIT(FAULT_SHORT), len);
    return some < 0 ? -1 : syscall(SYS_recvfrom, fd, data, SOME, flags, NULL, NULL);
}
EXPORT ssize_t send(int fd, const void *data, size_t len, int flags)
{
    ssize_t some = allowed(BIT(FAULT_EINTR) | BIT(FAULT_SHORT), len);
    return some < 0 ? -1 : syscall(SYS_sendto, fd, data, SOME, flags, NULL, 0);
}

/* The first part only, when it is short. */
static ssize_t message(long call, int fd, struct msghdr *m, int flags)
{
    enum fault_how how = strikes(BIT(FAULT_EINTR) | BIT(FAULT_SHORT));
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

/* ---- whole programs ------------------------------------------------------------------------------------------------- */

/* HEARTH_FAULT=PROGRAM:HOW:N[+]: in a program of this name the N-th fails, or (+) all from there on. N 0: none. */
__attribute__((constructor)) static void begin(void)
{
    extern char *program_invocation_short_name;
    const char *text = getenv("HEARTH_FAULT");
    char program[64], how[16], onwards = 0;
    struct fault f = { FAULT_NONE, 0, false };
    if (!text || sscanf(text, "%63[^:]:%15[^:]:%u%c", program, how, &f.at, &onwards) < 3 ||
        strcmp(program, program_invocation_short_name) != 0)
        return;
    for (enum fault_how h = FAULT_ALLOC; h < FAULT_HOW_COUNT; h++)
        if (strcmp(how, fault_names[h]) == 0)
            f.how = h;
    f.onwards = onwards == '+';
    fault_arm(&f, 1);
}
