/* Migrations of a SQLite database: which version a database has, and the way to the newest. Not what the tables mean. */
#define LOG_MODULE "store"
#include <stdlib.h>

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
