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
    if (r != 0 || st->parameter_count > PG_PARAMETERS_MAX)
        return r < 0 ? r : -E2BIG;
    st->sql = (char *)steal(&sql.data);
    st->values = calloc((size_t)st->parameter_count + 1, sizeof(*st->values));
    st->types = calloc((size_t)st->parameter_count + 1, sizeof(*st->types));
    return st->values && st->types ? 0 : -ENOMEM;
}

static void drop_result(struct pg_statement *st)
{
    if (st->answer == NULL)
        PQclear(st->result);
    pg_answer_unref(st->answer);
    st->result = NULL;
    st->answer = NULL;
}

int pg_statements_new(struct pg_store *s)
{
    const struct store_schema *schema = s->base.schema;
    s->statements = calloc(schema->statement_count + 1, sizeof(*s->statements));
    int r = s->statements ? 0 : -ENOMEM;
    for (unsigned i = 0; r == 0 && i < schema->statement_count; i++)
        r = make_statement(&s->statements[i], schema->statements[i]);
    for (unsigned i = 0; r == 0 && i < schema->statement_count; i++)
        r = pg_reach_of(s->statements[i].sql, &s->memory.names, &s->statements[i].reach);
    return r;
}

void pg_statements_free(struct pg_store *s)
{
    for (unsigned i = 0; s->statements && i < s->base.schema->statement_count; i++) {
        struct pg_statement *st = &s->statements[i];
        drop_result(st);
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
    drop_result(st);
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
    int landed = pg_land(s, NULL); /* preparing is waited for */
    if (landed != 0)
        return landed;
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
    else if (r != -EAGAIN && r != -ECANCELED && r != -ENOMEM && r != -EHOSTDOWN && r != -EINPROGRESS)
        log_error("statement does not fit the schema: sql=%s", st->sql);
    return r;
}

void pg_values(const struct pg_statement *st, struct pg_values *out)
{
    for (int i = 0; i < st->parameter_count; i++) {
        const struct pg_value *v = &st->values[i];
        out->values[i] = v->kind == VALUE_NULL  ? NULL
                         : v->kind == VALUE_I64 ? (const char *)v->number
                                                : (const char *)v->bytes;
        out->lengths[i] = v->kind == VALUE_I64 ? (int)sizeof(v->number) : (int)v->len;
        out->formats[i] = 1;
        if (out->values[i] == NULL && v->kind != VALUE_NULL)
            out->values[i] = ""; /* an empty text is not NULL */
    }
}

/* With whatever is under way before it. */
static int execute(struct pg_store *s, struct pg_statement *st, const char *name, PGresult **out)
{
    struct pg_values v;
    if (s->flight.count > 0) {
        int r = pg_send(s, st, name, NULL);
        return r == 0 ? pg_land(s, out) : r;
    }
    pg_values(st, &v);
    *out = PQexecPrepared(s->connection, name, st->parameter_count, v.values, v.lengths, v.formats, 1);
    return 0;
}

static void name_of(unsigned statement, char name[24]) { snprintf(name, 24, "s%u", statement); }

/* A connection, the statement prepared on it, and a savepoint for what it changes. */
static int make_ready(struct pg_store *s, struct pg_statement *st, const char *name)
{
    if (s->in_transaction && s->undone)
        return -EAGAIN;
    int r = s->in_transaction ? 0 : pg_connect(s, pg_deadline_ms(s));
    if (r == 0)
        r = prepare(s, st, name);
    return r == 0 && st->reach.changes ? pg_level_write(s) : r;
}

static int run_once(struct pg_store *s, struct pg_statement *st, unsigned statement)
{
    char name[24];
    name_of(statement, name);
    int r = make_ready(s, st, name);
    if (r != 0)
        return r;
    if (st->reach.changes && s->in_transaction)
        pg_memory_changed(s, statement);
    PGresult *result CLEANUP(pg_clear) = NULL;
    r = execute(s, st, name, &result);
    if (r == 0)
        r = pg_outcome(s, result);
    if (r != 0)
        return r;
    if (st->reach.changes) {
        s->changed_count = strtoll(PQcmdTuples(result), NULL, 10);
        s->changed |= s->changed_count > 0;
    }
    st->result = steal(&result);
    st->row = -1;
    return 0;
}

/* --- Answers from the memory --------------------------------------------------------------------------------------- */

static bool same_results(const PGresult *a, const PGresult *b)
{
    if (PQntuples(a) != PQntuples(b) || PQnfields(a) != PQnfields(b))
        return false;
    for (int row = 0; row < PQntuples(a); row++) {
        for (int i = 0; i < PQnfields(a); i++) {
            size_t len = (size_t)PQgetlength(a, row, i);
            if (PQgetisnull(a, row, i) != PQgetisnull(b, row, i) || len != (size_t)PQgetlength(b, row, i) ||
                (len > 0 && memcmp(PQgetvalue(a, row, i), PQgetvalue(b, row, i), len) != 0))
                return false;
        }
    }
    return true;
}

/* HEARTH_DOUBT: would the server have said the same? */
static int doubt(struct pg_store *s, struct pg_statement *st, unsigned statement, const struct pg_answer *a)
{
    int r = run_once(s, st, statement);
    if (r != 0)
        return r;
    bool same = same_results(a->result, st->result);
    pg_clear(&st->result);
    if (!same)
        log_error("what was remembered is not so: sql=%s", st->sql);
    return same ? 0 : -EUCLEAN;
}

/* Asks the server only what is not remembered. */
static int ask_memory(struct pg_store *s, struct pg_statement *st, unsigned statement)
{
    if (s->undone)
        return -EAGAIN;
    struct pg_answer *a = pg_memory_find(s, statement);
    int r = a != NULL && a->result == NULL ? pg_land(s, NULL) : 0;
    if (r == 0 && (a == NULL || a->result == NULL)) {
        a = pg_memory_add(s, statement);
        if (a != NULL)
            pg_answer_ref(a);
        r = run_once(s, st, statement);
        if (r == 0 && a != NULL)
            pg_answer_fill(s, a, st->result);
        if (r == 0)
            st->answer = a;
        else
            pg_answer_unref(a);
        return r;
    }
    if (r == 0 && s->doubts)
        r = doubt(s, st, statement, a);
    if (r != 0)
        return r;
    st->answer = pg_answer_ref(a);
    st->result = a->result;
    st->row = -1;
    return 0;
}

/* Nobody writes without a turn. */
static int run_alone(struct pg_store *s, struct pg_statement *st, unsigned statement)
{
    int r = pg_begin_write(s, false);
    if (r == 0)
        r = run_once(s, st, statement);
    if (r == 0)
        r = pg_commit(s);
    else if (s->in_transaction)
        pg_roll_back(s);
    if (r != 0)
        drop_result(st);
    return r;
}

static int run(struct pg_store *s, struct pg_statement *st, unsigned statement)
{
    if (!s->in_transaction && st->reach.changes)
        return run_alone(s, st, statement);
    return s->batch && !st->reach.changes ? ask_memory(s, st, statement) : run_once(s, st, statement);
}

int pg_step(struct store *store, unsigned statement)
{
    struct pg_store *s = pg_of(store);
    struct pg_statement *st = statement_of(store, statement);
    int r = 0;
    if (!st->result)
        r = run(s, st, statement);
    if (r == -EAGAIN && !s->in_transaction && !st->reach.changes) { /* by itself: nobody saw the first attempt */
        s->undone = false;
        r = run_once(s, st, statement);
    }
    if (!s->in_transaction)
        s->undone = false;
    if (r != 0)
        return r;
    return ++st->row < PQntuples(st->result) ? STORE_ROW : 0;
}

int pg_later(struct store *store, unsigned statement)
{
    struct pg_store *s = pg_of(store);
    struct pg_statement *st = statement_of(store, statement);
    char name[24];
    if (!s->batch || s->each)
        return pg_step(store, statement);
    name_of(statement, name);
    int r = make_ready(s, st, name);
    if (r != 0)
        return r;
    pg_memory_changed(s, statement);
    s->changed = true; /* perhaps */
    return pg_send(s, st, name, NULL);
}

void pg_ahead(struct store *store, unsigned statement)
{
    struct pg_store *s = pg_of(store);
    struct pg_statement *st = statement_of(store, statement);
    char name[24];
    name_of(statement, name);
    if (!s->batch || s->each || st->reach.changes || pg_memory_find(s, statement) != NULL ||
        make_ready(s, st, name) != 0)
        return;
    struct pg_answer *a = pg_memory_add(s, statement);
    int r = a != NULL ? pg_send(s, st, name, a) : 0;
    (void)r; /* whoever asks hears of it */
}

/* --- Reading ----------------------------------------------------------------------------------------------------- */

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
