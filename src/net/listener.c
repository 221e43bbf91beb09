/* Listening: TCP with TLS, and Unix sockets for processes of the same user. On the loop thread.
 *
 * Callbacks, in the order in which they fire: on_connection, on_retry (after running out of descriptors), on_handle_closed. */
#define LOG_MODULE "listener"
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"
#include "net/peer_internal.h"

#define HANDSHAKE_MS 10000
#define RETRY_MS 200
#define BACKLOG 512
#define ACCEPTS_A_TURN 64

struct peer_listener {
    uv_loop_t *loop;
    uv_poll_t poll;
    uv_timer_t retry;
    const struct peer_identity *identity; /* NULL: Unix */
    peer_accept_fn on_accept;
    void *ctx;
    int fd;
    uint32_t max_peers, peer_count;
    struct peer *peers;
    unsigned open_handles;
    bool closing;
    struct sockaddr_un path; /* Unix: removed at the end when it is still ours */
    dev_t path_device;
    ino_t path_inode;
};

static void on_connection(uv_poll_t *poll, int status, int events);

/* --- The end --- */

static void free_when_done(struct peer_listener *l)
{
    if (l->closing && l->open_handles == 0 && l->peer_count == 0)
        free(l);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct peer_listener *l = handle->data;
    l->open_handles--;
    free_when_done(l);
}

static void remove_path(const struct peer_listener *l)
{
    struct stat s;
    if (l->path.sun_path[0] && lstat(l->path.sun_path, &s) == 0 && s.st_dev == l->path_device &&
        s.st_ino == l->path_inode)
        unlink(l->path.sun_path);
}

void peer_listener_set_identity(struct peer_listener *l, const struct peer_identity *identity)
{
    l->identity = identity;
}

void peer_listener_close(struct peer_listener *l)
{
    if (!l || l->closing)
        return;
    l->closing = true;
    remove_path(l);
    uv_close((uv_handle_t *)&l->poll, on_handle_closed);
    uv_close((uv_handle_t *)&l->retry, on_handle_closed);
    close(l->fd);
    for (struct peer *p = l->peers; p; p = p->listener_next)
        peer_close(p, REASON_OFFLINE);
}

void peer_listener_gone(struct peer *p)
{
    struct peer_listener *l = p->listener;
    if (p->listener_previous)
        p->listener_previous->listener_next = p->listener_next;
    else
        l->peers = p->listener_next;
    if (p->listener_next)
        p->listener_next->listener_previous = p->listener_previous;
    p->listener = NULL;
    l->peer_count--;
    free_when_done(l);
}

/* --- Accepting --- */

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* Linux 6.5; newer than some headers */
#endif

/* Our children command nobody: they are players and vaults, whose code may have been taken over. They start no processes of their own. A process that has
 * ended may have been one, and nobody waits for its answer. The kernel knows which process connected, also when its number is another's by now
 * (before Linux 6.5 the number has to do). */
static bool is_child_or_gone(int fd, pid_t pid)
{
    int process CLEANUP(closep) = -1;
    socklen_t len = sizeof process;
    siginfo_t state;
    bool known = getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &process, &len) == 0;
    if (!known && errno != ENOPROTOOPT)
        return true;
    if (waitid(known ? P_PIDFD : P_PID, known ? (id_t)process : (id_t)pid, &state, WEXITED | WNOHANG | WNOWAIT) == 0)
        return true;
    if ((known ? syscall(SYS_pidfd_send_signal, process, 0, NULL, 0) : kill(pid, 0)) != 0 && errno == ESRCH)
        return true;
    return false;
}

/* Only processes of our own user, and root, speak to a Unix socket. */
static bool may_connect(int fd)
{
    struct ucred who;
    socklen_t len = sizeof who;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) != 0)
        return false;
    if (who.uid != geteuid() && who.uid != 0) {
        log_warn("a process of user %u was refused", (unsigned)who.uid);
        return false;
    }
    if (who.pid == 0 || !is_child_or_gone(fd, who.pid)) /* 0: outside our namespace of processes, so no child */
        return true;
    log_warn("a process was refused that is a child of this one, or has ended: pid=%d", (int)who.pid);
    return false;
}

