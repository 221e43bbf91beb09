/* The way of a program that could not be started: its errno, over a pipe that exec closes. */
#include "base/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/util.h"

static void reset_signals(void)
{
    sigset_t none;
    for (int i = 1; i < NSIG; i++)
        (void)signal(i, SIG_DFL);
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static int place_fds(const struct spawn *s)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0 || dup2(s->input >= 0 ? s->input : null, STDIN_FILENO) < 0 ||
        dup2(s->output >= 0 ? s->output : null, STDOUT_FILENO) < 0)
        return -errno;
    for (int i = 0; i < s->fd_count; i++)
        if (dup2(s->fds[i], SPAWN_FIRST_FD + i) < 0)
            return -errno;
    return 0;
}

/* In the child. errors: closed by exec. */
static _Noreturn void become(const struct spawn *s, pid_t parent, int errors)
{
    reset_signals();
    int error = -place_fds(s);
    if (error == 0 && s->apart && (setsid() < 0 || chdir("/") != 0 || prctl(PR_SET_PDEATHSIG, SIGTERM) != 0))
        error = errno;
    if (error == 0 && s->apart && getppid() != parent) /* that has ended already */
        error = ESRCH;
    if (error == 0) {
        (void)execve(s->path, (char *const *)s->argv, s->environment);
        error = errno;
    }
    (void)!write(errors, &error, sizeof(error));
    _exit(127);
}

int spawn(const struct spawn *s, pid_t *pid, int *pidfd)
{
    int ends[2], error = 0, started_fd = -1;
    pid_t parent = getpid();
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -errno;
    int reading CLEANUP(closep) = ends[0],
                writing CLEANUP(closep) = fcntl(ends[1], F_DUPFD_CLOEXEC, HELPER_FD_OUT_OF_WAY);
    close(ends[1]);
    if (writing < 0)
        return -errno;
    unsigned long flags = CLONE_PIDFD | SIGCHLD | (s->parents ? CLONE_PARENT : 0u);
    long started = syscall(SYS_clone, flags, NULL, &started_fd, NULL, NULL);
    if (started == 0)
        become(s, parent, writing);
    if (started < 0)
        return -errno;
    *pid = (pid_t)started;
    *pidfd = started_fd;
    closep(&writing);
    writing = -1;
    ssize_t n;
    do
        n = read(reading, &error, sizeof(error));
    while (n < 0 && errno == EINTR);
    return n == 0 ? 0 : error != 0 ? -error : -EIO;
}
