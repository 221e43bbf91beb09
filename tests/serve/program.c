#include "program.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
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
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ARGUMENTS_MAX 24
#define START_MS 20000
#define STOP_MS 20000
#define PORTS_FIRST 12000
#define PORTS 20000u
#define PORTS_EACH 16u /* of one process */

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Below those that the kernel gives away, since other tests ask it for one before the program listens here, or listens again. */
static uint16_t free_port(void)
{
    static unsigned next;
    for (unsigned tries = 0; tries < PORTS; tries++) {
        unsigned port = PORTS_FIRST + ((unsigned)getpid() * PORTS_EACH + next++) % PORTS;
        struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_true(fd >= 0);
        bool is_free = bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0;
        close(fd);
        if (is_free)
            return (uint16_t)port;
    }
    fail_msg("no port is free");
    return 0;
}

/* The child; what it says goes to DIR.log. */
static pid_t spawn(const struct program *p, char *const argv[])
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid > 0)
        return pid;
    char log[160];
    snprintf(log, sizeof(log), "%s.log", p->dir);
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that dies takes its servers along */
    int out = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
    dup2(in, 0);
    dup2(out, 1);
    dup2(out, 2);
    execv(p->binary, argv);
    _exit(127);
}

static int wait_status(pid_t pid)
{
    int status;
    while (waitpid(pid, &status, 0) < 0)
        assert_int_equal(errno, EINTR);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int program_admin_list(struct program *p, const char *const arguments[], size_t count)
{
    char **argv = calloc(count + 4, sizeof(*argv));
    assert_non_null(argv);
    argv[0] = (char *)(uintptr_t)p->binary;
    argv[1] = (char *)(uintptr_t) "--state-dir";
    argv[2] = p->dir;
    memcpy(argv + 3, arguments, count * sizeof(*argv));
    int status = wait_status(spawn(p, argv));
    free(argv);
    return status;
}

int program_run(const char *const argv[])
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        execvp(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    return wait_status(pid);
}

static int admin(struct program *p, va_list list)
{
    const char *arguments[ARGUMENTS_MAX];
    size_t count = 0;
    for (const char *argument; (argument = va_arg(list, const char *)) != NULL; count++) {
        assert_true(count < ARGUMENTS_MAX);
        arguments[count] = argument;
    }
    return program_admin_list(p, arguments, count);
}

int program_admin(struct program *p, ...)
{
    va_list list;
    va_start(list, p);
    int status = admin(p, list);
    va_end(list);
    return status;
}

static void prepare(struct program *p, const char *binary, const char *name)
{
    const char *place = getenv("HEARTH_LOAD_DIR"); /* benches: on the disk that counts */
    memset(p, 0, sizeof(*p));
    p->binary = binary;
    snprintf(p->dir, sizeof(p->dir), "%s/hearth-serve-%d-%s", place != NULL ? place : "/tmp", (int)getpid(), name);
    snprintf(p->address, sizeof(p->address), "127.0.0.1:%u", free_port());
}

void program_init(struct program *p, const char *binary, const char *name)
{
    prepare(p, binary, name);
    assert_int_equal(program_admin(p, "init", "--name", name, "--listen", p->address, NULL), 0);
}

void program_init_database(struct program *p, const char *binary, const char *name, const char *database)
{
    prepare(p, binary, name);
    assert_int_equal(program_admin(p, "init", "--name", name, "--listen", p->address, "--database", database, NULL), 0);
}

void program_init_beside(struct program *p, const struct program *of)
{
    *p = *of;
    p->pid = 0;
    p->beside = true;
    snprintf(p->address, sizeof(p->address), "127.0.0.1:%u", free_port());
}

void program_init_directory(struct program *p, const char *binary, const char *name)
{
    prepare(p, binary, name);
    assert_int_equal(program_admin(p, "init", "--name", name, "--listen", p->address, "--directory", NULL), 0);
}

static bool answers(const struct program *p)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    a.sin_port = htons((uint16_t)atoi(strchr(p->address, ':') + 1));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool ok = connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0;
    close(fd);
    return ok;
}

void program_start(struct program *p)
{
    assert_int_equal(p->pid, 0);
    char *argv[] = { (char *)(uintptr_t)p->binary,
                     (char *)(uintptr_t) "--state-dir",
                     p->dir,
                     (char *)(uintptr_t) "serve",
                     NULL,
                     NULL,
                     NULL };
    if (p->beside) {
        argv[4] = (char *)(uintptr_t) "--listen";
        argv[5] = p->address;
    }
    p->pid = spawn(p, argv);
    int64_t end_ms = now_ms() + START_MS;
    while (!answers(p)) {
        if (waitpid(p->pid, NULL, WNOHANG) != 0 || now_ms() > end_ms)
            fail_msg("%s does not serve: see %s.log", p->binary, p->dir);
        nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
    }
}

void program_kill(struct program *p)
{
    if (p->pid == 0)
        return;
    kill(p->pid, SIGKILL);
    wait_status(p->pid);
    p->pid = 0;
}

void program_stop(struct program *p)
{
    int status;
    int64_t end_ms = now_ms() + STOP_MS;
    kill(p->pid, SIGTERM);
    while (waitpid(p->pid, &status, WNOHANG) == 0) {
        if (now_ms() > end_ms)
            fail_msg("it did not stop");
        nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
    }
    p->pid = 0;
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

void program_deinit(struct program *p)
{
    program_kill(p);
    if (getenv("HEARTH_TEST_KEEP") != NULL)
        return;
    char log[160];
    snprintf(log, sizeof(log), "%s.log", p->dir);
    unlink(log);
    const char *const away[] = { "rm", "-rf", "--", p->dir, NULL };
    program_run(away);
}

uint64_t program_pss_kib(const struct program *p)
{
    char path[64], line[256];
    unsigned long long kib = 0;
    snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)p->pid);
    FILE *f = fopen(path, "re");
    assert_non_null(f);
    while (fgets(line, sizeof(line), f) != NULL)
        if (sscanf(line, "Pss: %llu", &kib) == 1)
            break;
    fclose(f);
    return kib;
}

double program_cpu_us(const struct program *p)
{
    char path[64], line[512];
    unsigned long user = 0, system = 0;
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)p->pid);
    FILE *f = fopen(path, "re");
    assert_non_null(f);
    assert_non_null(fgets(line, sizeof(line), f));
    fclose(f);
    assert_int_equal(
        sscanf(strrchr(line, ')'), ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system), 2);
    return (double)(user + system) * 1e6 / (double)sysconf(_SC_CLK_TCK);
}