static void attach(struct peer_listener *l, struct peer *p)
{
    p->listener = l;
    p->listener_next = l->peers;
    if (l->peers)
        l->peers->listener_previous = p;
    l->peers = p;
    l->peer_count++;
}

/* Takes fd. */
static void welcome(struct peer_listener *l, int new_fd, const struct sockaddr_storage *from)
{
    int fd CLEANUP(closep) = new_fd;
    struct peer_callbacks none = { NULL };
    struct peer *p;
    if (l->peer_count >= l->max_peers || (!l->identity && !may_connect(fd)))
        return;
    if (peer_new(&p, l->loop, &none, NULL) != 0)
        return;
    attach(l, p);
    address_text((const struct sockaddr *)from, p->address);
    p->identity = l->identity;
    p->open_deadline_ms = peer_now(p) + HANDSHAKE_MS;
    peer_arm(p, p->open_deadline_ms);
    if (peer_take_fd(p, fd) != 0) {
        peer_fail(p, REASON_INTERNAL);
        return;
    }
    fd = -1;
    if (!l->on_accept(p, &p->callbacks, &p->ctx, l->ctx)) {
        p->callbacks = none;
        peer_fail(p, REASON_NOT_PERMITTED);
        return;
    }
    peer_pump(p);
}

static void on_retry(uv_timer_t *timer)
{
    struct peer_listener *l = timer->data;
    if (uv_poll_start(&l->poll, UV_READABLE, on_connection) != 0)
        log_error("listening again failed");
}

static void on_connection(uv_poll_t *poll, int status, int events)
{
    struct peer_listener *l = poll->data;
    (void)status;
    (void)events;
    for (int i = 0; i < ACCEPTS_A_TURN && !l->closing; i++) {
        struct sockaddr_storage from = { .ss_family = AF_UNIX };
        socklen_t len = sizeof from;
        int fd = accept4(l->fd, (struct sockaddr *)&from, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            welcome(l, fd, &from);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            log_warn("no connection accepted: %s", strerror(errno));
            uv_poll_stop(&l->poll);
            uv_timer_start(&l->retry, on_retry, RETRY_MS, 0);
        }
        if (errno != EINTR && errno != ECONNABORTED)
            return;
    }
}

/* --- Beginnings --- */

/* Takes fd on success. */
static int start(struct peer_listener *l, int fd)
{
    if (listen(fd, BACKLOG) != 0)
        return -errno;
    int r = uv_poll_init(l->loop, &l->poll, fd);
    if (r != 0)
        return r;
    l->fd = fd;
    l->poll.data = l->retry.data = l;
    uv_timer_init(l->loop, &l->retry);
    l->open_handles = 2;
    r = uv_poll_start(&l->poll, UV_READABLE, on_connection);
    if (r == 0)
        return 0;
    l->closing = true; /* the handles must still be closed; l goes with them, fd stays the caller's */
    uv_close((uv_handle_t *)&l->poll, on_handle_closed);
    uv_close((uv_handle_t *)&l->retry, on_handle_closed);
    return r;
}

static struct peer_listener *listener_new(uv_loop_t *loop, const struct peer_identity *identity, uint32_t max_peers,
                                          peer_accept_fn on_accept, void *ctx)
{
    struct peer_listener *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
    l->loop = loop;
    l->identity = identity;
    l->max_peers = max_peers;
    l->on_accept = on_accept;
    l->ctx = ctx;
    return l;
}

/* start, and whatever goes wrong is undone. Takes fd. */
static int start_or_free(struct peer_listener **out, struct peer_listener *l, int new_fd)
{
    int fd CLEANUP(closep) = new_fd;
    if (!l)
        return -ENOMEM;
    int r = start(l, fd);
    if (r != 0) {
        if (!l->closing)
            free(l);
        return r;
    }
    fd = -1;
    *out = l;
    return 0;
}

static int listening_socket(const struct sockaddr_storage *address)
{
    int one = 1, zero = 0;
    int fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (address->ss_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero); /* [::] serves IPv4 too */
    if (bind(fd, (const struct sockaddr *)address, address_len(address)) == 0)
        return fd;
    int error = -errno;
    close(fd);
    return error;
}

