/* Blocking frames with descriptors beside them. Not a driver of exchanges, and nothing for a loop thread. */
#include "net/channel.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/secret.h"
#include "base/util.h"

#define READ_AHEAD_BYTES 4096

void channel_init(struct channel *c, int fd, size_t tail_max)
{
    *c = (struct channel){ .fd = fd, .tail_max = tail_max };
    c->in = buf(FRAME_HEADER_BYTES + FRAME_MESSAGE_MAX + tail_max + READ_AHEAD_BYTES);
    c->out = buf(FRAME_MAX);
}

static void wipe(struct buf *b)
{
    secret_wipe(b->data, b->cap);
    buf_free(b);
}

void channel_deinit(struct channel *c)
{
    while (c->fd_count > 0)
        close(c->fds[--c->fd_count]);
    closep(&c->fd);
    c->fd = -1;
    wipe(&c->in);
    wipe(&c->out);
}

static void keep_fds(struct channel *c, struct msghdr *m)
{
    for (struct cmsghdr *h = CMSG_FIRSTHDR(m); h; h = CMSG_NXTHDR(m, h)) {
        if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(h) + i * sizeof(fd), sizeof(fd));
            if (c->fd_count < CHANNEL_FDS_MAX)
                c->fds[c->fd_count++] = fd;
            else
                close(fd);
        }
    }
}

/* Reads what there is, at least once, so that the buffer may hold `need` bytes. */
static int fill(struct channel *c, size_t need, bool wait)
{
    size_t want = need + READ_AHEAD_BYTES - c->in.len;
    int r = buf_reserve(&c->in, want);
    if (r != 0)
        return r == BUF_FULL ? CHANNEL_BROKEN : r;
    union {
        char bytes[CMSG_SPACE(CHANNEL_FDS_MAX * sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec part = { c->in.data + c->in.len, want };
    struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
    ssize_t got;
    do
        got = recvmsg(c->fd, &m, MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT));
    while (got < 0 && errno == EINTR);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) && !wait)
        return CHANNEL_NOTHING;
    if (got < 0)
        return errno == ECONNRESET ? CHANNEL_CLOSED : -errno;
    keep_fds(c, &m);
    if (got == 0)
        return CHANNEL_CLOSED;
    c->in.len += (size_t)got;
    return 0;
}

int channel_read(struct channel *c, bool wait, struct frame *out)
{
    buf_consume(&c->in, c->in_used);
    c->in_used = 0;
    for (;;) {
        size_t need = FRAME_HEADER_BYTES;
        int r = frame_split(buf_slice(&c->in), c->tail_max, out, &c->in_used, &need);
        if (r == 0)
            return 0;
        c->in_used = 0;
        if (r != FRAME_INCOMPLETE)
            return r < 0 ? r : CHANNEL_BROKEN;
        r = fill(c, need, wait);
        if (r != 0)
            return r;
    }
}

int channel_take_fd(struct channel *c)
{
    if (c->fd_count == 0)
        return -1;
    int fd = c->fds[0];
    c->fd_count--;
    memmove(c->fds, c->fds + 1, c->fd_count * sizeof(c->fds[0]));
    return fd;
}

int channel_write(struct channel *c, struct slice bytes)
{
    while (bytes.len > 0) {
        ssize_t put = send(c->fd, bytes.data, bytes.len, MSG_NOSIGNAL);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return errno == EAGAIN || errno == EWOULDBLOCK ? -ETIMEDOUT : -errno;
        bytes = slice_sub(bytes, (size_t)put, bytes.len - (size_t)put);
    }
    return 0;
}

int channel_send(struct channel *c, uint16_t type, uint32_t request, const pb_msgdesc_t *fields, const void *message,
                 struct slice tail)
{
    buf_clear(&c->out);
    int r = codec_frame(&c->out, type, request, fields, message, tail);
    if (r != 0)
        return r == BUF_FULL ? -EMSGSIZE : r;
    return channel_write(c, buf_slice(&c->out));
}

/* With the first byte; what does not fit at once follows without it. */
static int write_with_fd(struct channel *c, struct slice bytes, int fd)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = { 0 };
    struct iovec part = { (void *)bytes.data, bytes.len };
    struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
    struct cmsghdr *head = CMSG_FIRSTHDR(&m);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(head), &fd, sizeof(int));
    ssize_t put;
    do
        put = sendmsg(c->fd, &m, MSG_NOSIGNAL);
    while (put < 0 && errno == EINTR);
    if (put < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK ? -ETIMEDOUT : -errno;
    return channel_write(c, slice_sub(bytes, (size_t)put, bytes.len - (size_t)put));
}

int channel_send_fd(struct channel *c, uint16_t type, uint32_t request, const pb_msgdesc_t *fields, const void *message,
                    int fd)
{
    buf_clear(&c->out);
    int r = codec_frame(&c->out, type, request, fields, message, slice(NULL, 0));
    if (r != 0)
        return r == BUF_FULL ? -EMSGSIZE : r;
    return write_with_fd(c, buf_slice(&c->out), fd);
}

int channel_refuse(struct channel *c, uint32_t request, enum reason reason, const char *detail)
{
    msg_Refusal refusal;
    reason_refusal(&refusal, reason, detail);
    return channel_send(c, msg_Type_REFUSAL, request, msg_Refusal_fields, &refusal, slice(NULL, 0));
}
