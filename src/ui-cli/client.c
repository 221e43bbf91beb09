/* The control connection of the command line: connect, send one request, read rows until it is finished. Blocking. */
#include "ui-cli/client.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/file.h"
#include "base/runtime.h"
#include "base/secret.h"
#include "base/util.h"

#define SILENT_MS \
    2000 /* of hearthd: then it is asked whether it is there, and after as long again the person is told that it says nothing */
#define PING_REQUEST UINT32_MAX

struct client {
    int fd;
    bool pinged, told; /* since hearthd was heard */
    uint32_t next_request;
    struct buf in;
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
    msg_Refusal refusal;
    int watched_fd; /* -1: none */
    int (*on_ready)(void *ctx);
    void *ready_ctx;
};

static int send_all(int fd, struct slice bytes)
{
    while (bytes.len > 0) {
        ssize_t n = send(fd, bytes.data, bytes.len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        bytes = slice_sub(bytes, (size_t)n, bytes.len - (size_t)n);
    }
    return 0;
}

/* Numbers of listings belong to the terminal that shows them. What has none, as a script of a timer, shares them with the others that have none. */
static int tell_terminal(struct client *c)
{
    int fd = open("/dev/tty", O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return 0;
    close(fd);
    return client_send(c, ctl_Type_TERMINAL, ctl_Terminal_fields, &(ctl_Terminal){ .session = (uint64_t)getsid(0) });
}

static int connect_to(struct client *c, const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (snprintf(c->path, sizeof(c->path), "%s", path) >= (int)sizeof(c->path))
        return -ENAMETOOLONG;
    memcpy(address.sun_path, c->path, sizeof(address.sun_path));
    c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        return -errno;
    if (connect(c->fd, (struct sockaddr *)&address, sizeof(address)) == 0)
        return 0;
    int r = -errno;
    closep(&c->fd);
    return r;
}

/* What says most about why nobody was found: one who may not be spoken to, then one who has gone, then any first place. */
static int weight_of(int error) { return error == -EACCES || error == -EPERM ? 3 : error == -ENOENT ? 1 : 2; }

/* Wherever a hearthd that was started without a word about it listens. c->path becomes the place that the outcome is of. */
static int connect_somewhere(struct client *c)
{
    struct runtime_places places;
    char path[RUNTIME_DIR_BYTES + sizeof("/" RUNTIME_SOCKET)], best_path[sizeof(c->path)] = "";
    int best = 0;
    runtime_places(&places);
    for (size_t i = 0; i < places.count; i++) {
        snprintf(path, sizeof(path), "%s/%s", places.dirs[i], RUNTIME_SOCKET);
        int r = connect_to(c, path);
        if (r == 0)
            return 0;
        if (best == 0 || weight_of(r) > weight_of(best)) {
            best = r;
            memcpy(best_path, c->path, sizeof(best_path));
        }
    }
    memcpy(c->path, best_path, sizeof(best_path));
    return best;
}

int client_open(struct client **out, const char *socket_path)
{
    struct client *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return -ENOMEM;
    c->in = buf(FRAME_MAX);
    c->fd = c->watched_fd = -1;
    const char *named = getenv("HEARTH_SOCKET");
    if (socket_path == NULL && named != NULL && named[0] != '\0')
        socket_path = named;
    int r = socket_path != NULL ? connect_to(c, socket_path) : connect_somewhere(c);
    if (r == 0)
        r = tell_terminal(c);
    *out = c; /* also on failure: the path is wanted for the message */
    return r;
}

void client_free(struct client *c)
{
    if (c == NULL)
        return;
    if (c->fd >= 0)
        close(c->fd);
    buf_free(&c->in);
    free(c);
}

const char *client_path(const struct client *c) { return c->path; }
const msg_Refusal *client_refusal(const struct client *c) { return &c->refusal; }

void client_watch(struct client *c, int fd, int (*on_ready)(void *ctx), void *ctx)
{
    c->watched_fd = fd;
    c->on_ready = on_ready;
    c->ready_ctx = ctx;
}

/* An answer may take as long as it likes; but a hearthd that runs answers a PING at once. */
static int doubt(struct client *c)
{
    uint8_t ping[FRAME_HEADER_BYTES];
    frame_header(ping, msg_Type_PING, PING_REQUEST, 0, 0);
    if (!c->pinged) {
        c->pinged = true;
        return send_all(c->fd, SLICE_ARRAY(ping));
    }
    if (!c->told)
        fprintf(stderr, "hearth: hearthd runs but says nothing: it stands still, or is stopped. This waits until it "
                        "goes on (Ctrl-C ends it)\n");
    c->told = true;
    return 0;
}

/* Until the daemon has something to say. 0, -errno, what on_ready returned. */
static int wait_for_daemon(struct client *c)
{
    for (;;) {
        struct pollfd fds[] = { { c->fd, POLLIN, 0 }, { c->watched_fd, POLLIN, 0 } }; /* -1: poll passes it over */
        int n = poll(fds, ARRAY_COUNT(fds), c->told ? -1 : SILENT_MS);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n < 0)
            continue;
        int r = n == 0 ? doubt(c) : fds[1].revents != 0 ? c->on_ready(c->ready_ctx) : 0;
        if (r != 0)
            return r;
        if (fds[0].revents != 0)
            break;
    }
    c->pinged = c->told = false;
    return 0;
}

/* The next whole frame; borrows from c->in until `used` bytes are consumed. */
static int read_frame(struct client *c, struct frame *f, size_t *used)
{
    for (;;) {
        size_t need;
        int r = frame_split(buf_slice(&c->in), FRAME_TAIL_MAX, f, used, &need);
        if (r == 0)
            return 0;
        if (r != FRAME_INCOMPLETE)
            return -EPROTO;
        r = buf_reserve(&c->in, need > c->in.len ? need - c->in.len : 1);
        if (r != 0)
            return r < 0 ? r : -EPROTO;
        r = wait_for_daemon(c);
        if (r != 0)
            return r;
        ssize_t n = recv(c->fd, c->in.data + c->in.len, c->in.cap - c->in.len, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return -EPIPE;
        c->in.len += (size_t)n;
    }
}

static int send_request(struct client *c, uint16_t type, const pb_msgdesc_t *fields, const void *message,
                        uint32_t *request)
{
    struct buf out = buf(FRAME_MAX);
    *request = ++c->next_request;
    int r = codec_frame(&out, type, *request, fields, message, slice(NULL, 0));
    if (r == 0)
        r = send_all(c->fd, buf_slice(&out));
    secret_wipe(out.data, out.len); /* it may hold a password */
    buf_free(&out);
    return r > 0 ? -EMSGSIZE : r;
}

int client_send(struct client *c, uint16_t type, const pb_msgdesc_t *fields, const void *message)
{
    uint32_t request;
    return send_request(c, type, fields, message, &request);
}

int client_call(struct client *c, uint16_t type, const pb_msgdesc_t *fields, const void *message, client_row_fn on_row,
                void *ctx)
{
    uint32_t request;
    int r = send_request(c, type, fields, message, &request);
    if (r != 0)
        return r;
    for (;;) {
        struct frame f;
        size_t used;
        r = read_frame(c, &f, &used);
        if (r != 0)
            return r;
        if (f.request != request) {
            buf_consume(&c->in, used); /* of an earlier call that was left, or of client_send */
            continue;
        }
        if (f.type == msg_Type_REFUSAL) {
            r = CODEC_DECODE(msg_Refusal, f.message, &c->refusal) == 0 ? CLIENT_REFUSED : -EPROTO;
        } else if (f.type == ctl_Type_FINISHED) {
            buf_consume(&c->in, used);
            return 0;
        } else {
            r = on_row != NULL ? on_row(&f, ctx) : 0;
        }
        buf_consume(&c->in, used);
        if (r != 0)
            return r;
    }
}

/* What one frame means to the calls from `first` on. *ended counts them. */
static int take_one(struct client *c, const struct client_many *m, const struct frame *f, uint32_t first, size_t *ended)
{
    size_t index = f->request - first;
    if (index >= m->count) /* of client_send */
        return 0;
    if (f->type == msg_Type_REFUSAL) {
        if (CODEC_DECODE(msg_Refusal, f->message, &c->refusal) != 0)
            return -EPROTO;
        ++*ended;
        return m->on_end(index, &c->refusal, m->ctx);
    }
    if (f->type != ctl_Type_FINISHED)
        return m->on_row(f, index, m->ctx);
    ++*ended;
    return m->on_end(index, NULL, m->ctx);
}

int client_call_many(struct client *c, const struct client_many *m)
{
    uint32_t first = c->next_request + 1, request;
    size_t begun = 0, ended = 0, count = m->count;
    for (int r = 0; ended < count;) {
        while (r == 0 && begun < count && begun - ended < m->at_once) {
            const void *message = m->message(begun, m->ctx);
            if (message == NULL)
                count = begun;
            else
                r = send_request(c, m->type, m->fields, message, &request);
            begun += message != NULL && r == 0;
        }
        struct frame f;
        size_t used;
        if (r == 0 && ended < count)
            r = read_frame(c, &f, &used);
        else if (r == 0)
            break;
        if (r != 0)
            return r;
        if (f.request - first < begun) /* else of an earlier call that was left */
            r = take_one(c, m, &f, first, &ended);
        buf_consume(&c->in, used);
        if (r != 0)
            return r;
    }
    return 0;
}
