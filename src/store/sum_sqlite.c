/* All rows under one sum: followed by SQLite's pre-update hook, which tells each row as it was and as it is to be.
 *
 * A row: the table's name || 00 || its columns in order, but those that are NULL or 0: index:1 || kind:1 || value. A number is 8 bytes, anything else
 * its length:4 and its bytes. */
#define SQLITE_ENABLE_PREUPDATE_HOOK /* Debian builds the library with it */
#include "store/sqlite.h"

#include <assert.h>
#include <stdlib.h>

#include "base/util.h"

#define MAIN "main"
#define NAME_BYTES 64

static void add(uint8_t sum[STORE_SUM_BYTES], const uint8_t other[STORE_SUM_BYTES])
{
    unsigned carry = 0;
    for (unsigned i = STORE_SUM_BYTES; i-- > 0;) {
        carry += (unsigned)sum[i] + other[i];
        sum[i] = (uint8_t)carry;
        carry >>= 8;
    }
}

static void subtract(uint8_t sum[STORE_SUM_BYTES], const uint8_t other[STORE_SUM_BYTES])
{
    unsigned borrow = 0;
    for (unsigned i = STORE_SUM_BYTES; i-- > 0;) {
        borrow = (unsigned)sum[i] - other[i] - borrow;
        sum[i] = (uint8_t)borrow;
        borrow = borrow >> 8 & 1;
    }
}

/* --- One row --- */

/* The tables of the migrations, but the one with the sum. */
static bool counts(const struct store_sum *by, const char *table)
{
    return strcmp(table, by->but) != 0 && strncmp(table, "sqlite_", 7) != 0;
}

static int put_name(struct buf *row, const char *table)
{
    buf_clear(row);
    return buf_append(row, slice((const uint8_t *)table, strlen(table) + 1));
}

static int put_column(struct buf *row, unsigned index, sqlite3_value *value)
{
    int kind = sqlite3_value_type(value);
    if (kind == SQLITE_NULL || (kind == SQLITE_INTEGER && sqlite3_value_int64(value) == 0))
        return 0;
    if (kind == SQLITE_FLOAT || index > UINT8_MAX)
        return -EUCLEAN; /* no table of ours has any */
    int r = buf_put_u8(row, (uint8_t)index);
    if (r == 0)
        r = buf_put_u8(row, (uint8_t)kind);
    if (r == 0 && kind == SQLITE_INTEGER)
        return buf_put_u64(row, (uint64_t)sqlite3_value_int64(value));
    const void *data = kind == SQLITE_TEXT ? (const void *)sqlite3_value_text(value) : sqlite3_value_blob(value);
    size_t len = (size_t)sqlite3_value_bytes(value);
    if (data == NULL && len > 0)
        return -ENOMEM;
    if (r == 0)
        r = buf_put_u32(row, (uint32_t)len);
    return r == 0 ? buf_append(row, slice(data, len)) : r;
}

/* --- Following --- */

typedef int value_fn(sqlite3 *db, int column, sqlite3_value **out);

static int hash_changed(struct sqlite_store *s, const char *table, value_fn *get, uint8_t out[STORE_SUM_BYTES])
{
    int r = put_name(&s->sum_row, table);
    for (int i = 0, n = sqlite3_preupdate_count(s->db); r == 0 && i < n; i++) {
        sqlite3_value *value = NULL;
        r = sqlite_outcome(s->db, get(s->db, i, &value));
        if (r == 0)
            r = put_column(&s->sum_row, (unsigned)i, value);
    }
    if (r == 0)
        s->sum_by->row(s->sum_by->ctx, buf_slice(&s->sum_row), out);
    return r > 0 ? -ENOMEM : r;
}

