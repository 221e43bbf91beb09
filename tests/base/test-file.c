/* Bounded reading, durable replacement, directories, and what happens when they cannot. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/file.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/util.h"
#include "failing-sync.h"
#include "recorded-syncs.h"

static char dir[64];

static int make_dir(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/hearth-test-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    return rmdir(dir); /* every test removes what it made: also proves that no temporary stays */
}

static const char *in_dir(const char *name)
{
    static char path[4][256];
    static unsigned next;
    char *out = path[next++ % 4];
    assert_int_equal(file_join(out, sizeof(path[0]), dir, name), 0);
    return out;
}

static void test_replace_and_read(void **state)
{
    (void)state;
    const char *path = in_dir("a");
    assert_int_equal(file_replace(path, slice_str("first"), 0600), 0);
    assert_int_equal(file_replace(path, slice_str("second"), 0640), 0);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    struct buf b CLEANUP(buf_free) = buf(64);
    assert_int_equal(buf_append(&b, slice_str("> ")), 0);
    assert_int_equal(file_read(path, &b), 0);
    assert_true(slice_equal(buf_slice(&b), slice_str("> second")));
    assert_int_equal(unlink(path), 0);
}

/* The bytes, then the name, then the directory that has it: after a power loss it is the one or the other, whole. */
static void test_order(void **state)
{
    (void)state;
    const char *path = in_dir("o");
    for (int i = 0; i < 2; i++) {
        record_syncs_anew();
        assert_int_equal(file_replace(path, slice_str("content"), 0600), 0);
        assert_string_equal(recorded_syncs, "FRD");
    }
    assert_int_equal(unlink(path), 0);
}

static void test_read_bound(void **state)
{
    (void)state;
    const char *path = in_dir("b");
    assert_int_equal(file_replace(path, slice_str("0123456789"), 0600), 0);
    static const struct {
        const char *name;
        size_t bound;
        int outcome;
    } cases[] = { { "exactly", 10, 0 }, { "one less", 9, BUF_FULL }, { "nothing", 0, BUF_FULL }, { "more", 11, 0 } };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct buf b CLEANUP(buf_free) = buf(cases[i].bound);
        if (file_read(path, &b) != cases[i].outcome || b.len != (cases[i].outcome ? 0 : 10))
            fail_msg("%s", cases[i].name);
    }
    assert_int_equal(file_replace(path, slice(NULL, 0), 0600), 0);
    struct buf none CLEANUP(buf_free) = buf(0);
    assert_int_equal(file_read(path, &none), 0);
    assert_int_equal(unlink(path), 0);
}

static void test_read_large(void **state)
{
    (void)state;
    const char *path = in_dir("large");
    size_t len = 300001;
    uint8_t *data CLEANUP(freep) = malloc(len);
    assert_non_null(data);
    for (size_t i = 0; i < len; i++)
        data[i] = (uint8_t)(i * 31 >> 3);
    assert_int_equal(file_replace(path, slice(data, len), 0600), 0);
    struct buf b CLEANUP(buf_free) = buf(1 << 20);
    assert_int_equal(file_read(path, &b), 0);
    assert_true(slice_equal(buf_slice(&b), slice(data, len)));
    assert_int_equal(unlink(path), 0);
}

