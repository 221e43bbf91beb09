/* The system-call filter of hearthd and the distributor: a list of what a server with libuv, TLS and SQLite needs, everything else fails with EPERM. No program, no other
 * process, no rights of files, no Unix socket but those it has: over a bus it could have others do all that. */
#include "base/confine.h"

#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/sockios.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"

#define PR_SET_VMA_ 0x53564d41 /* names of memory, which newer C libraries give; newer than some headers */
#define PROT_BOTH (PROT_WRITE | PROT_EXEC)
#define MAKES_FILE (O_CREAT | (O_TMPFILE & ~O_DIRECTORY))
#define PROGRAM_BITS (S_ISUID | S_ISGID | S_ISVTX | S_IXUSR | S_IXGRP | S_IXOTH)

static const int allowed[] = {
    /* connections, children, helpers; which addresses is no filter's business */
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(readv),
    SCMP_SYS(writev),
    SCMP_SYS(recvfrom),
    SCMP_SYS(recvmsg),
    SCMP_SYS(recvmmsg),
    SCMP_SYS(sendto),
    SCMP_SYS(sendmsg),
    SCMP_SYS(sendmmsg),
    SCMP_SYS(connect),
    SCMP_SYS(bind),
    SCMP_SYS(listen),
    SCMP_SYS(accept),
    SCMP_SYS(accept4),
    SCMP_SYS(shutdown),
    SCMP_SYS(getsockname),
    SCMP_SYS(getpeername),
    SCMP_SYS(getsockopt),
    SCMP_SYS(setsockopt),
    SCMP_SYS(pipe),
    SCMP_SYS(pipe2),
    SCMP_SYS(eventfd2),
    SCMP_SYS(epoll_create1),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(select),
    SCMP_SYS(pselect6),
    SCMP_SYS(close),
    SCMP_SYS(dup),
    SCMP_SYS(dup2),
    SCMP_SYS(dup3),
    SCMP_SYS(wait4),
    SCMP_SYS(waitid),
    /* files; which ones is Landlock's business; open is below */
    SCMP_SYS(pread64),
    SCMP_SYS(pwrite64),
    SCMP_SYS(preadv),
    SCMP_SYS(pwritev),
    SCMP_SYS(lseek),
    SCMP_SYS(fsync),
    SCMP_SYS(fdatasync),
    SCMP_SYS(syncfs),
    SCMP_SYS(ftruncate),
    SCMP_SYS(fallocate),
    SCMP_SYS(fadvise64),
    SCMP_SYS(sendfile),
    SCMP_SYS(copy_file_range),
    SCMP_SYS(stat),
    SCMP_SYS(fstat),
    SCMP_SYS(lstat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(statx),
    SCMP_SYS(statfs),
    SCMP_SYS(fstatfs),
    SCMP_SYS(access),
    SCMP_SYS(faccessat),
    SCMP_SYS(faccessat2),
    SCMP_SYS(readlink),
    SCMP_SYS(readlinkat),
    SCMP_SYS(getcwd),
    SCMP_SYS(mkdir),
    SCMP_SYS(mkdirat),
    SCMP_SYS(rename),
    SCMP_SYS(renameat),
    SCMP_SYS(renameat2),
    SCMP_SYS(unlink),
    SCMP_SYS(unlinkat),
    SCMP_SYS(flock),
    SCMP_SYS(getdents64),
    SCMP_SYS(memfd_create),
    /* memory; mmap and mprotect are below */
    SCMP_SYS(brk),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    SCMP_SYS(mlock),
    SCMP_SYS(mlock2),
    SCMP_SYS(munlock),
    SCMP_SYS(getrandom),
    /* threads */
    SCMP_SYS(futex),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(rseq),
    SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(getcpu),
    SCMP_SYS(gettid),
    SCMP_SYS(exit),
    SCMP_SYS(membarrier),
    /* time, its own signals, who it is, the end */
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_getres),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(nanosleep),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(time),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(getpid),
    SCMP_SYS(getuid),
    SCMP_SYS(geteuid),
    SCMP_SYS(getgid),
    SCMP_SYS(getegid),
    SCMP_SYS(getresuid),
    SCMP_SYS(getresgid),
    SCMP_SYS(uname),
    SCMP_SYS(sysinfo),
    SCMP_SYS(getrusage),
    SCMP_SYS(exit_group),
};

/* One argument has one of these values. */
#define CHOICE(name, index, mask, value)        \
    {                                           \
        SCMP_SYS(name), 0,                      \
        {                                       \
            {                                   \
                (index), (mask), (value), false \
            }                                   \
        }                                       \
    }
