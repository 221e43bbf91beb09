/* Enters the vault's sandbox and tries what must not work. Exit 0: nothing of it did; 77: this build has no filter (HEARTH_HAS_FILTER), or this
 * kernel no Landlock. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <errno.h>
#include <linux/landlock.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/secret.h"
#include "check.h"
#include "vault/sandbox.h"

static void *do_nothing(void *arg) { return arg; }

int main(void)
{
    char dir[] = "/tmp/hearth-probe-XXXXXX", path[64], true_name[] = "true";
    char *const argv[] = { true_name, NULL };
    bool has_filter = getenv("HEARTH_HAS_FILTER") != NULL;
    bool has_landlock = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) > 0;
    check(mkdtemp(dir));
    check(secret_harden_process() == 0);
    check(sandbox_enter(dir) == 0);

    if (!has_filter)
        return 77;
    check(socket(AF_UNIX, SOCK_STREAM, 0) < 0);
    check(errno == EPERM);
    check(socket(AF_INET, SOCK_STREAM, 0) < 0 && errno == EPERM);
    check(socket(AF_INET6, SOCK_DGRAM, 0) < 0 && errno == EPERM);
    check(connect(0, NULL, 0) < 0 && errno == EPERM);
    check(execv("/bin/true", argv) < 0 && errno == EPERM);
    check(fork() < 0);
    check(ptrace(PTRACE_TRACEME, 0, 0, 0) < 0 && errno == EPERM);
    check(kill(getppid(), 0) < 0 && errno == EPERM);
    check(syscall(SYS_io_uring_setup, 1, NULL) < 0 && errno == EPERM);
    check(syscall(SYS_bpf, 0, NULL, 0) < 0 && errno == EPERM);
    check(symlink("/etc", "x") < 0);

    int fd = open("/etc/passwd", O_RDONLY);
    if (!has_landlock)
        return 77;
    check(fd < 0 && errno == EACCES);
    check(open("/tmp/hearth-outside", O_RDWR | O_CREAT, 0600) < 0);
    check(open("/proc/self/mem", O_RDWR) < 0);
    /* And what must work. */
    snprintf(path, sizeof(path), "%s/inside", dir);
    fd = open(path, O_RDWR | O_CREAT, 0600);
    check(fd >= 0 && write(fd, "x", 1) == 1 && fsync(fd) == 0 && close(fd) == 0 && unlink(path) == 0);
    pthread_t thread;
    check(pthread_create(&thread, NULL, do_nothing, NULL) == 0 && pthread_join(thread, NULL) == 0);
    return 0;
}
