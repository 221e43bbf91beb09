/* Syncing together: what is asked of the disk, and who hears of it when. */
#include "net/syncer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../base/recorded-syncs.h"
#include "base/util.h"

#define FILES 40

struct file {
    struct sync_wait wait;
    int done;
};
static uv_loop_t loop;
static char dir[64], path[128];
static struct syncer *syncer;
static struct file files[FILES];
static int more; /* how many are to wait when the first is done */

static void on_done(struct sync_wait *w)
{
    struct file *f = container_of(w, struct file, wait);
    f->done++;
    for (int i = 0; more > 0 && i < FILES; i++)
        if (files[i].done == 0 && files[i].wait.done == NULL) {
            files[i].wait.done = on_done;
            syncer_wait(syncer, &files[i].wait);
            more--;
        }
}

static int setup(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/hearth-test-XXXXXX");
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/file", dir);
    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(syncer_new(&syncer, &loop, dir), 0);
    memset(files, 0, sizeof(files));
    for (int i = 0; i < FILES; i++)
        files[i].wait.fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    more = 0;
    record_syncs_anew();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    syncer_free(steal(&syncer));
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    for (int i = 0; i < FILES; i++)
        if (files[i].wait.fd >= 0)
            close(files[i].wait.fd);
    unlink(path);
    return rmdir(dir);
}

static void wait_for(int first, int count)
{
    for (int i = first; i < first + count; i++) {
        files[i].wait.done = on_done;
        syncer_wait(syncer, &files[i].wait);
        assert_int_equal(files[i].done, 0); /* never from within */
    }
}

static void expect_done(int count, int outcome)
{
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    for (int i = 0; i < FILES; i++) {
        assert_int_equal(files[i].done, i < count);
        if (i < count)
            assert_int_equal(files[i].wait.outcome, outcome);
    }
}

static void one_by_itself(void **state)
{
    (void)state;
    wait_for(0, 1);
    expect_done(1, 0);
    assert_string_equal(recorded_syncs, "F");
}

static void names_alone(void **state)
{
    (void)state;
    close(files[0].wait.fd);
    files[0].wait.fd = -1;
    wait_for(0, 1);
    expect_done(1, 0);
    assert_string_equal(recorded_syncs, "D");
}

/* The first goes at once; those that come meanwhile share the next. */
static void many_share_one(void **state)
{
    (void)state;
    wait_for(0, FILES);
    expect_done(FILES, 0);
    assert_string_equal(recorded_syncs, "FA");
}

static void few_are_synced_each(void **state)
{
    (void)state;
    wait_for(0, SYNCER_TOGETHER);
    expect_done(SYNCER_TOGETHER, 0);
    assert_string_equal(recorded_syncs, "FFFF");
}

/* Whoever is told may wait again, or bring others, at once. */
static void more_from_within(void **state)
{
    (void)state;
    more = FILES - 1;
    wait_for(0, 1);
    expect_done(FILES, 0);
    assert_string_equal(recorded_syncs, "FA");
}

static void freed_while_they_wait(void **state)
{
    (void)state;
    wait_for(0, FILES);
    syncer_free(steal(&syncer));
    expect_done(FILES, 0);
}

static void what_cannot_be_synced(void **state)
{
    (void)state;
    close(files[1].wait.fd);
    files[1].wait.fd = 1 << 20; /* no file */
    wait_for(0, 2);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(files[0].wait.outcome, 0);
    assert_int_equal(files[1].wait.outcome, -EBADF);
    files[1].wait.fd = -1;
}

/* A rename stands for any way of giving a name: only the order counts. */
static int give_name(struct sync_wait *w)
{
    (void)w;
    return rename(path, path) == 0 ? 0 : -errno;
}

static int cannot_name(struct sync_wait *w)
{
    (void)w;
    return -EACCES;
}

/* The bytes of all, then the names of all, then the names once. */
static void names_after_bytes(void **state)
{
    (void)state;
    for (int i = 0; i < FILES; i++)
        files[i].wait.name = give_name;
    wait_for(0, FILES);
    expect_done(FILES, 0);
    assert_int_equal(strncmp(recorded_syncs, "FRDA", 4), 0);
    const char *names = recorded_syncs + 4;
    assert_int_equal(strspn(names, "R"), FILES - 1);
    assert_string_equal(names + FILES - 1, "D");
}

static void few_names_are_synced_once(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        files[i].wait.name = give_name;
    wait_for(0, 3);
    expect_done(3, 0);
    assert_string_equal(recorded_syncs, "FRDFFRRD");
}

/* What could not be synced gets no name; whose name could not be given is told so, and nobody else. */
static void no_name(void **state)
{
    (void)state;
    close(files[1].wait.fd);
    files[1].wait.fd = 1 << 20; /* no file */
    for (int i = 0; i < 4; i++)
        files[i].wait.name = i == 2 ? cannot_name : give_name;
    wait_for(0, 4);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(files[0].wait.outcome, 0);
    assert_int_equal(files[1].wait.outcome, -EBADF);
    assert_int_equal(files[2].wait.outcome, -EACCES);
    assert_int_equal(files[3].wait.outcome, 0);
    assert_string_equal(recorded_syncs, "FRDFFRD");
    files[1].wait.fd = -1;
}

static void no_directory(void **state)
{
    struct syncer *none = NULL;
    (void)state;
    assert_int_equal(syncer_new(&none, &loop, "/nowhere/at/all"), -ENOENT);
    assert_null(none);
}

#define EACH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(one_by_itself),
        EACH(names_alone),
        EACH(many_share_one),
        EACH(few_are_synced_each),
        EACH(more_from_within),
        EACH(freed_while_they_wait),
        EACH(what_cannot_be_synced),
        EACH(no_directory),
        EACH(names_after_bytes),
        EACH(few_names_are_synced_once),
        EACH(no_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
