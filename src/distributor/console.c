/* Callbacks, in the order in which they fire: on_connection, on_read (until the request is whole), run_measures (reader thread), on_measured,
 * on_written, on_client_closed; on_deadline at any time before. A client is freed when its two handles are closed and its job has ended. */
#define LOG_MODULE "console"
#include "distributor/console.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/util.h"
#include "distributor/directory_client.h"
#include "distributor/metrics.h"
#include "distributor/openmetrics.h"
#include "distributor/reload.h"
#include "net/address.h"

#define CLIENTS_MAX 16
#define REQUEST_BYTES 4096
#define DEADLINE_MS 5000

union stream {
    uv_handle_t handle;
    uv_stream_t stream;
    uv_pipe_t pipe;
    uv_tcp_t tcp;
};

struct console {
    struct server *server;
    union stream unix_socket, loopback;
    int handles_open;
    char path[PATH_MAX]; /* "": there is no socket */
    struct client *first;
    unsigned client_count,
        operator_count; /* all; of them, on the operator's socket: neither takes the other's places */
    bool stopping;
    void (*on_stopped)(struct server *);
};

struct client {
    struct console *console;
    struct client *next;
    union stream stream;
    uv_timer_t deadline;
    int handles_open;
    bool is_operator, answering, job_runs;
    char request[REQUEST_BYTES];
    size_t len;
    struct writer_job job;
    struct measures measures;
    struct buf body;
    char head[256];
    uv_write_t write;
};

/* --- The end ------------------------------------------------------------------------------------------------------- */

static void stopped_when_empty(struct console *c)
{
    if (!c->stopping || c->handles_open > 0 || c->client_count > 0 || c->on_stopped == NULL)
        return;
    struct server *server = c->server;
    void (*on_stopped)(struct server *) = steal(&c->on_stopped);
    server->console = NULL;
    free(c);
    on_stopped(server);
}

static void free_when_done(struct client *k)
{
    struct console *c = k->console;
    if (k->handles_open > 0 || k->job_runs)
        return;
    struct client **at = &c->first;
    while (*at != k)
        at = &(*at)->next;
    *at = k->next;
    c->client_count--;
    c->operator_count -= k->is_operator;
    buf_free(&k->body);
    free(k);
    stopped_when_empty(c);
}

static void on_client_closed(uv_handle_t *h)
{
    struct client *k = h->data;
    k->handles_open--;
    free_when_done(k);
}

static void close_client(struct client *k)
{
    if (!uv_is_closing(&k->stream.handle))
        uv_close(&k->stream.handle, on_client_closed);
    if (!uv_is_closing((uv_handle_t *)&k->deadline))
        uv_close((uv_handle_t *)&k->deadline, on_client_closed);
}

static void on_deadline(uv_timer_t *t) { close_client(t->data); }

/* --- Answers ------------------------------------------------------------------------------------------------------- */

static void on_written(uv_write_t *w, int status)
{
    (void)status;
    close_client(w->data);
}

static void respond(struct client *k, const char *status, const char *media_type)
{
    int len = snprintf(k->head, sizeof(k->head),
                       "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n", status,
                       media_type, k->body.len);
    uv_buf_t parts[] = { uv_buf_init(k->head, (unsigned)len),
                         uv_buf_init((char *)k->body.data, (unsigned)k->body.len) };
    k->write.data = k;
    if (uv_is_closing(&k->stream.handle))
        return;
    if (uv_write(&k->write, &k->stream.stream, parts, k->body.len > 0 ? 2 : 1, on_written) != 0)
        close_client(k);
}

static void respond_line(struct client *k, const char *status, const char *line)
{
    buf_clear(&k->body);
    int r = buf_append(&k->body, slice_str(line));
    if (r == 0)
        r = buf_append(&k->body, slice_str("\n"));
    respond(k, r == 0 ? status : "500 Internal Server Error", "text/plain; charset=utf-8");
}

/* --- What is asked ------------------------------------------------------------------------------------------------- */

