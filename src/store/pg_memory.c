/* What the database has answered is remembered for as long as it would answer the same, so that what rarely changes is asked once, by a
 * batch or by many. Only inside of transactions that hold the turn: nobody else changes anything meanwhile.
 *
 * An answer goes when one of its tables changes: by us, in this transaction (of one table whose rows are known, only when they may
 * be the same rows), when what we changed is undone, and when others changed the table since our last turn: the row of
 * store_touched says each table's last turn. On the store's thread. */
#include "store/pg.h"

#include <stdlib.h>

#include "base/secret.h"
#include "base/util.h"

#define ANSWERS_MAX 16384
#define ANSWERS_BYTES (32u << 20)
#define ANSWER_BYTES (64u << 10) /* a larger one is not kept */
#define VALUES_BYTES (64u << 10)
#define VALUE_BYTES 64 /* a longer one tells no rows apart */

int pg_memory_new(struct pg_store *s)
{
    struct pg_memory *m = &s->memory;
    m->values = buf(VALUES_BYTES);
    int r = pg_tables_of(s->base.schema->migrations, s->base.schema->migration_count, &m->names);
    if (r != 0)
        return r;
    m->tables = calloc(m->names.tables.count + 1, sizeof(*m->tables));
    return m->tables ? 0 : -ENOMEM;
}

/* --- Answers ----------------------------------------------------------------------------------------------------- */

struct pg_answer *pg_answer_ref(struct pg_answer *a)
{
    a->users++;
    return a;
}

void pg_answer_unref(struct pg_answer *a)
{
    if (a == NULL || --a->users > 0)
        return;
    PQclear(a->result);
    secret_wipe(a->values, a->len);
    free(a);
}

static size_t size_of(const struct pg_answer *a)
{
    return sizeof(*a) + a->len + (a->result != NULL ? PQresultMemorySize(a->result) : 0);
}

/* Out of the memory; who reads it goes on. */
static void take_out(struct pg_memory *m, struct pg_answer **at)
{
    struct pg_answer *a = *at;
    *at = a->next;
    a->kept = false;
    m->count--;
    m->bytes -= size_of(a);
    pg_answer_unref(a);
}

void pg_answer_fill(struct pg_store *s, struct pg_answer *a, PGresult *result)
{
    a->result = result;
    s->memory.bytes += a->kept ? PQresultMemorySize(result) : 0;
}

/* --- Values ------------------------------------------------------------------------------------------------------ */

static struct slice bytes_of(const struct pg_value *v)
{
    return v->kind == VALUE_I64    ? slice(v->number, sizeof(v->number))
           : v->kind == VALUE_NULL ? slice(NULL, 0)
                                   : slice(v->bytes, v->len);
}

static int put_value(struct buf *out, const struct pg_value *v)
{
    struct slice bytes = bytes_of(v);
    int r = buf_put_u8(out, (uint8_t)v->kind);
    if (r == 0)
        r = buf_put_u32(out, (uint32_t)bytes.len);
    return r == 0 ? buf_append(out, bytes) : r;
}

/* All that is bound, as one text of bytes. */
static int put_values(struct pg_store *s, unsigned statement)
{
    const struct pg_statement *st = &s->statements[statement];
    int r = 0;
    buf_clear(&s->memory.values);
    for (int i = 0; r == 0 && i < st->parameter_count; i++)
        r = put_value(&s->memory.values, &st->values[i]);
    return r;
}

/* The n-th, from 0, with its kind. */
static struct slice value_at(struct slice values, int n)
{
    struct reader r = reader(values);
    size_t at = 0;
    for (int i = 0;; i++) {
        (void)reader_u8(&r);
        uint32_t len = reader_u32(&r);
        (void)reader_bytes(&r, len);
        if (r.bad || i == n)
            return r.bad ? slice(NULL, 0) : slice(values.data + at, 5 + (size_t)len);
        at += 5 + (size_t)len;
    }
}

static bool is_null(struct slice value) { return value.len == 0 || value.data[0] == VALUE_NULL; }

/* --- Are they other rows? ---------------------------------------------------------------------------------------- */

