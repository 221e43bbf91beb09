/* Values in and out of PostgreSQL's statements, all of them in binary. A statement is prepared on a connection when it is first
 * run there, with the types of what is bound: the server's guesses from the text alone are too narrow (an integer of 32 bits). Rows
 * are all fetched at once, so that several queries may be under way on one connection, as they may on SQLite. */
#define LOG_MODULE "store"
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/util.h"
#include "store/pg.h"
#include "store/pg_sql.h"

#define SQL_MAX_BYTES (64 << 10)
#define PARAMETERS_MAX 64

enum {
    OID_BOOL = 16,
    OID_BYTEA = 17,
    OID_INT8 = 20,
    OID_INT2 = 21,
    OID_INT4 = 23,
    OID_TEXT = 25,
    OID_JSON = 114,
    OID_UNKNOWN = 705,
    OID_VARCHAR = 1043,
    OID_NUMERIC = 1700
};

static struct pg_statement *statement_of(const struct store *store, unsigned statement)
{
    return &((const struct pg_store *)store)->statements[statement];
}

/* --- Statements -------------------------------------------------------------------------------------------------- */

static int make_statement(struct pg_statement *st, const char *text)
{
    struct buf sql CLEANUP(buf_free) = buf(SQL_MAX_BYTES);
    int r = pg_sql_translate(text, &sql, &st->parameter_count);
    if (r == 0)
        r = buf_put_u8(&sql, '\0');
    if (r != 0 || st->parameter_count > PARAMETERS_MAX)
        return r < 0 ? r : -E2BIG;
    st->sql = (char *)steal(&sql.data);
    st->values = calloc((size_t)st->parameter_count + 1, sizeof(*st->values));
    st->types = calloc((size_t)st->parameter_count + 1, sizeof(*st->types));
    return st->values && st->types ? 0 : -ENOMEM;
}

int pg_statements_new(struct pg_store *s)
{
    const struct store_schema *schema = s->base.schema;
    s->statements = calloc(schema->statement_count + 1, sizeof(*s->statements));
    int r = s->statements ? 0 : -ENOMEM;
    for (unsigned i = 0; r == 0 && i < schema->statement_count; i++)
        r = make_statement(&s->statements[i], schema->statements[i]);
    return r;
}

void pg_statements_free(struct pg_store *s)
{
    for (unsigned i = 0; s->statements && i < s->base.schema->statement_count; i++) {
        struct pg_statement *st = &s->statements[i];
        PQclear(st->result);
        for (int p = 0; st->values && p < st->parameter_count; p++)
            free(st->values[p].bytes);
        free(st->values);
        free(st->types);
        free(st->sql);
    }
    free(s->statements);
    s->statements = NULL;
}

int pg_parameter_count(const struct store *store, unsigned statement)
{
    return statement_of(store, statement)->parameter_count;
}

/* --- Binding ----------------------------------------------------------------------------------------------------- */

int pg_bind(struct store *store, unsigned statement, int parameter, const struct value *v)
{
    struct pg_value *bound = &statement_of(store, statement)->values[parameter - 1];
    bound->kind = v->kind;
    if (v->kind == VALUE_I64)
        put_be64(bound->number, (uint64_t)v->number);
    if (v->kind != VALUE_TEXT && v->kind != VALUE_BLOB)
        return 0;
    if (v->kind == VALUE_TEXT && v->bytes.len > 0 && memchr(v->bytes.data, '\0', v->bytes.len))
        return -EINVAL; /* the server has no such text */
    if (v->bytes.len >= bound->cap) {
        uint8_t *grown = realloc(bound->bytes, v->bytes.len + 1);
        if (!grown)
            return -ENOMEM;
        bound->bytes = grown;
        bound->cap = v->bytes.len + 1;
    }
    if (v->bytes.len > 0)
        memcpy(bound->bytes, v->bytes.data, v->bytes.len);
    bound->len = v->bytes.len;
    return 0;
}

void pg_rewind(struct store *store, unsigned statement)
{
    struct pg_statement *st = statement_of(store, statement);
    pg_clear(&st->result);
    for (int i = 0; i < st->parameter_count; i++) {
        if (st->values[i].bytes) /* a key perhaps, or a password's hash */
            memset(st->values[i].bytes, 0, st->values[i].len);
        st->values[i].kind = VALUE_NULL;
    }
}

/* --- Running ----------------------------------------------------------------------------------------------------- */

static int prepare(struct pg_store *s, struct pg_statement *st, const char *name)
{
    static const Oid oid_of[] = { [VALUE_I64] = OID_INT8, [VALUE_TEXT] = OID_TEXT, [VALUE_BLOB] = OID_BYTEA };
    bool others = false;
    for (int i = 0; i < st->parameter_count; i++) {
        Oid type = oid_of[st->values[i].kind];
        others |= type != 0 && type != st->types[i];
        st->types[i] = type != 0 ? type : st->types[i];
    }
    if (st->prepared_on == s->number && !others)
        return 0;
    char drop[48];
    snprintf(drop, sizeof(drop), "DEALLOCATE %s", name);
    int r = st->prepared_on == s->number ? pg_run_script(s, drop, NULL) : 0;
    if (r != 0)
        return r;
    st->prepared_on = 0;
    PGresult *prepared CLEANUP(pg_clear) = PQprepare(s->connection, name, st->sql, st->parameter_count, st->types);
    r = pg_outcome(s, prepared);
    if (r == 0)
        st->prepared_on = s->number;
    else if (r != -EAGAIN && r != -ECANCELED)
        log_error("statement does not fit the schema: sql=%s", st->sql);
    return r;
}