/* A failure is one of the commit: nothing that the sum does not cover becomes durable. */
static void on_change(void *ctx, sqlite3 *db, int change, const char *database, const char *table,
                      sqlite3_int64 from_rowid, sqlite3_int64 to_rowid)
{
    struct sqlite_store *s = ctx;
    uint8_t hash[STORE_SUM_BYTES];
    (void)db, (void)from_rowid, (void)to_rowid;
    if (s->sum_by == NULL || strcmp(database, MAIN) != 0 || !counts(s->sum_by, table))
        return;
    assert(!sqlite3_get_autocommit(s->db));
    int r = store_keep(&s->base, &s->sum, sizeof(s->sum));
    if (r == 0 && change != SQLITE_INSERT && (r = hash_changed(s, table, sqlite3_preupdate_old, hash)) == 0)
        subtract(s->sum.bytes, hash);
    if (r == 0 && change != SQLITE_DELETE && (r = hash_changed(s, table, sqlite3_preupdate_new, hash)) == 0)
        add(s->sum.bytes, hash);
    s->sum.changed = true;
    if (r != 0 && s->sum.failure == 0)
        s->sum.failure = r;
}

void sqlite_sum_watch(struct sqlite_store *s) { (void)sqlite3_preupdate_hook(s->db, on_change, s); }

int sqlite_sum_seal(struct store *store)
{
    struct sqlite_store *s = sqlite_of(store);
    if (!s->sum.changed)
        return 0;
    int r = s->sum.failure != 0 ? s->sum.failure : s->sum_by->seal(s->sum_by->ctx, s->sum.bytes);
    s->sum.changed = false;
    return r;
}

void store_sum_follow(struct store *store, const struct store_sum *by, const uint8_t sum[STORE_SUM_BYTES])
{
    struct sqlite_store *s = sqlite_of(store);
    assert(store->schema->flags & STORE_SUMMED);
    s->sum_by = by;
    s->sum_row = buf(1 << 24);
    s->sum = (struct sum){ 0 };
    memcpy(s->sum.bytes, sum, STORE_SUM_BYTES);
}

void store_sum_get(const struct store *store, uint8_t out[STORE_SUM_BYTES])
{
    memcpy(out, ((const struct sqlite_store *)store)->sum.bytes, STORE_SUM_BYTES);
}

/* --- Adding up --- */

static int add_rows(sqlite3 *db, const struct store_sum *by, const char *table, struct buf *row,
                    uint8_t sum[STORE_SUM_BYTES])
{
    char sql[NAME_BYTES + 32];
    uint8_t hash[STORE_SUM_BYTES];
    sqlite3_stmt *rows = NULL;
    sqlite3_snprintf(sizeof(sql), sql, "SELECT * FROM \"%w\"", table);
    int code = sqlite3_prepare_v2(db, sql, -1, &rows, NULL);
    int r = sqlite_outcome(db, code);
    while (r == 0 && (code = sqlite3_step(rows)) == SQLITE_ROW) {
        r = put_name(row, table);
        for (int i = 0, n = sqlite3_column_count(rows); r == 0 && i < n; i++)
            r = put_column(row, (unsigned)i, sqlite3_column_value(rows, i));
        if (r == 0) {
            by->row(by->ctx, buf_slice(row), hash);
            add(sum, hash);
        }
    }
    if (r == 0)
        r = sqlite_outcome(db, code);
    sqlite3_finalize(rows);
    return r > 0 ? -ENOMEM : r;
}

int store_sum_rows(struct store *store, const struct store_sum *by, uint8_t out[STORE_SUM_BYTES])
{
    struct sqlite_store *s = sqlite_of(store);
    struct buf row CLEANUP(buf_free) = buf(1 << 24);
    sqlite3_stmt *tables = NULL;
    memset(out, 0, STORE_SUM_BYTES);
    int code = sqlite3_prepare_v2(s->db, "SELECT name FROM sqlite_schema WHERE type = 'table'", -1, &tables, NULL);
    int r = sqlite_outcome(s->db, code);
    while (r == 0 && (code = sqlite3_step(tables)) == SQLITE_ROW) {
        const char *table = (const char *)sqlite3_column_text(tables, 0);
        r = table == NULL                 ? -ENOMEM
            : strlen(table) >= NAME_BYTES ? -EUCLEAN
            : counts(by, table)           ? add_rows(s->db, by, table, &row, out)
                                          : 0;
    }
    if (r == 0)
        r = sqlite_outcome(s->db, code);
    sqlite3_finalize(tables);
    return r;
}
