/* hearthd's end of the spawner, and its children. */
#include "daemon/spawner.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/util.h"
#include "daemon/helper.h"
#include "daemon/spawner_internal.h"

#define LOG_MODULE "spawner"
#include "base/log.h"

#define ANSWER_S 10 /* it only starts programs */

struct spawner {
    int fd;
    pid_t pid;
    uv_signal_t ends;
    struct child *children;
    void (*on_lost)(void *ctx);
    void *ctx;
    bool watched, lost;
};

/* --- The process --- */

int spawner_new(struct spawner **out, const struct config *config)
{
    const struct timeval patience = { .tv_sec = ANSWER_S };
    int theirs = -1;
    struct spawner *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return -ENOMEM;
    int r = helper_fork(&s->pid, &s->fd, &theirs);
    if (r == 0 && s->pid == 0)
        spawner_serve(theirs, config);
    if (r == 0 && setsockopt(s->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) != 0)
        r = -errno;
    if (r != 0) {
        free(s);
        return r;
    }
    *out = s;
    return 0;
}

static void on_signal_closed(uv_handle_t *handle) { free(container_of((uv_signal_t *)handle, struct spawner, ends)); }

void spawner_close(struct spawner *s)
{
    if (s == NULL)
        return;
    closep(&s->fd);
    if (!s->lost)
        (void)waitpid(s->pid, NULL, 0);
    if (s->watched)
        uv_close((uv_handle_t *)&s->ends, on_signal_closed);
    else
        free(s);
}

/* --- Ends --- */

static struct child *take_ended(struct spawner *s, int *status)
{
    for (struct child **at = &s->children; *at != NULL; at = &(*at)->next) {
        struct child *c = *at;
        if (waitpid(c->pid, status, WNOHANG) != c->pid)
            continue;
        *at = c->next;
        if (s->children == NULL)
            uv_unref((uv_handle_t *)&s->ends);
        return c;
    }
    return NULL;
}

static void on_ends(uv_signal_t *handle, int signal)
{
    struct spawner *s = handle->data;
    struct child *c;
    int status;
    (void)signal;
    while ((c = take_ended(s, &status)) != NULL)
        c->on_exit(c, WIFEXITED(status) ? WEXITSTATUS(status) : 0, WIFSIGNALED(status) ? WTERMSIG(status) : 0);
    if (s->lost || waitpid(s->pid, NULL, WNOHANG) != s->pid)
        return;
    s->lost = true;
    log_error("the spawner has ended: nothing can be started any more");
    s->on_lost(s->ctx);
}

int spawner_watch(struct spawner *s, uv_loop_t *loop, void (*on_lost)(void *ctx), void *ctx)
{
    int r = uv_signal_init(loop, &s->ends);
    if (r != 0)
        return r;
    s->watched = true;
    s->ends.data = s;
    s->on_lost = on_lost;
    s->ctx = ctx;
    r = uv_signal_start(&s->ends, on_ends, SIGCHLD);
    uv_unref((uv_handle_t *)&s->ends); /* while there is a child the loop goes on */
    return r;
}

/* --- Requests --- */

/* *passed: a descriptor that came with the answer, or -1. */
static int ask(struct spawner *s, const struct spawner_request *request, const int *fds, size_t count, pid_t *pid,
               int *passed)
{
    struct spawner_answer answer;
    int r = helper_send(s->fd, request, sizeof(*request), fds, count);
    if (r == 0)
        r = helper_receive(s->fd, &answer, sizeof(answer), passed);
    if (r != 0)
        return r;
    if (answer.outcome == 0)
        *pid = answer.pid;
    else if (answer.pid > 0) /* it ended before it became the program */
        (void)waitpid(answer.pid, NULL, 0);
    return answer.outcome;
}

static int start(struct spawner *s, struct child *c, const struct spawner_request *request, const int *fds,
                 size_t count, child_exit_fn on_exit)
{
    int passed CLEANUP(closep) = -1;
    int r = ask(s, request, fds, count, &c->pid, &passed);
    if (r != 0)
        return r;
    c->spawner = s;
    c->on_exit = on_exit;
    c->next = s->children;
    s->children = c;
    uv_ref((uv_handle_t *)&s->ends);
    return 0;
}

int spawner_start_vault(struct spawner *s, struct child *c, int requests_fd, int sign_fd, child_exit_fn on_exit)
{
    const struct spawner_request request = { .kind = SPAWNER_VAULT };
    const int fds[] = { requests_fd, sign_fd };
    return start(s, c, &request, fds, ARRAY_COUNT(fds), on_exit);
}

int spawner_start_player(struct spawner *s, struct child *c, int control_fd, child_exit_fn on_exit)
{
    const struct spawner_request request = { .kind = SPAWNER_PLAYER };
    return start(s, c, &request, &control_fd, 1, on_exit);
}

int spawner_start_burner(struct spawner *s, struct child *c, const char *device, int input, child_exit_fn on_exit)
{
    struct spawner_request request = { .kind = input >= 0 ? SPAWNER_BURNER_RUN : SPAWNER_BURNER_LOOK };
    if (!spawner_is_device(device))
        return -EINVAL;
    memcpy(request.device, device, strlen(device));
    return start(s, c, &request, &input, input >= 0 ? 1 : 0, on_exit);
}

void child_end(const struct child *c, int signal)
{
    const struct spawner_request request = { .kind = SPAWNER_END, .pid = c->pid, .signal = signal };
    pid_t none;
    int passed CLEANUP(closep) = -1;
    int r = ask(c->spawner, &request, NULL, 0, &none, &passed);
    if (r != 0 && r != -ESRCH)
        log_error("a child could not be ended error=%s", strerror(-r));
}

int spawner_connect_bus(struct spawner *s)
{
    const struct spawner_request request = { .kind = SPAWNER_BUS };
    pid_t none;
    int passed = -1;
    int r = ask(s, &request, NULL, 0, &none, &passed);
    if (r != 0)
        closep(&passed);
    return r != 0 ? r : passed >= 0 ? passed : -EPROTO;
}

void spawner_unbind(struct spawner *s)
{
    const struct spawner_request request = { .kind = SPAWNER_UNBIND };
    pid_t none;
    int passed CLEANUP(closep) = -1;
    int r = ask(s, &request, NULL, 0, &none, &passed);
    if (r != 0 && r != -ENOENT)
        log_warn("the control socket's file is left error=%s", strerror(-r));
}
