/* Which rows a statement reads or changes: never fewer than it does. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "store/pg_reach.h"

static const char *const migrations[] = {
    "CREATE TABLE lamp (name TEXT, room TEXT); CREATE TABLE IF NOT EXISTS room (name TEXT);",
    "CREATE TABLE lamp_new (name TEXT); ALTER TABLE lamp_new RENAME TO light; CREATE INDEX i ON room (name);",
};

/* reached: tables that are named; then, when one is certain, "=" and that one; then its conditions. */
static const struct {
    const char *name, *sql, *reached;
} cases[] = {
    { "one row", "SELECT a FROM lamp WHERE name = $2", "lamp=lamp name=$2" },
    { "several conditions", "SELECT a FROM lamp AS l WHERE l.name = $1 AND b > $2 AND \"user\" = $3 ORDER BY a",
      "lamp=lamp name=$1 user=$3" },
    { "no condition", "SELECT count(*) FROM lamp", "lamp=lamp" },
    { "or", "SELECT a FROM lamp WHERE name = $1 OR b = $2", "lamp=lamp" },
    { "or inside", "SELECT a FROM lamp WHERE name = $1 AND (b = $2 OR c = $3) LIMIT 1", "lamp=lamp name=$1" },
    { "not", "SELECT a FROM lamp WHERE NOT name = $1", "lamp=lamp" },
    { "between", "SELECT a FROM lamp WHERE a BETWEEN b AND name = $1", "lamp=lamp" },
    { "more than a parameter", "SELECT a FROM lamp WHERE name = $1 || 'x' AND b = $2 + 1", "lamp=lamp" },
    { "not equal", "SELECT a FROM lamp WHERE a <= $1 AND b IS NOT DISTINCT FROM $2", "lamp=lamp" },
    { "distinct from before", "SELECT a IS DISTINCT FROM b FROM lamp WHERE name = $1", "lamp=lamp name=$1" },
    { "a list", "SELECT a FROM lamp l, room r WHERE l.name = $1", "lamp room" },
    { "a join", "SELECT a FROM lamp JOIN room ON true WHERE lamp.name = $1", "lamp room" },
    { "a subquery", "SELECT a FROM lamp WHERE name = $1 AND b IN (SELECT c FROM room)", "lamp room" },
    { "a column of a table's name", "SELECT room FROM lamp WHERE name = $1", "lamp room=lamp name=$1" },
    { "a text is no name", "SELECT 'room', 'FROM room' FROM lamp WHERE name = $1", "lamp=lamp name=$1" },
    { "recursion", "WITH RECURSIVE m (a) AS (SELECT a FROM lamp WHERE name = $1) SELECT a FROM m", "lamp" },
    { "a union", "SELECT a FROM lamp WHERE name = $1 UNION ALL SELECT b FROM room", "lamp room" },
    { "a renamed table", "SELECT a FROM light WHERE name = $1", "light=light name=$1" },
    { "insert", "INSERT INTO lamp (name, a, room) VALUES ($3, 1, $1)", "!lamp room=lamp name=$3 room=$1" },
    { "insert an expression", "INSERT INTO lamp (name, a) VALUES (lower($1), coalesce($2, $3))", "!lamp=lamp" },
    { "insert rows", "INSERT INTO lamp (name) VALUES ($1), ($2)", "!lamp=lamp" },
    { "insert from", "INSERT INTO lamp (name, a) SELECT $1, max(a) FROM lamp", "!lamp=lamp" },
    { "insert or not", "INSERT INTO lamp (name, a) VALUES ($1, $2) ON CONFLICT DO NOTHING", "!lamp=lamp name=$1 a=$2" },
    { "upsert", "INSERT INTO lamp (name, a, b) VALUES ($1, $2, $3) ON CONFLICT (name) DO UPDATE SET a = excluded.a",
      "!lamp=lamp name=$1" },
    { "upsert that moves",
      "INSERT INTO lamp (name, a) VALUES ($1, $2) ON CONFLICT (name, a) DO UPDATE SET a = lamp.a + 1",
      "!lamp=lamp name=$1" },
    { "update", "UPDATE lamp SET a = $1 WHERE name = $2 AND a = $3 RETURNING a", "!lamp=lamp name=$2" },
    { "update by others", "UPDATE lamp SET a = $1 WHERE name = $2 AND b IN (SELECT name FROM room)",
      "!lamp room=lamp name=$2" },
    { "update all", "UPDATE lamp SET a = $1", "!lamp=lamp" },
    { "update several", "UPDATE lamp SET (a, name) = ($1, $2) WHERE name = $3 AND b = $4", "!lamp=lamp b=$4" },
    { "delete", "DELETE FROM lamp WHERE name = $1", "!lamp=lamp name=$1" },
    { "delete some", "DELETE FROM lamp WHERE name >= $1", "!lamp=lamp" },
    { "no table of ours", "SELECT 1", "" },
    { "unfinished", "SELECT a FROM lamp WHERE name = ", "lamp=lamp" },
    { "unbalanced", "INSERT INTO lamp (name VALUES ($1", "!lamp=lamp" },
};

