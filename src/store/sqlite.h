/* Shared by the files of the SQLite implementation only. */
#ifndef STORE_SQLITE_H
#define STORE_SQLITE_H

#include <sqlite3.h>

#include "store/internal.h"

struct sqlite_store {
    struct store base; /* first */
    sqlite3 *db;
    sqlite3_stmt **statements; /* statement_count of them */
    sqlite3_stmt *own[OWN_COUNT], *data_version;
    const struct store_sum *sum_by; /* NULL: not followed (yet) */
    struct buf sum_row;             /* the one that is hashed */
    struct sum {                    /* undone with the transaction, or with a savepoint */
        uint8_t bytes[STORE_SUM_BYTES];
        bool changed;
        int failure;
    } sum;
};
static inline struct sqlite_store *sqlite_of(struct store *s) { return (struct sqlite_store *)s; }

/* An extended SQLite code as an outcome of store.h; SQLITE_OK, ROW and DONE are 0. Stops the program when a sync
 * failed. db may be NULL. */
int sqlite_outcome(sqlite3 *db, int code) MUST_USE;
/* Runs SQL text that takes no values. */
int sqlite_run_script(sqlite3 *db, const char *sql) MUST_USE;
/* Prepares the one statement in sql. */
int sqlite_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **out) MUST_USE;

/* sum_sqlite.c. Before statements are prepared. */
void sqlite_sum_watch(struct sqlite_store *s);
int sqlite_sum_seal(struct store *store); /* as in struct store_driver */

/* query_sqlite.c: as in struct store_driver. */
int sqlite_bind(struct store *store, unsigned statement, int parameter, const struct value *v);
int sqlite_step(struct store *store, unsigned statement);
void sqlite_rewind(struct store *store, unsigned statement);
int sqlite_parameter_count(const struct store *store, unsigned statement);
int sqlite_columns(const struct store *store, unsigned statement);
int sqlite_column(struct store *store, unsigned statement, int column, struct value *out);

/* schema_sqlite.c: brings db to schema's newest version. 0, STORE_NEWER, -ESTALE (read-only and older), -errno. */
int schema_migrate(sqlite3 *db, const struct store_schema *schema) MUST_USE;

/* Has db the tables, indexes, triggers and constraints that the migrations make, and no others? Whoever can write the file could add some that
 * run with our statements. 0, -EUCLEAN, -errno. */
int schema_judge(sqlite3 *db, const struct store_schema *schema) MUST_USE;

#endif
