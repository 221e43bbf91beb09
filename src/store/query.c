/* Binding values, stepping and reading rows, with the first failure kept in the query. */
#include <assert.h>
#include <limits.h>

#include "store/internal.h"

struct query query(struct store *s, unsigned statement)
{
    assert(statement < s->schema->statement_count && !s->in_use[statement]);
    s->in_use[statement] = true;
    return (struct query){ .store = s, .index = statement };
}

/* Ready for a first bind again. */
static void rewind_query(struct query *q)
{
    q->store->driver->rewind(q->store, q->index);
    q->outcome = 0;
    q->bound_bits = 0;
    q->stepped = q->done = false;
}

void query_end(struct query *q)
{
    if (!q->store)
        return;
    rewind_query(q);
    q->store->in_use[q->index] = false;
    q->store = NULL;
}

static void fail(struct query *q, int outcome)
{
    if (q->outcome == 0)
        q->outcome = outcome;
}

/* --- Binding --- */

static int parameter_count(const struct query *q) { return q->store->driver->parameter_count(q->store, q->index); }

static void bind(struct query *q, int parameter, const struct value *v)
{
    assert(!q->stepped && parameter >= 1 && parameter <= parameter_count(q));
    if (parameter <= 64)
        q->bound_bits |= UINT64_C(1) << (parameter - 1);
    int r = q->store->driver->bind(q->store, q->index, parameter, v);
    if (r != 0)
        fail(q, r);
}

void query_bind_i64(struct query *q, int parameter, int64_t v)
{
    bind(q, parameter, &(struct value){ .kind = VALUE_I64, .number = v });
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
    bind(q, parameter, &(struct value){ .kind = VALUE_TEXT, .bytes = v });
}

void query_bind_blob(struct query *q, int parameter, struct slice v)
{
    bind(q, parameter, &(struct value){ .kind = VALUE_BLOB, .bytes = v });
}

void query_bind_null(struct query *q, int parameter) { bind(q, parameter, &(struct value){ 0 }); }

/* --- Stepping --- */

static bool is_bound(const struct query *q)
{
    int count = parameter_count(q);
    return q->bound_bits == (count >= 64 ? UINT64_MAX : (UINT64_C(1) << count) - 1);
}

int query_step(struct query *q)
{
    assert(q->stepped || is_bound(q));
    if (q->outcome != 0)
        return q->outcome;
    if (q->done) /* otherwise it would start again from the first row */
        return 0;
    q->stepped = true;
    int r = q->store->undone_by; /* a change of its own would stay, when all the others are undone */
    if (r == 0)
        r = store_came(q->store, q->store->driver->step(q->store, q->index));
    if (r == STORE_ROW)
        return STORE_ROW;
    q->done = true;
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

int query_later(struct query *q)
{
    if (q->store->driver->later == NULL)
        return query_run(q);
    assert(!q->stepped && is_bound(q));
    int r = q->outcome != 0 ? q->outcome : q->store->driver->later(q->store, q->index);
    rewind_query(q);
    return r;
}

void query_ahead(struct query *q)
{
    assert(!q->stepped && is_bound(q));
    if (q->outcome == 0 && q->store->driver->ahead != NULL)
        q->store->driver->ahead(q->store, q->index);
    rewind_query(q);
}

bool store_asks_ahead(const struct store *s) { return s->driver->ahead != NULL; }

int query_check(const struct query *q) { return q->outcome; }

int store_run(struct store *s, unsigned statement)
{
    struct query q CLEANUP(query_end) = query(s, statement);
    return query_run(&q);
}

/* --- Reading --- */

/* The value, if it is of this kind. */
static bool value_of(struct query *q, int column, enum value_kind kind, struct value *v)
{
    assert(q->stepped && column >= 0);
    if (q->outcome != 0 || q->done) {
        fail(q, -EUCLEAN);
        return false;
    }
    assert(column < q->store->driver->column_count(q->store, q->index));
    int r = q->store->driver->column(q->store, q->index, column, v);
    if (r != 0 || v->kind != kind)
        fail(q, r != 0 ? r : -EUCLEAN);
    return q->outcome == 0;
}

/* Of no value of the row, when there is none. */
static enum value_kind kind_of(const struct query *q, int column)
{
    struct value v;
    if (q->outcome != 0 || q->done || q->store->driver->column(q->store, q->index, column, &v) != 0)
        return VALUE_NULL;
    return v.kind;
}

bool query_is_null(const struct query *q, int column) { return kind_of(q, column) == VALUE_NULL; }

int64_t query_i64(struct query *q, int column)
{
    struct value v;
    return value_of(q, column, VALUE_I64, &v) ? v.number : 0;
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

static struct slice bytes_of(struct query *q, int column, enum value_kind kind)
{
    struct value v;
    return value_of(q, column, kind, &v) ? v.bytes : slice(NULL, 0);
}

struct slice query_blob(struct query *q, int column) { return bytes_of(q, column, VALUE_BLOB); }

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
    struct slice value = bytes_of(q, column, VALUE_TEXT);
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
    bool is_text = kind_of(q, column) == VALUE_TEXT;
    struct slice value = bytes_of(q, column, is_text ? VALUE_TEXT : VALUE_BLOB);
    if (q->outcome != 0)
        return;
    int r = buf_append(out, value);
    if (r != 0)
        fail(q, r == BUF_FULL ? -EFBIG : r);
}