static void test_failures(void **state)
{
    (void)state;
    struct buf b CLEANUP(buf_free) = buf(64);
    assert_int_equal(file_read(in_dir("absent"), &b), -ENOENT);
    assert_int_equal(file_read(dir, &b), -EISDIR);
    assert_int_equal(file_replace(in_dir("absent/file"), slice_str("x"), 0600), -ENOENT);
    assert_int_equal(file_sync_dir(in_dir("absent")), -ENOENT);
    assert_int_equal(file_sync_dir(dir), 0);
    assert_int_equal(file_sync_parent(in_dir("anything")), 0);

    /* The target is a directory, and nothing is left beside it. */
    assert_int_equal(mkdir(in_dir("d"), 0700), 0);
    assert_int_equal(file_replace(in_dir("d"), slice_str("x"), 0600), -EISDIR);
    assert_int_equal(rmdir(in_dir("d")), 0);

    /* A pipe, and what leads to one or to a terminal as /dev/stdout does, stay what they are; a link to a file, or to nothing, gives way. */
    struct stat st;
    assert_int_equal(mkfifo(in_dir("pipe"), 0600), 0);
    assert_int_equal(file_replace(in_dir("pipe"), slice_str("x"), 0600), -EMEDIUMTYPE);
    assert_int_equal(lstat(in_dir("pipe"), &st), 0);
    assert_true(S_ISFIFO(st.st_mode));
    assert_int_equal(symlink("pipe", in_dir("link")), 0);
    assert_int_equal(file_replace(in_dir("link"), slice_str("x"), 0600), -EMEDIUMTYPE);
    assert_int_equal(unlink(in_dir("pipe")), 0);
    assert_int_equal(lstat(in_dir("link"), &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_int_equal(file_replace(in_dir("link"), slice_str("x"), 0600), 0);
    assert_int_equal(lstat(in_dir("link"), &st), 0);
    assert_true(S_ISREG(st.st_mode));
    assert_int_equal(unlink(in_dir("link")), 0);
}

/* A temporary that a crashed process left, even a link, is not written through. */
/* Nobody writes to the pipe: whoever waited for that would wait for ever. */
static void test_regular_only(void **state)
{
    (void)state;
    struct buf b CLEANUP(buf_free) = buf(16);
    char file[128], link[128], pipe[128];
    int fd = -1;
    snprintf(file, sizeof(file), "%s", in_dir("plain"));
    snprintf(link, sizeof(link), "%s", in_dir("link"));
    snprintf(pipe, sizeof(pipe), "%s", in_dir("pipe"));
    assert_int_equal(file_replace(file, slice_str("hello"), 0600), 0);
    assert_int_equal(symlink(file, link), 0);
    assert_int_equal(mkfifo(pipe, 0600), 0);
    assert_int_equal(file_read_regular(pipe, &b), FILE_NOT_REGULAR);
    assert_int_equal(file_read_regular(dir, &b), FILE_NOT_REGULAR);
    assert_int_equal(file_read_regular("/dev/null", &b), FILE_NOT_REGULAR);
    assert_int_equal(file_read_regular(in_dir("absent"), &b), -ENOENT);
    assert_int_equal(file_open_regular(link, O_NOFOLLOW, &fd), FILE_NOT_REGULAR);
    assert_int_equal(fd, -1);
    assert_int_equal(b.len, 0);
    assert_int_equal(file_read_regular(link, &b), 0);
    assert_true(slice_equal(buf_slice(&b), slice_str("hello")));
    unlink(file);
    unlink(link);
    unlink(pipe);
}

static void test_stale_temporary(void **state)
{
    (void)state;
    const char *path = in_dir("s"), *victim = in_dir("victim");
    char temporary[300];
    snprintf(temporary, sizeof(temporary), "%s.tmp-%d", path, (int)gettid());
    assert_int_equal(file_replace(victim, slice_str("safe"), 0600), 0);
    assert_int_equal(symlink(victim, temporary), 0);
    assert_int_equal(file_replace(path, slice_str("new"), 0600), 0);
    struct buf b CLEANUP(buf_free) = buf(64);
    assert_int_equal(file_read(victim, &b), 0);
    assert_true(slice_equal(buf_slice(&b), slice_str("safe")));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(unlink(victim), 0);
}

static void test_make_dirs(void **state)
{
    (void)state;
    assert_int_equal(file_make_dirs(in_dir("x/y/z"), 0700), 0);
    assert_int_equal(file_make_dirs(in_dir("x/y/z/"), 0700), 0);
    assert_int_equal(file_replace(in_dir("x/file"), slice_str("x"), 0600), 0);
    assert_int_equal(file_make_dirs(in_dir("x/file"), 0700), -ENOTDIR);
    assert_int_equal(file_make_dirs(in_dir("x/file/y"), 0700), -ENOTDIR);
    assert_int_equal(file_make_dirs("", 0700), -ENOENT);
    assert_int_equal(unlink(in_dir("x/file")), 0);
    assert_int_equal(rmdir(in_dir("x/y/z")), 0);
    assert_int_equal(rmdir(in_dir("x/y")), 0);
    assert_int_equal(rmdir(in_dir("x")), 0);
}

static void test_at_offset(void **state)
{
    (void)state;
    const char *path = in_dir("o");
    int fd CLEANUP(closep) = open(path, O_RDWR | O_CREAT, 0600);
    assert_true(fd >= 0);
    char text[8] = "";
    assert_int_equal(file_pwrite_all(fd, "world", 5, 6), 0);
    assert_int_equal(file_pwrite_all(fd, "hello ", 6, 0), 0);
    assert_int_equal(file_sync(fd), 0);
    assert_int_equal(file_pread_all(fd, text, 7, 4), 0);
    assert_memory_equal(text, "o world", 7);
    assert_int_equal(file_pread_all(fd, text, 7, 5), -EIO);
    assert_int_equal(file_pread_all(fd, text, 1, UINT64_MAX), -EOVERFLOW);
    assert_int_equal(file_pwrite_all(fd, text, 2, INT64_MAX), -EOVERFLOW);
    assert_int_equal(file_pread_all(-1, text, 1, 0), -EBADF);
    assert_int_equal(unlink(path), 0);
}

static void test_full_disk(void **state)
{
    (void)state;
    int fd CLEANUP(closep) = open("/dev/full", O_WRONLY);
    if (fd < 0)
        skip();
    assert_int_equal(file_pwrite_all(fd, "x", 1, 0), -ENOSPC);
}

/* Nothing that was promised to be durable may be believed any more: the process stops, and the old file stays. */
static void test_failed_sync(void **state)
{
    (void)state;
    const char *path = in_dir("a");
    assert_int_equal(file_replace(path, slice_str("old"), 0600), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGABRT, SIG_DFL); /* cmocka's own handler would report a failure */
        if (!make_syncs_fail())
            _exit(77);
        int r = file_replace(path, slice_str("new"), 0600);
        _exit(r == 0 ? 1 : 2);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    char temporary[300];
    snprintf(temporary, sizeof(temporary), "%s.tmp-%d", path, (int)child);
    unlink(temporary);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
        unlink(path);
        skip();
    }
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    struct buf b CLEANUP(buf_free) = buf(64);
    assert_int_equal(file_read(path, &b), 0);
    assert_true(slice_equal(buf_slice(&b), slice_str("old")));
    assert_int_equal(unlink(path), 0);
}

static void test_failed_sync_of_all(void **state)
{
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 || file_sync_all(fd) != 0 || file_sync_all(-1) != -EBADF)
            _exit(3);
        _exit(!make_syncs_fail() ? 77 : file_sync_all(fd) == 0 ? 1 : 2);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        skip();
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

static void test_join(void **state)
{
    (void)state;
    char out[8];
    assert_int_equal(file_join(out, sizeof(out), "abc", "def"), 0);
    assert_string_equal(out, "abc/def");
    assert_int_equal(file_join(out, sizeof(out), "abc", "defg"), -ENAMETOOLONG);
    assert_int_equal(file_join(out, sizeof(out), "abcdefgh", ""), -ENAMETOOLONG);
}

static void test_in_memory(void **state)
{
    (void)state;
    uint8_t got[5];
    struct stat st;
    int fd = file_in_memory("words", slice_str("words"));
    assert_true(fd >= 0);
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(file_pread_all(fd, got, sizeof(got), 0), 0);
    assert_memory_equal(got, "words", sizeof(got));
    assert_true(fstat(fd, &st) == 0 && st.st_size == sizeof(got) && st.st_nlink == 0); /* in no directory */
    close(fd);
    fd = file_in_memory("nothing", slice(NULL, 0));
    assert_true(fstat(fd, &st) == 0 && st.st_size == 0);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_replace_and_read, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_order, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_read_bound, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_read_large, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_failures, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_regular_only, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_stale_temporary, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_make_dirs, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_at_offset, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_failed_sync, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_failed_sync_of_all, make_dir, remove_dir),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_join),
        cmocka_unit_test(test_in_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
