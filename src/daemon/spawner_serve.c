/* The spawner's process: one request after the other, each judged as if a stranger had sent it, since hearthd may have been taken over. It reads no files, has no loop
 * and no threads, and ends when hearthd's end of the socket closes. */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/helper.h"
#include "base/runtime.h"
#include "base/spawn.h"
#include "base/util.h"
#include "daemon/spawner_internal.h"

#define LOG_MODULE "spawner"
#include "base/log.h"

#ifndef HEARTH_LIBEXECDIR
#define HEARTH_LIBEXECDIR "/usr/libexec/hearth"
#endif

#define VARIABLES_MAX 32
#define ARGUMENTS_MAX 12
#define DEVICE_TEXT_BYTES (SPAWNER_DEVICE_BYTES + 8)

struct process {
    int pidfd; /* -1: free */
    pid_t pid;
    enum spawner_kind kind;
};
struct spawned {
    const struct config *config;
    char *environment[VARIABLES_MAX + 1];
    struct process processes[SPAWNER_CHILDREN_MAX];
};

/* --- Programs: where they are, what they are told --- */

static int try_path(char out[PATH_MAX], const char *dir, const char *middle, const char *program)
{
    int n = snprintf(out, PATH_MAX, "%s/%s%s", dir, middle, program);
    if (n < 0 || n >= PATH_MAX)
        return -ENAMETOOLONG;
    return access(out, X_OK) == 0 ? 0 : -ENOENT;
}

/* Beside this executable, then in ../PART/ of it (the build tree), then in the libexec directory. */
static int find(const char *program, const char *part, char out[PATH_MAX])
{
    char own[PATH_MAX], middle[64];
    ssize_t n = readlink("/proc/self/exe", own, sizeof(own) - 1);
    if (n > 0) {
        own[n] = '\0';
        char *slash = strrchr(own, '/');
        if (slash != NULL)
            *slash = '\0';
        if (try_path(out, own, "", program) == 0)
            return 0;
        (void)snprintf(middle, sizeof(middle), "../%s/", part);
        if (try_path(out, own, middle, program) == 0)
            return 0;
    }
    return try_path(out, HEARTH_LIBEXECDIR, "", program);
}

static bool is_wanted(const char *variable)
{
    static const char *const wanted[] = {
        "HEARTH_LOG=",
        "HOME=",
        "PATH=",
        "LANG=",
        "LC_ALL=",
        "TZ=",
        "TMPDIR=",
        "XDG_RUNTIME_DIR=",
        /* which server and device; others of these name configuration files, libraries to load, logs to write */
        "PULSE_SERVER=",
        "PULSE_SINK=",
        "PULSE_RUNTIME_PATH=",
        "PIPEWIRE_REMOTE=",
        "PIPEWIRE_RUNTIME_DIR=",
        "PIPEWIRE_NODE=",
        "ASAN_OPTIONS=",
        "UBSAN_OPTIONS=",
    };
    for (size_t i = 0; i < ARRAY_COUNT(wanted); i++)
        if (strncmp(variable, wanted[i], strlen(wanted[i])) == 0)
            return true;
    return false;
}

static void choose_environment(struct spawned *s)
{
    unsigned count = 0;
    for (char **e = environ; *e != NULL && count < VARIABLES_MAX; e++)
        if (is_wanted(*e))
            s->environment[count++] = *e;
    s->environment[count] = NULL;
}

struct program {
    char path[PATH_MAX];
    char device[DEVICE_TEXT_BYTES];
    const char *argv[ARGUMENTS_MAX];
    struct spawn spawn;
};

static int vault_program(const struct config *c, struct program *p)
{
    const char *const arguments[][2] = { { "--state-dir", c->vault_dir },
                                         { "--key", c->vault_key },
                                         { "--tpm", c->vault_tpm },
                                         { "--passphrase-file", c->vault_passphrase_file } };
    size_t n = 0;
    p->argv[n++] = p->path;
    for (size_t i = 0; i < ARRAY_COUNT(arguments); i++)
        if (arguments[i][1][0] != '\0') {
            p->argv[n++] = arguments[i][0];
            p->argv[n++] = arguments[i][1];
        }
    return find("hearth-vault", "vault", p->path);
}

