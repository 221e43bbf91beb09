/* From SQLite to PostgreSQL, table by table, in the order in which they refer to each other. Rows go by COPY in its binary form, which is also
 * what is hashed on both sides:
 *
 *   fields:2 || each: length:4 (ffffffff: NULL) || value       a number is 8 bytes, text and blobs are as they are
 *
 * On the caller's thread. */
#define LOG_MODULE "store"
#include "store/copy.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/util.h"
#include "crypto/sha256.h"
#include "store/pg.h"
#include "store/sqlite.h"

#define SQL_BYTES 4096
#define ROW_MAX (1 << 28)
#define CHUNK_BYTES 65536
static const uint8_t head[19] = "PGCOPY\n\377\r\n"; /* and its zero, flags:4, extension:4 */
static const uint8_t trailer[2] = { 0xff, 0xff };

struct table {
    char name[PG_NAME_BYTES];
    bool done;
};
struct counted {
    uint64_t rows, bytes;
    uint8_t hash[SHA256_BYTES]; /* of all rows, modulo 2^256: the order does not matter */
};
struct copying {
    struct sqlite_store *from;
    struct pg_store *to;
    struct table *tables; /* in the order in which they are copied, once they are done */
    size_t count;
    struct buf row, out; /* reused */
};

static int count_row(struct counted *sum, struct slice row)
{
    uint8_t hash[SHA256_BYTES];
    unsigned carry = 0;
    sha256(row, hash);
    for (unsigned i = SHA256_BYTES; i-- > 0;) {
        carry += (unsigned)sum->hash[i] + hash[i];
        sum->hash[i] = (uint8_t)carry;
        carry >>= 8;
    }
    sum->rows++;
    sum->bytes += row.len;
    return 0;
}

/* --- Which tables, in which order -------------------------------------------------------------------------------- */

static int prepare(struct copying *c, const char *format, const char *table, sqlite3_stmt **out)
{
    char *sql = sqlite3_mprintf(format, table);
    int r = sql != NULL ? sqlite_prepare(c->from->db, sql, out) : -ENOMEM;
    sqlite3_free(sql);
    return r;
}

static int list_tables(struct copying *c)
{
    sqlite3_stmt *all = NULL;
    int code = 0;
    int r = prepare(c, "SELECT name FROM sqlite_schema WHERE type = %Q AND name NOT LIKE 'sqlite\\_%%' ESCAPE '\\'",
                    "table", &all);
    while (r == 0 && (code = sqlite3_step(all)) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(all, 0);
        struct table *grown = reallocarray(c->tables, c->count + 1, sizeof(*grown));
        if (grown != NULL)
            c->tables = grown;
        r = grown == NULL || name == NULL                                                        ? -ENOMEM
            : (size_t)snprintf(grown[c->count].name, PG_NAME_BYTES, "%s", name) >= PG_NAME_BYTES ? -EUCLEAN
                                                                                                 : 0;
        if (r == 0)
            grown[c->count++].done = false;
    }
    if (r == 0)
        r = sqlite_outcome(c->from->db, code);
    sqlite3_finalize(all);
    return r > 0 ? -EUCLEAN : r;
}

/* Is there every row that the table's rows may refer to? Its own come with it. */
static int may_follow(struct copying *c, const struct table *t, bool *may)
{
    sqlite3_stmt *keys = NULL;
    int code = 0;
    int r = prepare(c, "SELECT \"table\" FROM pragma_foreign_key_list(%Q)", t->name, &keys);
    *may = true;
    while (r == 0 && (code = sqlite3_step(keys)) == SQLITE_ROW) {
        const char *other = (const char *)sqlite3_column_text(keys, 0);
        for (size_t i = 0; other != NULL && i < c->count; i++)
            if (strcmp(c->tables[i].name, other) == 0 && &c->tables[i] != t && !c->tables[i].done)
                *may = false;
    }
    if (r == 0)
        r = sqlite_outcome(c->from->db, code);
    sqlite3_finalize(keys);
    return r > 0 ? -EUCLEAN : r;
}

static int order_tables(struct copying *c)
{
    for (size_t next = 0; next < c->count; next++) {
        bool may = false;
        size_t i = next;
        for (; i < c->count; i++) {
            int r = may_follow(c, &c->tables[i], &may);
            if (r != 0)
                return r;
            if (may)
                break;
        }
        if (!may)
            return -EUCLEAN;
        struct table chosen = c->tables[i];
        memmove(&c->tables[next + 1], &c->tables[next], (i - next) * sizeof(chosen));
        chosen.done = true;
        c->tables[next] = chosen;
    }
    return 0;
}

