/* Callbacks: on_written, on_output (any number), on_timeout (at most twice), on_exit, then on_closed for each handle; the last one frees.
 *
 * The command runs in a session of its own, so that what it starts is ended with it. Its environment is PATH, LANG and TZ alone: no secret is
 * there, and none on its command line. */
#define LOG_MODULE "payments"
#include "distributor/collector_hook.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"

#define DECLINED_STATUS 10
#define GRACE_MS 2000 /* between SIGTERM and SIGKILL */

struct hook {
    uv_process_t process;
    uv_pipe_t in, out;
    uv_timer_t timer;
    uv_write_t write;
    int handles_open;
    bool ended, killed;
    enum payment_outcome outcome;
    char *request;
    size_t output_len;
    char output[PAYMENTS_DETAIL_BYTES], chunk[512];
    hook_done *done;
    void *ctx;
};

static void on_closed(uv_handle_t *handle)
{
    struct hook *h = handle->data;
    if (--h->handles_open > 0)
        return;
    struct hook gone = *h;
    free(h);
    gone.output[gone.output_len] = '\0';
    gone.output[strcspn(gone.output, "\r\n")] = '\0';
    free(gone.request);
    if (gone.done != NULL)
        gone.done(gone.ctx, gone.outcome, gone.output);
}

static void close_one(uv_handle_t *handle)
{
    if (!uv_is_closing(handle))
        uv_close(handle, on_closed);
}

static void close_all(struct hook *h)
{
    close_one((uv_handle_t *)&h->process);
    close_one((uv_handle_t *)&h->in);
    close_one((uv_handle_t *)&h->out);
    close_one((uv_handle_t *)&h->timer);
}

/* --- While it runs --------------------------------------------------------------------------------------------------- */

static void on_written(uv_write_t *write, int status)
{
    struct hook *h = container_of(write, struct hook, write);
    (void)status; /* a command that does not read says so by its exit status */
    close_one((uv_handle_t *)&h->in);
}

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *b)
{
    struct hook *h = handle->data;
    (void)suggested;
    *b = uv_buf_init(h->chunk, sizeof(h->chunk));
}

static void on_output(uv_stream_t *stream, ssize_t n, const uv_buf_t *b)
{
    struct hook *h = stream->data;
    if (n < 0)
        return; /* its end comes by on_exit */
    size_t room = sizeof(h->output) - 1 - h->output_len, len = (size_t)n < room ? (size_t)n : room;
    memcpy(h->output + h->output_len, b->base, len); /* what is beyond is read and dropped */
    h->output_len += len;
}

/* What is still in the pipe when the command has ended. */
static void drain(struct hook *h)
{
    uv_os_fd_t fd;
    if (uv_is_closing((uv_handle_t *)&h->out) || uv_fileno((uv_handle_t *)&h->out, &fd) != 0)
        return;
    size_t room = sizeof(h->output) - 1 - h->output_len;
    ssize_t n = room > 0 ? read(fd, h->output + h->output_len, room) : 0; /* never blocks: libuv made it so */
    h->output_len += n > 0 ? (size_t)n : 0;
}

static void end_group(struct hook *h, int number)
{
    if (!h->ended && uv_process_get_pid(&h->process) > 0)
        (void)kill(-uv_process_get_pid(&h->process), number);
}

static void on_timeout(uv_timer_t *timer)
{
    struct hook *h = container_of(timer, struct hook, timer);
    log_warn("the payment command takes too long: %s", h->killed ? "killed" : "ended");
    end_group(h, h->killed ? SIGKILL : SIGTERM);
    if (!h->killed)
        uv_timer_start(&h->timer, on_timeout, GRACE_MS, 0);
    h->killed = true;
}

static void on_exit_status(uv_process_t *process, int64_t status, int number)
{
    struct hook *h = container_of(process, struct hook, process);
    /* What it left running ends with it: the group's number stays taken until they are gone. */
    (void)kill(-uv_process_get_pid(process), SIGKILL);
    h->ended = true;
    drain(h);
    h->outcome = number != 0                 ? PAYMENT_SAYS_NOTHING
                 : status == 0               ? PAYMENT_SAYS_PAID
                 : status == DECLINED_STATUS ? PAYMENT_SAYS_DECLINED
                                             : PAYMENT_SAYS_NOTHING;
    close_all(h);
}

