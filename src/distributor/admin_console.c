/* Asking the running server over its console (console.h). One thread. */
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/file.h"
#include "base/util.h"
#include "distributor/admin.h"

#define SOCKET_NAME "console.sock" /* console.h */
#define WAIT_S 10

/* A connected socket; -ENOENT, -ECONNREFUSED: no server runs. */
static int reach(const struct admin *a, int *out)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    struct timeval wait = { .tv_sec = WAIT_S };
    char path[1100];
    int r = file_join(path, sizeof(path), a->state_dir, SOCKET_NAME);
    if (r != 0 || strlen(path) >= sizeof(address.sun_path))
        return -ENOENT; /* the server does without as well */
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd CLEANUP(closep) = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) != 0 ||
        connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0)
        return -errno;
    *out = fd;
    fd = -1;
    return 0;
}

int admin_ask(const struct admin *a, const char *request, struct buf *answer, int *status, size_t *body)
{
    int fd CLEANUP(closep) = -1;
    int r = reach(a, &fd);
    if (r != 0)
        return r;
    if (send(fd, request, strlen(request), MSG_NOSIGNAL) != (ssize_t)strlen(request))
        return -EIO;
    for (;;) {
        char bytes[4096];
        ssize_t n = recv(fd, bytes, sizeof(bytes), 0);
        if (n < 0)
            return errno == EAGAIN ? -ETIMEDOUT : -errno;
        if (n == 0)
            break;
        if (buf_append(answer, slice(bytes, (size_t)n)) != 0)
            return -EMSGSIZE;
    }
    if (buf_append(answer, slice("", 1)) != 0) /* text from here on */
        return -EMSGSIZE;
    const char *text = (const char *)answer->data, *blank = strstr(text, "\r\n\r\n");
    if (sscanf(text, "HTTP/1.1 %3d", status) != 1 || blank == NULL)
        return -EPROTO;
    *body = (size_t)(blank + 4 - text);
    return 0;
}

bool admin_runs_none(int r) { return r == -ENOENT || r == -ECONNREFUSED; }

int admin_ask_line(const struct admin *a, const char *request, char *line, size_t cap)
{
    struct buf answer CLEANUP(buf_free) = buf(4096);
    int status = 0;
    size_t body = 0;
    int r = admin_ask(a, request, &answer, &status, &body);
    if (r != 0 || status != 200)
        return r != 0 ? r : -EPROTO;
    const char *said = (const char *)answer.data + body;
    snprintf(line, cap, "%.*s", (int)strcspn(said, "\n"), said);
    return 0;
}
