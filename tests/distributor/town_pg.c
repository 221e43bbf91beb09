/* Databases of shops on the PostgreSQL server that TOWN_POSTGRES names (a connection string without a database). Each is a copy of one
 * that has the tables already: making them takes longer than most tests. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <libpq-fe.h>

#include "base/util.h"
#include "distributor/database.h"
#include "distributor/operations_schema.h"
#include "town_db.h"

#define TEMPLATE "town_template"

static PGconn *dial(const char *database)
{
    char text[STORE_PG_DATABASE_BYTES];
    snprintf(text, sizeof(text), "%s dbname=%s", getenv("TOWN_POSTGRES"), database);
    PGconn *c = PQconnectdb(text);
    assert_int_equal(PQstatus(c), CONNECTION_OK);
    return c;
}

static bool succeeded(const PGresult *r)
{
    return PQresultStatus(r) == PGRES_COMMAND_OK || PQresultStatus(r) == PGRES_TUPLES_OK;
}

/* The database's name is that of the state directory, which is a random one. */
static const char *name_of(const struct shop *s) { return strrchr(s->dir, '/') + 1; }

/* --- Making ------------------------------------------------------------------------------------------------------ */

static PGconn *server(void)
{
    static PGconn *one;
    if (one == NULL)
        one = dial("postgres");
    return one;
}

static bool serve(const char *before, const char *name, const char *after)
{
    char sql[160];
    snprintf(sql, sizeof(sql), "%s \"%s\" %s", before, name, after);
    PGresult *r = PQexec(server(), sql);
    bool done = succeeded(r);
    PQclear(r);
    return done;
}

static void database_string(const char *name, char out[STORE_PG_DATABASE_BYTES])
{
    snprintf(out, STORE_PG_DATABASE_BYTES, "postgresql:%s dbname=%s", getenv("TOWN_POSTGRES"), name);
}

/* Under another name first: tests run side by side. */
static void make_template(void)
{
    char name[32], database[STORE_PG_DATABASE_BYTES];
    struct store *store;
    snprintf(name, sizeof(name), "town_making_%d", (int)getpid());
    assert_true(serve("CREATE DATABASE", name, ""));
    database_string(name, database);
    assert_int_equal(store_pg_open(&store, database, &operations_schema, true), 0);
    store_close(store);
    serve("ALTER DATABASE", name, "RENAME TO " TEMPLATE); /* somebody else was first, perhaps */
}

void town_pg_make(struct shop *s)
{
    char database[STORE_PG_DATABASE_BYTES];
    if (!serve("CREATE DATABASE", name_of(s), "STRATEGY file_copy TEMPLATE " TEMPLATE)) {
        make_template();
        assert_true(serve("CREATE DATABASE", name_of(s), "STRATEGY file_copy TEMPLATE " TEMPLATE));
    }
    database_string(name_of(s), database);
    assert_int_equal(database_choose(s->dir, database), 0);
}

/* Not this one but the one of two shops before: its connections have ended by now, and the server need not wait for that. The last ones end
 * with the server. */
void town_pg_free(struct shop *s)
{
    static char ended[2][sizeof(s->dir)];
    static unsigned next;
    if (ended[next][0] != '\0')
        assert_true(serve("DROP DATABASE", ended[next], "WITH (FORCE)"));
    snprintf(ended[next], sizeof(ended[next]), "%s", name_of(s));
    next = (next + 1) % 2;
}

/* --- Looking ----------------------------------------------------------------------------------------------------- */

static PGresult *run(PGconn *c, const char *sql)
{
    PGresult *r = PQexec(c, sql);
    if (!succeeded(r))
        fprintf(stderr, "%s%s\n", PQerrorMessage(c), sql);
    return r;
}

int64_t town_pg_ask(const struct shop *s, const char *sql)
{
    PGconn *c = dial(name_of(s));
    PGresult *r = run(c, sql);
    assert_true(PQntuples(r) > 0);
    int64_t n = strtoll(PQgetvalue(r, 0, 0), NULL, 10);
    PQclear(r);
    PQfinish(c);
    return n;
}

/* As docs/DATABASE.md asks of whoever changes something by hand. */
bool town_pg_change(const struct shop *s, const char *sql)
{
    static const char *const around[] = { "BEGIN",
                                          "UPDATE store_state SET turn = turn + 1, changes = changes + 1 WHERE one = 1",
                                          "COMMIT" };
    const char *const steps[] = { around[0], around[1], sql, around[2] };
    PGconn *c = dial(name_of(s));
    bool done = true;
    for (size_t i = 0; done && i < ARRAY_COUNT(steps); i++) {
        PGresult *r = run(c, steps[i]);
        done = succeeded(r);
        PQclear(r);
    }
    PQfinish(c);
    return done;
}

void town_pg_digest(const struct shop *s, struct sha256_state *state)
{
    PGconn *c = dial(name_of(s));
    PGresult *tables = run(c, "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1");
    assert_true(PQntuples(tables) > 10);
    for (int t = 0; t < PQntuples(tables); t++) {
        char sql[128];
        const char *name = PQgetvalue(tables, t, 0);
        if (town_db_is_bookkeeping(name))
            continue;
        snprintf(sql, sizeof(sql), "SELECT * FROM \"%s\" AS r ORDER BY r", name);
        PGresult *rows = run(c, sql);
        for (int i = 0; i < PQntuples(rows); i++)
            for (int k = 0; k < PQnfields(rows); k++)
                town_db_hash(state, PQgetvalue(rows, i, k), (uint32_t)PQgetlength(rows, i, k));
        PQclear(rows);
    }
    PQclear(tables);
    PQfinish(c);
}