void hook_hurry(struct hook *h)
{
    h->killed = true;
    end_group(h, SIGTERM);
    if (!uv_is_closing((uv_handle_t *)&h->timer))
        uv_timer_start(&h->timer, on_timeout, GRACE_MS, 0);
}

/* --- Starting -------------------------------------------------------------------------------------------------------- */

static void init_handles(struct hook *h, uv_loop_t *loop)
{
    uv_pipe_init(loop, &h->in, 0);
    uv_pipe_init(loop, &h->out, 0);
    uv_timer_init(loop, &h->timer);
    uv_handle_t *const handles[] = { (uv_handle_t *)&h->process, (uv_handle_t *)&h->in, (uv_handle_t *)&h->out,
                                     (uv_handle_t *)&h->timer };
    for (size_t i = 0; i < ARRAY_COUNT(handles); i++)
        handles[i]->data = h;
    h->handles_open = (int)ARRAY_COUNT(handles); /* uv_spawn initialises its handle also when it fails */
}

static int spawn(struct hook *h, uv_loop_t *loop, const struct hook_run *run)
{
    char path[1100], lang[128], zone[128], *environment[4] = { NULL };
    const char *const names[] = { "PATH", "LANG", "TZ" };
    char *const buffers[] = { path, lang, zone };
    const size_t sizes[] = { sizeof(path), sizeof(lang), sizeof(zone) };
    for (size_t i = 0, n = 0; i < ARRAY_COUNT(names); i++) {
        const char *value = getenv(names[i]);
        if (value != NULL && (size_t)snprintf(buffers[i], sizes[i], "%s=%s", names[i], value) < sizes[i])
            environment[n++] = buffers[i];
    }
    char *name = strdup(run->path);
    if (name == NULL)
        return -ENOMEM;
    char *argv[] = { name, NULL };
    uv_stdio_container_t stdio[4] = {
        { .flags = UV_CREATE_PIPE | UV_READABLE_PIPE, .data.stream = (uv_stream_t *)&h->in },
        { .flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&h->out },
        { .flags = UV_INHERIT_FD, .data.fd = 2 },
        { .flags = UV_INHERIT_FD, .data.fd = run->lock },
    };
    uv_process_options_t options = { .exit_cb = on_exit_status,
                                     .file = run->path,
                                     .args = argv,
                                     .env = environment,
                                     .cwd = "/",
                                     .flags = UV_PROCESS_DETACHED, /* a session and group of its own */
                                     .stdio_count = (int)ARRAY_COUNT(stdio),
                                     .stdio = stdio };
    int r = uv_spawn(loop, &h->process, &options);
    free(name);
    return r;
}

int hook_start(struct hook **out, uv_loop_t *loop, const struct hook_run *run, hook_done *done, void *ctx)
{
    struct hook *h = calloc(1, sizeof(*h));
    if (h == NULL)
        return -ENOMEM;
    h->request = strdup(run->request);
    if (h->request == NULL) {
        free(h);
        return -ENOMEM;
    }
    h->outcome = PAYMENT_SAYS_NOTHING;
    init_handles(h, loop);
    int r = spawn(h, loop, run);
    if (r != 0) {
        h->ended = true;
        close_all(h); /* done is not set: nobody is told twice */
        return r;
    }
    h->done = done;
    h->ctx = ctx;
    uv_buf_t b = uv_buf_init(h->request, (unsigned)strlen(h->request));
    if (uv_write(&h->write, (uv_stream_t *)&h->in, &b, 1, on_written) != 0)
        close_one((uv_handle_t *)&h->in);
    if (uv_read_start((uv_stream_t *)&h->out, on_room, on_output) != 0)
        log_warn("cannot read what the payment command says");
    uv_timer_start(&h->timer, on_timeout, (uint64_t)run->timeout_ms, 0);
    *out = h;
    return 0;
}
