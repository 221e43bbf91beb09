/* See attempts.h. */
#define LOG_MODULE "compromised"
#include "attempts.h"

#include <fcntl.h>
#include <linux/bpf.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"

void attempt_tell(const char *attempt, bool done, const char *outcome)
{
    log_error("attempt=%s outcome=%s", attempt, done ? "done" : outcome);
}

void attempt_called(const char *attempt, long result)
{
    attempt_tell(attempt, result >= 0, result >= 0 ? "" : strerrorname_np(errno));
    if (result > 2)
        close((int)result);
}

int attempt_connect(int kind, const char *path, bool abstract)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    int fd CLEANUP(closep) = socket(AF_UNIX, kind | SOCK_CLOEXEC, 0);
    size_t most = sizeof(a.sun_path) - (size_t)abstract;
    if (fd < 0)
        return -1;
    if (snprintf(a.sun_path + abstract, most, "%s", path) >= (int)most)
        log_error("the path is too long for a socket: %s", path);
    return connect(fd, (struct sockaddr *)&a, sizeof(a));
}

void attempts_on_process(const char *whose, pid_t pid, bool all)
{
    char attempt[64], path[64], byte;
    struct iovec here = { &byte, 1 }, there = { (void *)(uintptr_t)0x400000, 1 };
    snprintf(attempt, sizeof(attempt), "trace-%s", whose);
    attempt_called(attempt, ptrace(PTRACE_ATTACH, pid, 0, 0));
    snprintf(attempt, sizeof(attempt), "read-memory-of-%s", whose);
    attempt_called(attempt, process_vm_readv(pid, &here, 1, &there, 1, 0));
    snprintf(attempt, sizeof(attempt), "open-memory-of-%s", whose);
    snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
    attempt_called(attempt, open(path, O_RDWR | O_CLOEXEC));
    snprintf(attempt, sizeof(attempt), "take-descriptors-of-%s", whose);
    attempt_called(attempt, syscall(SYS_pidfd_open, pid, 0));
    if (!all)
        return;
    snprintf(attempt, sizeof(attempt), "write-memory-of-%s", whose);
    attempt_called(attempt, process_vm_writev(pid, &here, 1, &there, 1, 0));
    snprintf(attempt, sizeof(attempt), "end-%s", whose);
    attempt_called(attempt, kill(pid, SIGKILL));
}

void attempts_on_kernel(bool all)
{
    union bpf_attr attr = { 0 };
    attempt_called("io-uring", syscall(SYS_io_uring_setup, 1, NULL));
    attempt_called("bpf", syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr)));
    attempt_called("performance-counters", syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0));
    attempt_called("keyring", syscall(SYS_keyctl, 0, 0, 0, 0, 0));
    attempt_called("fault-handler", syscall(SYS_userfaultfd, 0));
    attempt_called("fewer-restrictions", prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0));
    attempt_called("set-the-clock", clock_settime(CLOCK_REALTIME, &(struct timespec){ 0 }));
    if (!all)
        return;
    attempt_called("add-a-key", syscall(SYS_add_key, "user", "x", "x", 1, 0));
    attempt_called("be-traceable", prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
    attempt_called("raise-a-limit", setrlimit(RLIMIT_CORE, &(struct rlimit){ RLIM_INFINITY, RLIM_INFINITY }));
    attempt_called("change-the-user", setuid(65534));
}

void attempts_on_programs(void)
{
    char name[] = "sh", option[] = "-c", command[] = "touch /tmp/hearth-loot";
    char *const argv[] = { name, option, command, NULL };
    char *const none[] = { NULL };
    attempt_called("run-a-shell", execve("/bin/sh", argv, none));
    attempt_called("run-what-is-open", syscall(SYS_execveat, STDERR_FILENO, "", argv, none, AT_EMPTY_PATH));
    attempt_called("another-process", syscall(SYS_fork));
    attempt_called("another-process-by-clone", syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL));
    attempt_called("another-process-by-clone3", syscall(SYS_clone3, NULL, 0));
    attempt_called("namespaces", unshare(CLONE_NEWUSER | CLONE_NEWNET));
    attempt_called("mount", mount("none", "/tmp", "tmpfs", 0, NULL));
    void *both = mmap(NULL, 4096, PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    attempt_tell("memory-written-and-run", both != MAP_FAILED, both != MAP_FAILED ? "" : strerrorname_np(errno));
    void *data = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    attempt_called("run-what-was-written", mprotect(data, 4096, PROT_READ | PROT_EXEC));
}

void attempts_on_network(void)
{
    int pair[2];
    attempt_called("the-session-s-bus", attempt_connect(SOCK_STREAM, "/run/user/0/bus", false));
    attempt_called("the-log-s-socket", attempt_connect(SOCK_DGRAM, "/run/systemd/journal/socket", false));
    attempt_called("two-sockets-of-datagrams", socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair));
    attempt_called("packets", socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
    attempt_called("raw-internet", socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, 1));
    attempt_called("another-netlink", socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 9));
    attempt_called("virtual-machines", socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0));
    attempt_called("type-at-the-terminal", ioctl(STDERR_FILENO, TIOCSTI, "x"));
}