static void describe(const struct pg_tables *names, const struct pg_reach *r, char *out, size_t cap)
{
    int len = snprintf(out, cap, "%s", r->changes ? "!" : "");
    const char *between = "";
    for (unsigned i = 0; i < names->tables.count; i++) {
        if (!pg_set_has(&r->tables, i))
            continue;
        len += snprintf(out + len, cap - (size_t)len, "%s%s", between, names->tables.names[i]);
        between = " ";
    }
    if (r->table >= 0)
        len += snprintf(out + len, cap - (size_t)len, "=%s", names->tables.names[r->table]);
    for (unsigned i = 0; i < r->count; i++)
        len += snprintf(out + len, cap - (size_t)len, " %s=$%d", names->columns.names[r->rows[i].column],
                        r->rows[i].parameter);
}

static void each_reaches_what_it_says(void **state)
{
    (void)state;
    struct pg_tables names;
    assert_int_equal(pg_tables_of(migrations, ARRAY_COUNT(migrations), &names), 0);
    assert_int_equal(names.tables.count, 4);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct pg_reach r;
        char reached[256];
        assert_int_equal(pg_reach_of(cases[i].sql, &names, &r), 0);
        describe(&names, &r, reached, sizeof(reached));
        if (strcmp(reached, cases[i].reached) != 0)
            fail_msg("%s: %s instead of %s", cases[i].name, reached, cases[i].reached);
    }
    pg_tables_free(&names);
}

/* Every statement cut anywhere: nothing worse than less that is certain. */
static void cut_anywhere(void **state)
{
    (void)state;
    struct pg_tables names;
    assert_int_equal(pg_tables_of(migrations, ARRAY_COUNT(migrations), &names), 0);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        for (size_t len = 0; len < strlen(cases[i].sql); len++) {
            char sql[256];
            struct pg_reach r;
            snprintf(sql, sizeof(sql), "%.*s", (int)len, cases[i].sql);
            assert_int_equal(pg_reach_of(sql, &names, &r), 0);
            assert_true(r.table < (int)names.tables.count && r.count <= PG_COLUMNS_MAX);
        }
    }
    pg_tables_free(&names);
}

static void too_many_tables(void **state)
{
    (void)state;
    static char script[PG_TABLES_MAX * 24 + 64];
    const char *scripts[] = { script };
    struct pg_tables names;
    size_t len = 0;
    for (unsigned i = 0; i <= PG_TABLES_MAX; i++)
        len += (size_t)snprintf(script + len, sizeof(script) - len, "CREATE TABLE t%u;", i);
    assert_int_equal(pg_tables_of(scripts, 1, &names), -E2BIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_reaches_what_it_says),
        cmocka_unit_test(cut_anywhere),
        cmocka_unit_test(too_many_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