static int player_program(struct program *p)
{
    p->argv[0] = p->path;
    return find("hearth-player", "player", p->path);
}

bool spawner_is_device(const char *device)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/";
    return strncmp(device, "/dev/", 5) == 0 && strlen(device) < SPAWNER_DEVICE_BYTES && strlen(device) > 5 &&
           device[strspn(device, letters)] == '\0' && strstr(device, "..") == NULL;
}

/* The settings of the account that hearthd runs as are not its business: --no_rc. */
static int burner_program(struct program *p, const char *device, int input)
{
    static const char *const look[] = { "-minfo" }, *const record[] = { "-tao", "-audio", "-swab", "-" };
    const char *const *rest = input < 0 ? look : record;
    if (!spawner_is_device(device))
        return -EINVAL;
    (void)snprintf(p->device, sizeof(p->device), "dev=%s", device);
    (void)snprintf(p->path, sizeof(p->path), "%s", SPAWNER_BURNER);
    p->argv[0] = "cdrskin";
    p->argv[1] = "--no_rc";
    p->argv[2] = p->device;
    for (size_t i = 0; i < (input < 0 ? ARRAY_COUNT(look) : ARRAY_COUNT(record)); i++)
        p->argv[3 + i] = rest[i];
    p->spawn.input = input;
    return access(p->path, X_OK) == 0 ? 0 : -ENOENT;
}

/* --- Starting --- */

/* *process: only once there is one. */
static int run(const struct spawn *p, enum spawner_kind kind, struct process *process, int *pid)
{
    pid_t started = 0;
    int pidfd = -1;
    int r = spawn(p, &started, &pidfd);
    if (started > 0) {
        *pid = (int)started;
        *process = (struct process){ .pidfd = pidfd, .pid = started, .kind = kind };
    }
    return r;
}

static bool has_ended(const struct process *p) { return syscall(SYS_pidfd_send_signal, p->pidfd, 0, NULL, 0) != 0; }

/* A place for another one; of those that have ended none is kept. -EBUSY */
static int find_place(struct spawned *s, enum spawner_kind kind, struct process **out)
{
    struct process *found = NULL;
    for (size_t i = 0; i < SPAWNER_CHILDREN_MAX; i++) {
        struct process *p = &s->processes[i];
        if (p->pidfd >= 0 && has_ended(p)) {
            closep(&p->pidfd);
            p->pidfd = -1;
        }
        if (p->pidfd >= 0 && kind == SPAWNER_VAULT && p->kind == SPAWNER_VAULT)
            return -EBUSY;
        if (p->pidfd < 0 && found == NULL)
            found = p;
    }
    *out = found;
    return found != NULL ? 0 : -EBUSY;
}

/* --- Sockets --- */

#define BUS_PATH "/run/dbus/system_bus_socket"

/* Only a socket in the file system, whatever else such an address may say. It waits for nobody. */
static int connect_bus(void)
{
    static const char kind[] = "unix:path=";
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    const char *wanted = getenv("DBUS_SYSTEM_BUS_ADDRESS");
    const char *path = wanted == NULL                             ? BUS_PATH
                       : strncmp(wanted, kind, strlen(kind)) == 0 ? wanted + strlen(kind)
                                                                  : "";
    size_t len = strcspn(path, ",;");
    if (path[0] != '/' || len >= sizeof(address.sun_path) || memchr(path, '%', len) != NULL)
        return -EINVAL;
    memcpy(address.sun_path, path, len);
    int fd CLEANUP(closep) = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0)
        return -errno;
    int connected = fd;
    fd = -1;
    return connected;
}

static int unbind(const struct config *c)
{
    char path[CONFIG_PATH_BYTES + 16];
    struct stat st;
    (void)snprintf(path, sizeof(path), "%s/" RUNTIME_SOCKET, c->runtime_dir);
    int r = lstat(path, &st) != 0 ? -errno : S_ISSOCK(st.st_mode) ? 0 : -EEXIST;
    if (r == 0 && unlink(path) != 0)
        r = -errno;
    if (r != 0 && r != -ENOENT)
        log_warn("the control socket's file is left error=%s", strerror(-r));
    return r;
}

