/* Opening: modes, versions, migrations that fail, damage, read-only readers, backups. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "household.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/util.h"
#include "../base/recorded-syncs.h"

static void expect_open(const struct store_schema *schema, int outcome)
{
    struct store *s = NULL;
    int r = store_open(&s, household_path(), schema);
    assert_int_equal(r, outcome);
    if (r == 0)
        store_close(s);
    else
        assert_null(s);
}

static void test_private(void **state)
{
    (void)state;
    struct store *s CLEANUP(store_closep) = household_open();
    assert_int_equal(household_add_room(s, "attic", 2), 0);
    static const char *const suffixes[] = { "", "-wal", "-shm" };
    for (size_t i = 0; i < ARRAY_COUNT(suffixes); i++) {
        char path[160];
        struct stat st;
        snprintf(path, sizeof(path), "%s%s", household_path(), suffixes[i]);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
    }
}

static void test_mode_is_narrowed(void **state)
{
    (void)state;
    struct store_schema schema = household_schema(0);
    expect_open(&schema, 0);
    assert_int_equal(chmod(household_path(), 0644), 0);
    expect_open(&schema, 0);
    struct stat st;
    assert_int_equal(stat(household_path(), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void test_versions(void **state)
{
    (void)state;
    struct store_schema newest = household_schema(0), older = newest;
    older.migration_count = 1;
    older.statement_count = FIND_ROOM + 1;
    expect_open(&older, 0);
    expect_open(&older, 0);
    expect_open(&newest, 0);
    expect_open(&older, STORE_NEWER);
    struct store *s CLEANUP(store_closep) = household_open(); /* what the first migration stored is still there */
    assert_int_equal(household_add_room(s, "hall", 1), STORE_CONFLICT);
}

/* The failing script's first statement must not stay behind. */
static void test_failed_migration(void **state)
{
    (void)state;
    static const char *const broken[] = {
        "CREATE TABLE room (name TEXT PRIMARY KEY, floor INTEGER NOT NULL) STRICT;",
        "CREATE TABLE lamp (id INTEGER PRIMARY KEY); INSERT INTO nowhere VALUES (1);",
    };
    static const char *const conflicting[] = {
        "CREATE TABLE room (name TEXT PRIMARY KEY, floor INTEGER NOT NULL) STRICT;",
        "INSERT INTO room VALUES ('hall', 1), ('hall', 2);",
    };
    struct store_schema schema = household_schema(0);
    schema.migrations = broken;
    expect_open(&schema, -EINVAL);
    schema.migrations = conflicting;
    expect_open(&schema, -EUCLEAN);
    struct store *s CLEANUP(store_closep) = household_open();
    assert_int_equal(household_add_lamp(s, "desk", NULL), 0);
}

static void test_statement_must_fit(void **state)
{
    (void)state;
    static const char *const wrong[] = { "SELECT absent FROM room" };
    struct store_schema schema = household_schema(0);
    schema.statements = wrong;
    schema.statement_count = 1;
    expect_open(&schema, -EINVAL);
    static const char *const quoted[] = { "SELECT \"absent\" FROM room" }; /* not taken for a string */
    schema.statements = quoted;
    expect_open(&schema, -EINVAL);
}

static void test_refused_files(void **state)
{
    (void)state;
    struct store_schema schema = household_schema(0);
    assert_int_equal(mkdir(household_path(), 0700), 0);
    expect_open(&schema, -EISDIR);
    assert_int_equal(rmdir(household_path()), 0);
    assert_int_equal(symlink("/dev/null", household_path()), 0);
    expect_open(&schema, -ELOOP);
    assert_int_equal(unlink(household_path()), 0);
    assert_int_equal(mkfifo(household_path(), 0600), 0);
    expect_open(&schema, -EINVAL);
    assert_int_equal(unlink(household_path()), 0);
    struct store *s = NULL;
    assert_int_equal(store_open(&s, "/nowhere/at/all.db", &schema), -ENOENT);
}