/* --- There ------------------------------------------------------------------------------------------------------- */

static int put_value(struct buf *row, sqlite3_stmt *rows, int column)
{
    int kind = sqlite3_column_type(rows, column);
    if (kind == SQLITE_NULL)
        return buf_put_u32(row, UINT32_MAX);
    if (kind == SQLITE_FLOAT)
        return -EUCLEAN; /* no table of ours has any */
    if (kind == SQLITE_INTEGER) {
        int r = buf_put_u32(row, 8);
        return r == 0 ? buf_put_u64(row, (uint64_t)sqlite3_column_int64(rows, column)) : r;
    }
    const void *data = sqlite3_column_blob(rows, column);
    size_t len = (size_t)sqlite3_column_bytes(rows, column);
    if (data == NULL && len > 0)
        return -ENOMEM;
    int r = buf_put_u32(row, (uint32_t)len);
    return r == 0 ? buf_append(row, slice(data, len)) : r;
}

static int send(struct copying *c, struct slice bytes)
{
    int r = bytes.len > 0 ? buf_append(&c->out, bytes) : 0;
    if (r != 0 || (bytes.len > 0 && c->out.len < CHUNK_BYTES))
        return r > 0 ? -EFBIG : r;
    int put = PQputCopyData(c->to->connection, (const char *)c->out.data, (int)c->out.len);
    buf_clear(&c->out);
    return put == 1 ? 0 : -EIO; /* what the server says to the end tells why */
}

static int send_rows(struct copying *c, sqlite3_stmt *rows, struct counted *sum)
{
    int code = 0, columns = sqlite3_column_count(rows);
    int r = send(c, slice(head, sizeof(head)));
    while (r == 0 && (code = sqlite3_step(rows)) == SQLITE_ROW) {
        buf_clear(&c->row);
        r = buf_put_u16(&c->row, (uint16_t)columns);
        for (int i = 0; r == 0 && i < columns; i++)
            r = put_value(&c->row, rows, i);
        if (r == 0)
            r = count_row(sum, buf_slice(&c->row));
        if (r == 0)
            r = send(c, buf_slice(&c->row));
    }
    if (r == 0)
        r = sqlite_outcome(c->from->db, code);
    if (r == 0)
        r = send(c, slice(trailer, sizeof(trailer)));
    if (r == 0)
        r = send(c, slice(NULL, 0));
    return r > 0 ? -EFBIG : r;
}

/* Reads the server's answers until there are none. 0, or the first that is none of these. */
static int drain(struct copying *c, ExecStatusType but)
{
    int r = 0;
    for (PGresult *answer; (answer = PQgetResult(c->to->connection)) != NULL; PQclear(answer))
        if (r == 0 && PQresultStatus(answer) != but)
            r = pg_outcome(c->to, answer);
    return r > 0 ? -EUCLEAN : r;
}

/* "a", "b": quoted, since some are words of the language. */
static int put_columns(sqlite3_stmt *rows, char *sql, size_t cap)
{
    size_t len = strlen(sql);
    for (int i = 0; i < sqlite3_column_count(rows) && len < cap; i++)
        len += (size_t)snprintf(sql + len, cap - len, "%s\"%s\"", i > 0 ? ", " : "", sqlite3_column_name(rows, i));
    return len < cap ? 0 : -E2BIG;
}

static int copy_rows(struct copying *c, const struct table *t, sqlite3_stmt *rows, struct counted *sum)
{
    char sql[SQL_BYTES];
    snprintf(sql, sizeof(sql), "COPY \"%s\" (", t->name);
    int r = put_columns(rows, sql, sizeof(sql) - 64);
    if (r != 0)
        return r;
    snprintf(sql + strlen(sql), 64, ") FROM STDIN (FORMAT binary)");
    r = pg_land(c->to, NULL);
    if (r != 0)
        return r;
    PGresult *begun = PQexec(c->to->connection, sql);
    r = PQresultStatus(begun) == PGRES_COPY_IN ? 0 : pg_outcome(c->to, begun);
    PQclear(begun);
    if (r != 0)
        return r > 0 ? -EUCLEAN : r;
    buf_clear(&c->out);
    r = send_rows(c, rows, sum);
    if (PQputCopyEnd(c->to->connection, r == 0 ? NULL : "interrupted") != 1 && r == 0)
        r = -EIO;
    int said = drain(c, PGRES_COMMAND_OK);
    return said != 0 ? said : r;
}

