/* Migrations of a SQLite database: which version a database has, and the way to the newest. Not what the tables mean. */
#define LOG_MODULE "store"
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "store/sqlite.h"

static int read_version(sqlite3 *db, int *version)
{
    sqlite3_stmt *statement = NULL;
    int r = sqlite_prepare(db, "PRAGMA user_version", &statement);
    if (r != 0)
        return r;
    int code = sqlite3_step(statement);
    r = sqlite_outcome(db, code);
    if (r == 0)
        *version = sqlite3_column_int(statement, 0);
    sqlite3_finalize(statement);
    return r;
}

/* One step inside a transaction that is open. *at_newest is set when nothing was left to do. */
static int migrate_one(sqlite3 *db, const struct store_schema *schema, bool *at_newest)
{
    int version = 0;
    int r = read_version(db, &version); /* under the write lock: another process may just have migrated */
    if (r != 0)
        return r;
    if (version < 0)
        return -EUCLEAN;
    if ((unsigned)version > schema->migration_count)
        return STORE_NEWER;
    *at_newest = (unsigned)version == schema->migration_count;
    if (*at_newest)
        return 0;
    r = sqlite_run_script(db, "PRAGMA defer_foreign_keys=ON"); /* a script may rebuild a table others refer to */
    if (r == 0)
        r = sqlite_run_script(db, schema->migrations[version]);
    if (r == 0) {
        char pragma[64];
        sqlite3_snprintf(sizeof(pragma), pragma, "PRAGMA user_version=%d", version + 1);
        r = sqlite_run_script(db, pragma);
    }
    if (r != 0) {
        log_error("migration failed: from=%d outcome=%d", version, r);
        return r > 0 ? -EUCLEAN : r; /* existing rows break the new schema's constraints */
    }
    return 0;
}

int schema_migrate(sqlite3 *db, const struct store_schema *schema)
{
    int version = 0;
    int r = read_version(db, &version);
    if (r != 0)
        return r;
    if (version >= 0 && (unsigned)version == schema->migration_count)
        return 0; /* the usual case takes no write lock */
    if (version >= 0 && (unsigned)version > schema->migration_count)
        return STORE_NEWER;
    if (schema->flags & STORE_READ_ONLY)
        return -ESTALE;
    for (bool at_newest = false; !at_newest;) {
        r = sqlite_run_script(db, "BEGIN IMMEDIATE");
        if (r != 0)
            return r;
        r = migrate_one(db, schema, &at_newest);
        if (r == 0) {
            r = sqlite_run_script(db, "COMMIT");
            r = r > 0 ? -EUCLEAN : r;
        }
        if (r != 0) {
            if (!sqlite3_get_autocommit(db))
                sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
            return r;
        }
    }
    return 0;
}

/* --- Nothing else -------------------------------------------------------------------------------------------------- */

/* Spaces and quotes aside: what SQLite itself writes of an altered table may differ in them from version to version. */
static bool same_sql(const char *a, const char *b)
{
    static const char ignored[] = " \t\r\n\"";
    for (;; a++, b++) {
        a += strspn(a, ignored);
        b += strspn(b, ignored);
        if (*a != *b || *a == '\0')
            return *a == *b;
    }
}

static const char *text_of(sqlite3_stmt *row, int column)
{
    const unsigned char *text = sqlite3_column_text(row, column);
    return text ? (const char *)text : "";
}

static int compare(sqlite3_stmt *theirs, sqlite3_stmt *ours)
{
    for (;;) {
        int a = sqlite3_step(theirs), b = sqlite3_step(ours);
        if (a == SQLITE_DONE && b == SQLITE_DONE)
            return 0;
        bool same = a == SQLITE_ROW && b == SQLITE_ROW;
        for (int column = 0; same && column < 4; column++)
            same = same_sql(text_of(theirs, column), text_of(ours, column));
        if (same)
            continue;
        log_error("the database holds what is not ours, or lacks what is: name=%s",
                  a == SQLITE_ROW ? text_of(theirs, 1) : "?");
        return -EUCLEAN;
    }
}

static int make_own(sqlite3 *db, const struct store_schema *schema)
{
    int r = 0;
    for (unsigned i = 0; r == 0 && i < schema->migration_count; i++)
        r = sqlite_run_script(db, schema->migrations[i]);
    return r > 0 ? -EUCLEAN : r;
}

int schema_judge(sqlite3 *db, const struct store_schema *schema)
{
    static const char all[] = "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name NOT GLOB 'sqlite_stat*'"
                              " ORDER BY type, name";
    sqlite3 *own = NULL;
    sqlite3_stmt *theirs = NULL, *ours = NULL;
    int r = sqlite_outcome(own, sqlite3_open(":memory:", &own));
    if (r == 0)
        r = make_own(own, schema);
    if (r == 0)
        r = sqlite_prepare(db, all, &theirs);
    if (r == 0)
        r = sqlite_prepare(own, all, &ours);
    if (r == 0)
        r = compare(theirs, ours);
    sqlite3_finalize(theirs);
    sqlite3_finalize(ours);
    sqlite3_close(own);
    return r;
}