static PGresult *execute(struct pg_store *s, struct pg_statement *st, const char *name)
{
    const char *values[PARAMETERS_MAX];
    int lengths[PARAMETERS_MAX], formats[PARAMETERS_MAX];
    for (int i = 0; i < st->parameter_count; i++) {
        const struct pg_value *v = &st->values[i];
        values[i] = v->kind == VALUE_NULL  ? NULL
                    : v->kind == VALUE_I64 ? (const char *)v->number
                                           : (const char *)v->bytes;
        lengths[i] = v->kind == VALUE_I64 ? (int)sizeof(v->number) : (int)v->len;
        formats[i] = 1;
        if (values[i] == NULL && v->kind != VALUE_NULL)
            values[i] = ""; /* an empty text is not NULL */
    }
    return PQexecPrepared(s->connection, name, st->parameter_count, values, lengths, formats, 1);
}

static int run_once(struct pg_store *s, struct pg_statement *st, unsigned statement)
{
    char name[24];
    snprintf(name, sizeof(name), "s%u", statement);
    if (s->in_transaction && s->undone)
        return -EAGAIN;
    int r = s->in_transaction ? 0 : pg_connect(s, pg_deadline_ms(s));
    if (r == 0)
        r = prepare(s, st, name);
    if (r != 0)
        return r;
    PGresult *result CLEANUP(pg_clear) = execute(s, st, name);
    r = pg_outcome(s, result);
    if (r != 0)
        return r;
    if (PQresultStatus(result) == PGRES_COMMAND_OK || strncmp(PQcmdStatus(result), "SELECT", 6) != 0) {
        s->changed_count = strtoll(PQcmdTuples(result), NULL, 10);
        s->changed |= s->changed_count > 0;
    }
    st->result = steal(&result);
    st->row = -1;
    return 0;
}

static bool only_reads(const struct pg_statement *st)
{
    return strncmp(st->sql, "SELECT", 6) == 0 || strncmp(st->sql, "WITH", 4) == 0;
}

/* Nobody writes without a turn. */
static int run_alone(struct pg_store *s, struct pg_statement *st, unsigned statement)
{
    int r = pg_begin_write(s);
    if (r == 0)
        r = run_once(s, st, statement);
    if (r == 0)
        r = pg_commit(s);
    else if (s->in_transaction)
        pg_roll_back(s);
    if (r != 0)
        pg_clear(&st->result);
    return r;
}

int pg_step(struct store *store, unsigned statement)
{
    struct pg_store *s = pg_of(store);
    struct pg_statement *st = statement_of(store, statement);
    int r = 0;
    if (!st->result)
        r = s->in_transaction || only_reads(st) ? run_once(s, st, statement) : run_alone(s, st, statement);
    if (r == -EAGAIN && !s->in_transaction && only_reads(st)) { /* by itself: nobody saw the first attempt */
        s->undone = false;
        r = run_once(s, st, statement);
    }
    if (!s->in_transaction)
        s->undone = false;
    if (r != 0)
        return r;
    return ++st->row < PQntuples(st->result) ? STORE_ROW : 0;
}

/* --- Reading ----------------------------------------------------------------------------------------------------- */

/* Sums come as decimal numbers: count:2 weight:2 sign:2 scale:2, then `count` digits of base 10,000. */
static int read_numeric(struct slice bytes, int64_t *out)
{
    struct reader r = reader(bytes);
    int count = reader_u16(&r);
    int weight = (int16_t)reader_u16(&r);
    uint16_t sign = reader_u16(&r);
    (void)reader_u16(&r);
    int64_t v = 0;
    for (int i = 0; i <= weight || i < count; i++) {
        int64_t digit = i < count ? reader_u16(&r) : 0;
        if (i > weight && digit == 0)
            continue;
        if (i > weight || __builtin_mul_overflow(v, 10000, &v) || __builtin_sub_overflow(v, digit, &v))
            return -EUCLEAN; /* a fraction, or beyond 64 bits */
    }
    if (r.bad || (sign != 0 && sign != 0x4000) || (sign == 0 && v == INT64_MIN))
        return -EUCLEAN;
    *out = sign == 0 ? -v : v;
    return 0;
}

int pg_read(const PGresult *r, int row, int column, struct value *out)
{
    *out = (struct value){ 0 };
    if (PQgetisnull(r, row, column))
        return 0;
    struct slice bytes = slice(PQgetvalue(r, row, column), (size_t)PQgetlength(r, row, column));
    struct reader number = reader(bytes);
    out->kind = VALUE_I64;
    switch (PQftype(r, column)) {
    case OID_BOOL:
        out->number = reader_u8(&number);
        return 0;
    case OID_INT2:
        out->number = (int16_t)reader_u16(&number);
        return 0;
    case OID_INT4:
        out->number = (int32_t)reader_u32(&number);
        return 0;
    case OID_INT8:
        out->number = (int64_t)reader_u64(&number);
        return number.bad ? -EUCLEAN : 0;
    case OID_NUMERIC:
        return read_numeric(bytes, &out->number);
    case OID_TEXT:
    case OID_VARCHAR:
    case OID_JSON:
    case OID_UNKNOWN:
        out->kind = VALUE_TEXT;
        out->bytes = bytes;
        return 0;
    case OID_BYTEA:
        out->kind = VALUE_BLOB;
        out->bytes = bytes;
        return 0;
    default:
        return -EUCLEAN;
    }
}

int pg_columns(const struct store *store, unsigned statement)
{
    return PQnfields(statement_of(store, statement)->result);
}

int pg_column(struct store *store, unsigned statement, int column, struct value *out)
{
    const struct pg_statement *st = statement_of(store, statement);
    if (!st->result || st->row < 0 || st->row >= PQntuples(st->result))
        return -EUCLEAN;
    return pg_read(st->result, st->row, column, out);
}
