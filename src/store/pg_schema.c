/* Migrations of a PostgreSQL database: the scripts of every program's schema, translated, in one transaction. */
#define LOG_MODULE "store"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/util.h"
#include "store/pg.h"
#include "store/pg_sql.h"

#define SCRIPT_MAX_BYTES (1 << 20)
#define WRITERS_KEPT 100000 /* turns: whoever committed before is not waiting for an answer any more */

static int run_migration(struct pg_store *s, unsigned version)
{
    struct buf sql CLEANUP(buf_free) = buf(SCRIPT_MAX_BYTES);
    int parameters = 0;
    int r = pg_sql_translate(s->base.schema->migrations[version], &sql, &parameters);
    if (r == 0)
        r = buf_put_u8(&sql, '\0');
    if (r == 0)
        r = pg_run_script(s, (const char *)sql.data, NULL);
    if (r != 0)
        log_error("migration failed: from=%u outcome=%d", version, r);
    return r > 0 ? -EUCLEAN : r;
}

/* A turn is held. From this version to the newest, and committed. */
static int migrate_from(struct pg_store *s, int64_t version)
{
    const unsigned newest = s->base.schema->migration_count;
    if (version < 0 || version > newest)
        return version < 0 ? -EUCLEAN : STORE_NEWER;
    int r = 0;
    for (unsigned v = (unsigned)version; r == 0 && v < newest; v++)
        r = run_migration(s, v);
    char sql[256];
    snprintf(sql, sizeof(sql),
             "UPDATE store_state SET schema = %u WHERE one = 1;"
             "DELETE FROM store_writer WHERE turn < (SELECT turn FROM store_state WHERE one = 1) - %d;COMMIT",
             newest, WRITERS_KEPT);
    return r == 0 ? pg_run_script(s, sql, NULL) : r;
}

/* *complete: all three tables are there; one of an earlier version lacks the last. */
static int read_version(struct pg_store *s, int64_t *version, bool *complete)
{
    PGresult *r CLEANUP(pg_clear) = NULL;
    PGresult *there CLEANUP(pg_clear) = NULL;
    int outcome = pg_run_script(
        s, "SELECT to_regclass('store_state') IS NOT NULL, to_regclass('store_touched') IS NOT NULL", &there);
    if (outcome == 0 && (PQntuples(there) != 1 || PQgetvalue(there, 0, 0)[0] != 't'))
        outcome = -ENOENT;
    if (outcome == 0)
        outcome = pg_run_script(s, "SELECT schema FROM store_state WHERE one = 1", &r);
    if (outcome == 0 && PQntuples(r) != 1)
        outcome = -ENOENT;
    if (outcome == 0) {
        *version = strtoll(PQgetvalue(r, 0, 0), NULL, 10);
        *complete = PQgetvalue(there, 0, 1)[0] == 't';
    }
    return outcome;
}

/* Before ours are made. 0; -EEXIST: ours are there by now; -ENOTEMPTY: somebody's else are. Only one of the three of ours tells them apart: they come
 * in one script, and before all others. */
static int judge_empty(struct pg_store *s)
{
    PGresult *there CLEANUP(pg_clear) = NULL;
    int r =
        pg_run_script(s,
                      "SELECT to_regclass('store_state') IS NOT NULL, count(*) FROM information_schema.tables"
                      " WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')",
                      &there);
    if (r != 0 || PQntuples(there) != 1)
        return r != 0 ? r : -EUCLEAN;
    if (PQgetvalue(there, 0, 0)[0] == 't')
        return -EEXIST;
    return strcmp(PQgetvalue(there, 0, 1), "0") == 0 ? 0 : -ENOTEMPTY;
}

static int make_tables(struct pg_store *s)
{
    return pg_run_script(
        s,
        "CREATE TABLE IF NOT EXISTS store_state (one BIGINT PRIMARY KEY CHECK (one = 1),"
        " schema BIGINT NOT NULL, turn BIGINT NOT NULL, changes BIGINT NOT NULL);"
        "CREATE TABLE IF NOT EXISTS store_writer (writer BYTEA PRIMARY KEY, turn BIGINT NOT NULL);"
        "CREATE TABLE IF NOT EXISTS store_touched (one BIGINT PRIMARY KEY CHECK (one = 1),"
        " changes BIGINT NOT NULL, turns BYTEA NOT NULL);"
        "INSERT INTO store_state (one, schema, turn, changes) VALUES (1, 0, 0, 0) ON CONFLICT DO NOTHING;"
        "INSERT INTO store_touched (one, changes, turns) VALUES (1, -1, '') ON CONFLICT DO NOTHING",
        NULL);
}

int pg_migrate(struct pg_store *s, bool create)
{
    const unsigned newest = s->base.schema->migration_count;
    const bool read_only = s->base.schema->flags & STORE_READ_ONLY;
    int64_t version;
    struct pg_state state;
    bool complete = false;
    int r = read_version(s, &version, &complete);
    if (r == -ENOENT && create && !read_only) {
        r = judge_empty(s);
        if (r == 0 || r == -EEXIST)
            r = make_tables(s);
        version = 0;
    } else if (r == 0 && !complete && !read_only) {
        r = make_tables(s);
    }
    if (r == 0 && version == newest)
        return 0; /* the usual case waits for nobody */
    if (r == 0 && version > newest)
        return STORE_NEWER;
    if (r == 0 && read_only)
        return -ESTALE;
    if (r == 0)
        r = pg_take_turn(s, pg_deadline_ms(s), &state);
    if (r != 0)
        return r > 0 ? -EUCLEAN : r;
    r = migrate_from(s, state.schema); /* another process may just have done it */
    if (r != 0)
        pg_roll_back(s);
    return r;
}
