/* The child process of the strangers: epoll over plain sockets, without TLS of its own: what it sends was written down once. */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "load.h"

#define OPENED_A_ROUND 200
#define ROUND_MS 20
#define EVENTS 512

struct stranger {
    int fd;
    unsigned sent; /* bytes of its hello, one a second */
    uint64_t next_ns;
};

struct crowd {
    struct sockaddr_in address;
    struct stranger *all;
    unsigned count, open;
    int epoll;
};

/* The beginning of a TLS 1.3 ClientHello that promises 400 bytes. */
static const uint8_t hello[] = { 0x16, 0x03, 0x01, 0x01, 0x90, 0x01, 0x00, 0x01, 0x8c, 0x03, 0x03, 0x5a };

static void dial(struct crowd *c, struct stranger *s)
{
    struct epoll_event e = { .events = EPOLLIN | EPOLLRDHUP, .data.ptr = s };
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s->fd < 0)
        return;
    if (connect(s->fd, (struct sockaddr *)&c->address, sizeof(c->address)) != 0 && errno != EINPROGRESS) {
        close(s->fd);
        s->fd = -1;
        return;
    }
    epoll_ctl(c->epoll, EPOLL_CTL_ADD, s->fd, &e);
    s->sent = 0;
    s->next_ns = uv_hrtime() + 500000000ull;
    c->open++;
}

static void hang_up(struct crowd *c, struct stranger *s)
{
    close(s->fd);
    s->fd = -1;
    c->open--;
}

/* Every second stranger drips its hello; the others say nothing. */
static void drip(struct crowd *c, struct stranger *s, uint64_t now_ns)
{
    if ((s - c->all) % 2 == 0 || s->sent == sizeof(hello) || now_ns < s->next_ns)
        return;
    if (send(s->fd, &hello[s->sent], 1, MSG_NOSIGNAL | MSG_DONTWAIT) == 1)
        s->sent++;
    s->next_ns = now_ns + 1000000000ull;
}

static void round_of(struct crowd *c)
{
    struct epoll_event events[EVENTS];
    unsigned opened = 0;
    uint64_t now_ns = uv_hrtime();
    for (unsigned i = 0; i < c->count; i++) {
        struct stranger *s = &c->all[i];
        if (s->fd >= 0)
            drip(c, s, now_ns);
        else if (opened++ < OPENED_A_ROUND)
            dial(c, s);
    }
    int n = epoll_wait(c->epoll, events, EVENTS, ROUND_MS);
    for (int i = 0; i < n; i++) {
        struct stranger *s = events[i].data.ptr;
        char bytes[512];
        if (s->fd >= 0 && recv(s->fd, bytes, sizeof(bytes), MSG_DONTWAIT) <= 0 && errno != EAGAIN)
            hang_up(c, s);
    }
}

static void live(const char *address, unsigned count, int report)
{
    struct crowd c = { .count = count, .epoll = epoll_create1(EPOLL_CLOEXEC) };
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    c.address.sin_family = AF_INET;
    c.address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c.address.sin_port = htons((uint16_t)atoi(strchr(address, ':') + 1));
    c.all = calloc(count, sizeof(*c.all));
    if (c.all == NULL)
        _exit(1);
    for (unsigned i = 0; i < count; i++)
        c.all[i].fd = -1;
    for (bool told = false;;) {
        round_of(&c);
        if (!told && c.open >= count - count / 50) {
            told = write(report, "+", 1) == 1;
        }
    }
}

void strangers_start(struct strangers *s, const char *address, unsigned count)
{
    int pipes[2];
    char told;
    assert_int_equal(pipe(pipes), 0);
    s->pid = fork();
    assert_true(s->pid >= 0);
    if (s->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(pipes[0]);
        live(address, count, pipes[1]);
        _exit(0);
    }
    close(pipes[1]);
    assert_int_equal(read(pipes[0], &told, 1), 1);
    close(pipes[0]);
}

void strangers_stop(struct strangers *s)
{
    kill(s->pid, SIGKILL);
    waitpid(s->pid, NULL, 0);
}
