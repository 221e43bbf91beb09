/* A track read through a vault that answers, refuses, goes away, or is not waited for any longer. The vault is a thread of the test's. */
#include "cm.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"
#include "base/util.h"
#include "crypto/body.h"
#include "maker.h"
#include "net/window.h"
#include "player/track.h"
#include "vault.pb.h"

#define PLAIN_BYTES (3 * BLOCK_PLAIN_MIN - 100)

enum conduct { ANSWERS, REFUSES, ANSWERS_ANOTHER, ANSWERS_WITH_A_TAIL, TAKES_NO_WINDOW, GOES, SAYS_NOTHING };
struct vault {
    struct channel channel;
    struct window window;
    pthread_t thread;
    enum conduct conduct;
    struct track *cancel; /* as soon as it is asked */
};
static struct maker shop;
static struct content content;
static uint8_t plain[PLAIN_BYTES];

static int setup(void **state)
{
    (void)state;
    if (secret_init() != 0)
        return -1;
    maker_init(&shop, 1, "Shop");
    for (size_t i = 0; i < sizeof(plain); i++)
        plain[i] = (uint8_t)(i * 7 + i / 251);
    content_init(&content, &shop, 1, "audio/flac", slice(plain, sizeof(plain)), BLOCK_PLAIN_MIN);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    content_deinit(&content);
    maker_deinit(&shop);
    return 0;
}

static int body_fd(void)
{
    uint8_t info_len[4];
    struct buf whole = buf(1 << 20);
    put_be32(info_len, (uint32_t)content.info_bytes.len);
    const struct slice parts[] = { slice_str(BODY_MAGIC), slice(info_len, sizeof(info_len)),
                                   buf_slice(&content.info_bytes), buf_slice(&content.hashes),
                                   buf_slice(&content.blocks) };
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        assert_int_equal(buf_append(&whole, parts[i]), 0);
    int fd = file_in_memory("body", buf_slice(&whole));
    buf_free(&whole);
    assert_true(fd >= 0);
    return fd;
}

/* Not on cmocka's thread. */
static void check(bool right)
{
    if (!right)
        abort();
}

static void answer(struct vault *v, const struct frame *f)
{
    vlt_BlockOpen ask;
    check(CODEC_DECODE(vlt_BlockOpen, f->message, &ask) == 0);
    size_t begin = (size_t)ask.index * BLOCK_PLAIN_MIN, len = size_min(PLAIN_BYTES - begin, BLOCK_PLAIN_MIN);
    vlt_BlockPlain m = { .index = ask.index + (v->conduct == ANSWERS_ANOTHER) };
    check(memcmp(v->window.sealed, content_block(&content, ask.index).data, content_block(&content, ask.index).len) ==
          0);
    memcpy(v->window.plain, plain + begin, len);
    check(channel_send(&v->channel, vlt_Type_BLOCK_PLAIN, f->request, vlt_BlockPlain_fields, &m,
                       slice(plain, v->conduct == ANSWERS_WITH_A_TAIL)) == 0);
}

static void take_window(struct vault *v, const struct frame *f)
{
    static const vlt_Done done;
    int fd CLEANUP(closep) = channel_take_fd(&v->channel);
    if (v->conduct == TAKES_NO_WINDOW) {
        check(channel_refuse(&v->channel, f->request, REASON_STORAGE_FULL, NULL) == 0);
        return;
    }
    check(window_take(&v->window, BLOCK_PLAIN_MIN, fd) == 0);
    check(channel_send(&v->channel, vlt_Type_DONE, f->request, vlt_Done_fields, &done, slice(NULL, 0)) == 0);
}

static void *serve(void *arg)
{
    struct vault *v = arg;
    struct frame f;
    while (channel_read(&v->channel, true, &f) == 0) {
        if (f.type == vlt_Type_WINDOW_GIVE) {
            take_window(v, &f);
            continue;
        }
        if (v->cancel != NULL)
            track_cancel(v->cancel);
        if (v->conduct == GOES)
            break;
        if (v->conduct == REFUSES)
            check(channel_refuse(&v->channel, f.request, REASON_LICENSE_EXPIRED, NULL) == 0);
        else if (v->conduct != SAYS_NOTHING)
            answer(v, &f);
    }
    window_leave(&v->window);
    channel_deinit(&v->channel);
    return NULL;
}

static struct track *begin(struct vault *v, enum conduct conduct, bool cancels)
{
    int ends[2];
    struct track *t;
    *v = (struct vault){ .conduct = conduct };
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    channel_init(&v->channel, ends[1], BLOCK_PLAIN_MAX);
    assert_int_equal(track_open(&t, body_fd(), ends[0]), 0);
    v->cancel = cancels ? t : NULL;
    assert_int_equal(pthread_create(&v->thread, NULL, serve, v), 0);
    return t;
}

static void end(struct vault *v, struct track *t)
{
    track_cancel(t); /* the thread may wait for one more question */
    assert_int_equal(pthread_join(v->thread, NULL), 0);
    track_close(t);
}

static void test_reads_at_any_offset(void **state)
{
    (void)state;
    struct vault v;
    uint8_t got[BLOCK_PLAIN_MIN];
    struct track *t = begin(&v, ANSWERS, false);
    assert_int_equal(track_bytes(t), PLAIN_BYTES);
    static const uint64_t offsets[] = { 0, 1, BLOCK_PLAIN_MIN - 1, BLOCK_PLAIN_MIN, PLAIN_BYTES - 1, 5 };
    for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
        int64_t n = track_read(t, offsets[i], got, sizeof(got));
        assert_true(n > 0);
        assert_memory_equal(got, plain + offsets[i], (size_t)n);
    }
    assert_int_equal(track_read(t, PLAIN_BYTES, got, sizeof(got)), 0);
    assert_int_equal(track_read(t, UINT64_MAX, got, sizeof(got)), 0);
    assert_int_equal(track_failure(t), REASON_NONE);
    end(&v, t);
}

static void test_says_why_it_failed(void **state)
{
    (void)state;
    static const struct {
        enum conduct conduct;
        enum reason why;
    } cases[] = { { REFUSES, REASON_LICENSE_EXPIRED },
                  { ANSWERS_ANOTHER, REASON_MALFORMED },
                  { ANSWERS_WITH_A_TAIL, REASON_INTERNAL },
                  { TAKES_NO_WINDOW, REASON_STORAGE_FULL },
                  { GOES, REASON_INTERNAL } };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct vault v;
        uint8_t got[64];
        struct track *t = begin(&v, cases[i].conduct, false);
        assert_int_equal(track_read(t, 0, got, sizeof(got)), -EIO);
        assert_int_equal(track_failure(t), cases[i].why);
        end(&v, t);
    }
}

/* Whoever cancels knows why; the track and the vault are not to blame, whatever the read met first. */
static void test_cancelled_is_no_failure(void **state)
{
    (void)state;
    static const enum conduct conducts[] = { SAYS_NOTHING, GOES };
    for (size_t i = 0; i < sizeof(conducts) / sizeof(conducts[0]); i++) {
        struct vault v;
        uint8_t got[64];
        struct track *t = begin(&v, conducts[i], true);
        assert_int_equal(track_read(t, 0, got, sizeof(got)), -EIO);
        assert_int_equal(track_failure(t), REASON_NONE);
        assert_int_equal(track_read(t, BLOCK_PLAIN_MIN, got, sizeof(got)), -EIO);
        assert_int_equal(track_failure(t), REASON_NONE);
        end(&v, t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_at_any_offset),
        cmocka_unit_test(test_says_why_it_failed),
        cmocka_unit_test(test_cancelled_is_no_failure),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