/* A name, such as "localhost", is looked up here and now: listening begins when a program starts. */
static int resolve_here(uv_loop_t *loop, const char *host, uint16_t port, struct sockaddr_storage *out)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE };
    uv_getaddrinfo_t resolver;
    char service[8];
    snprintf(service, sizeof service, "%u", port);
    if (uv_getaddrinfo(loop, &resolver, NULL, host, service, &hints) != 0 || !resolver.addrinfo)
        return -ENOENT;
    memset(out, 0, sizeof *out);
    memcpy(out, resolver.addrinfo->ai_addr, resolver.addrinfo->ai_addrlen);
    uv_freeaddrinfo(resolver.addrinfo);
    return 0;
}

static int open_tcp(uv_loop_t *loop, const char *host, uint16_t port)
{
    struct sockaddr_storage address;
    int fd, r;
    if (*host) {
        r = address_numeric(host, port, &address);
        if (r != 0)
            r = resolve_here(loop, host, port, &address);
        return r != 0 ? r : listening_socket(&address);
    }
    r = address_numeric("::", port, &address);
    fd = r == 0 ? listening_socket(&address) : -EAFNOSUPPORT;
    if (fd == -EAFNOSUPPORT || fd == -EADDRNOTAVAIL) { /* a host without IPv6 */
        r = address_numeric("0.0.0.0", port, &address);
        fd = r == 0 ? listening_socket(&address) : -EAFNOSUPPORT;
    }
    return fd;
}

static uint16_t port_of(int fd)
{
    struct sockaddr_storage address = { 0 };
    socklen_t len = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &len) != 0)
        return 0;
    return ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)(void *)&address)->sin6_port
                                               : ((struct sockaddr_in *)(void *)&address)->sin_port);
}

int peer_listen(struct peer_listener **out, uv_loop_t *loop, const struct peer_identity *identity, const char *host,
                uint16_t port, uint32_t max_peers, peer_accept_fn on_accept, void *ctx, uint16_t *bound_port)
{
    int fd = open_tcp(loop, host, port);
    if (fd < 0)
        return fd;
    int r = start_or_free(out, listener_new(loop, identity, max_peers, on_accept, ctx), fd);
    if (r == 0 && bound_port)
        *bound_port = port_of(fd);
    return r;
}

/* --- Unix --- */

/* Removes a socket file that nobody listens to any more. 0, -EADDRINUSE, -EEXIST (not a socket), -errno. */
static int clear_path(const struct sockaddr_un *path)
{
    struct stat s;
    if (lstat(path->sun_path, &s) != 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(s.st_mode))
        return -EEXIST;
    int fd CLEANUP(closep) = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)path, sizeof *path) == 0 || errno != ECONNREFUSED)
        return -EADDRINUSE;
    return unlink(path->sun_path) == 0 ? 0 : -errno;
}

/* The mode is set before the file exists, so that there is no moment in which others could connect. */
static int bind_path(const struct sockaddr_un *path)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (fchmod(fd, 0600) == 0 && bind(fd, (const struct sockaddr *)path, sizeof *path) == 0 &&
        chmod(path->sun_path, 0600) == 0)
        return fd;
    int error = -errno;
    close(fd);
    return error;
}

int peer_bind_unix(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof address.sun_path)
        return -ENAMETOOLONG;
    memcpy(address.sun_path, path, strlen(path) + 1);
    int r = clear_path(&address);
    return r == 0 ? bind_path(&address) : r;
}

int peer_listen_unix(struct peer_listener **out, uv_loop_t *loop, int fd, const char *path, uint32_t max_peers,
                     peer_accept_fn on_accept, void *ctx)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    struct stat s;
    struct peer_listener *l;
    if (strlen(path) >= sizeof address.sun_path) {
        close(fd);
        return -ENAMETOOLONG;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    int r = start_or_free(&l, listener_new(loop, NULL, max_peers, on_accept, ctx), fd);
    if (r != 0) {
        unlink(path);
        return r;
    }
    if (lstat(path, &s) == 0) {
        l->path = address;
        l->path_device = s.st_dev;
        l->path_inode = s.st_ino;
    }
    *out = l;
    return 0;
}
