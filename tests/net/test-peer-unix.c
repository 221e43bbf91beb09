/* Peers without TLS: socket pairs, descriptors, the control socket and who may speak to it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/util.h"
#include "pair.h"

#define EMPTY slice(NULL, 0)

static void from_fd(struct pair *t, struct end *e, int fd)
{
    *e = (struct end){ .in_call = true };
    assert_int_equal(peer_from_fd(&e->peer, &t->loop, fd, &end_callbacks, e), 0);
    e->in_call = false;
}

static void test_frames(void **state)
{
    (void)state;
    static const size_t sizes[] = { 0, 1, 4096, 4097, 40000, 262188, FRAME_TAIL_MAX };
    struct pair t;
    int fds[2];
    size_t bytes = 0;
    pair_init(&t);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    from_fd(&t, &t.server, fds[0]);
    from_fd(&t, &t.client, fds[1]);
    peer_set_tail_max(t.server.peer, FRAME_TAIL_MAX);
    for (size_t i = 0; i < 10 * ARRAY_COUNT(sizes); i++) {
        end_send(&t.client, 0, sizes[i % ARRAY_COUNT(sizes)]);
        bytes += sizes[i % ARRAY_COUNT(sizes)];
    }
    pair_until(&t, &t.server.frames, 10 * ARRAY_COUNT(sizes));
    assert_int_equal(t.server.tail_bytes, bytes);
    assert_int_equal(t.client.opened, 1);
    peer_close(t.client.peer, REASON_CANCELLED);
    pair_until(&t, &t.server.closed, 1);
    assert_int_equal(t.server.why, REASON_OFFLINE);
    pair_deinit(&t);
}

/* Every frame of three, cut at every byte. */
static void test_cut(void **state)
{
    (void)state;
    struct pair t;
    struct buf bytes = buf(1000);
    size_t ends[3];
    pair_init(&t);
    for (size_t i = 0; i < 3; i++) {
        uint8_t header[FRAME_HEADER_BYTES];
        frame_header(header, PAIR_TYPE, 0, 0, i * 5);
        assert_int_equal(buf_append(&bytes, SLICE_ARRAY(header)), 0);
        assert_int_equal(buf_append(&bytes, slice("0123456789", i * 5)), 0);
        ends[i] = bytes.len;
    }
    for (size_t cut = 0; cut <= bytes.len; cut++) {
        int fds[2];
        unsigned whole = 0;
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        from_fd(&t, &t.server, fds[0]);
        assert_int_equal(write(fds[1], bytes.data, cut), cut);
        close(fds[1]);
        pair_until(&t, &t.server.closed, 1);
        for (size_t i = 0; i < 3; i++)
            whole += ends[i] <= cut;
        assert_int_equal(t.server.frames, whole);
        assert_int_equal(t.server.why, REASON_OFFLINE);
    }
    buf_free(&bytes);
    pair_deinit(&t);
}

/* --- Descriptors --- */

/* What one call gives, and the descriptor that came with it. */
static size_t receive(int fd, uint8_t *bytes, size_t cap, int *got_fd)
{
    char control[CMSG_SPACE(4 * sizeof(int))];
    struct iovec piece = { bytes, cap };
    struct msghdr m = { .msg_iov = &piece, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control };
    *got_fd = -1;
    ssize_t n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (n <= 0)
        return 0;
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    if (c) {
        assert_int_equal(c->cmsg_len, CMSG_LEN(sizeof(int)));
        memcpy(got_fd, CMSG_DATA(c), sizeof(int));
    }
    return (size_t)n;
}

static void test_send_fd(void **state)
{
    (void)state;
    enum { FRAMES = 6 };
    struct pair t;
    int fds[2], pipes[2], found = 0, got_fd;
    uint8_t bytes[FRAMES * FRAME_HEADER_BYTES];
    size_t len = 0, n;
    pair_init(&t);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    from_fd(&t, &t.client, fds[1]);
    for (uint32_t i = 0; i < FRAMES; i++) {
        if (i % 2 == 0) {
            assert_int_equal(peer_send(t.client.peer, PAIR_TYPE, i, NULL, NULL, EMPTY), 0);
            continue;
        }
        assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
        assert_int_equal(write(pipes[1], &i, sizeof i), sizeof i);
        close(pipes[1]);
        assert_int_equal(peer_send_fd(t.client.peer, PAIR_TYPE, i, NULL, NULL, pipes[0]), 0);
    }
    pair_run_ms(&t, 50);
    while ((n = receive(fds[0], bytes + len, sizeof bytes - len, &got_fd)) > 0) {
        len += n;
        if (got_fd < 0)
            continue;
        uint32_t inside; /* the kernel may hand out earlier bytes with it, but never its frame without it */
        assert_int_equal(read(got_fd, &inside, sizeof inside), sizeof inside);
        assert_int_equal(inside, 2 * found + 1);
        assert_true(len - n <= inside * FRAME_HEADER_BYTES);
        close(got_fd);
        found++;
    }
    assert_int_equal(len, sizeof bytes);
    assert_int_equal(found, FRAMES / 2);
    close(fds[0]);
    pair_until(&t, &t.client.closed, 1);
    pair_deinit(&t);
}

