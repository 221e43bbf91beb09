/* What the spawner makes of requests that hearthd never makes: one that was taken over might. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/util.h"
#include "daemon/spawner_internal.h"

struct rig {
    int fd;
    pid_t pid;
};

static void rig_init(struct rig *r)
{
    static struct config config = { .vault_dir = "/nonexistent" };
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    r->pid = fork();
    if (r->pid == 0) {
        close(pair[0]);
        spawner_serve(pair[1], &config);
    }
    assert_true(r->pid > 0);
    close(pair[1]);
    r->fd = pair[0];
}

/* It ends by itself when nobody asks any more. */
static void rig_deinit(struct rig *r)
{
    int status;
    close(r->fd);
    assert_int_equal(waitpid(r->pid, &status, 0), r->pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static int ask(struct rig *r, const void *bytes, size_t len, unsigned fd_count)
{
    union {
        char bytes[CMSG_SPACE(8 * sizeof(int))];
        struct cmsghdr align;
    } control = { 0 };
    struct spawner_answer answer;
    struct iovec part = { (void *)bytes, len };
    struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1 };
    if (fd_count > 0) {
        m.msg_control = &control;
        m.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
        struct cmsghdr *head = CMSG_FIRSTHDR(&m);
        *head = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
        head->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
        for (unsigned i = 0; i < fd_count; i++)
            memcpy(CMSG_DATA(head) + i * sizeof(int), &(int){ STDERR_FILENO }, sizeof(int));
    }
    assert_int_equal(sendmsg(r->fd, &m, MSG_NOSIGNAL), len);
    assert_int_equal(recv(r->fd, &answer, sizeof(answer), 0), sizeof(answer));
    return answer.outcome;
}

static void test_requests(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct spawner_request request;
        size_t len;
        unsigned fds;
        int outcome;
    } cases[] = {
        { "no kind", { .kind = 0 }, sizeof(struct spawner_request), 0, -EINVAL },
        { "a kind that is none", { .kind = SPAWNER_UNBIND + 1 }, sizeof(struct spawner_request), 0, -EINVAL },
        { "a kind of 32 bits", { .kind = UINT32_MAX }, sizeof(struct spawner_request), 0, -EINVAL },
        { "one byte", { .kind = SPAWNER_PLAYER }, 1, 1, -EINVAL },
        { "a byte too few", { .kind = SPAWNER_PLAYER }, sizeof(struct spawner_request) - 1, 1, -EINVAL },
        { "a player without its channel", { .kind = SPAWNER_PLAYER }, sizeof(struct spawner_request), 0, -EINVAL },
        { "a player with two", { .kind = SPAWNER_PLAYER }, sizeof(struct spawner_request), 2, -EINVAL },
        { "a vault with one", { .kind = SPAWNER_VAULT }, sizeof(struct spawner_request), 1, -EINVAL },
        { "more than it takes", { .kind = SPAWNER_VAULT }, sizeof(struct spawner_request), 3, -EINVAL },
        { "many more", { .kind = SPAWNER_VAULT }, sizeof(struct spawner_request), 8, -EINVAL },
        { "a program as a device",
          { .kind = SPAWNER_BURNER_LOOK, .device = "/bin/sh" },
          sizeof(struct spawner_request),
          0,
          -EINVAL },
        { "a way out of /dev",
          { .kind = SPAWNER_BURNER_LOOK, .device = "/dev/../bin/sh" },
          sizeof(struct spawner_request),
          0,
          -EINVAL },
        { "another argument",
          { .kind = SPAWNER_BURNER_LOOK, .device = "/dev/sr0 -x" },
          sizeof(struct spawner_request),
          0,
          -EINVAL },
        { "an option", { .kind = SPAWNER_BURNER_LOOK, .device = "-x" }, sizeof(struct spawner_request), 0, -EINVAL },
        { "no device", { .kind = SPAWNER_BURNER_LOOK, .device = "" }, sizeof(struct spawner_request), 0, -EINVAL },
        { "/dev itself",
          { .kind = SPAWNER_BURNER_LOOK, .device = "/dev/" },
          sizeof(struct spawner_request),
          0,
          -EINVAL },
        { "ending init",
          { .kind = SPAWNER_END, .pid = 1, .signal = SIGKILL },
          sizeof(struct spawner_request),
          0,
          -ESRCH },
        { "ending everybody",
          { .kind = SPAWNER_END, .pid = -1, .signal = SIGKILL },
          sizeof(struct spawner_request),
          0,
          -ESRCH },
        { "ending nobody",
          { .kind = SPAWNER_END, .pid = 0, .signal = SIGKILL },
          sizeof(struct spawner_request),
          0,
          -ESRCH },
        { "another signal",
          { .kind = SPAWNER_END, .pid = 1, .signal = SIGSTOP },
          sizeof(struct spawner_request),
          0,
          -EINVAL },
    };
    struct rig r;
    rig_init(&r);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        print_message("%s\n", cases[i].name);
        assert_int_equal(ask(&r, &cases[i].request, cases[i].len, cases[i].fds), cases[i].outcome);
    }
    rig_deinit(&r);
}

static void test_unended_device(void **state)
{
    (void)state;
    struct spawner_request q = { .kind = SPAWNER_BURNER_LOOK };
    struct rig r;
    memset(q.device, 'x', sizeof(q.device));
    memcpy(q.device, "/dev/", 5);
    rig_init(&r);
    assert_int_equal(ask(&r, &q, sizeof(q), 0), -EINVAL);
    rig_deinit(&r);
}

/* Its number alone is not enough: only what it has started itself. */
static void test_foreign_process(void **state)
{
    (void)state;
    struct rig r;
    pid_t other = fork();
    if (other == 0) {
        pause();
        _exit(0);
    }
    rig_init(&r);
    const struct spawner_request q = { .kind = SPAWNER_END, .pid = other, .signal = SIGKILL };
    assert_int_equal(ask(&r, &q, sizeof(q), 0), -ESRCH);
    assert_int_equal(waitpid(other, NULL, WNOHANG), 0);
    assert_int_equal(kill(other, SIGKILL), 0);
    assert_int_equal(waitpid(other, NULL, 0), other);
    rig_deinit(&r);
}

static void test_devices(void **state)
{
    (void)state;
    assert_true(spawner_is_device("/dev/sr0"));
    assert_true(spawner_is_device("/dev/disk/by-id/usb-Vendor_Burner-0.0"));
    assert_false(spawner_is_device("/dev/sr0\n"));
    assert_false(spawner_is_device("/dev/../etc/passwd"));
    assert_false(spawner_is_device("/dev"));
    assert_false(spawner_is_device("stdio:/dev/fd/3"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_unended_device),
        cmocka_unit_test(test_foreign_process),
        cmocka_unit_test(test_devices),
    };
    return cmocka_run_group_tests_name("spawner", tests, NULL, NULL);
}