/* --- Requests --- */

static int start(struct spawned *s, const struct spawner_request *q, const int *fds, int *pid)
{
    struct program *p CLEANUP(freep) = calloc(1, sizeof(*p));
    struct process *process;
    if (p == NULL)
        return -ENOMEM;
    p->spawn = (struct spawn){ p->path, p->argv, s->environment, .input = -1, .output = -1, .parents = true };
    int r = find_place(s, q->kind, &process);
    if (r != 0)
        return r;
    if (q->kind == SPAWNER_VAULT || q->kind == SPAWNER_PLAYER) {
        p->spawn.fd_count = q->kind == SPAWNER_VAULT ? 2 : 1;
        memcpy(p->spawn.fds, fds, (size_t)p->spawn.fd_count * sizeof(*fds));
        r = q->kind == SPAWNER_VAULT ? vault_program(s->config, p) : player_program(p);
    } else {
        r = burner_program(p, q->device, q->kind == SPAWNER_BURNER_RUN ? fds[0] : -1);
    }
    if (r == 0)
        r = run(&p->spawn, q->kind, process, pid);
    return r;
}

/* Only what it has started itself, whatever the number is by now. */
static int end(struct spawned *s, const struct spawner_request *q)
{
    if (q->signal != SIGTERM && q->signal != SIGKILL)
        return -EINVAL;
    for (size_t i = 0; i < SPAWNER_CHILDREN_MAX; i++) {
        const struct process *p = &s->processes[i];
        if (p->pidfd >= 0 && p->pid == q->pid)
            return syscall(SYS_pidfd_send_signal, p->pidfd, q->signal, NULL, 0) == 0 ? 0 : -errno;
    }
    return -ESRCH;
}

static int answer_request(struct spawned *s, const struct spawner_request *q, const int *fds, size_t count, int *pid)
{
    static const uint8_t wanted[] = {
        [SPAWNER_VAULT] = 2, [SPAWNER_PLAYER] = 1, [SPAWNER_BURNER_RUN] = 1, [SPAWNER_END] = 0
    };
    if (q->kind < SPAWNER_VAULT || q->kind > SPAWNER_END || count != wanted[q->kind] ||
        memchr(q->device, '\0', sizeof(q->device)) == NULL)
        return -EINVAL;
    return q->kind == SPAWNER_END ? end(s, q) : start(s, q, fds, pid);
}

/* false: hearthd is gone. */
static bool serve_one(struct spawned *s, int socket)
{
    struct spawner_request q;
    struct spawner_answer answer = { .outcome = -EINVAL };
    int fds[HELPER_FDS_MAX], bus CLEANUP(closep) = -1;
    size_t count;
    bool good;
    if (!helper_next(socket, &q, sizeof(q), fds, &count, &good))
        return false;
    if (good)
        answer.serial = q.serial;
    if (good && q.kind == SPAWNER_BUS && count == 0)
        answer.outcome = bus = connect_bus();
    else if (good && q.kind == SPAWNER_UNBIND && count == 0)
        answer.outcome = unbind(s->config);
    else if (good)
        answer.outcome = answer_request(s, &q, fds, count, &answer.pid);
    for (size_t i = 0; i < count; i++)
        close(fds[i]);
    if (bus >= 0)
        answer.outcome = 0;
    return helper_send(socket, &answer, sizeof(answer), &bus, bus >= 0 ? 1 : 0) == 0;
}

void spawner_serve(int fd, const struct config *config)
{
    static struct spawned s;
    if (helper_enter(fd) != 0)
        _exit(EXIT_FAILURE);
    s.config = config;
    choose_environment(&s);
    for (size_t i = 0; i < SPAWNER_CHILDREN_MAX; i++)
        s.processes[i].pidfd = -1;
    while (serve_one(&s, fd))
        ;
    _exit(EXIT_SUCCESS);
}
