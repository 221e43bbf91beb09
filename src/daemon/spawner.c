/* hearthd's end of the spawner, and its children. */
#include "daemon/spawner.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/helper.h"
#include "base/util.h"
#include "daemon/spawner_internal.h"

#define LOG_MODULE "spawner"
#include "base/log.h"

struct spawner {
    struct helper helper;
    unsigned patience_ms; /* for an answer */
    uv_signal_t ends;
    uv_poll_t late; /* active while an answer is owed that nobody waits for */
    struct child *children;
    pid_t strays[SPAWNER_CHILDREN_MAX]; /* started in vain: nobody else waits for them; 0: free */
    void (*on_lost)(void *ctx);
    void *ctx;
    unsigned handles;
    bool lost;
};

/* --- Started in vain --- */

/* Of a program that could not become one, or that nobody waits for any more: what was meant for it is closed. */
static void keep_stray(struct spawner *s, pid_t pid)
{
    for (size_t i = 0; i < SPAWNER_CHILDREN_MAX; i++)
        if (s->strays[i] == 0) {
            s->strays[i] = pid;
            return;
        }
}

static void reap_strays(struct spawner *s)
{
    for (size_t i = 0; i < SPAWNER_CHILDREN_MAX; i++)
        if (s->strays[i] != 0 && waitpid(s->strays[i], NULL, WNOHANG) != 0)
            s->strays[i] = 0;
}

static void on_late_answer(const void *wire, void *ctx)
{
    const struct spawner_answer *answer = wire;
    struct spawner *s = ctx;
    struct spawner_request end = { .kind = SPAWNER_END, .pid = answer->pid, .signal = SIGKILL };
    if (answer->pid <= 0)
        return;
    keep_stray(s, answer->pid);
    int r = answer->outcome == 0 ? helper_tell(&s->helper, &end, sizeof(end), NULL, 0) : 0;
    if (r != 0)
        log_error("a program that was started too late could not be ended error=%s", strerror(-r));
    reap_strays(s);
}

/* --- The process --- */

int spawner_new(struct spawner **out, const struct config *config, unsigned patience_ms)
{
    int theirs = -1;
    struct spawner *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return -ENOMEM;
    int r = helper_fork(&s->helper, sizeof(struct spawner_answer), &theirs);
    if (r == 0 && s->helper.pid == 0)
        spawner_serve(theirs, config);
    if (r != 0) {
        free(s);
        return r;
    }
    s->patience_ms = patience_ms;
    s->helper.on_late = on_late_answer;
    s->helper.ctx = s;
    *out = s;
    return 0;
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct spawner *s = handle->data;
    if (--s->handles == 0)
        free(s);
}

void spawner_close(struct spawner *s)
{
    if (s == NULL)
        return;
    if (s->handles > 0) {
        uv_close((uv_handle_t *)&s->late, on_handle_closed);
        uv_close((uv_handle_t *)&s->ends, on_handle_closed);
    }
    helper_end(&s->helper);
    if (s->handles == 0)
        free(s);
}

bool spawner_stands_still(const struct spawner *s) { return helper_is_behind(&s->helper); }

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
    reap_strays(s);
    if (s->lost || !helper_has_ended(&s->helper))
        return;
    s->lost = true;
    log_error("the spawner has ended: nothing can be started any more");
    s->on_lost(s->ctx);
}

static void on_late(uv_poll_t *handle, int status, int events)
{
    struct spawner *s = handle->data;
    (void)status;
    (void)events;
    if (helper_drain(&s->helper) != 0 || !helper_is_behind(&s->helper))
        (void)uv_poll_stop(handle);
}

int spawner_watch(struct spawner *s, uv_loop_t *loop, void (*on_lost)(void *ctx), void *ctx)
{
    int r = uv_poll_init(loop, &s->late, s->helper.fd);
    if (r != 0)
        return r;
    (void)uv_signal_init(loop, &s->ends); /* fails only without memory, when the next does, too */
    s->handles = 2;
    s->late.data = s->ends.data = s;
    s->on_lost = on_lost;
    s->ctx = ctx;
    r = uv_signal_start(&s->ends, on_ends, SIGCHLD);
    uv_unref((uv_handle_t *)&s->ends); /* while there is a child the loop goes on */
    uv_unref((uv_handle_t *)&s->late);
    return r == 0 && helper_has_ended(&s->helper) ? -EPIPE : r;
}

/* --- Requests --- */

/* *passed: a descriptor that came with the answer, or -1. */
static int ask(struct spawner *s, struct spawner_request *request, const int *fds, size_t count, pid_t *pid,
               int *passed)
{
    struct spawner_answer answer;
    bool was_behind = helper_is_behind(&s->helper);
    int r = helper_ask(&s->helper, s->patience_ms, request, sizeof(*request), fds, count, &answer, passed);
    if (helper_is_behind(&s->helper) && s->handles > 0) /* what the late answer speaks of is not kept */
        (void)uv_poll_start(&s->late, UV_READABLE, on_late);
    if (r == -ETIMEDOUT && !was_behind)
        log_error("the spawner stands still: nothing can be started until it goes on");
    if (r != 0)
        return r;
    if (answer.outcome == 0)
        *pid = answer.pid;
    else if (answer.pid > 0) { /* it ended before it became the program */
        keep_stray(s, answer.pid);
        reap_strays(s);
    }
    return answer.outcome;
}

static int start(struct spawner *s, struct child *c, struct spawner_request *request, const int *fds, size_t count,
                 child_exit_fn on_exit)
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
    struct spawner_request request = { .kind = SPAWNER_VAULT };
    const int fds[] = { requests_fd, sign_fd };
    return start(s, c, &request, fds, ARRAY_COUNT(fds), on_exit);
}

int spawner_start_player(struct spawner *s, struct child *c, int control_fd, child_exit_fn on_exit)
{
    struct spawner_request request = { .kind = SPAWNER_PLAYER };
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
    struct spawner_request request = { .kind = SPAWNER_END, .pid = c->pid, .signal = signal };
    pid_t none;
    int passed CLEANUP(closep) = -1;
    int r = ask(c->spawner, &request, NULL, 0, &none, &passed);
    if (r != 0 && r != -ESRCH)
        log_error("a child could not be ended error=%s", strerror(-r));
}

int spawner_connect_bus(struct spawner *s)
{
    struct spawner_request request = { .kind = SPAWNER_BUS };
    pid_t none;
    int passed = -1;
    int r = ask(s, &request, NULL, 0, &none, &passed);
    if (r != 0)
        closep(&passed);
    return r != 0 ? r : passed >= 0 ? passed : -EPROTO;
}

void spawner_unbind(struct spawner *s)
{
    struct spawner_request request = { .kind = SPAWNER_UNBIND };
    int r = helper_tell(&s->helper, &request, sizeof(request), NULL, 0);
    if (r != 0)
        log_warn("the control socket's file is left error=%s", strerror(-r));
}
