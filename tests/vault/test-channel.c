/* Blocking frames over a socket pair: pieces, limits, descriptors, the other end gone. */
#include "cm.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/channel.h"
#include "vault.pb.h"

static struct channel near, far;

static int setup(void **state)
{
    (void)state;
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return -1;
    channel_init(&near, ends[0], 100);
    channel_init(&far, ends[1], 100);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    channel_deinit(&near);
    channel_deinit(&far);
    return 0;
}

static struct buf frame_of(uint32_t request, size_t tail_len)
{
    static const uint8_t zeros[200];
    struct buf b = buf(4096);
    vlt_PlayClose m = { .play = request };
    assert_int_equal(codec_frame(&b, vlt_Type_PLAY_CLOSE, request, vlt_PlayClose_fields, &m, slice(zeros, tail_len)),
                     0);
    return b;
}

static void byte_by_byte(void **state)
{
    (void)state;
    struct frame f;
    struct buf one = frame_of(5, 30);
    for (size_t i = 0; i < one.len; i++) {
        assert_int_equal(channel_read(&far, false, &f), CHANNEL_NOTHING);
        assert_int_equal(channel_write(&near, slice(one.data + i, 1)), 0);
    }
    assert_int_equal(channel_read(&far, false, &f), 0);
    assert_int_equal(f.request, 5);
    assert_int_equal(f.type, vlt_Type_PLAY_CLOSE);
    assert_int_equal(f.tail.len, 30);
    assert_int_equal(channel_read(&far, false, &f), CHANNEL_NOTHING);
    buf_free(&one);
}

static void many_in_one_piece(void **state)
{
    (void)state;
    struct frame f;
    struct buf all = buf(1 << 20);
    for (uint32_t i = 1; i <= 300; i++) {
        struct buf one = frame_of(i, i % 101);
        assert_int_equal(buf_append(&all, buf_slice(&one)), 0);
        buf_free(&one);
    }
    assert_int_equal(channel_write(&near, buf_slice(&all)), 0);
    for (uint32_t i = 1; i <= 300; i++) {
        assert_int_equal(channel_read(&far, true, &f), 0);
        assert_int_equal(f.request, i);
        assert_int_equal(f.tail.len, i % 101);
    }
    assert_int_equal(channel_read(&far, false, &f), CHANNEL_NOTHING);
    buf_free(&all);
}

static void limits(void **state)
{
    (void)state;
    struct frame f;
    struct buf one = frame_of(1, 101); /* one more than this channel takes */
    assert_int_equal(channel_write(&near, buf_slice(&one)), 0);
    assert_int_equal(channel_read(&far, true, &f), CHANNEL_BROKEN);
    buf_free(&one);
}

static void no_frame(void **state)
{
    (void)state;
    struct frame f;
    static const uint8_t junk[] = { 0, 0, 0, 3, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 };
    assert_int_equal(channel_write(&near, SLICE_ARRAY(junk)), 0);
    assert_int_equal(channel_read(&far, true, &f), CHANNEL_BROKEN);
}

static void closed(void **state)
{
    (void)state;
    struct frame f;
    struct buf one = frame_of(1, 10);
    assert_int_equal(channel_write(&near, buf_slice(&one)), 0);
    assert_int_equal(channel_write(&near, slice(one.data, one.len - 1)), 0);
    channel_deinit(&near);
    channel_deinit(&near);                             /* twice */
    assert_int_equal(channel_read(&far, true, &f), 0); /* what was whole counts */
    assert_int_equal(channel_read(&far, true, &f), CHANNEL_CLOSED);
    assert_int_equal(channel_read(&far, false, &f), CHANNEL_CLOSED);
    assert_int_equal(channel_refuse(&far, 1, REASON_INTERNAL, NULL), -EPIPE);
    buf_free(&one);
}

static void send_fds(const int *fds, size_t count)
{
    struct buf one = frame_of(1, 0);
    union {
        char bytes[CMSG_SPACE(16 * sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec part = { one.data, one.len };
    struct msghdr m = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = CMSG_SPACE(count * sizeof(int))
    };
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    h->cmsg_level = SOL_SOCKET;
    h->cmsg_type = SCM_RIGHTS;
    h->cmsg_len = CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(h), fds, count * sizeof(int));
    assert_true(sendmsg(near.fd, &m, MSG_NOSIGNAL) == (ssize_t)one.len);
    buf_free(&one);
}

static unsigned open_count(void)
{
    unsigned count = 0;
    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) != -1;
    return count;
}

static void descriptors(void **state)
{
    (void)state;
    struct frame f;
    int pipe_ends[2];
    assert_int_equal(pipe(pipe_ends), 0);
    int fds[8] = { pipe_ends[0], pipe_ends[1], pipe_ends[0], pipe_ends[0], pipe_ends[0], pipe_ends[0] };
    unsigned before = open_count();
    assert_int_equal(channel_take_fd(&far), -1);
    send_fds(fds, 2);
    assert_int_equal(channel_read(&far, true, &f), 0);
    int first = channel_take_fd(&far), second = channel_take_fd(&far);
    assert_true(first >= 0 && second >= 0);
    assert_int_equal(channel_take_fd(&far), -1);
    assert_true((fcntl(first, F_GETFD) & FD_CLOEXEC) != 0);
    assert_int_equal(write(second, "x", 1), 1); /* in their order */
    char byte;
    assert_int_equal(read(first, &byte, 1), 1);
    close(first);
    close(second);
    for (int i = 0; i < 10; i++) { /* a flood stays within its bound */
        send_fds(fds, 6);
        assert_int_equal(channel_read(&far, true, &f), 0);
        assert_true(open_count() <= before + CHANNEL_FDS_MAX);
    }
    channel_deinit(&far); /* closes what was not taken, and its own */
    assert_int_equal(open_count(), before - 1);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(byte_by_byte), T(many_in_one_piece), T(limits), T(no_frame), T(closed), T(descriptors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
