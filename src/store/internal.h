/* Shared by the files of this layer only. */
#ifndef STORE_INTERNAL_H
#define STORE_INTERNAL_H

#include <sqlite3.h>

#include "store/store.h"

/* Statements of this layer, prepared behind the program's. */
enum own_statement {
    OWN_BEGIN,
    OWN_BEGIN_READ,
    OWN_COMMIT,
    OWN_ROLLBACK,
    OWN_SAVE,
    OWN_RELEASE,
    OWN_UNDO,
    OWN_OUTSIDE_VERSION,
    OWN_COUNT
};

struct store {
    sqlite3 *db;
    const struct store_schema *schema;
    sqlite3_stmt **statements; /* statement_count of them */
    bool *in_use;              /* by a query; statement_count of them */
    sqlite3_stmt *own[OWN_COUNT];
};

/* An extended SQLite code as an outcome of store.h; SQLITE_OK, ROW and DONE are 0. Stops the program when a sync
 * failed. db may be NULL. */
int store_outcome(sqlite3 *db, int code) MUST_USE;
/* Runs SQL text that takes no values. */
int store_exec(sqlite3 *db, const char *sql) MUST_USE;
/* Prepares the one statement in sql. */
int store_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **out) MUST_USE;

/* schema.c: brings db to schema's newest version. 0, STORE_NEWER, -ESTALE (read-only and older), -errno. */
int schema_migrate(sqlite3 *db, const struct store_schema *schema) MUST_USE;

#endif
