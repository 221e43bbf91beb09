/* What hearthd makes of helpers that stand still or end: it waits for none for long, and never takes a late answer for another one. The program runs as a copy of
 * itself, beside a script in the place of hearth-player, which lives until it is ended. */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/util.h"
#include "base/helper.h"
#include "daemon/opener.h"
#include "daemon/spawner_internal.h"

#define PATIENCE_MS 200
#define TRIES 5000 /* of a millisecond at least */
#define CHILDREN_MAX 8

static char dir[64];

/* --- Processes --- */

static size_t own_children(pid_t out[CHILDREN_MAX])
{
    char path[64];
    size_t count = 0;
    (void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)getpid(), (int)getpid());
    FILE *f = fopen(path, "re");
    assert_non_null(f);
    while (count < CHILDREN_MAX && fscanf(f, "%d", &out[count]) == 1)
        count++;
    (void)fclose(f);
    return count;
}

/* Of a program that was started last. */
static pid_t last_child(void)
{
    pid_t all[CHILDREN_MAX];
    size_t count = own_children(all);
    assert_true(count > 0);
    return all[count - 1];
}

static void stand_still(pid_t pid)
{
    siginfo_t info;
    assert_int_equal(kill(pid, SIGSTOP), 0);
    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WSTOPPED | WNOWAIT), 0);
}

static void on_turn(uv_timer_t *timer) { (void)timer; }

/* Turns of the loop, until it holds. The timer keeps the loop alive, as the rest of hearthd does. */
static void turn_until(uv_loop_t *loop, bool (*holds)(void *ctx), void *ctx)
{
    uv_timer_t timer;
    assert_int_equal(uv_timer_init(loop, &timer), 0);
    assert_int_equal(uv_timer_start(&timer, on_turn, 1, 1), 0);
    for (int i = 0; i < TRIES && !holds(ctx); i++)
        (void)uv_run(loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&timer, NULL);
    (void)uv_run(loop, UV_RUN_NOWAIT);
    assert_true(holds(ctx));
}

struct rig {
    uv_loop_t loop;
    struct config config;
    struct spawner *spawner;
    struct child child;
    pid_t pid;
    int status_signal;
    bool lost, ended;
};

static void on_lost(void *ctx) { ((struct rig *)ctx)->lost = true; }
static bool is_lost(void *ctx) { return ((struct rig *)ctx)->lost; }
static bool has_ended(void *ctx) { return ((struct rig *)ctx)->ended; }
static bool goes_on(void *ctx) { return !spawner_stands_still(((struct rig *)ctx)->spawner); }
static bool is_alone(void *ctx)
{
    pid_t all[CHILDREN_MAX];
    (void)ctx;
    return own_children(all) == 1;
}

static void on_exit_of_child(struct child *c, int status, int signal)
{
    struct rig *r = container_of(c, struct rig, child);
    (void)status;
    r->status_signal = signal;
    r->ended = true;
}

static void rig_init(struct rig *r)
{
    *r = (struct rig){ .lost = false };
    assert_int_equal(uv_loop_init(&r->loop), 0);
    assert_int_equal(spawner_new(&r->spawner, &r->config, PATIENCE_MS), 0);
    r->pid = last_child();
    assert_int_equal(spawner_watch(r->spawner, &r->loop, on_lost, r), 0);
}

static void rig_deinit(struct rig *r)
{
    spawner_close(r->spawner);
    (void)uv_run(&r->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&r->loop), 0);
    pid_t all[CHILDREN_MAX];
    assert_int_equal(own_children(all), 0);
}

static int start_player(struct rig *r)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    int result = spawner_start_player(r->spawner, &r->child, pair[0], on_exit_of_child);
    close(pair[0]);
    close(pair[1]);
    return result;
}

/* --- The spawner --- */

static void test_late_start(void **state)
{
    static struct rig r;
    (void)state;
    rig_init(&r);
    stand_still(r.pid);
    assert_int_equal(start_player(&r), -ETIMEDOUT);
    assert_true(spawner_stands_still(r.spawner));
    assert_int_equal(kill(r.pid, SIGCONT), 0);
    turn_until(&r.loop, goes_on, &r);
    turn_until(&r.loop, is_alone, &r); /* the one that came too late is ended, and none is left of it */
    assert_int_equal(start_player(&r), 0);
    assert_int_equal(kill(r.child.pid, 0), 0);
    assert_int_equal(r.child.pid, last_child());
    child_end(&r.child, SIGKILL);
    turn_until(&r.loop, has_ended, &r);
    assert_int_equal(r.status_signal, SIGKILL);
    rig_deinit(&r);
}

