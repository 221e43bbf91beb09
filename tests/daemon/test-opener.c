/* What the opener makes of paths that hearthd never names: one that was taken over might. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/util.h"
#include "base/helper.h"
#include "daemon/opener_internal.h"

static struct opener *opener;
static char dir[64];

static const char *in_dir(const char *name)
{
    static char paths[2][256];
    static unsigned turn;
    char *path = paths[++turn % 2];
    (void)snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
    return path;
}

static int setup(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof(dir), "/tmp/hearth-test-opener-XXXXXX");
    return mkdtemp(dir) != NULL ? opener_new(&opener, HELPER_PATIENCE_MS) : -1;
}

static int teardown(void **state)
{
    char command[96];
    (void)state;
    opener_free(opener);
    (void)snprintf(command, sizeof(command), "rm -rf %s", dir);
    return system(command);
}

static void put(const char *name, const char *text)
{
    assert_int_equal(file_replace(in_dir(name), slice_str(text), 0600), 0);
}

static void test_reading(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text;
        int outcome;
    } cases[] = {
        { "a package", "HEARTHP1 and so on", 0 },
        { "a certificate", "HEARTHC1", 0 },
        { "metadata", "HEARTHM1", 0 },
        { "a vouch", "HEARTHV1", 0 },
        { "a storage key", "HEARTHK1 and its key", OPENER_FOREIGN },
        { "a body", "HEARTHB1", OPENER_FOREIGN },
        { "too short", "HEARTHP", OPENER_FOREIGN },
        { "empty", "", OPENER_FOREIGN },
        { "a letter", "Dear diary, HEARTHP1", OPENER_FOREIGN },
        { "another version", "HEARTHP2", OPENER_FOREIGN },
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        int fd CLEANUP(closep) = -1;
        print_message("%s\n", cases[i].name);
        put("x.hearth", cases[i].text);
        assert_int_equal(opener_read(opener, in_dir("x.hearth"), 0, &fd), cases[i].outcome);
        assert_int_equal(fd >= 0, cases[i].outcome == 0);
    }
}

/* What it was that was named, not where it lies, decides; and no link is followed where none may be. */
static void test_links(void **state)
{
    (void)state;
    int fd CLEANUP(closep) = -1;
    put("key", "HEARTHK1 and its key");
    put("good", "HEARTHP1");
    assert_int_equal(symlink(in_dir("key"), in_dir("link.hearth")), 0);
    assert_int_equal(opener_read(opener, in_dir("link.hearth"), 0, &fd), OPENER_FOREIGN);
    assert_int_equal(opener_read(opener, in_dir("link.hearth"), O_NOFOLLOW, &fd), FILE_NOT_REGULAR);
    assert_int_equal(mkfifo(in_dir("pipe"), 0600), 0);
    assert_int_equal(opener_read(opener, in_dir("pipe"), 0, &fd), FILE_NOT_REGULAR);
    assert_int_equal(opener_read(opener, in_dir("."), 0, &fd), FILE_NOT_REGULAR);
    assert_int_equal(opener_read(opener, in_dir("none"), 0, &fd), -ENOENT);
}

static void test_creating(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int outcome;
    } cases[] = { { "n.hearth", 0 },
                  { "x.hearth-certificate.part", 0 },
                  { "x.wav.part", 0 },
                  { "x.bin.part", 0 },
                  { "x.cue", 0 },
                  { ".profile", -EPERM },
                  { "n.hearth", -EEXIST },
                  { "authorized_keys", -EPERM },
                  { "x.desktop", -EPERM },
                  { ".hearth", -EPERM },
                  { ".wav.part", -EPERM },
                  { "x.part", -EPERM },
                  { "x.hearth.x", -EPERM },
                  { "x.hearth.part.part", -EPERM },
                  { "none/x.hearth", -ENOENT } };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        print_message("%s\n", cases[i].name);
        int fd CLEANUP(closep) = opener_create(opener, in_dir(cases[i].name), 0600);
        assert_int_equal(fd < 0 ? fd : 0, cases[i].outcome);
    }
    int fd CLEANUP(closep) = opener_create(opener, in_dir("run.hearth"), 0755);
    assert_int_equal(fd, -EINVAL);
    put("letter", "Dear diary");
    assert_int_equal(symlink(in_dir("letter"), in_dir("linked.hearth")), 0);
    assert_int_equal(opener_create(opener, in_dir("linked.hearth"), 0600), -EEXIST);
    assert_int_equal(opener_create(opener, "x.hearth", 0600), -EINVAL);
}

