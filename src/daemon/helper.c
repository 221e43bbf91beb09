/* Datagrams with descriptors beside them, and the beginning of a process. What arrives in such a process is hostile: hearthd may have been taken over. */
#include "daemon/helper.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/secret.h"
#include "base/util.h"

union control {
    char bytes[CMSG_SPACE((HELPER_FDS_MAX + 1) * sizeof(int))];
    struct cmsghdr align;
};

int helper_fork(pid_t *pid, int *ours, int *theirs)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return -errno;
    *pid = fork();
    int error = errno;
    if (*pid != 0)
        close(pair[1]);
    if (*pid <= 0)
        close(pair[0]);
    *ours = *pid > 0 ? pair[0] : -1;
    *theirs = *pid == 0 ? pair[1] : -1;
    return *pid < 0 ? -error : 0;
}

int helper_send(int fd, const void *message, size_t len, const int *fds, size_t count)
{
    union control control = { 0 };
    struct iovec part = { (void *)message, len };
    struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1 };
    if (count > HELPER_FDS_MAX)
        return -EINVAL;
    if (count > 0) {
        m.msg_control = &control;
        m.msg_controllen = CMSG_SPACE(count * sizeof(int));
        struct cmsghdr *head = CMSG_FIRSTHDR(&m);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(head), fds, count * sizeof(int));
    }
    ssize_t n;
    do
        n = sendmsg(fd, &m, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n == (ssize_t)len ? 0 : n < 0 ? -errno : -EPIPE;
}

/* Their number; -EINVAL when there is no room for one, and then none is kept. */
static int take_fds(struct msghdr *m, int fds[HELPER_FDS_MAX])
{
    int count = 0, error = (m->msg_flags & MSG_CTRUNC) != 0 ? -EINVAL : 0;
    for (struct cmsghdr *h = CMSG_FIRSTHDR(m); h != NULL; h = CMSG_NXTHDR(m, h)) {
        if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t i = 0; i < (h->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
            int fd CLEANUP(closep) = -1;
            memcpy(&fd, CMSG_DATA(h) + i * sizeof(fd), sizeof(fd));
            int moved = count < HELPER_FDS_MAX ? fcntl(fd, F_DUPFD_CLOEXEC, HELPER_FD_OUT_OF_WAY) : -1;
            if (moved < 0)
                error = -EINVAL;
            else
                fds[count++] = moved;
        }
    }
    while (error != 0 && count > 0)
        close(fds[--count]);
    return error != 0 ? error : count;
}

static ssize_t receive(int fd, void *message, size_t len, struct msghdr *m, union control *control)
{
    struct iovec part = { message, len };
    *m = (struct msghdr){
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(*control)
    };
    ssize_t n;
    do
        n = recvmsg(fd, m, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    return n;
}

int helper_receive(int fd, void *message, size_t len, int *passed)
{
    union control control;
    struct msghdr m;
    int fds[HELPER_FDS_MAX];
    ssize_t n = receive(fd, message, len, &m, &control);
    if (n <= 0)
        return n < 0 ? -errno : -EPIPE;
    int count = take_fds(&m, fds);
    bool good = n == (ssize_t)len && (m.msg_flags & MSG_TRUNC) == 0 && count >= 0 && count <= 1;
    for (int i = good ? 1 : 0; i < count; i++)
        close(fds[i]);
    *passed = good && count == 1 ? fds[0] : -1;
    return good ? 0 : -EPROTO;
}

bool helper_next(int fd, void *request, size_t len, int fds[HELPER_FDS_MAX], size_t *count, bool *good)
{
    union control control;
    struct msghdr m;
    ssize_t n = receive(fd, request, len, &m, &control);
    if (n <= 0)
        return false;
    int taken = take_fds(&m, fds);
    *good = n == (ssize_t)len && (m.msg_flags & MSG_TRUNC) == 0 && taken >= 0;
    *count = taken > 0 ? (size_t)taken : 0;
    return true;
}

int helper_enter(void)
{
    /* The terminal's and the service manager's signals reach the whole group; a helper ends when hearthd has. */
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGTERM, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN);
    (void)signal(SIGPIPE, SIG_IGN);
    return secret_hide_process();
}