/* Without a turn of the loop between, and with more than one answer late. */
static void test_late_answers_are_no_others(void **state)
{
    static struct rig r;
    (void)state;
    rig_init(&r);
    stand_still(r.pid);
    assert_int_equal(start_player(&r), -ETIMEDOUT);
    assert_int_equal(spawner_start_burner(r.spawner, &r.child, "/dev/hearth-none", 77, on_exit_of_child), -EBADF);
    assert_int_equal(start_player(&r), -ETIMEDOUT);
    assert_int_equal(kill(r.pid, SIGCONT), 0);
    while (start_player(&r) != 0)
        assert_true(spawner_stands_still(r.spawner));
    assert_int_equal(r.child.pid, last_child());
    child_end(&r.child, SIGKILL);
    turn_until(&r.loop, has_ended, &r);
    assert_int_equal(r.status_signal, SIGKILL);
    turn_until(&r.loop, is_alone, &r);
    rig_deinit(&r);
}

static void test_late_descriptor(void **state)
{
    static struct rig r;
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    char byte, variable[128];
    (void)state;
    (void)snprintf(a.sun_path, sizeof(a.sun_path), "%s/bus", dir);
    (void)snprintf(variable, sizeof(variable), "unix:path=%s", a.sun_path);
    assert_int_equal(setenv("DBUS_SYSTEM_BUS_ADDRESS", variable, 1), 0);
    int bus CLEANUP(closep) = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(bus, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(bus, 4), 0);
    rig_init(&r);
    stand_still(r.pid);
    assert_int_equal(spawner_connect_bus(r.spawner), -ETIMEDOUT);
    assert_int_equal(kill(r.pid, SIGCONT), 0);
    turn_until(&r.loop, goes_on, &r);
    int connection CLEANUP(closep) = accept(bus, NULL, NULL);
    assert_true(connection >= 0);
    assert_int_equal(read(connection, &byte, 1), 0); /* nobody has the other end */
    rig_deinit(&r);
}

static void test_spawner_ends(void **state)
{
    static struct rig r;
    (void)state;
    rig_init(&r);
    assert_int_equal(kill(r.pid, SIGKILL), 0);
    turn_until(&r.loop, is_lost, &r);
    assert_int_equal(start_player(&r), -EPIPE);
    rig_deinit(&r);
}

/* rig_deinit: it is not waited for, and not left. */
static void test_spawner_that_never_goes_on(void **state)
{
    static struct rig r;
    (void)state;
    rig_init(&r);
    stand_still(r.pid);
    rig_deinit(&r);
}

/* A place among the children that was used before: the number of the one that was there is nobody's by now. */
static void test_failed_start_names_no_other(void **state)
{
    static struct config config;
    struct spawner_request look = { .kind = SPAWNER_BURNER_LOOK, .device = "/bin/sh" };
    struct spawner_request player = { .kind = SPAWNER_PLAYER };
    struct spawner_answer answer;
    struct helper h;
    int theirs, passed;
    (void)state;
    assert_int_equal(helper_fork(&h, sizeof(answer), &theirs), 0);
    if (h.pid == 0)
        spawner_serve(theirs, &config);
    assert_int_equal(
        helper_ask(&h, HELPER_PATIENCE_MS, &player, sizeof(player), &(int){ STDERR_FILENO }, 1, &answer, &passed), 0);
    assert_int_equal(answer.outcome, 0);
    assert_int_equal(kill(answer.pid, SIGKILL), 0);
    assert_int_equal(waitpid(answer.pid, NULL, 0), answer.pid);
    assert_int_equal(helper_ask(&h, HELPER_PATIENCE_MS, &look, sizeof(look), NULL, 0, &answer, &passed), 0);
    assert_int_equal(answer.outcome, -EINVAL);
    assert_int_equal(answer.pid, 0);
    helper_end(&h);
    assert_true(h.ended);
}

/* --- The opener --- */

static void *list_root(void *opener)
{
    static _Thread_local int got;
    int fd CLEANUP(closep) = opener_list(opener, "/");
    got = fd < 0 ? fd : 0;
    return (void *)(intptr_t)got;
}

