/* Datagrams with descriptors beside them, and the beginning of a process. What arrives in such a process is hostile: the server may have been taken over. */
#include "base/helper.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/secret.h"
#include "base/util.h"

#define LOG_MODULE "helper"
#include "base/log.h"

#define BEHIND_MS 500 /* nobody waits long again for one that stands still */
#define END_MS 1000
#define END_STEP_MS 2

union control {
    char bytes[CMSG_SPACE((HELPER_FDS_MAX + 1) * sizeof(int))];
    struct cmsghdr align;
};

/* --- Datagrams --- */

static int send_one(int fd, const void *message, size_t len, const int *fds, size_t count, int flags)
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
        n = sendmsg(fd, &m, MSG_NOSIGNAL | flags);
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

static ssize_t receive(int fd, void *message, size_t len, struct msghdr *m, union control *control, int flags)
{
    struct iovec part = { message, len };
    *m = (struct msghdr){
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(*control)
    };
    ssize_t n;
    do
        n = recvmsg(fd, m, MSG_CMSG_CLOEXEC | flags);
    while (n < 0 && errno == EINTR);
    return n;
}

/* One of exactly this length that is there already. 0, -EAGAIN, -EPIPE, -errno. */
static int receive_one(int fd, void *message, size_t len, int *passed)
{
    union control control;
    struct msghdr m;
    int fds[HELPER_FDS_MAX];
    ssize_t n = receive(fd, message, len, &m, &control, MSG_DONTWAIT);
    if (n <= 0)
        return n < 0 ? -errno : -EPIPE;
    int count = take_fds(&m, fds);
    bool good = n == (ssize_t)len && (m.msg_flags & MSG_TRUNC) == 0 && count >= 0 && count <= 1;
    for (int i = good ? 1 : 0; i < count; i++)
        close(fds[i]);
    *passed = good && count == 1 ? fds[0] : -1;
    return good ? 0 : -EPROTO;
}

/* --- The server's end --- */

int helper_fork(struct helper *h, size_t answer_bytes, int *theirs)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return -errno;
    pid_t pid = fork();
    int error = errno;
    if (pid != 0)
        close(pair[1]);
    if (pid <= 0)
        close(pair[0]);
    if (pid < 0)
        return -error;
    *h = (struct helper){ .fd = pid > 0 ? pair[0] : -1, .pid = pid, .answer_bytes = answer_bytes };
    *theirs = pid == 0 ? pair[1] : -1;
    return 0;
}

static int64_t now_ms(void) { return clock_mono_ms(clock_system()); }

/* 0; -ETIMEDOUT; -errno. */
static int wait_for(int fd, short what, int64_t deadline_ms)
{
    struct pollfd p = { .fd = fd, .events = what };
    for (;;) {
        int64_t left_ms = deadline_ms - now_ms();
        int n = poll(&p, 1, left_ms > 0 ? (int)left_ms : 0);
        if (n > 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n == 0 && left_ms <= 0)
            return -ETIMEDOUT;
    }
}

static void drop(struct helper *h, const void *answer, int passed)
{
    closep(&passed);
    if (h->on_late != NULL)
        h->on_late(answer, h->ctx);
}

int helper_take(struct helper *h, void *answer, int *passed)
{
    int r = receive_one(h->fd, answer, h->answer_bytes, passed);
    if (r == 0)
        memcpy(&h->answered, answer, sizeof(h->answered));
    return r;
}

int helper_drain(struct helper *h)
{
    _Alignas(uint64_t) uint8_t late[HELPER_ANSWER_BYTES_MAX];
    int passed = -1, r;
    while ((r = helper_take(h, late, &passed)) == 0)
        drop(h, late, passed);
    return r == -EAGAIN ? 0 : r;
}

static int await(struct helper *h, uint64_t serial, void *answer, int *passed, int64_t deadline_ms)
{
    for (;;) {
        int r = wait_for(h->fd, POLLIN, deadline_ms);
        if (r == 0)
            r = helper_take(h, answer, passed);
        if (r == -EAGAIN)
            continue;
        if (r != 0 || h->answered == serial)
            return r;
        drop(h, answer, *passed);
    }
}

