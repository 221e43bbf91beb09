/* Starting, asking and ending a daemon. */
#include "daemon_rig.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "check.h"

void wait_until(bool (*condition)(void *ctx), void *ctx, const char *what)
{
    int64_t end = clock_mono_ms(clock_system()) + RIG_WAIT_MS;
    while (!condition(ctx)) {
        if (clock_mono_ms(clock_system()) > end) {
            fprintf(stderr, "not in time: %s\n", what);
            abort();
        }
        usleep(5000); /* between two looks */
    }
}

static bool try_connect(const char *path, int *out)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check(fd >= 0 && strlen(path) < sizeof(a.sun_path));
    strcpy(a.sun_path, path);
    if (connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0) {
        close(fd);
        return false;
    }
    *out = fd;
    return true;
}

struct connecting {
    struct hearthd *h;
    int fd;
};

static bool is_connected(void *ctx)
{
    struct connecting *c = ctx;
    int status;
    check(waitpid(c->h->pid, &status, WNOHANG) == 0); /* else it has ended */
    return try_connect(c->h->socket, &c->fd);
}

void hearthd_connect(struct hearthd *h, struct channel *c)
{
    struct connecting connecting = { h, -1 };
    struct timeval limit = { .tv_sec = RIG_WAIT_MS / 1000 };
    wait_until(is_connected, &connecting, "hearthd answers");
    setsockopt(connecting.fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    channel_init(c, connecting.fd, 1024);
}

void hearthd_start(struct hearthd *h)
{
    char state[96];
    check(getenv("HEARTHD") != NULL);
    snprintf(state, sizeof(state), "%s/state", h->dir);
    h->pid = fork();
    check(h->pid >= 0);
    if (h->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves nobody behind */
        execl(getenv("HEARTHD"), "hearthd", "--state-dir", state, "--runtime-dir", h->dir, "--name", "kitchen",
              "--listen", "127.0.0.1:0", "--no-discovery", NULL);
        _exit(127);
    }
    hearthd_connect(h, &h->control);
}

void hearthd_init(struct hearthd *h)
{
    memset(h, 0, sizeof(*h));
    signal(SIGPIPE, SIG_IGN);
    strcpy(h->dir, "/tmp/hearthd-test-XXXXXX");
    check(mkdtemp(h->dir) != NULL);
    snprintf(h->socket, sizeof(h->socket), "%s/hearthd.sock", h->dir);
    hearthd_start(h);
}

int hearthd_stop(struct hearthd *h)
{
    int status;
    kill(h->pid, SIGTERM);
    channel_deinit(&h->control); /* it waits a moment for who is connected */
    check(waitpid(h->pid, &status, 0) == h->pid);
    h->pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Gone, or dead and waiting for whoever adopted it. */
static bool is_gone(void *ctx)
{
    char path[64], line[256] = "";
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)*(pid_t *)ctx);
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return true;
    const char *end = fgets(line, sizeof(line), f) != NULL ? strrchr(line, ')') : NULL;
    fclose(f);
    return end == NULL || end[2] == 'Z' || end[2] == 'X';
}

void hearthd_kill(struct hearthd *h)
{
    pid_t vault = hearthd_vault(h);
    kill(h->pid, SIGKILL);
    check(waitpid(h->pid, NULL, 0) == h->pid);
    channel_deinit(&h->control);
    h->pid = 0;
    if (vault > 0)
        wait_until(is_gone, &vault, "the vault ends with its hearthd");
}

void hearthd_deinit(struct hearthd *h)
{
    char command[128];
    if (h->pid != 0)
        check(hearthd_stop(h) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        snprintf(command, sizeof(command), "%s", h->dir);
        execl("/bin/rm", "rm", "-rf", command, NULL);
        _exit(127);
    }
    check(waitpid(pid, NULL, 0) == pid);
}

static bool is_called(int pid, const char *program)
{
    char path[64], name[24] = "";
    snprintf(path, sizeof(path), "/proc/%d/comm", pid);
    FILE *f = fopen(path, "r");
    bool is = f != NULL && fgets(name, sizeof(name), f) != NULL && strcmp(name, program) == 0;
    if (f != NULL)
        fclose(f);
    return is;
}

static size_t children_of(const struct hearthd *h, const char *program, pid_t *pids, size_t max)
{
    char path[96];
    size_t count = 0;
    int pid;
    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)h->pid, (int)h->pid);
    FILE *f = fopen(path, "r");
    if (f == NULL)
        return 0;
    while (count < max && fscanf(f, "%d", &pid) == 1)
        if (is_called(pid, program))
            pids[count++] = pid;
    fclose(f);
    return count;
}

pid_t hearthd_vault(const struct hearthd *h)
{
    pid_t pid;
    return children_of(h, "hearth-vault\n", &pid, 1) == 1 ? pid : 0;
}

size_t hearthd_helpers(const struct hearthd *h, pid_t *pids, size_t max)
{
    return children_of(h, "hearthd\n", pids, max);
}

enum reason hearthd_call(struct hearthd *h, uint16_t type, const pb_msgdesc_t *fields, const void *message,
                         uint16_t row_type, const pb_msgdesc_t *row_fields, size_t row_max, void *row, size_t row_size)
{
    struct frame f;
    msg_Refusal refusal;
    uint32_t id = ++h->next;
    h->rows = 0;
    check(channel_send(&h->control, type, id, fields, message, slice(NULL, 0)) == 0);
    for (;;) {
        check(channel_read(&h->control, true, &f) == 0);
        check(f.request == id);
        if (f.type == ctl_Type_FINISHED)
            return REASON_NONE;
        if (f.type == msg_Type_REFUSAL) {
            check(CODEC_DECODE(msg_Refusal, f.message, &refusal) == 0);
            return reason_of_code(refusal.code);
        }
        if (f.type == ctl_Type_PROGRESS)
            continue;
        check(f.type == row_type);
        check(codec_decode(row_fields, row_max, f.message, row, row_size) == 0);
        h->rows++;
    }
}