/* Whoever carries a medium elsewhere is somebody else there. What is recorded is its owner's alone. */
static void test_modes(void **state)
{
    static const struct {
        mode_t umask;
        unsigned mode;
    } cases[] = { { 077, 0644 }, { 022, 0644 }, { 0, 0644 }, { 077, 0600 }, { 022, 0600 }, { 0, 0600 } };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct opener *o;
        struct stat st;
        mode_t before = umask(cases[i].umask);
        assert_int_equal(opener_new(&o, HELPER_PATIENCE_MS), 0);
        (void)umask(before);
        int fd CLEANUP(closep) = opener_create(o, in_dir("mode.hearth.part"), cases[i].mode);
        assert_true(fd >= 0);
        assert_int_equal(fstat(fd, &st), 0);
        assert_int_equal(st.st_mode & 07777, cases[i].mode);
        assert_int_equal(opener_remove(o, in_dir("mode.hearth.part")), 0);
        opener_free(o);
    }
}

/* What hearthd has never written is not moved about under the name of what it might have. */
static void test_renaming_what_is_no_file(void **state)
{
    (void)state;
    assert_int_equal(mkdir(in_dir("diary.wav.part"), 0700), 0);
    assert_int_equal(opener_rename(opener, in_dir("diary.wav.part"), in_dir("gone.wav")), -EPERM);
    assert_int_equal(mkfifo(in_dir("pipe.wav.part"), 0600), 0);
    assert_int_equal(opener_rename(opener, in_dir("pipe.wav.part"), in_dir("gone.wav")), -EPERM);
    put("secret", "Dear diary");
    assert_int_equal(symlink(in_dir("secret"), in_dir("link.hearth.part")), 0);
    assert_int_equal(opener_rename(opener, in_dir("link.hearth.part"), in_dir("gone.hearth")), -EPERM);
    assert_int_equal(link(in_dir("secret"), in_dir("hard.hearth.part")), 0);
    assert_int_equal(opener_rename(opener, in_dir("hard.hearth.part"), in_dir("gone.hearth")), -EPERM);
    assert_int_equal(opener_rename(opener, in_dir("none.hearth.part"), in_dir("gone.hearth")), -ENOENT);
}

static void test_renaming_and_removing(void **state)
{
    (void)state;
    put("a.hearth.part", "new");
    put("a.hearth", "old");
    assert_int_equal(opener_rename(opener, in_dir("a.hearth.part"), in_dir("a.hearth")), 0);
    put("b.wav.part", "new");
    put("b.wav", "old");
    assert_int_equal(opener_rename(opener, in_dir("b.wav.part"), in_dir("b.wav")), -EEXIST);
    assert_int_equal(opener_rename(opener, in_dir("b.wav.part"), in_dir("c.wav")), 0);
    put("b.wav.part", "new"); /* in the disguise of a package it would replace one */
    assert_int_equal(opener_rename(opener, in_dir("b.wav.part"), in_dir("a.hearth")), -EPERM);
    assert_int_equal(opener_rename(opener, in_dir("b.wav.part"), in_dir(".profile")), -EPERM);
    assert_int_equal(opener_rename(opener, in_dir("a.hearth"), in_dir("d.hearth")), -EPERM);
    put("letter", "Dear diary");
    assert_int_equal(opener_rename(opener, in_dir("letter"), in_dir("a.hearth")), -EPERM);
    assert_int_equal(opener_remove(opener, in_dir("letter")), -EPERM);
    assert_int_equal(opener_remove(opener, in_dir("a.hearth")), -EPERM);
    assert_int_equal(opener_remove(opener, in_dir("b.wav.part")), 0);
    assert_int_equal(opener_remove(opener, in_dir("b.wav.part")), -ENOENT);
}

static int ask(int fd, const void *bytes, size_t len)
{
    struct opener_answer answer;
    assert_int_equal(send(fd, bytes, len, MSG_NOSIGNAL), len);
    assert_int_equal(recv(fd, &answer, sizeof(answer), 0), sizeof(answer));
    return answer.outcome;
}

static void test_bytes(void **state)
{
    (void)state;
    static struct opener_request good = { .kind = OPENER_LIST, .path = "/" };
    struct opener_request q = good;
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(pair[0]);
        opener_serve(pair[1]);
    }
    close(pair[1]);
    assert_int_equal(ask(pair[0], &good, sizeof(good) - 1), -EINVAL);
    assert_int_equal(ask(pair[0], &good, 1), -EINVAL);
    q.kind = 0;
    assert_int_equal(ask(pair[0], &q, sizeof(q)), -EINVAL);
    q.kind = OPENER_REMOVE + 1;
    assert_int_equal(ask(pair[0], &q, sizeof(q)), -EINVAL);
    q.kind = OPENER_RENAME;
    assert_int_equal(ask(pair[0], &q, sizeof(q)), -EINVAL);
    q.kind = OPENER_LIST;
    memset(q.path, '/', sizeof(q.path));
    assert_int_equal(ask(pair[0], &q, sizeof(q)), -EINVAL);
    close(pair[0]);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reading),
        cmocka_unit_test(test_links),
        cmocka_unit_test(test_creating),
        cmocka_unit_test(test_renaming_and_removing),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_modes),
        cmocka_unit_test(test_renaming_what_is_no_file),
    };
    return cmocka_run_group_tests_name("opener", tests, setup, teardown);
}
