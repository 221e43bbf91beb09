/* The player's system-call filter. Decoders and sound systems use more than can be listed for every version of them, so this names what must
 * not be: programs, other processes, the network, rights of files (which Landlock leaves to everybody), the kernel's own configuration. */
#include "player/sandbox.h"

#include <asm/ioctls.h>
#include <asm/sockios.h>
#include <fcntl.h>
#include <seccomp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/confine.h"
#include "base/util.h"

/* Newer than some headers; the same number on every machine. */
#define MOUNT_SETATTR 442
#define QUOTACTL_FD 443
#define FCHMODAT2 452
#define SETXATTRAT 463
#define REMOVEXATTRAT 466
#define FILE_SETATTR 469

static const int forbidden[] = {
    /* programs and other processes */
    SCMP_SYS(execve),
    SCMP_SYS(execveat),
    SCMP_SYS(fork),
    SCMP_SYS(vfork),
    SCMP_SYS(ptrace),
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev),
    SCMP_SYS(kcmp),
    SCMP_SYS(pidfd_getfd),
    SCMP_SYS(pidfd_open),
    SCMP_SYS(process_madvise),
    SCMP_SYS(setns),
    SCMP_SYS(unshare),
    SCMP_SYS(chroot),
    SCMP_SYS(pivot_root),
    SCMP_SYS(kill),
    SCMP_SYS(tkill),
    SCMP_SYS(rt_sigqueueinfo),
    SCMP_SYS(rt_tgsigqueueinfo),
    SCMP_SYS(pidfd_send_signal),
    SCMP_SYS(setpriority),
    SCMP_SYS(ioprio_set),
    SCMP_SYS(sched_setaffinity),
    SCMP_SYS(msgget),
    SCMP_SYS(mq_open),
    /* files of others: their rights, their times, what happens to them */
    SCMP_SYS(chmod),
    SCMP_SYS(fchmod),
    SCMP_SYS(fchmodat),
    FCHMODAT2,
    SCMP_SYS(chown),
    SCMP_SYS(fchown),
    SCMP_SYS(lchown),
    SCMP_SYS(fchownat),
    SCMP_SYS(setxattr),
    SCMP_SYS(lsetxattr),
    SCMP_SYS(fsetxattr),
    SETXATTRAT,
    SCMP_SYS(removexattr),
    SCMP_SYS(lremovexattr),
    SCMP_SYS(fremovexattr),
    REMOVEXATTRAT,
    FILE_SETATTR,
    SCMP_SYS(utime),
    SCMP_SYS(utimes),
    SCMP_SYS(futimesat),
    SCMP_SYS(utimensat),
    SCMP_SYS(inotify_add_watch),
    SCMP_SYS(fanotify_init),
    /* the network, as a server */
    SCMP_SYS(bind),
    SCMP_SYS(listen),
    SCMP_SYS(accept),
    SCMP_SYS(accept4),
    SCMP_SYS(io_uring_setup),
    SCMP_SYS(io_uring_enter),
    SCMP_SYS(io_uring_register),
    /* the kernel */
    SCMP_SYS(mount),
    SCMP_SYS(umount2),
    SCMP_SYS(open_tree),
    SCMP_SYS(move_mount),
    SCMP_SYS(fsopen),
    SCMP_SYS(fsmount),
    SCMP_SYS(fspick),
    SCMP_SYS(fsconfig),
    MOUNT_SETATTR,
    SCMP_SYS(bpf),
    SCMP_SYS(perf_event_open),
    SCMP_SYS(userfaultfd),
    SCMP_SYS(keyctl),
    SCMP_SYS(add_key),
    SCMP_SYS(request_key),
    SCMP_SYS(init_module),
    SCMP_SYS(finit_module),
    SCMP_SYS(delete_module),
    SCMP_SYS(kexec_load),
    SCMP_SYS(kexec_file_load),
    SCMP_SYS(reboot),
    SCMP_SYS(swapon),
    SCMP_SYS(swapoff),
    SCMP_SYS(acct),
    SCMP_SYS(syslog),
    SCMP_SYS(settimeofday),
    SCMP_SYS(clock_settime),
    SCMP_SYS(adjtimex),
    SCMP_SYS(sethostname),
    SCMP_SYS(quotactl),
    QUOTACTL_FD,
    SCMP_SYS(name_to_handle_at),
    SCMP_SYS(open_by_handle_at),
    SCMP_SYS(personality),
    SCMP_SYS(vhangup),
    SCMP_SYS(lookup_dcookie),
    SCMP_SYS(iopl),
    SCMP_SYS(ioperm),
    SCMP_SYS(modify_ldt),
};

/* Its value is this one. */
#define FORBIDDEN(name, index, value)                                                  \
    {                                                                                  \
        SCMP_SYS(name), EPERM, { { (index), UINT32_MAX, (value)&UINT32_MAX, false }, } \
    }
/* Its first argument is another one. */
#define ONLY(name, own)                         \
    {                                           \
        SCMP_SYS(name), EPERM,                  \
        {                                       \
            {                                   \
                .value = (own), .differs = true \
            }                                   \
        }                                       \
    }
#define SOCKET_RULES_MAX 2

static int filter(const struct confine_rule *sockets, size_t count)
{
    const struct confine_rule others[] = {
        ONLY(tgkill, (uint64_t)getpid()), /* abort */
        ONLY(prlimit64, 0),
        FORBIDDEN(prctl, 0, PR_SET_DUMPABLE),
        FORBIDDEN(prctl, 0, PR_SET_PTRACER),
        FORBIDDEN(fcntl, 1, F_SETOWN), /* whose signal it is when something happens, and which */
        FORBIDDEN(fcntl, 1, F_SETOWN_EX),
        FORBIDDEN(fcntl, 1, F_SETSIG),
        FORBIDDEN(ioctl, 1, FIOSETOWN),
        FORBIDDEN(ioctl, 1, SIOCSPGRP),
        FORBIDDEN(ioctl, 1, TIOCSTI), /* typing, at the terminal that hearthd was started from */
        FORBIDDEN(ioctl, 1, TIOCLINUX),
    };
    struct confine_rule rules[ARRAY_COUNT(others) + SOCKET_RULES_MAX];
    memcpy(rules, others, sizeof(others));
    memcpy(rules + ARRAY_COUNT(others), sockets, count * sizeof(*sockets));
    const struct confine_calls list = { .all_else = true,
                                        .calls = forbidden,
                                        .call_count = ARRAY_COUNT(forbidden),
                                        .rules = rules,
                                        .rule_count = ARRAY_COUNT(others) + count };
    return confine_calls(&list, false);
}

int sandbox_filter_calls(void)
{
    static const struct confine_rule none[SOCKET_RULES_MAX] = { { .call = SCMP_SYS(socket), .error = EPERM },
                                                                { .call = SCMP_SYS(connect), .error = EPERM } };
    return filter(none, ARRAY_COUNT(none));
}

int sandbox_filter_calls_with_sockets(void)
{
    static const struct confine_rule unix_alone = { SCMP_SYS(socket),
                                                    EAFNOSUPPORT,
                                                    { { .index = 0, .value = AF_UNIX, .differs = true } } };
    return filter(&unix_alone, 1);
}