static void test_opener_stands_still(void **state)
{
    struct opener *opener;
    pthread_t threads[3];
    int none = -1;
    (void)state;
    assert_int_equal(opener_new(&opener, PATIENCE_MS), 0);
    pid_t pid = last_child();
    stand_still(pid);
    for (size_t i = 0; i < ARRAY_COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, list_root, opener), 0);
    for (size_t i = 0; i < ARRAY_COUNT(threads); i++) {
        void *got;
        assert_int_equal(pthread_join(threads[i], &got), 0);
        assert_int_equal((intptr_t)got, -ETIMEDOUT);
    }
    assert_int_equal(kill(pid, SIGCONT), 0);
    int r;
    while ((r = opener_read(opener, "/nonexistent/x.hearth", 0, &none)) == -ETIMEDOUT)
        ;
    assert_int_equal(r, -ENOENT);
    assert_int_equal(opener_remove(opener, "/nonexistent"), -EPERM);
    stand_still(pid);
    opener_free(opener);
    pid_t all[CHILDREN_MAX];
    assert_int_equal(own_children(all), 0);
}

static void test_opener_ends(void **state)
{
    static struct rig r;
    struct opener *opener;
    int none = -1;
    (void)state;
    assert_int_equal(uv_loop_init(&r.loop), 0);
    assert_int_equal(opener_new(&opener, PATIENCE_MS), 0);
    assert_int_equal(opener_watch(opener, &r.loop, on_lost, &r), 0);
    assert_int_equal(kill(last_child(), SIGKILL), 0);
    turn_until(&r.loop, is_lost, &r);
    assert_int_equal(opener_read(opener, "/x.hearth", 0, &none), -EPIPE);
    opener_free(opener);
    (void)uv_run(&r.loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&r.loop), 0);
}

/* What hearthd had open when it was started, below the helper's own socket and above, ends when hearthd closes it. */
static void test_opener_keeps_nothing(void **state)
{
    struct opener *opener;
    int ends[2], above;
    char byte;
    (void)state;
    assert_int_equal(pipe(ends), 0);
    above = fcntl(ends[1], F_DUPFD, 500);
    assert_int_equal(above, 500);
    assert_int_equal(opener_new(&opener, PATIENCE_MS), 0);
    assert_int_equal(opener_remove(opener, "/nonexistent"), -EPERM); /* it has begun */
    close(ends[1]);
    close(above);
    assert_int_equal(poll(&(struct pollfd){ .fd = ends[0], .events = POLLIN }, 1, TRIES), 1);
    assert_int_equal(read(ends[0], &byte, 1), 0);
    close(ends[0]);
    opener_free(opener);
}

/* --- The place --- */

static int run_copy(void)
{
    char command[512], own[128];
    int status;
    (void)snprintf(dir, sizeof(dir), "/tmp/hearth-test-helpers-XXXXXX");
    if (mkdtemp(dir) == NULL)
        return EXIT_FAILURE;
    (void)snprintf(own, sizeof(own), "%s/test", dir);
    (void)snprintf(command, sizeof(command),
                   "cp /proc/%d/exe %s && printf '#!/bin/sh\\nexec sleep 600\\n' >%s/hearth-player && chmod 755 "
                   "%s/hearth-player",
                   (int)getpid(), own, dir, dir);
    if (system(command) != 0 || setenv("HEARTH_TEST_DIR", dir, 1) != 0)
        return EXIT_FAILURE;
    pid_t pid = fork();
    if (pid == 0) {
        (void)execl(own, own, NULL);
        _exit(EXIT_FAILURE);
    }
    if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
        status = -1;
    (void)snprintf(command, sizeof(command), "rm -rf %s", dir);
    return system(command) == 0 && status == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_late_start),
        cmocka_unit_test(test_late_answers_are_no_others),
        cmocka_unit_test(test_late_descriptor),
        cmocka_unit_test(test_spawner_ends),
        cmocka_unit_test(test_spawner_that_never_goes_on),
        cmocka_unit_test(test_failed_start_names_no_other),
        cmocka_unit_test(test_opener_stands_still),
        cmocka_unit_test(test_opener_ends),
        cmocka_unit_test(test_opener_keeps_nothing),
    };
    if (getenv("HEARTH_TEST_DIR") == NULL)
        return run_copy();
    (void)snprintf(dir, sizeof(dir), "%s", getenv("HEARTH_TEST_DIR"));
    return cmocka_run_group_tests_name("helpers", tests, NULL, NULL);
}
