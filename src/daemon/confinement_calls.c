/* hearthd's system-call filter: a list of what it needs, everything else fails with EPERM. No program, no other process, no rights of files, no Unix socket but those it
 * has: over the user's session bus it could have others do all that. */
#include "daemon/confinement.h"

#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/sockios.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/util.h"

#define PR_SET_VMA_ 0x53564d41 /* names of memory, which newer C libraries give; newer than some headers */
#define PROT_BOTH (PROT_WRITE | PROT_EXEC)

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
    /* files; which ones is Landlock's business */
    SCMP_SYS(open),
    SCMP_SYS(openat),
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
    /* threads; clone is below */
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
struct choice {
    int call;
    unsigned argument;
    uint64_t mask, value;
};

static int allow_choices(scmp_filter_ctx filter)
{
    const struct choice choices[] = {
        { SCMP_SYS(clone), 0, CLONE_THREAD, CLONE_THREAD },
        { SCMP_SYS(mmap), 2, PROT_BOTH, 0 }, /* no memory that is written and run */
        { SCMP_SYS(mmap), 2, PROT_BOTH, PROT_WRITE },
        { SCMP_SYS(mmap), 2, PROT_BOTH, PROT_EXEC },
        { SCMP_SYS(mprotect), 2, PROT_EXEC, 0 },
        { SCMP_SYS(tgkill), 0, UINT32_MAX, (uint64_t)getpid() },
        { SCMP_SYS(kill), 1, UINT32_MAX, 0 }, /* whether it is there */
        { SCMP_SYS(pidfd_send_signal), 1, UINT32_MAX, 0 },
        { SCMP_SYS(prlimit64), 2, UINT64_MAX, 0 }, /* to know, not to set */
        { SCMP_SYS(prctl), 0, UINT32_MAX, PR_SET_NAME },
        { SCMP_SYS(prctl), 0, UINT32_MAX, PR_SET_VMA_ },
        { SCMP_SYS(ioctl), 1, UINT32_MAX, FIONBIO },
        { SCMP_SYS(ioctl), 1, UINT32_MAX, FIOCLEX },
        { SCMP_SYS(ioctl), 1, UINT32_MAX, FIONREAD },
        { SCMP_SYS(ioctl), 1, UINT32_MAX, SIOCGIFNAME },
        { SCMP_SYS(ioctl), 1, UINT32_MAX, SIOCGIFINDEX },
        { SCMP_SYS(ioctl), 1, UINT32_MAX, SIOCGIFFLAGS },
        { SCMP_SYS(fcntl), 1, UINT32_MAX, F_DUPFD },
        { SCMP_SYS(fcntl), 1, UINT32_MAX, F_DUPFD_CLOEXEC },
        { SCMP_SYS(fcntl), 1, UINT32_MAX, F_GETFD },
        { SCMP_SYS(fcntl), 1, UINT32_MAX, F_SETFD },
        { SCMP_SYS(fcntl), 1, UINT32_MAX, F_GETFL },
        { SCMP_SYS(fcntl), 1, UINT32_MAX, F_SETFL },
        { SCMP_SYS(fcntl), 1, UINT32_MAX, F_GETLK },
        { SCMP_SYS(fcntl), 1, UINT32_MAX, F_SETLK },
        { SCMP_SYS(fcntl), 1, UINT32_MAX, F_SETLKW },
        { SCMP_SYS(fcntl), 1, UINT32_MAX, F_ADD_SEALS },
        { SCMP_SYS(fcntl), 1, UINT32_MAX, F_GET_SEALS },
    };
    for (size_t i = 0; i < ARRAY_COUNT(choices); i++) {
        const struct choice *c = &choices[i];
        int r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, c->call, 1,
                                 SCMP_CMP(c->argument, SCMP_CMP_MASKED_EQ, c->mask, c->value));
        if (r != 0)
            return r;
    }
    return 0;
}

/* IP, and what the kernel says about interfaces. A pair of Unix sockets only of streams: one of datagrams could be connected elsewhere. */
static int allow_sockets(scmp_filter_ctx filter)
{
    const int families[] = { AF_INET, AF_INET6 }, kinds[] = { SOCK_STREAM, SOCK_DGRAM };
    const uint64_t kind_mask = UINT32_MAX & ~(uint64_t)(SOCK_CLOEXEC | SOCK_NONBLOCK);
    int r = 0;
    for (size_t i = 0; r == 0 && i < ARRAY_COUNT(families) * ARRAY_COUNT(kinds); i++)
        r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2,
                             SCMP_A0(SCMP_CMP_MASKED_EQ, UINT32_MAX, (uint64_t)families[i / 2]),
                             SCMP_A1(SCMP_CMP_MASKED_EQ, kind_mask, (uint64_t)kinds[i % 2]));
    if (r == 0)
        r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2,
                             SCMP_A0(SCMP_CMP_MASKED_EQ, UINT32_MAX, AF_NETLINK),
                             SCMP_A2(SCMP_CMP_MASKED_EQ, UINT32_MAX, NETLINK_ROUTE));
    if (r == 0)
        r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socketpair), 2,
                             SCMP_A0(SCMP_CMP_MASKED_EQ, UINT32_MAX, AF_UNIX),
                             SCMP_A1(SCMP_CMP_MASKED_EQ, kind_mask, SOCK_STREAM));
    return r;
}

static int add_rules(scmp_filter_ctx filter)
{
    for (size_t i = 0; i < ARRAY_COUNT(allowed); i++) {
        int r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
        if (r != 0)
            return r;
    }
    int r = allow_choices(filter);
    if (r == 0)
        r = allow_sockets(filter);
    if (r == 0) /* its flags lie in memory, where no filter can look: the C library falls back to clone */
        r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    return r;
}

int confinement_filter_calls(void)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (filter == NULL)
        return -ENOMEM;
    int r = add_rules(filter);
    if (r == 0)
        r = seccomp_load(filter);
    seccomp_release(filter);
    return r;
}