/* --- And back ---------------------------------------------------------------------------------------------------- */

static int put_back(struct buf *row, const PGresult *answer)
{
    int r = buf_put_u16(row, (uint16_t)PQnfields(answer));
    for (int i = 0; r == 0 && i < PQnfields(answer); i++) {
        bool null = PQgetisnull(answer, 0, i);
        size_t len = null ? 0 : (size_t)PQgetlength(answer, 0, i);
        r = buf_put_u32(row, null ? UINT32_MAX : (uint32_t)len);
        if (r == 0)
            r = buf_append(row, slice(PQgetvalue(answer, 0, i), len));
    }
    return r > 0 ? -EFBIG : r;
}

static int read_back(struct copying *c, const struct table *t, sqlite3_stmt *rows, struct counted *sum)
{
    char sql[SQL_BYTES];
    snprintf(sql, sizeof(sql), "SELECT ");
    int r = put_columns(rows, sql, sizeof(sql) - 64);
    if (r != 0)
        return r;
    snprintf(sql + strlen(sql), 64, " FROM \"%s\"", t->name);
    if (PQsendQueryParams(c->to->connection, sql, 0, NULL, NULL, NULL, NULL, 1) != 1 ||
        PQsetSingleRowMode(c->to->connection) != 1) {
        int said = drain(c, PGRES_SINGLE_TUPLE);
        return said != 0 ? said : -EIO;
    }
    for (PGresult *answer; (answer = PQgetResult(c->to->connection)) != NULL; PQclear(answer)) {
        if (PQresultStatus(answer) != PGRES_SINGLE_TUPLE) {
            int said = pg_outcome(c->to, answer);
            r = r == 0 ? said : r;
            continue;
        }
        if (r != 0)
            continue;
        buf_clear(&c->row);
        r = put_back(&c->row, answer);
        if (r == 0)
            r = count_row(sum, buf_slice(&c->row));
    }
    return r > 0 ? -EUCLEAN : r;
}

static int copy_table(struct copying *c, const struct table *t, struct store_copied *out)
{
    struct counted there = { 0 }, back = { 0 };
    sqlite3_stmt *rows = NULL;
    int r = prepare(c, "SELECT * FROM \"%w\"", t->name, &rows);
    if (r == 0)
        r = copy_rows(c, t, rows, &there);
    if (r == 0)
        r = read_back(c, t, rows, &back);
    sqlite3_finalize(rows);
    if (r == 0 && (there.rows != back.rows || memcmp(there.hash, back.hash, sizeof(there.hash)) != 0)) {
        log_error("what arrived is not what was sent: table=%s rows=%" PRIu64 " arrived=%" PRIu64, t->name, there.rows,
                  back.rows);
        return -EUCLEAN;
    }
    if (r != 0)
        return r;
    log_debug("copied table=%s rows=%" PRIu64, t->name, there.rows);
    out->tables++;
    out->rows += there.rows;
    out->bytes += there.bytes;
    return 0;
}

/* --- All of it --------------------------------------------------------------------------------------------------- */

/* What a try before has left. Those that refer to others first. */
static int empty_tables(struct copying *c)
{
    int r = 0;
    for (size_t i = c->count; r == 0 && i-- > 0;) {
        char sql[PG_NAME_BYTES + 32];
        snprintf(sql, sizeof(sql), "DELETE FROM \"%s\"", c->tables[i].name);
        r = pg_run_script(c->to, sql, NULL);
    }
    return r > 0 ? -EUCLEAN : r;
}

int store_copy(struct store *from, struct store *to, struct store_copied *out)
{
    struct copying c = { .from = sqlite_of(from), .to = pg_of(to), .row = buf(ROW_MAX), .out = buf(ROW_MAX) };
    struct store_copied copied = { 0 };
    int r = list_tables(&c);
    if (r == 0)
        r = order_tables(&c);
    c.to->changed = true;
    pg_memory_forget(c.to);
    for (unsigned i = 0; i < c.to->memory.names.tables.count; i++)
        pg_set_add(&c.to->memory.touched, i);
    if (r == 0)
        r = empty_tables(&c);
    for (size_t i = 0; r == 0 && i < c.count; i++)
        r = copy_table(&c, &c.tables[i], &copied);
    free(c.tables);
    buf_free(&c.row);
    buf_free(&c.out);
    if (r == 0)
        *out = copied;
    return r;
}
