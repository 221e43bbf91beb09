/* Binding values, stepping and reading rows, with the first failure kept in the query. */
#include <assert.h>
#include <limits.h>

#include "store/internal.h"

struct query query(struct store *s, unsigned statement)
{
    assert(statement < s->schema->statement_count && !s->in_use[statement]);
    s->in_use[statement] = true;
    return (struct query){ .store = s, .statement = s->statements[statement], .index = statement };
}

/* Ready for a first bind again. */
static void rewind_query(struct query *q)
{
    sqlite3_reset(q->statement); /* repeats the last step's code, which was handled then */
    sqlite3_clear_bindings(q->statement);
    q->outcome = 0;
    q->bound_bits = 0;
    q->stepped = q->done = false;
}

void query_end(struct query *q)
{
    if (!q->statement)
        return;
    rewind_query(q);
    q->store->in_use[q->index] = false;
    q->statement = NULL;
}

static void fail(struct query *q, int outcome)
{
    if (q->outcome == 0)
        q->outcome = outcome;
}

/* --- Binding --- */

static void bound(struct query *q, int parameter, int code)
{
    assert(!q->stepped && parameter >= 1 && parameter <= sqlite3_bind_parameter_count(q->statement));
    if (parameter <= 64)
        q->bound_bits |= UINT64_C(1) << (parameter - 1);
    if (code != SQLITE_OK)
        fail(q, store_outcome(q->store->db, code));
}

void query_bind_i64(struct query *q, int parameter, int64_t v)
{
    bound(q, parameter, sqlite3_bind_int64(q->statement, parameter, v));
}

void query_bind_u64(struct query *q, int parameter, uint64_t v)
{
    if (v > INT64_MAX)
        fail(q, -EOVERFLOW);
    query_bind_i64(q, parameter, (int64_t)(v & INT64_MAX));
}

void query_bind_text(struct query *q, int parameter, const char *v)
{
    if (!v)
        query_bind_null(q, parameter);
    else
        query_bind_chars(q, parameter, slice_str(v));
}

void query_bind_chars(struct query *q, int parameter, struct slice v)
{
    const char *text = v.len > 0 ? (const char *)v.data : ""; /* a NULL pointer would bind NULL */
    bound(q, parameter, sqlite3_bind_text64(q->statement, parameter, text, v.len, SQLITE_TRANSIENT, SQLITE_UTF8));
}

void query_bind_blob(struct query *q, int parameter, struct slice v)
{
    const void *data = v.len > 0 ? (const void *)v.data : "";
    bound(q, parameter, sqlite3_bind_blob64(q->statement, parameter, data, v.len, SQLITE_TRANSIENT));
}

void query_bind_null(struct query *q, int parameter)
{
    bound(q, parameter, sqlite3_bind_null(q->statement, parameter));
}

/* --- Stepping --- */

int query_step(struct query *q)
{
    if (!q->stepped) {
        int count = sqlite3_bind_parameter_count(q->statement);
        assert(q->bound_bits == (count >= 64 ? UINT64_MAX : (UINT64_C(1) << count) - 1));
        (void)count;
    }
    if (q->outcome != 0)
        return q->outcome;
    if (q->done) /* SQLite would start again from the first row */
        return 0;
    q->stepped = true;
    int code = sqlite3_step(q->statement);
    if (code == SQLITE_ROW)
        return STORE_ROW;
    q->done = true;
    int r = store_outcome(q->store->db, code);
    if (r != 0)
        fail(q, r);
    return r;
}

int query_one(struct query *q)
{
    int r = query_step(q);
    if (r == STORE_ROW)
        return 0;
    return r == 0 ? STORE_ABSENT : r;
}

int query_run(struct query *q)
{
    int r;
    do
        r = query_step(q);
    while (r == STORE_ROW);
    rewind_query(q);
    return r;
}

int query_check(const struct query *q) { return q->outcome; }

int store_run(struct store *s, unsigned statement)
{
    struct query q CLEANUP(query_end) = query(s, statement);
    return query_run(&q);
}

/* --- Reading --- */

static bool has_type(struct query *q, int column, int type)
{
    assert(q->stepped && column >= 0 && column < sqlite3_column_count(q->statement));
    if (q->outcome == 0 && !q->done && sqlite3_column_type(q->statement, column) == type)
        return true;
    fail(q, -EUCLEAN);
    return false;
}

bool query_is_null(const struct query *q, int column)
{
    return sqlite3_column_type(q->statement, column) == SQLITE_NULL;
}

int64_t query_i64(struct query *q, int column)
{
    return has_type(q, column, SQLITE_INTEGER) ? sqlite3_column_int64(q->statement, column) : 0;
}

static uint64_t unsigned_within(struct query *q, int column, int64_t max)
{
    int64_t v = query_i64(q, column);
    if (v < 0 || v > max) {
        fail(q, -EUCLEAN);
        return 0;
    }
    return (uint64_t)v;
}

uint64_t query_u64(struct query *q, int column) { return unsigned_within(q, column, INT64_MAX); }

uint32_t query_u32(struct query *q, int column) { return (uint32_t)unsigned_within(q, column, UINT32_MAX); }

bool query_bool(struct query *q, int column) { return unsigned_within(q, column, 1) == 1; }

/* Blob or text; the value is fetched before its length, as SQLite asks. */
static struct slice column_bytes(struct query *q, int column)
{
    const void *data = sqlite3_column_blob(q->statement, column);
    int len = sqlite3_column_bytes(q->statement, column);
    if (!data && len == 0 && sqlite3_errcode(q->store->db) == SQLITE_NOMEM)
        fail(q, -ENOMEM);
    return slice(data, data ? (size_t)len : 0);
}

struct slice query_blob(struct query *q, int column)
{
    return has_type(q, column, SQLITE_BLOB) ? column_bytes(q, column) : slice(NULL, 0);
}

void query_fixed(struct query *q, int column, void *out, size_t len)
{
    struct slice value = query_blob(q, column);
    if (value.len != len) {
        fail(q, -EUCLEAN);
        memset(out, 0, len);
    } else if (len > 0) {
        memcpy(out, value.data, len);
    }
}

void query_text(struct query *q, int column, char *out, size_t cap)
{
    assert(cap > 0);
    struct slice value = has_type(q, column, SQLITE_TEXT) ? column_bytes(q, column) : slice(NULL, 0);
    if (value.len >= cap || (value.len > 0 && memchr(value.data, '\0', value.len))) {
        fail(q, -EUCLEAN);
        value = slice(NULL, 0);
    }
    if (value.len > 0)
        memcpy(out, value.data, value.len);
    out[value.len] = '\0';
}

void query_append(struct query *q, int column, struct buf *out)
{
    bool is_text = sqlite3_column_type(q->statement, column) == SQLITE_TEXT;
    if (!has_type(q, column, is_text ? SQLITE_TEXT : SQLITE_BLOB))
        return;
    struct slice value = column_bytes(q, column);
    if (q->outcome != 0)
        return;
    int r = buf_append(out, value);
    if (r != 0)
        fail(q, r == BUF_FULL ? -EFBIG : r);
}