int helper_ask(struct helper *h, unsigned patience_ms, void *request, size_t len, const int *fds, size_t count,
               void *answer, int *passed)
{
    *passed = -1;
    int r = helper_drain(h);
    if (r != 0)
        return r;
    int64_t deadline_ms = now_ms() + (helper_is_behind(h) && patience_ms > BEHIND_MS ? BEHIND_MS : patience_ms);
    uint64_t serial = h->asked + 1;
    memcpy(request, &serial, sizeof(serial));
    while ((r = send_one(h->fd, request, len, fds, count, MSG_DONTWAIT)) == -EAGAIN) {
        r = wait_for(h->fd, POLLOUT, deadline_ms);
        if (r != 0)
            return r;
    }
    if (r != 0)
        return r;
    h->asked = serial;
    r = await(h, serial, answer, passed, deadline_ms);
    if (r == -ETIMEDOUT)
        h->given_up = serial;
    return r;
}

int helper_tell(struct helper *h, void *request, size_t len, const int *fds, size_t count)
{
    uint64_t serial = h->asked + 1;
    memcpy(request, &serial, sizeof(serial));
    int r = send_one(h->fd, request, len, fds, count, MSG_DONTWAIT);
    if (r == 0)
        h->asked = serial;
    return r;
}

bool helper_has_ended(struct helper *h)
{
    if (!h->ended) {
        pid_t pid = waitpid(h->pid, NULL, WNOHANG);
        h->ended = pid == h->pid || (pid < 0 && errno == ECHILD);
    }
    return h->ended;
}

static bool ends_in_time(struct helper *h)
{
    int64_t deadline_ms = now_ms() + END_MS;
    while (!helper_has_ended(h) && now_ms() < deadline_ms)
        (void)poll(NULL, 0, END_STEP_MS);
    return h->ended;
}

void helper_end(struct helper *h)
{
    closep(&h->fd);
    h->fd = -1;
    if (ends_in_time(h))
        return;
    log_error("a helper stands still: it is not waited for");
    if (kill(h->pid, SIGKILL) == 0) /* once confined it may not: helper_enter */
        (void)ends_in_time(h);
}

/* --- In the process --- */

int helper_send(int fd, const void *message, size_t len, const int *fds, size_t count)
{
    return send_one(fd, message, len, fds, count, 0);
}

bool helper_next(int fd, void *request, size_t len, int fds[HELPER_FDS_MAX], size_t *count, bool *good)
{
    union control control;
    struct msghdr m;
    ssize_t n = receive(fd, request, len, &m, &control, 0);
    if (n <= 0)
        return false;
    int taken = take_fds(&m, fds);
    *good = n == (ssize_t)len && (m.msg_flags & MSG_TRUNC) == 0 && taken >= 0;
    *count = taken > 0 ? (size_t)taken : 0;
    return true;
}

/* The spawner's socket in the opener's hands would keep the spawner alive, and give two servers what is one's. */
static int close_others(int fd)
{
    unsigned own = (unsigned)fd;
    if (own > STDERR_FILENO + 1 && close_range(STDERR_FILENO + 1, own - 1, 0) != 0)
        return -errno;
    return close_range(own + 1, ~0u, 0) == 0 ? 0 : -errno;
}

int helper_enter(int fd)
{
    /* The service manager's signals reach all of the service; a helper ends when the server has. */
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGTERM, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGTTOU, SIG_IGN); /* it logs from the background */
    (void)signal(SIGCHLD, SIG_DFL); /* ignored by who started the server, nobody would say how a program ended */
    /* A group of its own: the kernel continues one that was stopped when the server ends, whose confinement lets it send no signal, and then it reads the end of its requests. */
    if (setpgid(0, 0) != 0)
        return -errno;
    int r = close_others(fd);
    return r == 0 ? secret_hide_process() : r;
}