static int run_measures(struct writer_job *job, void *database)
{
    struct client *k = container_of(job, struct client, job);
    return measures_read(database, clock_wall_ms(k->console->server->clock), &k->measures);
}

static void on_measured(struct writer_job *job, int outcome)
{
    struct client *k = container_of(job, struct client, job);
    k->job_runs = false;
    if (k->handles_open < 2) { /* it was closed meanwhile */
        free_when_done(k);
        return;
    }
    if (outcome == 0)
        outcome = metrics_text(k->console->server, &k->measures, &k->body);
    if (outcome != 0) {
        log_warn("the figures could not be told outcome=%d", outcome);
        respond_line(k, "500 Internal Server Error", "The figures cannot be read now.");
    } else {
        respond(k, "200 OK", OPENMETRICS_MEDIA_TYPE);
    }
}

static void tell_metrics(struct client *k)
{
    k->job_runs = true;
    k->job = (struct writer_job){ .run = run_measures, .on_done = on_measured, .always = true };
    writer_submit(k->console->server->reader, &k->job);
}

static void tell_directory(struct client *k)
{
    char line[64];
    directory_client_state(k->console->server->directory_client, line);
    respond_line(k, "200 OK", line);
}

static void tell_reload(struct client *k)
{
    char said[RELOAD_SAID_BYTES];
    int r = reload(k->console->server, said);
    respond_line(k, r == 0 ? "200 OK" : "409 Conflict", said);
}

static bool asks(const struct client *k, const char *what)
{
    size_t len = strlen(what);
    return k->len > len && memcmp(k->request, what, len) == 0 && (k->request[len] == ' ' || k->request[len] == '?');
}

static void answer(struct client *k)
{
    k->answering = true;
    uv_read_stop(&k->stream.stream);
    if (asks(k, "GET /metrics"))
        tell_metrics(k);
    else if (asks(k, "GET /directory") && k->is_operator)
        tell_directory(k);
    else if (asks(k, "POST /reload") && k->is_operator)
        tell_reload(k);
    else if (asks(k, "POST /reload"))
        respond_line(k, "403 Forbidden", "Only on the operator's socket.");
    else if (memcmp(k->request, "GET ", 4) == 0)
        respond_line(k, "404 Not Found", "There is /metrics.");
    else
        respond_line(k, "405 Method Not Allowed", "GET /metrics is what can be asked.");
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *out)
{
    struct client *k = h->data;
    (void)suggested;
    *out = uv_buf_init(k->request + k->len, (unsigned)(sizeof(k->request) - k->len));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *bytes)
{
    struct client *k = stream->data;
    (void)bytes;
    if (n < 0) {
        close_client(k);
        return;
    }
    k->len += (size_t)n;
    if (memmem(k->request, k->len, "\r\n\r\n", 4) != NULL)
        answer(k);
    else if (k->len == sizeof(k->request))
        close_client(k); /* whoever sends more than that has another program in mind */
}

/* --- Connections --------------------------------------------------------------------------------------------------- */

static void on_connection(uv_stream_t *listener, int status)
{
    struct console *c = listener->data;
    struct client *k = status == 0 ? calloc(1, sizeof(*k)) : NULL;
    if (k == NULL)
        return;
    bool is_unix = listener == &c->unix_socket.stream;
    k->console = c;
    k->is_operator = is_unix;
    k->body = buf(METRICS_TEXT_MAX);
    int r =
        is_unix ? uv_pipe_init(&c->server->loop, &k->stream.pipe, 0) : uv_tcp_init(&c->server->loop, &k->stream.tcp);
    if (r != 0) {
        free(k);
        return;
    }
    uv_timer_init(&c->server->loop, &k->deadline);
    k->stream.handle.data = k->deadline.data = k;
    k->handles_open = 2;
    k->next = c->first;
    c->first = k;
    c->client_count++;
    c->operator_count += is_unix;
    r = uv_accept(listener, &k->stream.stream);
    if (r == 0 && (is_unix ? c->operator_count : c->client_count - c->operator_count) > CLIENTS_MAX)
        r = UV_EBUSY;
    if (r == 0)
        r = uv_timer_start(&k->deadline, on_deadline, DEADLINE_MS, 0);
    if (r == 0)
        r = uv_read_start(&k->stream.stream, on_alloc, on_read);
    if (r != 0)
        close_client(k);
}