/* In a column of both they have different values of one kind. */
static bool other_rows(const struct pg_store *s, const struct pg_answer *a, const struct pg_change *c)
{
    const struct pg_reach *read = &s->statements[a->statement].reach, *changed = &s->statements[c->statement].reach;
    struct slice asked = slice(a->values, a->len), given = slice(c->values, c->len);
    for (unsigned i = 0; i < changed->count; i++) {
        for (unsigned k = 0; k < read->count; k++) {
            if (read->rows[k].column != changed->rows[i].column)
                continue;
            struct slice x = value_at(asked, read->rows[k].parameter - 1), y = value_at(given, (int)i);
            if (!is_null(x) && !is_null(y) && x.data[0] == y.data[0] && !slice_equal(x, y))
                return true;
        }
    }
    return false;
}

/* Of all tables that are named; each only rises, so that a sum stays the same only when all do. */
static uint64_t version_of(const struct pg_store *s, const struct pg_reach *reach)
{
    if (reach->count > 0)
        return s->memory.tables[reach->table].rows_version;
    uint64_t sum = 0;
    for (unsigned i = 0; i < s->memory.names.tables.count; i++)
        sum += pg_set_has(&reach->tables, i) ? s->memory.tables[i].version : 0;
    return sum;
}

static bool still_holds(const struct pg_store *s, struct pg_answer *a)
{
    const struct pg_reach *reach = &s->statements[a->statement].reach;
    if (a->version != version_of(s, reach))
        return false;
    if (reach->count == 0)
        return true;
    const struct pg_table *t = &s->memory.tables[reach->table];
    for (; a->changes < t->count; a->changes++)
        if (!other_rows(s, a, &t->changes[a->changes]))
            return false;
    return true;
}

/* --- Remembering ------------------------------------------------------------------------------------------------- */

static struct pg_answer **bucket_of(struct pg_memory *m, unsigned statement)
{
    uint64_t hash = UINT64_C(14695981039346656037) ^ statement;
    for (size_t i = 0; i < m->values.len; i++)
        hash = (hash ^ m->values.data[i]) * UINT64_C(1099511628211);
    return &m->buckets[(hash ^ hash >> 32) % PG_BUCKETS];
}

struct pg_answer *pg_memory_find(struct pg_store *s, unsigned statement)
{
    struct pg_memory *m = &s->memory;
    if (put_values(s, statement) != 0)
        return NULL;
    for (struct pg_answer **at = bucket_of(m, statement); *at != NULL; at = &(*at)->next) {
        struct pg_answer *a = *at;
        if (a->statement != statement || !slice_equal(slice(a->values, a->len), buf_slice(&m->values)))
            continue;
        if (still_holds(s, a))
            return a;
        take_out(m, at);
        return NULL;
    }
    return NULL;
}

static bool is_settled(const struct pg_answer *a)
{
    return a->result != NULL && PQresultMemorySize(a->result) <= ANSWER_BYTES;
}

/* What would not be answered any more goes; when that is not enough, everything. */
static void make_room(struct pg_store *s)
{
    struct pg_memory *m = &s->memory;
    for (size_t i = 0; i < PG_BUCKETS; i++) {
        for (struct pg_answer **at = &m->buckets[i]; *at != NULL;) {
            if (is_settled(*at) && still_holds(s, *at))
                at = &(*at)->next;
            else
                take_out(m, at);
        }
    }
    if (m->count > ANSWERS_MAX / 2 || m->bytes > ANSWERS_BYTES / 2)
        pg_memory_forget(s);
}

struct pg_answer *pg_memory_add(struct pg_store *s, unsigned statement)
{
    struct pg_memory *m = &s->memory;
    const struct pg_reach *reach = &s->statements[statement].reach;
    if (m->count >= ANSWERS_MAX || m->bytes >= ANSWERS_BYTES)
        make_room(s);
    if (put_values(s, statement) != 0)
        return NULL;
    struct pg_answer *a = calloc(1, sizeof(*a) + m->values.len);
    if (a == NULL)
        return NULL;
    a->users = 1;
    a->kept = true;
    a->statement = statement;
    a->version = version_of(s, reach);
    a->changes = reach->count > 0 ? m->tables[reach->table].count : 0;
    a->len = m->values.len;
    if (a->len > 0)
        memcpy(a->values, m->values.data, a->len);
    struct pg_answer **bucket = bucket_of(m, statement);
    a->next = *bucket;
    *bucket = a;
    m->count++;
    m->bytes += size_of(a);
    return a;
}

