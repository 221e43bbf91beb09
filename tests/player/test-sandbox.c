/* What is left to a process in the player's sandbox with sound: the sound system's sockets, and nothing of the user's. Each case in a child, which cannot
 * take the sandbox off again. */
#include "cm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/secret.h"
#include "player/sandbox.h"

#define NO_LANDLOCK 77
#define SHARED "/dev/shm/hearth-sandbox-test"

static const struct sandbox with_sound = { .sound = true }, with_window = { .window = true };
static char dir[] = "/tmp/hearth-sandbox-test-XXXXXX";

static const char *inside(const char *name)
{
    static char path[96];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

static void write_file(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0 && write(fd, "x", 1) == 1);
    close(fd);
}

static int setup(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(mkdir(inside("pulse"), 0700), 0);
    write_file(inside(".asoundrc"));
    write_file(inside("pulse/cookie"));
    write_file(inside("plugin.so"));
    setenv("HOME", dir, 1);
    setenv("XDG_RUNTIME_DIR", dir, 1);
    return 0;
}

static int teardown(void **state)
{
    char command[128];
    (void)state;
    unlink(SHARED);
    snprintf(command, sizeof(command), "rm -r %s", dir);
    return system(command);
}

/* Runs body in a child within the sandbox. Its outcome: 0, or the number of what went wrong. */
static void within(const struct sandbox *needs, int (*body)(void))
{
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (secret_harden_process() != 0 || sandbox_enter(needs) != 0)
            _exit(1);
        _exit(open("/etc/hostname", O_RDONLY | O_CLOEXEC) >= 0 ? NO_LANDLOCK : body());
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == NO_LANDLOCK) {
        print_message("SKIP: no Landlock here\n");
        skip();
    }
    assert_int_equal(WEXITSTATUS(status), 0);
}

static bool is_closed(const char *path, int flags)
{
    return open(path, flags | O_CLOEXEC, 0600) < 0 && errno == EACCES;
}

static int try_files(void)
{
    if (strcmp(getenv("HOME"), dir) == 0)
        return 2;
    if (!is_closed(inside(".asoundrc"), O_RDONLY) || !is_closed(inside("pulse/cookie"), O_RDONLY) ||
        !is_closed(inside("plugin.so"), O_RDONLY) || !is_closed(dir, O_RDONLY | O_DIRECTORY))
        return 3;
    if (!is_closed(SHARED, O_RDONLY) || !is_closed(SHARED, O_WRONLY) ||
        !is_closed("/dev/shm/hearth-sandbox-new", O_WRONLY | O_CREAT) || !is_closed(inside("new"), O_WRONLY | O_CREAT))
        return 4;
    int fd = open(inside("pulse"), O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* libpulse looks whose it is */
    if (fd < 0)
        return 5;
    return open("/usr/lib", O_RDONLY | O_DIRECTORY | O_CLOEXEC) < 0 ? 6 : 0;
}

static void files(void **state)
{
    (void)state;
    write_file(SHARED);
    within(&with_sound, try_files);
}

/* Abstract names begin with a zero byte. */
static int make_address(struct sockaddr_un *a, bool abstract)
{
    memset(a, 0, sizeof(*a));
    a->sun_family = AF_UNIX;
    snprintf(a->sun_path + abstract, sizeof(a->sun_path) - 1, "%s", inside("pulse/native"));
    return (int)(offsetof(struct sockaddr_un, sun_path) + abstract + strlen(a->sun_path + abstract));
}

static int listen_at(bool abstract)
{
    struct sockaddr_un a;
    socklen_t len = (socklen_t)make_address(&a, abstract);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
    assert_int_equal(listen(fd, 1), 0);
    return fd;
}

static int connect_to(bool abstract)
{
    struct sockaddr_un a;
    socklen_t len = (socklen_t)make_address(&a, abstract);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return fd < 0 ? -1 : connect(fd, (struct sockaddr *)&a, len);
}

static int try_sockets(void)
{
    if (socket(AF_INET, SOCK_STREAM, 0) >= 0)
        return 2;
    if (connect_to(false) != 0)
        return 3;
    return connect_to(true) == 0 ? 4 : errno == EPERM ? 0 : 5;
}

static void sockets(void **state)
{
    (void)state;
    int by_path = listen_at(false), abstract = listen_at(true);
    if (syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) < 6) {
        print_message("SKIP: this kernel's Landlock knows no abstract sockets\n");
        skip();
    }
    within(&with_sound, try_sockets);
    close(by_path);
    close(abstract);
}

extern void __sanitizer_set_report_fd(void *fd) __attribute__((weak));

static bool can_take(size_t mebibytes)
{
    void *p = mmap(NULL, mebibytes << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return false;
    munmap(p, mebibytes << 20);
    return true;
}

static int try_memory(void) { return !can_take(300) ? 2 : can_take(520) ? 3 : 0; }

static int try_memory_with_window(void) { return !can_take(1500) ? 2 : can_take(2100) ? 3 : 0; }

/* As much as 4K video needs and no more. */
static void memory(void **state)
{
    (void)state;
    if (__sanitizer_set_report_fd) {
        print_message("SKIP: a sanitizer's memory is not limited\n");
        skip();
    }
    within(&with_sound, try_memory);
    within(&with_window, try_memory_with_window);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(files), cmocka_unit_test(sockets), cmocka_unit_test(memory) };
    return cmocka_run_group_tests(tests, setup, teardown);
}