static void on_listener_closed(uv_handle_t *h)
{
    struct console *c = h->data;
    c->handles_open--;
    stopped_when_empty(c);
}

/* --- Start and stop ------------------------------------------------------------------------------------------------ */

/* Several processes may serve one state directory (database.h): the first one has the socket. */
static bool is_taken(const struct sockaddr_un *address)
{
    int fd CLEANUP(closep) = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0;
}

static int listen_unix(struct console *c)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int r = file_join(c->path, sizeof(c->path), c->server->config.state_dir, CONSOLE_SOCKET);
    if (r != 0 || strlen(c->path) >= sizeof(address.sun_path)) {
        log_warn(
            "the state directory's path is too long for a socket: no stats --openmetrics and no reload, but SIGHUP");
        c->path[0] = '\0';
        return 0;
    }
    memcpy(address.sun_path, c->path, strlen(c->path) + 1);
    if (is_taken(&address)) {
        log_info("another process has the console of this state directory");
        c->path[0] = '\0';
        return 0;
    }
    if (unlink(c->path) != 0 && errno != ENOENT)
        return -errno;
    uv_pipe_init(&c->server->loop, &c->unix_socket.pipe, 0);
    c->unix_socket.handle.data = c;
    c->handles_open++;
    mode_t before = umask(0177);
    r = uv_pipe_bind(&c->unix_socket.pipe, c->path);
    umask(before);
    return r == 0 ? uv_listen(&c->unix_socket.stream, CLIENTS_MAX, on_connection) : r;
}

static int listen_loopback(struct console *c)
{
    const char *listen = c->server->config.metrics_listen;
    char host[ADDRESS_HOST_BYTES];
    uint16_t port;
    struct sockaddr_storage at;
    if (listen[0] == '\0')
        return 0;
    if (address_parse(listen, host, &port) != 0)
        return -EINVAL;
    bool v6 = strcmp(host, "::1") == 0, v4 = strncmp(host, "127.", 4) == 0;
    if (!v6 && !v4) {
        log_error("metrics listen is not on loopback: put a proxy that knows who asks before it");
        return -EINVAL;
    }
    int r = v6 ? uv_ip6_addr(host, port, (struct sockaddr_in6 *)(void *)&at)
               : uv_ip4_addr(host, port, (struct sockaddr_in *)(void *)&at);
    if (r != 0)
        return -EINVAL;
    uv_tcp_init(&c->server->loop, &c->loopback.tcp);
    c->loopback.handle.data = c;
    c->handles_open++;
    r = uv_tcp_bind(&c->loopback.tcp, (const struct sockaddr *)&at, 0);
    return r == 0 ? uv_listen(&c->loopback.stream, CLIENTS_MAX, on_connection) : r;
}

int console_start(struct console **out, struct server *server)
{
    struct console *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return -ENOMEM;
    c->server = server;
    *out = c; /* from here console_stop undoes */
    int r = listen_unix(c);
    return r == 0 ? listen_loopback(c) : r;
}

static void close_listener(union stream *s)
{
    if (s->handle.data != NULL && !uv_is_closing(&s->handle))
        uv_close(&s->handle, on_listener_closed);
}

void console_stop(struct console *c, void (*on_stopped)(struct server *), struct server *server)
{
    if (c == NULL) {
        on_stopped(server);
        return;
    }
    c->stopping = true;
    c->on_stopped = on_stopped;
    if (c->path[0] != '\0')
        unlink(c->path);
    close_listener(&c->unix_socket);
    close_listener(&c->loopback);
    for (struct client *k = c->first; k != NULL; k = k->next)
        if (!k->answering)
            close_client(k);
    stopped_when_empty(c);
}