static void test_send_fd_refused(void **state)
{
    (void)state;
    struct pair t;
    pair_init(&t);
    pair_connect(&t);
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_equal(peer_send_fd(t.client.peer, PAIR_TYPE, 0, NULL, NULL, fd), -EOPNOTSUPP);
    assert_int_equal(fcntl(fd, F_GETFD), -1); /* taken all the same */
    pair_deinit(&t);
}

/* --- The control socket --- */

static char directory[64];

static bool on_accept(struct peer *p, struct peer_callbacks *callbacks, void **ctx, void *listener_ctx)
{
    struct pair *t = listener_ctx;
    t->server = (struct end){ .peer = p, .echo = true };
    t->accepted++;
    *callbacks = end_callbacks;
    *ctx = &t->server;
    return true;
}

static int connect_to(const char *path)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0)
        return fd;
    close(fd);
    return -1;
}

/* At once: nothing here is confined between the two. */
static int listen_at(struct peer_listener **out, struct pair *t, const char *path, uint32_t max_peers)
{
    int fd = peer_bind_unix(path);
    return fd < 0 ? fd : peer_listen_unix(out, &t->loop, fd, path, max_peers, on_accept, t);
}

static void test_listen(void **state)
{
    (void)state;
    struct pair t;
    struct peer_listener *l, *second;
    struct stat s;
    char path[100], file[100], longest[200];
    pair_init(&t);
    snprintf(path, sizeof path, "%s/socket", directory);
    snprintf(file, sizeof file, "%s/file", directory);
    memset(longest, 'x', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    assert_int_equal(listen_at(&l, &t, path, 10), 0);
    assert_int_equal(stat(path, &s), 0);
    assert_int_equal(s.st_mode & 07777, 0600);
    assert_int_equal(listen_at(&second, &t, path, 10), -EADDRINUSE);
    pair_until(&t, &t.server.closed, 1); /* it was asked whether anybody listens */
    assert_int_equal(listen_at(&second, &t, longest, 10), -ENAMETOOLONG);
    close(open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    assert_int_equal(listen_at(&second, &t, file, 10), -EEXIST);
    from_fd(&t, &t.client, connect_to(path));
    end_send(&t.client, 0, 10);
    pair_until(&t, &t.client.frames, 1);
    assert_string_equal(peer_address(t.server.peer), "unix");
    peer_listener_close(l);
    assert_int_equal(stat(path, &s), -1);
    pair_until(&t, &t.client.closed, 1);
    pair_until(&t, &t.server.closed, 1);
    pair_deinit(&t);
    unlink(file);
}

static void test_stale_file(void **state)
{
    (void)state;
    struct pair t;
    struct peer_listener *l;
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    pair_init(&t);
    snprintf(at.sun_path, sizeof at.sun_path, "%s/stale", directory);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    close(fd);
    assert_int_equal(listen_at(&l, &t, at.sun_path, 10), 0);
    fd = connect_to(at.sun_path);
    assert_true(fd >= 0);
    close(fd);
    peer_listener_close(l);
    pair_deinit(&t);
}

static void test_too_many(void **state)
{
    (void)state;
    struct pair t;
    struct peer_listener *l;
    char path[100], c;
    pair_init(&t);
    snprintf(path, sizeof path, "%s/few", directory);
    assert_int_equal(listen_at(&l, &t, path, 1), 0);
    int first = connect_to(path);
    pair_until(&t, &t.accepted, 1);
    int second = connect_to(path);
    pair_run_ms(&t, 50);
    assert_int_equal(t.accepted, 1);
    assert_int_equal(recv(second, &c, 1, MSG_DONTWAIT), 0);
    close(second);
    close(first);
    pair_until(&t, &t.server.closed, 1);
    first = connect_to(path);
    pair_until(&t, &t.accepted, 2);
    close(first);
    pair_until(&t, &t.server.closed, 1);
    peer_listener_close(l);
    pair_deinit(&t);
}

static void on_child(uv_signal_t *handle, int number)
{
    (void)number;
    ++*(unsigned *)handle->data;
}

/* A process of another user, though it has the file descriptor rights to connect, is turned away. */
static void test_other_user(void **state)
{
    (void)state;
    struct pair t;
    struct peer_listener *l;
    uv_signal_t children;
    unsigned ended = 0;
    char path[100];
    int status;
    if (geteuid() != 0) {
        print_message("SKIP: another user can only be played by root\n");
        skip();
    }
    pair_init(&t);
    snprintf(path, sizeof path, "%s/private", directory);
    assert_int_equal(listen_at(&l, &t, path, 10), 0);
    assert_int_equal(chmod(directory, 0755), 0);
    assert_int_equal(chmod(path, 0666), 0); /* so that only the credentials speak against it */
    uv_signal_init(&t.loop, &children);
    children.data = &ended;
    uv_signal_start(&children, on_child, SIGCHLD);
    pid_t child = fork();
    if (child == 0) {
        char c;
        int fd = setuid(65534) == 0 ? connect_to(path) : -1;
        _exit(fd >= 0 && read(fd, &c, 1) == 0 ? 7 : 1);
    }
    pair_until(&t, &ended, 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 7);
    assert_int_equal(t.accepted, 0);
    uv_close((uv_handle_t *)&children, NULL);
    peer_listener_close(l);
    pair_deinit(&t);
}

enum stranger { LIVES, HAS_ENDED, IS_REAPED, IS_NO_CHILD };

/* A process that connects and says something; then it waits for the end of the connection, or ends. What it holds of the pipe is closed when it has spoken. */
static _Noreturn void be_stranger(const char *path, enum stranger kind, int pipe_fd, pid_t parent)
{
    char c;
    if (kind == IS_NO_CHILD && fork() != 0)
        _exit(0);
    while (kind == IS_NO_CHILD && getppid() == parent) /* until it is somebody else's */
        usleep(1000);
    int fd = connect_to(path);
    if (fd < 0 || write(fd, "some bytes", 10) != 10)
        abort();
    close(pipe_fd);
    if (kind == LIVES || kind == IS_NO_CHILD)
        (void)!read(fd, &c, 1);
    _exit(0);
}

static pid_t meet_stranger(const char *path, enum stranger kind)
{
    int words[2];
    char c;
    siginfo_t ended;
    assert_int_equal(pipe2(words, O_CLOEXEC), 0);
    pid_t child = fork();
    if (child == 0)
        be_stranger(path, kind, words[1], getpid());
    close(words[1]);
    assert_int_equal(read(words[0], &c, 1), 0);
    close(words[0]);
    if (kind == HAS_ENDED || kind == IS_REAPED)
        assert_int_equal(waitid(P_PID, (id_t)child, &ended, kind == IS_REAPED ? WEXITED : WEXITED | WNOWAIT), 0);
    return child;
}

/* Children command nobody, also those that have spoken and ended before they are accepted. */
static void test_children(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum stranger kind;
        unsigned accepted;
    } cases[] = { { "a child", LIVES, 0 },
                  { "a child that has ended", HAS_ENDED, 0 },
                  { "a child that has ended and was waited for", IS_REAPED, 0 },
                  { "a process that is no child", IS_NO_CHILD, 1 } };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct pair t;
        struct peer_listener *l;
        char path[100];
        print_message("%s\n", cases[i].name);
        pair_init(&t);
        snprintf(path, sizeof path, "%s/children", directory);
        assert_int_equal(listen_at(&l, &t, path, 10), 0);
        pid_t child = meet_stranger(path, cases[i].kind);
        pair_run_ms(&t, 50);
        assert_int_equal(t.accepted, cases[i].accepted);
        peer_listener_close(l);
        if (cases[i].accepted)
            pair_until(&t, &t.server.closed, 1);
        if (cases[i].kind != IS_REAPED)
            assert_int_equal(waitpid(child, NULL, 0), child);
        pair_deinit(&t);
    }
}

static int set_up(void **state)
{
    (void)state;
    snprintf(directory, sizeof directory, "/tmp/hearth-test-peer-XXXXXX");
    return mkdtemp(directory) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    return rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frames),          cmocka_unit_test(test_cut),        cmocka_unit_test(test_send_fd),
        cmocka_unit_test(test_send_fd_refused), cmocka_unit_test(test_listen),     cmocka_unit_test(test_stale_file),
        cmocka_unit_test(test_too_many),        cmocka_unit_test(test_other_user), cmocka_unit_test(test_children),
    };
    return cmocka_run_group_tests_name("peer-unix", tests, set_up, tear_down);
}