static void overwrite(uint64_t offset, size_t len)
{
    static const uint8_t junk[8192] = { 0x5a, 0x5a, 0x5a };
    int fd CLEANUP(closep) = open(household_path(), O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(file_pwrite_all(fd, junk, len, offset), 0);
}

static void test_damage(void **state)
{
    (void)state;
    struct store *s = household_open();
    struct query q = query(s, FILL);
    for (int i = 0; i < 3; i++)
        assert_int_equal(query_run(&q), 0);
    query_end(&q);
    assert_int_equal(store_verify(s), 0);
    store_close(s);

    overwrite(3 * 4096, 8192);
    struct store_schema schema = household_schema(0);
    s = NULL;
    int r = store_open(&s, household_path(), &schema);
    if (r == 0)
        r = store_verify(s);
    assert_int_equal(r, -EUCLEAN);
    store_close(s);

    overwrite(0, 100);
    expect_open(&schema, -EUCLEAN);
}

static void test_broken_reference(void **state)
{
    (void)state;
    static const char *const unchecked[] = { "PRAGMA foreign_keys = OFF",
                                             "INSERT INTO lamp (name, room) VALUES ('x', 'y')" };
    struct store_schema schema = household_schema(0);
    schema.statements = unchecked;
    schema.statement_count = 2;
    struct store *s CLEANUP(store_closep) = NULL;
    assert_int_equal(store_open(&s, household_path(), &schema), 0);
    assert_int_equal(store_run(s, 0), 0);
    assert_int_equal(store_verify(s), 0);
    assert_int_equal(store_run(s, 1), 0);
    assert_int_equal(store_verify(s), -EUCLEAN);
}

/* Whoever can write the file has no statement of his own run with ours. */
static void test_own_schema(void **state)
{
    (void)state;
    static const struct {
        const char *change, *back;
    } cases[] = {
        { "CREATE TRIGGER stays AFTER INSERT ON room BEGIN DELETE FROM room; END", "DROP TRIGGER stays" },
        { "CREATE VIEW v AS SELECT * FROM room", "DROP VIEW v" },
        { "CREATE TABLE more (a)", "DROP TABLE more" },
        { "CREATE UNIQUE INDEX one ON lamp (room)", "DROP INDEX one" },
        { "ALTER TABLE room ADD COLUMN more INTEGER DEFAULT 3", "ALTER TABLE room DROP COLUMN more" },
        { "ANALYZE", NULL }, /* that may be */
    };
    struct store_schema own = household_schema(STORE_OWN_SCHEMA);
    expect_open(&own, 0);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        const char *statements[] = { cases[i].change, "SELECT 1" };
        struct store_schema open = household_schema(0);
        open.statements = statements;
        open.statement_count = 1;
        struct store *s = NULL;
        assert_int_equal(store_open(&s, household_path(), &open), 0);
        assert_int_equal(store_run(s, 0), 0);
        store_close(s);
        expect_open(&own, cases[i].back ? -EUCLEAN : 0);
        if (!cases[i].back)
            continue;
        statements[0] = cases[i].back;
        assert_int_equal(store_open(&s, household_path(), &open), 0);
        assert_int_equal(store_run(s, 0), 0);
        store_close(s);
        expect_open(&own, 0);
    }
}

static void test_read_only(void **state)
{
    (void)state;
    struct store_schema reading = household_schema(STORE_READ_ONLY), older = household_schema(0);
    expect_open(&reading, -ENOENT);
    assert_int_equal(access(household_path(), F_OK), -1);

    older.migration_count = 1;
    older.statement_count = FIND_ROOM + 1;
    expect_open(&older, 0);
    expect_open(&reading, -ESTALE);

    struct store *writer CLEANUP(store_closep) = household_open();
    struct store *reader CLEANUP(store_closep) = NULL;
    assert_int_equal(store_open(&reader, household_path(), &reading), 0);
    assert_int_equal(household_add_lamp(writer, "desk", NULL), 0);
    assert_int_equal(household_lamp_count(reader), 1);
    assert_int_equal(household_add_lamp(reader, "floor", NULL), -EROFS);
}

static void test_memory(void **state)
{
    (void)state;
    struct store_schema schema = household_schema(0);
    struct store *s CLEANUP(store_closep) = NULL;
    assert_int_equal(store_open(&s, ":memory:", &schema), 0);
    assert_int_equal(household_add_lamp(s, "desk", "hall"), 0);
    assert_int_equal(access(":memory:", F_OK), -1);
}

