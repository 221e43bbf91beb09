/* The database that the tests of this layer share. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "household.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/util.h"

const char *const household_migrations[] = {
    "CREATE TABLE room (name TEXT PRIMARY KEY, floor INTEGER NOT NULL CHECK (floor >= -1)) STRICT, WITHOUT ROWID;"
    "INSERT INTO room VALUES ('hall', 0);",
    "CREATE TABLE lamp (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,"
    " room TEXT REFERENCES room DEFERRABLE INITIALLY DEFERRED, code BLOB) STRICT;",
};

const char *const household_statements[] = {
    [ADD_ROOM] = "INSERT INTO room (name, floor) VALUES (?1, ?2)",
    [FIND_ROOM] = "SELECT floor FROM room WHERE name = ?1",
    [ADD_LAMP] = "INSERT INTO lamp (name, room, code) VALUES (?1, ?2, ?3)",
    [COUNT_LAMPS] = "SELECT count(*) FROM lamp",
    [LIST_LAMPS] = "SELECT id, name, room, code FROM lamp ORDER BY id",
    [ANY_VALUE] = "SELECT ?1",
    [LIMIT_PAGES] = "PRAGMA max_page_count = 40",
    [FILL] = "INSERT INTO lamp (name, code) VALUES (hex(randomblob(8)), randomblob(100000))",
    [ADD_OR_UNDO] = "INSERT OR ROLLBACK INTO lamp (name) VALUES (?1)",
};
_Static_assert(ARRAY_COUNT(household_statements) == STATEMENT_COUNT, "one text a statement");

struct store_schema household_schema(unsigned flags)
{
    return (struct store_schema){ household_migrations, HOUSEHOLD_VERSION, household_statements, STATEMENT_COUNT, flags,
                                  .busy_ms = 50 };
}

char household_dir[64];

const char *household_path(void)
{
    static char path[128];
    snprintf(path, sizeof(path), "%s/h.db", household_dir);
    return path;
}

int household_setup(void **state)
{
    (void)state;
    strcpy(household_dir, "/tmp/hearth-test-XXXXXX");
    return mkdtemp(household_dir) ? 0 : -1;
}

int household_teardown(void **state)
{
    (void)state;
    static const char *const names[] = { "h.db", "h.db-wal", "h.db-shm", "copy.db" };
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        char path[128];
        snprintf(path, sizeof(path), "%s/%s", household_dir, names[i]);
        unlink(path);
    }
    return rmdir(household_dir);
}

struct store *household_open(void)
{
    static struct store_schema schema; /* borrowed by the store */
    schema = household_schema(0);
    struct store *s = NULL;
    assert_int_equal(store_open(&s, household_path(), &schema), 0);
    assert_non_null(s);
    return s;
}

int household_add_room(struct store *s, const char *name, int64_t floor)
{
    struct query q CLEANUP(query_end) = query(s, ADD_ROOM);
    query_bind_text(&q, 1, name);
    query_bind_i64(&q, 2, floor);
    return query_run(&q);
}

int household_add_lamp(struct store *s, const char *name, const char *room)
{
    struct query q CLEANUP(query_end) = query(s, ADD_LAMP);
    query_bind_text(&q, 1, name);
    query_bind_text(&q, 2, room);
    query_bind_null(&q, 3);
    return query_run(&q);
}

int64_t household_lamp_count(struct store *s)
{
    struct query q CLEANUP(query_end) = query(s, COUNT_LAMPS);
    assert_int_equal(query_one(&q), 0);
    return query_i64(&q, 0);
}