/* IP, and what the kernel says about interfaces. A pair of Unix sockets only of streams: one of datagrams could be connected elsewhere. */
#define KIND_MASK (UINT32_MAX & ~(uint64_t)(SOCK_CLOEXEC | SOCK_NONBLOCK))
#define SOCKETS(name, family, kind)                                             \
    {                                                                           \
        SCMP_SYS(name), 0,                                                      \
        {                                                                       \
            { 0, UINT32_MAX, (family), false }, { 1, KIND_MASK, (kind), false } \
        }                                                                       \
    }

#define ON_DEMAND 4

int confine_server_calls(unsigned flags)
{
    struct confine_rule rules[] = {
        CHOICE(mmap, 2, PROT_BOTH, 0), /* no memory that is written and run */
        CHOICE(mmap, 2, PROT_BOTH, PROT_WRITE),
        CHOICE(mmap, 2, PROT_BOTH, PROT_EXEC),
        CHOICE(mprotect, 2, PROT_EXEC, 0),
        CHOICE(open, 1, MAKES_FILE, 0),
        CHOICE(open, 2, PROGRAM_BITS, 0), /* no new file that others could start, with the rights of this user */
        CHOICE(openat, 2, MAKES_FILE, 0),
        CHOICE(openat, 3, PROGRAM_BITS, 0),
        CHOICE(tgkill, 0, UINT32_MAX, (uint64_t)getpid()),
        CHOICE(kill, 1, UINT32_MAX, 0), /* whether it is there */
        CHOICE(pidfd_send_signal, 1, UINT32_MAX, 0),
        CHOICE(prlimit64, 2, UINT64_MAX, 0), /* to know, not to set */
        CHOICE(prctl, 0, UINT32_MAX, PR_SET_NAME),
        CHOICE(prctl, 0, UINT32_MAX, PR_SET_VMA_),
        CHOICE(ioctl, 1, UINT32_MAX, FIONBIO),
        CHOICE(ioctl, 1, UINT32_MAX, FIOCLEX),
        CHOICE(ioctl, 1, UINT32_MAX, FIONREAD),
        CHOICE(ioctl, 1, UINT32_MAX, SIOCGIFNAME),
        CHOICE(ioctl, 1, UINT32_MAX, SIOCGIFINDEX),
        CHOICE(ioctl, 1, UINT32_MAX, SIOCGIFFLAGS),
        CHOICE(fcntl, 1, UINT32_MAX, F_DUPFD),
        CHOICE(fcntl, 1, UINT32_MAX, F_DUPFD_CLOEXEC),
        CHOICE(fcntl, 1, UINT32_MAX, F_GETFD),
        CHOICE(fcntl, 1, UINT32_MAX, F_SETFD),
        CHOICE(fcntl, 1, UINT32_MAX, F_GETFL),
        CHOICE(fcntl, 1, UINT32_MAX, F_SETFL),
        CHOICE(fcntl, 1, UINT32_MAX, F_GETLK),
        CHOICE(fcntl, 1, UINT32_MAX, F_SETLK),
        CHOICE(fcntl, 1, UINT32_MAX, F_SETLKW),
        CHOICE(fcntl, 1, UINT32_MAX, F_ADD_SEALS),
        CHOICE(fcntl, 1, UINT32_MAX, F_GET_SEALS),
        SOCKETS(socket, AF_INET, SOCK_STREAM),
        SOCKETS(socket, AF_INET, SOCK_DGRAM),
        SOCKETS(socket, AF_INET6, SOCK_STREAM),
        SOCKETS(socket, AF_INET6, SOCK_DGRAM),
        { SCMP_SYS(socket), 0, { { 0, UINT32_MAX, AF_NETLINK, false }, { 2, UINT32_MAX, NETLINK_ROUTE, false } } },
        SOCKETS(socketpair, AF_UNIX, SOCK_STREAM),
        /* and on demand, in this order */
        SOCKETS(socket, AF_UNIX, SOCK_STREAM),
        { .call = SCMP_SYS(link) },
        { .call = SCMP_SYS(linkat) },
        CHOICE(fchmod, 1, UINT32_MAX, 0644),
    };
    static const unsigned demanded[ON_DEMAND] = { CONFINE_UNIX_SOCKETS, CONFINE_LINKS, CONFINE_LINKS,
                                                  CONFINE_FOR_EVERYBODY };
    size_t asked = 0;
    struct confine_rule *more = &rules[ARRAY_COUNT(rules) - ON_DEMAND];
    for (size_t i = 0; i < ON_DEMAND; i++)
        if ((flags & demanded[i]) != 0)
            more[asked++] = more[i];
    const struct confine_calls list = { .calls = allowed,
                                        .call_count = ARRAY_COUNT(allowed),
                                        .rules = rules,
                                        .rule_count = ARRAY_COUNT(rules) - ON_DEMAND + asked };
    return confine_calls(&list, false);
}
