/* The end of a move to PostgreSQL, killed before each of its steps: the embedded database, wherever it lies then, says that it has moved, and the same call goes on. Whoever
 * had it open before was killed as well: the mark is in its log alone. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "base/util.h"
#include "distributor/database.h"
#include "distributor/database_move.h"

#define TO "postgresql:host=/nowhere dbname=there"
#define STEPS_MAX 32

int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);
int __real_mkdir(const char *path, mode_t mode);
int __wrap_mkdir(const char *path, mode_t mode);
int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __real_sqlite3_wal_checkpoint_v2(sqlite3 *db, const char *name, int mode, int *log, int *done);
int __wrap_sqlite3_wal_checkpoint_v2(sqlite3 *db, const char *name, int mode, int *log, int *done);
int __real_sqlite3_close(sqlite3 *db);
int __wrap_sqlite3_close(sqlite3 *db);

static int left = -1; /* steps until the kill; -1: none */

static void step(void)
{
    if (left == 0)
        _exit(0);
    if (left > 0)
        left--;
}

int __wrap_rename(const char *from, const char *to)
{
    step();
    return __real_rename(from, to);
}

int __wrap_mkdir(const char *path, mode_t mode)
{
    step();
    return __real_mkdir(path, mode);
}

int __wrap_fsync(int fd)
{
    step();
    return __real_fsync(fd);
}

int __wrap_fdatasync(int fd)
{
    step();
    return __real_fdatasync(fd);
}

int __wrap_sqlite3_wal_checkpoint_v2(sqlite3 *db, const char *name, int mode, int *log, int *done)
{
    step();
    return __real_sqlite3_wal_checkpoint_v2(db, name, mode, log, done);
}

int __wrap_sqlite3_close(sqlite3 *db)
{
    step();
    return __real_sqlite3_close(db);
}

static char dir[64];

static int in_child(void (*what)(void))
{
    int status;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        what();
        _exit(1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* Ends without closing it. */
static void make_database(void)
{
    char path[128];
    sqlite3 *db;
    (void)snprintf(path, sizeof(path), "%s/operations.db", dir);
    if (sqlite3_open(path, &db) != SQLITE_OK ||
        sqlite3_exec(db, "PRAGMA journal_mode=WAL; CREATE TABLE setting (name TEXT, value TEXT)", NULL, NULL, NULL) !=
            SQLITE_OK ||
        __real_sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL) != SQLITE_OK ||
        sqlite3_exec(db, "PRAGMA wal_autocheckpoint=0; INSERT INTO setting VALUES ('moved-to', '" TO "')", NULL, NULL,
                     NULL) != SQLITE_OK)
        _exit(1);
    _exit(0);
}

static int64_t now_ms = 1000;

static int end_move(char aside[256]) { return database_move_end(dir, TO, now_ms++, aside, 256); }

static void end_and_die(void)
{
    char aside[256];
    if (end_move(aside) == 0)
        _exit(2); /* it was not killed */
}

/* The one that there is in the directory of the state, or in one beside; how many there are. */
static unsigned find_databases(char out[512])
{
    unsigned count = 0;
    char path[512];
    DIR *all = opendir(dir);
    assert_non_null(all);
    for (struct dirent *e; (e = readdir(all)) != NULL;) {
        if (strcmp(e->d_name, "..") == 0)
            continue;
        (void)snprintf(path, sizeof(path), "%s/%s/operations.db", dir, e->d_name);
        if (access(path, F_OK) != 0)
            continue;
        memcpy(out, path, sizeof(path));
        count++;
    }
    closedir(all);
    return count;
}

static void check_mark(const char *path)
{
    sqlite3 *db;
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT value FROM setting WHERE name = 'moved-to'", -1, &statement, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    assert_string_equal((const char *)sqlite3_column_text(statement, 0), TO);
    sqlite3_finalize(statement);
    __real_sqlite3_close(db);
}

static void fresh_state(void)
{
    (void)snprintf(dir, sizeof(dir), "/tmp/hearth-test-move-XXXXXX");
    assert_non_null(mkdtemp(dir));
    assert_int_equal(in_child(make_database), 0);
}

static void remove_state(void)
{
    char command[128];
    (void)snprintf(command, sizeof(command), "rm -rf %s", dir);
    assert_int_equal(system(command), 0);
}

/* What whoever copies the file alone, or has lost its log, would find. */
static void forget_log(const char *path)
{
    char log[544];
    (void)snprintf(log, sizeof(log), "%s-wal", path);
    (void)unlink(log);
}

static void test_killed_at_each_step(void **state)
{
    char path[512], aside[256];
    int steps = 0;
    (void)state;
    for (bool ended = false; !ended; steps++) {
        assert_true(steps < STEPS_MAX);
        fresh_state();
        left = steps;
        ended = in_child(end_and_die) == 2;
        left = -1;
        now_ms++; /* as for the child */
        assert_int_equal(find_databases(path), 1);
        if (strstr(path, "moved-") != NULL) {
            forget_log(path);
            check_mark(path);
        }
        assert_int_equal(end_move(aside), 0);
        assert_int_equal(find_databases(path), 1);
        assert_non_null(strstr(path, "moved-"));
        forget_log(path);
        check_mark(path);
        remove_state();
    }
    print_message("%d steps\n", steps - 1);
    assert_true(steps > 6);
}

static void test_nothing_to_move(void **state)
{
    char aside[256];
    (void)state;
    fresh_state();
    assert_int_equal(end_move(aside), 0);
    assert_string_not_equal(aside, "");
    assert_int_equal(end_move(aside), 0);
    assert_string_equal(aside, "");
    remove_state();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_killed_at_each_step),
        cmocka_unit_test(test_nothing_to_move),
    };
    return cmocka_run_group_tests_name("move-end", tests, NULL, NULL);
}
