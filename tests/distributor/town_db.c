/* Looking at a shop's database from outside, whichever it is. */
#include <stdio.h>
#include <stdlib.h>

#include <sqlite3.h>

#include "crypto/sha256.h"
#include "town_db.h"

bool town_on_postgres(void) { return getenv("TOWN_POSTGRES") != NULL; }

void town_db_make(struct shop *s)
{
    if (town_on_postgres())
        town_pg_make(s);
}

void town_db_free(struct shop *s)
{
    if (town_on_postgres())
        town_pg_free(s);
}

/* --- Rows -------------------------------------------------------------------------------------------------------- */

struct rows {
    sqlite3 *db;
    sqlite3_stmt *statement;
};

static bool rows_open(const struct shop *s, const char *sql, struct rows *r)
{
    char path[96];
    snprintf(path, sizeof(path), "%s/operations.db", s->dir);
    assert_int_equal(sqlite3_open_v2(path, &r->db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    return sqlite3_prepare_v2(r->db, sql, -1, &r->statement, NULL) == SQLITE_OK;
}

static void rows_close(struct rows *r)
{
    sqlite3_finalize(r->statement);
    sqlite3_close(r->db);
}

int64_t shop_ask(const struct shop *s, const char *sql)
{
    if (town_on_postgres())
        return town_pg_ask(s, sql);
    struct rows r = { 0 };
    assert_true(rows_open(s, sql, &r));
    assert_int_equal(sqlite3_step(r.statement), SQLITE_ROW);
    int64_t n = sqlite3_column_int64(r.statement, 0);
    rows_close(&r);
    return n;
}

bool shop_change(const struct shop *s, const char *sql)
{
    if (town_on_postgres())
        return town_pg_change(s, sql);
    char path[96];
    sqlite3 *db;
    snprintf(path, sizeof(path), "%s/operations.db", s->dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    int code = sqlite3_exec(db, sql, NULL, NULL, NULL);
    sqlite3_close(db);
    return code == SQLITE_OK;
}

/* --- Digest ------------------------------------------------------------------------------------------------------ */

bool town_db_is_bookkeeping(const char *table)
{
    return strcmp(table, "device_session") == 0 || strcmp(table, "device_answer") == 0 ||
           strcmp(table, "device_standing") == 0 || strncmp(table, "sqlite_", 7) == 0 ||
           strncmp(table, "store_", 6) == 0;
}

void town_db_hash(struct sha256_state *state, const void *value, uint32_t len)
{
    sha256_update(state, slice(&len, sizeof(len)));
    if (len > 0)
        sha256_update(state, slice(value, len));
}

static void hash_table(const struct shop *s, const char *table, struct sha256_state *state)
{
    char sql[160];
    struct rows r = { 0 };
    snprintf(sql, sizeof(sql), "SELECT * FROM \"%s\" ORDER BY 1, 2", table);
    if (!rows_open(s, sql, &r)) { /* a table of one column */
        rows_close(&r);
        sql[strlen(sql) - strlen(", 2")] = '\0';
        r = (struct rows){ 0 };
        assert_true(rows_open(s, sql, &r));
    }
    while (sqlite3_step(r.statement) == SQLITE_ROW)
        for (int i = 0; i < sqlite3_column_count(r.statement); i++) {
            const void *value = sqlite3_column_blob(r.statement, i);
            town_db_hash(state, value, (uint32_t)sqlite3_column_bytes(r.statement, i));
        }
    rows_close(&r);
}

void shop_digest(struct shop *s, uint8_t out[32])
{
    struct sha256_state state;
    struct rows tables = { 0 };
    assert_int_equal(sha256_init(&state), 0);
    if (town_on_postgres()) {
        town_pg_digest(s, &state);
        sha256_final(&state, out);
        return;
    }
    assert_true(rows_open(s, "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name", &tables));
    while (sqlite3_step(tables.statement) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(tables.statement, 0);
        if (!town_db_is_bookkeeping(name))
            hash_table(s, name, &state);
    }
    rows_close(&tables);
    sha256_final(&state, out);
}