void pg_memory_forget(struct pg_store *s)
{
    struct pg_memory *m = &s->memory;
    for (size_t i = 0; i < PG_BUCKETS; i++)
        while (m->buckets[i] != NULL)
            take_out(m, &m->buckets[i]);
}

/* --- Changes ----------------------------------------------------------------------------------------------------- */

static int put_change(struct pg_store *s, unsigned statement)
{
    const struct pg_statement *st = &s->statements[statement];
    struct pg_table *t = &s->memory.tables[st->reach.table];
    struct buf *values = &s->memory.values;
    int r = 0;
    buf_clear(values);
    for (unsigned i = 0; r == 0 && i < st->reach.count; i++) {
        const struct pg_value *v = &st->values[st->reach.rows[i].parameter - 1], none = { 0 };
        r = put_value(values, v->kind != VALUE_I64 && v->len > VALUE_BYTES ? &none : v);
    }
    if (r == 0 && t->count == t->cap) {
        size_t cap = t->cap * 2 + 64;
        struct pg_change *grown = realloc(t->changes, cap * sizeof(*grown));
        r = grown != NULL ? 0 : -ENOMEM;
        t->changes = grown != NULL ? grown : t->changes;
        t->cap = grown != NULL ? cap : t->cap;
    }
    uint8_t *copy = r == 0 ? malloc(values->len + 1) : NULL;
    if (copy == NULL)
        return -ENOMEM;
    memcpy(copy, values->data, values->len);
    t->changes[t->count++] = (struct pg_change){ .statement = statement, .values = copy, .len = values->len };
    return 0;
}

static void change_table(struct pg_store *s, unsigned table, bool some_rows)
{
    pg_set_add(&s->memory.touched, table);
    s->memory.tables[table].version++;
    s->memory.tables[table].rows_version += !some_rows;
}

void pg_memory_changed(struct pg_store *s, unsigned statement)
{
    const struct pg_reach *reach = &s->statements[statement].reach;
    if (reach->table >= 0) {
        change_table(s, (unsigned)reach->table, reach->count > 0 && put_change(s, statement) == 0);
        return;
    }
    for (unsigned i = 0; i < s->memory.names.tables.count; i++)
        if (pg_set_has(&reach->tables, i))
            change_table(s, i, false);
}

void pg_memory_undone(struct pg_store *s)
{
    for (unsigned i = 0; i < s->memory.names.tables.count; i++)
        if (pg_set_has(&s->memory.touched, i))
            change_table(s, i, false);
}

void pg_memory_ended(struct pg_store *s)
{
    struct pg_memory *m = &s->memory;
    pg_memory_undone(s);
    for (unsigned i = 0; i < m->names.tables.count; i++) {
        struct pg_table *t = &m->tables[i];
        while (t->count > 0) {
            struct pg_change *c = &t->changes[--t->count];
            secret_wipe(c->values, c->len);
            free(c->values);
        }
    }
    m->touched = (struct pg_set){ { 0 } };
}

void pg_memory_others(struct pg_store *s, const char *turns, bool tracked)
{
    size_t known = strlen(turns) / PG_TURN_HEX;
    for (unsigned i = 0; i < s->memory.names.tables.count; i++) {
        char hex[PG_TURN_HEX + 1] = "";
        if (i < known)
            memcpy(hex, turns + (size_t)i * PG_TURN_HEX, PG_TURN_HEX);
        int64_t turn = (int64_t)strtoull(hex, NULL, 16);
        if (!tracked || turn > s->seen_turn)
            change_table(s, i, false);
        if (tracked)
            s->memory.touched.bits[i / 64] &= ~(UINT64_C(1) << (i % 64)); /* not by us */
    }
}

void pg_memory_free(struct pg_store *s)
{
    if (s->memory.tables != NULL)
        pg_memory_ended(s);
    pg_memory_forget(s);
    for (unsigned i = 0; s->memory.tables != NULL && i < s->memory.names.tables.count; i++)
        free(s->memory.tables[i].changes);
    free(s->memory.tables);
    pg_tables_free(&s->memory.names);
    buf_free(&s->memory.values);
}