static void test_backup(void **state)
{
    (void)state;
    char copy[128];
    snprintf(copy, sizeof(copy), "%s/copy.db", household_dir);
    struct store *s CLEANUP(store_closep) = household_open();
    assert_int_equal(household_add_lamp(s, "desk", "hall"), 0);
    record_syncs_anew();
    assert_int_equal(store_backup(s, copy), 0);
    size_t syncs = strlen(recorded_syncs);
    assert_true(syncs >= 2 && strcmp(recorded_syncs + syncs - 2, "FD") == 0); /* its bytes, then its name */
    assert_int_equal(store_backup(s, copy), -EEXIST);
    struct stat st;
    assert_int_equal(stat(copy, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(household_add_lamp(s, "later", "hall"), 0);

    struct store_schema schema = household_schema(0);
    struct store *restored = NULL;
    assert_int_equal(store_open(&restored, copy, &schema), 0);
    assert_int_equal(household_lamp_count(restored), 1);
    assert_int_equal(store_verify(restored), 0);
    store_close(restored);
    assert_int_equal(store_backup(s, "/nowhere/copy.db"), -ENOENT);
}

static void test_checkpoint(void **state)
{
    (void)state;
    struct store_schema schema = household_schema(STORE_NO_AUTO_CHECKPOINT);
    struct store *s CLEANUP(store_closep) = NULL, *other CLEANUP(store_closep) = NULL;
    assert_int_equal(store_open(&s, household_path(), &schema), 0);
    assert_int_equal(store_open(&other, household_path(), &schema), 0);
    struct stat before, after;
    assert_int_equal(stat(household_path(), &before), 0);
    struct query q = query(s, FILL);
    for (int i = 0; i < 60; i++) /* 6 MB: beyond SQLite's own mark of 1000 pages */
        assert_int_equal(query_run(&q), 0);
    query_end(&q);
    assert_int_equal(stat(household_path(), &after), 0);
    assert_int_equal(after.st_size, before.st_size);
    uint64_t log_pages = 0;
    assert_int_equal(store_checkpoint(other, &log_pages), 0);
    assert_true(log_pages > 1000);
    assert_int_equal(stat(household_path(), &after), 0);
    assert_true(after.st_size > 6000000);
    assert_int_equal(household_add_lamp(s, "later", NULL), 0); /* begins the log anew */
    assert_int_equal(store_checkpoint(other, &log_pages), 0);
    assert_true(log_pages < 10);
}

/* Locks on a file belong to the process, and closing any descriptor of it drops them all: whoever opens a database twice must not lose
 * the first one's. Otherwise another process that closes it takes itself for the last and deletes the write-ahead log under our feet. */
static void test_locks_survive_a_second_connection(void **state)
{
    (void)state;
    struct store *first CLEANUP(store_closep) = household_open();
    assert_int_equal(household_add_room(first, "attic", 2), 0);
    struct store *second CLEANUP(store_closep) = household_open();
    char wal[160];
    struct stat before, after;
    snprintf(wal, sizeof(wal), "%s-wal", household_path());
    assert_int_equal(stat(wal, &before), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        execl("/proc/self/exe", "test-open", "--open-and-close", household_path(), (char *)NULL);
        _exit(127);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(stat(wal, &after), 0);
    assert_int_equal(after.st_ino, before.st_ino);
    assert_int_equal(household_add_room(second, "cellar", -1), 0);
}

static int open_and_close(const char *path)
{
    struct store_schema schema = household_schema(0);
    struct store *s;
    if (store_open(&s, path, &schema) != 0)
        return 1;
    int r = household_add_room(s, "kitchen", 0);
    store_close(s);
    return r != 0;
}

#define EACH(test) cmocka_unit_test_setup_teardown(test, household_setup, household_teardown)

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--open-and-close") == 0)
        return open_and_close(argv[2]);
    const struct CMUnitTest tests[] = {
        EACH(test_private),
        EACH(test_mode_is_narrowed),
        EACH(test_versions),
        EACH(test_failed_migration),
        EACH(test_statement_must_fit),
        EACH(test_refused_files),
        EACH(test_damage),
        EACH(test_broken_reference),
        EACH(test_own_schema),
        EACH(test_read_only),
        EACH(test_memory),
        EACH(test_backup),
        EACH(test_checkpoint),
        EACH(test_locks_survive_a_second_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
