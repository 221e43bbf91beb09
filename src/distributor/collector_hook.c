/* Callbacks: on_output (any number), on_ended, then on_closed; it frees.
 *
 * The command is the starter's (starter.h): here are the ends of its pipes. What it is told lies whole in the pipe before it begins. */
#define LOG_MODULE "payments"
#include "distributor/collector_hook.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"

#define DECLINED_STATUS 10

struct hook {
    struct starter_run run;
    uv_pipe_t out;
    enum payment_outcome outcome;
    size_t output_len;
    char output[PAYMENTS_DETAIL_BYTES], chunk[512];
    hook_done *done;
    void *ctx;
};

static void on_closed(uv_handle_t *handle)
{
    struct hook *h = container_of((uv_pipe_t *)(void *)handle, struct hook, out);
    struct hook gone = *h;
    free(h);
    gone.output[gone.output_len] = '\0';
    gone.output[strcspn(gone.output, "\r\n")] = '\0';
    if (gone.done != NULL)
        gone.done(gone.ctx, gone.outcome, gone.output);
}

/* --- While it runs --------------------------------------------------------------------------------------------------- */

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *b)
{
    struct hook *h = container_of((uv_pipe_t *)(void *)handle, struct hook, out);
    (void)suggested;
    *b = uv_buf_init(h->chunk, sizeof(h->chunk));
}

static void keep(struct hook *h, const char *text, size_t len)
{
    size_t room = sizeof(h->output) - 1 - h->output_len;
    len = size_min(len, room); /* what is beyond is read and dropped */
    memcpy(h->output + h->output_len, text, len);
    h->output_len += len;
}

static void on_output(uv_stream_t *stream, ssize_t n, const uv_buf_t *b)
{
    struct hook *h = container_of((uv_pipe_t *)(void *)stream, struct hook, out);
    if (n > 0) /* its end comes by on_ended */
        keep(h, b->base, (size_t)n);
}

/* What is still in the pipe when the command has ended. */
static void drain(struct hook *h)
{
    uv_os_fd_t fd;
    ssize_t n = uv_fileno((uv_handle_t *)&h->out, &fd) == 0 ? read(fd, h->chunk, sizeof(h->chunk))
                                                            : 0; /* never blocks: libuv made it so */
    if (n > 0)
        keep(h, h->chunk, (size_t)n);
}

static void on_ended(struct starter_run *run, int error, int status)
{
    struct hook *h = container_of(run, struct hook, run);
    drain(h);
    if (error == 0)
        h->outcome = status == 0                 ? PAYMENT_SAYS_PAID
                     : status == DECLINED_STATUS ? PAYMENT_SAYS_DECLINED
                                                 : PAYMENT_SAYS_NOTHING;
    if (error != 0 && error != -EINTR) {
        const char *why = error == -EPIPE       ? "its starter has ended"
                          : error == -ETIMEDOUT ? "its starter stands still"
                                                : strerror(-error);
        log_warn("the payment command was not started, or nothing is known of it: %s", why);
        h->output_len = 0;
        keep(h, why, strlen(why));
    }
    uv_close((uv_handle_t *)&h->out, on_closed);
}

/* --- Starting -------------------------------------------------------------------------------------------------------- */

/* The command's end, with all of the request in it. The descriptor or -errno. */
static int told(const char *request)
{
    int pair[2];
    if (pipe2(pair, O_CLOEXEC) != 0)
        return -errno;
    int writing CLEANUP(closep) = pair[1];
    ssize_t len = (ssize_t)strlen(request), n = -1;
    int error = fcntl(writing, F_SETFL, O_NONBLOCK) != 0 ? -errno : 0;
    if (error == 0)
        n = write(writing, request, (size_t)len); /* a pipe that is new has room for more */
    if (error == 0 && n != len)
        error = n < 0 ? -errno : -EMSGSIZE;
    if (error != 0)
        close(pair[0]);
    return error != 0 ? error : pair[0];
}

static int start(struct hook *h, const struct hook_run *run)
{
    int pair[2];
    int input CLEANUP(closep) = told(run->request);
    if (input < 0)
        return input;
    if (pipe2(pair, O_CLOEXEC) != 0)
        return -errno;
    int output CLEANUP(closep) = pair[1];
    int r = uv_pipe_open(&h->out, pair[0]);
    if (r != 0) {
        close(pair[0]);
        return r;
    }
    const int fds[] = { input, output, run->lock };
    h->run.on_ended = on_ended;
    r = uv_read_start((uv_stream_t *)&h->out, on_room, on_output);
    if (r == 0)
        r = starter_run(run->starter, &h->run, fds, run->timeout_ms);
    return r;
}

int hook_start(struct hook **out, uv_loop_t *loop, const struct hook_run *run, hook_done *done, void *ctx)
{
    struct hook *h = calloc(1, sizeof(*h));
    if (h == NULL)
        return -ENOMEM;
    h->outcome = PAYMENT_SAYS_NOTHING;
    uv_pipe_init(loop, &h->out, 0);
    int r = start(h, run);
    if (r != 0) {
        uv_close((uv_handle_t *)&h->out, on_closed); /* done is not set: nobody is told twice */
        return r;
    }
    h->done = done;
    h->ctx = ctx;
    *out = h;
    return 0;
}
