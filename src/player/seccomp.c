/* The player's system-call filter. Decoders and sound systems use more than can be listed for every version of them, so this names what must
 * not be: programs, other processes, the network, the kernel's own configuration. */
#include "player/sandbox.h"

#include <seccomp.h>
#include <sys/socket.h>

#include "base/confine.h"
#include "base/util.h"

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
    SCMP_SYS(name_to_handle_at),
    SCMP_SYS(open_by_handle_at),
    SCMP_SYS(personality),
    SCMP_SYS(vhangup),
    SCMP_SYS(lookup_dcookie),
    SCMP_SYS(iopl),
    SCMP_SYS(ioperm),
    SCMP_SYS(modify_ldt),
};

static int filter(const struct confine_rule *sockets, size_t count)
{
    const struct confine_calls list = { .all_else = true,
                                        .calls = forbidden,
                                        .call_count = ARRAY_COUNT(forbidden),
                                        .rules = sockets,
                                        .rule_count = count };
    return confine_calls(&list, false);
}

int sandbox_filter_calls(void)
{
    static const struct confine_rule none[] = { { .call = SCMP_SYS(socket), .error = EPERM },
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
